/** A record as a line of `gamut dump`. */
import { latin1Encode } from "../core/bytes.js";
import type { Result } from "../kv/result.js";
import { jsonValue, utf8Text } from "./output.js";

export type DumpFormat = "text" | "json";

/** Controls, what has no width or turns the reading direction, breaks of line and paragraph; and the escape itself. */
const HIDDEN = String.raw`[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Noncharacter_Code_Point}\\]`;
const HIDDEN_BYTE = String.raw`[^\x20-\x7e]|\\`;

interface Hidden {
  readonly inText: RegExp;
  /** In bytes that are no UTF-8. */
  readonly inBytes: RegExp;
}

const IN_VALUE: Hidden = { inText: new RegExp(HIDDEN, "gu"), inBytes: new RegExp(HIDDEN_BYTE, "g") };
/** A key ends at the first colon that has no backslash before it. */
const IN_KEY: Hidden = { inText: new RegExp(`${HIDDEN}|:`, "gu"), inBytes: new RegExp(`${HIDDEN_BYTE}|:`, "g") };

const SHORT: Readonly<Record<string, string>> = { "\\": "\\\\", ":": "\\:", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** With its line break. The record is an item of a range. */
export function dumpLine(record: Result, format: DumpFormat): string {
  const { value, version, deadlineMs, recordFlags } = record;
  const key = latin1Encode(record.key);
  if (format === "text") return `${textRecord(key, value)}\n`;
  const line = {
    ...jsonValue(key, "key"),
    ...jsonValue(value),
    version,
    ...(recordFlags !== 0 && { flags: recordFlags }),
    ...(deadlineMs >= 0 && { deadlineMs }),
  };
  return `${JSON.stringify(line)}\n`;
}

/** Without a value (null) there is no colon either: an empty one has it. */
export function textRecord(key: Uint8Array, value: Uint8Array | null): string {
  return value === null ? escaped(key, IN_KEY) : `${escaped(key, IN_KEY)}:${escaped(value, IN_VALUE)}`;
}

/** One text for each sequence of bytes: `\xNN` is a byte, anything else stands for its UTF-8. */
function escaped(bytes: Uint8Array, hidden: Hidden): string {
  const text = utf8Text(bytes);
  if (text !== null) return text.replace(hidden.inText, (char) => SHORT[char] ?? hex(Buffer.from(char)));
  const latin1 = Buffer.from(bytes).toString("latin1");
  return latin1.replace(hidden.inBytes, (char) => SHORT[char] ?? hex(Buffer.from(char, "latin1")));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

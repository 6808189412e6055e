import { describe, expect, it } from "vitest";
import { latin1Decode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { Result, ResultKind } from "../kv/result.js";
import { dumpLine } from "./dump-line.js";

function record(key: Uint8Array, value: Uint8Array): Result {
  const result = new Result(ResultKind.value);
  result.key = latin1Decode(key);
  result.value = value;
  result.version = 7;
  return result;
}

/** Key and value as a reader of the file gets them back, from what docs/cli.md says alone. */
function readLine(line: string): [Buffer, Buffer] {
  const parts: number[][] = [[]];
  const ends: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
  const chars = [...line.slice(0, -1)];
  for (let i = 0; i < chars.length; i += 1) {
    const bytes = parts[parts.length - 1];
    if (chars[i] === ":" && parts.length === 1) parts.push([]);
    else if (chars[i] !== "\\") bytes.push(...Buffer.from(chars[i]));
    else if (chars[i + 1] === "x") {
      bytes.push(Number.parseInt(chars[i + 2] + chars[i + 3], 16));
      i += 3;
    } else {
      i += 1;
      bytes.push(...Buffer.from(ends[chars[i]] ?? chars[i]));
    }
  }
  return [Buffer.from(parts[0]), Buffer.from(parts[1])];
}

/** What tends to be confused: signs of the format, its escapes spelt out, bytes that are no text. */
const PIECES = [
  ...[
    "a",
    ":",
    "\\",
    "\n",
    "\t",
    "\\x41",
    "\\n",
    "\\:",
    "ü",
    "😀",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\u0000",
    "\x7f",
    "\u0085",
  ],
].map((text) => Buffer.from(text));
PIECES.push(Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xf0, 0x9f]), Buffer.from([0x80]));

describe("a dumped line", () => {
  it("shows what can be shown, and escapes the rest", () => {
    const shown = (key: string, value: string): string =>
      dumpLine(record(Buffer.from(key), Buffer.from(value)), "text");
    expect(shown("greeting", "hello: world")).toBe("greeting:hello: world\n");
    expect(shown("user:1", "größer\n")).toBe("user\\:1:größer\\n\n");
    expect(shown("", "")).toBe(":\n");
    expect(shown("c:\\dir", "\x1b[31m\u202e")).toBe("c\\:\\\\dir:\\x1b[31m\\xe2\\x80\\xae\n");
    expect(dumpLine(record(Buffer.from([0xff, 0x3a]), Buffer.from("\\xff")), "text")).toBe("\\xff\\::\\\\xff\n");
  });

  it("is one line that gives key and value back, whatever their bytes", () => {
    const random = new Random(20);
    const bytes = (): Buffer =>
      Buffer.concat(Array.from({ length: random.below(7) }, () => PIECES[random.below(PIECES.length)]));
    for (let i = 0; i < 20_000; i += 1) {
      const [key, value] = [bytes(), bytes()];
      const line = dumpLine(record(key, value), "text");
      expect(line.indexOf("\n")).toBe(line.length - 1);
      const [keyBack, valueBack] = readLine(line);
      if (keyBack.equals(key) && valueBack.equals(value)) continue;
      expect([key.toString("hex"), value.toString("hex"), line]).toEqual([
        keyBack.toString("hex"),
        valueBack.toString("hex"),
        "",
      ]);
    }
  });

  it("as JSON tells the version, and what is no text in base64", () => {
    const expiring = record(Buffer.from("\ufeffk"), Buffer.from([0xff]));
    expiring.deadlineMs = 5;
    expiring.recordFlags = 3;
    expect(JSON.parse(dumpLine(expiring, "json"))).toEqual({
      key: "\ufeffk",
      valueBase64: "/w==",
      version: 7,
      flags: 3,
      deadlineMs: 5,
    });
  });
});

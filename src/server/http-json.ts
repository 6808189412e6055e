/** Keys and values in JSON: text where the bytes are UTF-8, else base64 under a name of its own. */
import { latin1Encode } from "../core/bytes.js";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text whose UTF-8 these bytes are; null if they are none. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

export interface KeyJson {
  readonly key?: string | undefined;
  readonly keyBase64?: string | undefined;
}

export interface ValueJson {
  readonly value?: string | undefined;
  readonly valueBase64?: string | undefined;
}

/** `key`: latin1, one char a byte. */
export function keyToJson(key: string, inBase64: boolean): KeyJson {
  const bytes = latin1Encode(key);
  const text = inBase64 ? null : textOf(bytes);
  return text === null ? { keyBase64: toBase64(bytes) } : { key: text };
}

export function keyFromJson({ key, keyBase64 }: KeyJson): string {
  return Buffer.from(key ?? keyBase64 ?? "", key === undefined ? "base64" : "utf8").toString("latin1");
}

export function valueToJson(value: Uint8Array, inBase64: boolean): ValueJson {
  const text = inBase64 ? null : textOf(value);
  return text === null ? { valueBase64: toBase64(value) } : { value: text };
}

export function valueFromJson({ value, valueBase64 }: ValueJson): Uint8Array {
  return Buffer.from(value ?? valueBase64 ?? "", value === undefined ? "base64" : "utf8");
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

import { CodecError } from "../core/bytes.js";

/**
 * Little-endian integers at a known place of a byte array, without a DataView: a record or a section header is read
 * far too often to make one each time.
 */
const TWO_32 = 4294967296;

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** A safe integer from 0, in eight bytes. */
export function putU53(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  putU32(bytes, at, (value - high * TWO_32) >>> 0);
  putU32(bytes, at + 4, high);
}

export function getU53(bytes: Uint8Array, at: number): number {
  const value = getU32(bytes, at + 4) * TWO_32 + getU32(bytes, at);
  if (value > Number.MAX_SAFE_INTEGER) throw new CodecError("integer above 2^53 - 1");
  return value;
}

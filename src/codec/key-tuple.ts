/**
 * Tuples as keys, in the encoding of Deno KV (which is that of FoundationDB's tuple layer): the order of the bytes is the
 * order of the tuples. Part by part; a part of another type stands by its type: Uint8Array, string, bigint, number,
 * boolean. A tuple stands before those that it is the beginning of.
 *
 * | part | bytes |
 * |---|---|
 * | Uint8Array | 01, the bytes with each 00 as 00 FF, 00 |
 * | string | 02, its UTF-8 with each 00 as 00 FF, 00 |
 * | bigint | 14 for 0; 14 + n, n bytes big-endian; 14 − n, the complement of as many. From 9 to 255 bytes: 1D n, 0B FF−n |
 * | number | 21, IEEE 754 big-endian: sign bit flipped, or (negative) all bits |
 * | boolean | 26 false, 27 true |
 */
import { allocate, ByteWriter, copyBytes, utf8Decode, utf8Encode } from "../core/bytes.js";

export type KeyPart = Uint8Array | string | number | bigint | boolean;
export type KeyTuple = readonly KeyPart[];

const BYTES = 0x01;
const STRING = 0x02;
const BIGINT_LONG_NEGATIVE = 0x0b;
const BIGINT_ZERO = 0x14;
const BIGINT_LONG_POSITIVE = 0x1d;
const NUMBER = 0x21;
const FALSE = 0x26;
const TRUE = 0x27;

const END = 0x00;
const ESCAPE = 0xff;
const BIGINT_BYTES_SHORT = 8;
const BIGINT_BYTES_MAX = 255;

/** Why a tuple has no encoding. */
export class KeyTupleError extends Error {
  override readonly name = "KeyTupleError";
}

/** @throws KeyTupleError for a part that has no place in the order: another type, a lone surrogate, a bigint past 255 bytes. */
export function encodeKeyTuple(tuple: KeyTuple): Uint8Array {
  const writer = new ByteWriter(64);
  for (let i = 0; i < tuple.length; i += 1) writePart(tuple[i], i, writer);
  return writer.copy();
}

function writePart(part: KeyPart, index: number, writer: ByteWriter): void {
  if (typeof part === "string") {
    writer.u8(STRING);
    writeEscaped(encodeText(part, index), writer);
  } else if (typeof part === "number") writeNumber(part, writer);
  else if (typeof part === "bigint") writeBigint(part, index, writer);
  else if (typeof part === "boolean") writer.u8(part ? TRUE : FALSE);
  else if (part instanceof Uint8Array) {
    writer.u8(BYTES);
    writeEscaped(part, writer);
  } else {
    throw new KeyTupleError(
      `part ${index} of the key is a ${part === null ? "null" : typeof part}; Uint8Array, string, number, bigint and boolean can be part of one`,
    );
  }
}

/** A lone surrogate would become U+FFFD, and two keys one. */
function encodeText(text: string, index: number): Uint8Array {
  if (/\p{Surrogate}/u.test(text)) throw new KeyTupleError(`part ${index} of the key is no well-formed string`);
  return utf8Encode(text);
}

function writeEscaped(bytes: Uint8Array, writer: ByteWriter): void {
  for (let i = 0; i < bytes.length; i += 1) {
    writer.u8(bytes[i]);
    if (bytes[i] === END) writer.u8(ESCAPE);
  }
  writer.u8(END);
}

function writeNumber(value: number, writer: ByteWriter): void {
  const bytes = allocate(8);
  // A NaN's other bits are the machine's.
  new DataView(bytes.buffer, bytes.byteOffset, 8).setFloat64(0, Number.isNaN(value) ? Number.NaN : value, false);
  const flip = bytes[0] & 0x80 ? 0xff : 0x00;
  bytes[0] ^= flip | 0x80;
  for (let i = 1; i < 8; i += 1) bytes[i] ^= flip;
  writer.u8(NUMBER);
  writer.raw(bytes);
}

function writeBigint(value: bigint, index: number, writer: ByteWriter): void {
  if (value === 0n) {
    writer.u8(BIGINT_ZERO);
    return;
  }
  const isNegative = value < 0n;
  const hex = (isNegative ? -value : value).toString(16);
  const length = (hex.length + 1) >> 1;
  if (length > BIGINT_BYTES_MAX) {
    throw new KeyTupleError(`part ${index} of the key is a bigint of ${length} bytes; ${BIGINT_BYTES_MAX} are allowed`);
  }
  if (length <= BIGINT_BYTES_SHORT) writer.u8(isNegative ? BIGINT_ZERO - length : BIGINT_ZERO + length);
  else {
    writer.u8(isNegative ? BIGINT_LONG_NEGATIVE : BIGINT_LONG_POSITIVE);
    writer.u8(isNegative ? length ^ 0xff : length);
  }
  const padded = hex.padStart(length * 2, "0");
  for (let i = 0; i < length; i += 1) {
    const byte = Number.parseInt(padded.slice(2 * i, 2 * i + 2), 16);
    writer.u8(isNegative ? byte ^ 0xff : byte);
  }
}

/** The tuple that the bytes spell, or null: they are no tuple's encoding. Only what {@link encodeKeyTuple} writes is one. */
export function decodeKeyTuple(bytes: Uint8Array): KeyPart[] | null {
  const reader = new TupleReader(bytes);
  const parts: KeyPart[] = [];
  while (!reader.isAtEnd) {
    const part = reader.part();
    if (part === null) return null;
    parts.push(part);
  }
  return parts;
}

class TupleReader {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  part(): KeyPart | null {
    const code = this.bytes[this.at];
    this.at += 1;
    if (code === BYTES) return this.escaped();
    if (code === STRING) {
      const bytes = this.escaped();
      return bytes === null ? null : utf8Decode(bytes);
    }
    if (code >= BIGINT_LONG_NEGATIVE && code <= BIGINT_LONG_POSITIVE) return this.bigint(code);
    if (code === NUMBER) return this.number();
    return code === FALSE ? false : code === TRUE ? true : null;
  }

  private escaped(): Uint8Array | null {
    const { bytes } = this;
    const out = new Uint8Array(bytes.length - this.at);
    let length = 0;
    while (this.at < bytes.length) {
      const byte = bytes[this.at];
      this.at += 1;
      if (byte === END) {
        if (bytes[this.at] !== ESCAPE) return copyBytes(out.subarray(0, length));
        this.at += 1;
      }
      out[length] = byte;
      length += 1;
    }
    return null;
  }

  private number(): number | null {
    const bytes = this.take(8);
    if (bytes === null) return null;
    const flip = bytes[0] & 0x80 ? 0x00 : 0xff;
    bytes[0] ^= flip | 0x80;
    for (let i = 1; i < 8; i += 1) bytes[i] ^= flip;
    const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, false);
    if (!Number.isNaN(value)) return value;
    const isCanonical = bytes[0] === 0x7f && bytes[1] === 0xf8 && bytes.subarray(2).every((byte) => byte === 0);
    return isCanonical ? value : null;
  }

  private bigint(code: number): bigint | null {
    const isNegative = code < BIGINT_ZERO;
    const isLong = code === BIGINT_LONG_NEGATIVE || code === BIGINT_LONG_POSITIVE;
    let length = isNegative ? BIGINT_ZERO - code : code - BIGINT_ZERO;
    if (isLong) {
      if (this.isAtEnd) return null;
      length = isNegative ? this.bytes[this.at] ^ 0xff : this.bytes[this.at];
      this.at += 1;
      if (length <= BIGINT_BYTES_SHORT) return null;
    }
    if (length === 0) return 0n;
    const bytes = this.take(length);
    if (bytes === null) return null;
    let hex = "";
    for (let i = 0; i < length; i += 1) {
      const byte = isNegative ? bytes[i] ^ 0xff : bytes[i];
      if (i === 0 && byte === 0) return null;
      hex += byte.toString(16).padStart(2, "0");
    }
    const magnitude = BigInt(`0x${hex}`);
    return isNegative ? -magnitude : magnitude;
  }

  private take(count: number): Uint8Array | null {
    if (this.at + count > this.bytes.length) return null;
    const taken = copyBytes(this.bytes.subarray(this.at, this.at + count));
    this.at += count;
    return taken;
  }
}

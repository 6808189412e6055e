/**
 * Bytes for the pure rooms: plain Uint8Array code that runs anywhere. The runtime swaps in Node's faster functions
 * at start ({@link useFastBytes}); one acceptance suite holds both to the same behaviour.
 */
import { assert } from "./assert.js";

export const EMPTY_BYTES = new Uint8Array(0);

/** A peer's or a client's bytes do not follow the format. Closes the connection; never an assertion. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}

/** Table n: what a byte adds that n more bytes follow. */
const [CRC_0, CRC_1, CRC_2, CRC_3, CRC_4, CRC_5, CRC_6, CRC_7] = makeCrcTables();

function makeCrcTables(): Int32Array[] {
  const tables: Int32Array[] = [];
  for (let t = 0; t < 8; t += 1) tables.push(new Int32Array(256));
  for (let i = 0; i < 256; i += 1) {
    let c = i;
    for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    tables[0][i] = c;
  }
  for (let t = 1; t < 8; t += 1) {
    for (let i = 0; i < 256; i += 1) {
      const previous = tables[t - 1][i];
      tables[t][i] = tables[0][previous & 0xff] ^ (previous >>> 8);
    }
  }
  return tables;
}

/** CRC-32 (IEEE 802.3, reflected 0xEDB88320), eight bytes a step. `seed` is a previous result to go on from. */
function crc32Portable(bytes: Uint8Array, seed: number, start: number, end: number): number {
  const whole = end - ((end - start) & 7);
  let c = ~seed;
  let i = start;
  while (i < whole) {
    c ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    c =
      CRC_7[c & 0xff] ^
      CRC_6[(c >>> 8) & 0xff] ^
      CRC_5[(c >>> 16) & 0xff] ^
      CRC_4[c >>> 24] ^
      CRC_3[bytes[i + 4]] ^
      CRC_2[bytes[i + 5]] ^
      CRC_1[bytes[i + 6]] ^
      CRC_0[bytes[i + 7]];
    i += 8;
  }
  while (i < end) {
    c = CRC_0[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
    i += 1;
  }
  return ~c >>> 0;
}

function latin1DecodePortable(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i += 1) text += String.fromCharCode(bytes[i]);
  return text;
}

function latin1WritePortable(text: string, target: Uint8Array, at: number): void {
  for (let i = 0; i < text.length; i += 1) target[at + i] = text.charCodeAt(i);
}

function allocatePortable(length: number): Uint8Array {
  return new Uint8Array(length);
}

/** The functions that a platform may do faster. */
export interface ByteFunctions {
  /** Of the bytes from `start` up to `end`, which lie in the array. */
  crc32(bytes: Uint8Array, seed: number, start: number, end: number): number;
  latin1Decode(bytes: Uint8Array, start: number, end: number): string;
  /** Writes one byte a char; the caller has made room. */
  latin1Write(text: string, target: Uint8Array, at: number): void;
  /** Contents may be arbitrary: the caller overwrites all of it. */
  allocate(length: number): Uint8Array;
  /** As `allocate`, in memory that another thread can be shown without a copy, where there are threads. */
  allocateShared(length: number): Uint8Array;
  /** Odd, and not to be guessed where others may choose what is hashed. */
  readonly hashMultiplier: number;
}

export const portableBytes: ByteFunctions = {
  crc32: crc32Portable,
  latin1Decode: latin1DecodePortable,
  latin1Write: latin1WritePortable,
  allocate: allocatePortable,
  allocateShared: allocatePortable,
  hashMultiplier: 0x01000193,
};

let fast: ByteFunctions = portableBytes;

export function useFastBytes(functions: ByteFunctions): void {
  fast = functions;
}

export function crc32(bytes: Uint8Array, seed = 0, start = 0, end: number = bytes.length): number {
  return fast.crc32(bytes, seed, start, end);
}

export function latin1Decode(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  return fast.latin1Decode(bytes, start, end);
}

/** Bytes of a latin1 string, in an array of its own. */
export function latin1Encode(text: string): Uint8Array {
  const bytes = fast.allocate(text.length);
  fast.latin1Write(text, bytes, 0);
  return bytes;
}

export function allocate(length: number): Uint8Array {
  return fast.allocate(length);
}

export function allocateShared(length: number): Uint8Array {
  return fast.allocateShared(length);
}

/** For tables of this process alone: two processes hash differently, so nothing that lasts or is sent may depend on it. */
export function hashOfText(text: string): number {
  const multiplier = fast.hashMultiplier;
  let h = multiplier;
  for (let i = 0; i < text.length; i += 1) {
    h = Math.imul(h ^ text.charCodeAt(i), multiplier);
    h ^= h >>> 15;
  }
  return h;
}

/** A copy that does not keep the larger buffer behind `bytes` alive. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = fast.allocate(bytes.length);
  copy.set(bytes);
  return copy;
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** UTF-8 to and from a latin1 key string, for what a person types or reads. Unpaired surrogates become U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  const out: number[] = [];
  for (const char of text) {
    let code = char.codePointAt(0) ?? 0xfffd;
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) out.push(code);
    else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return Uint8Array.from(out);
}

/** The text that UTF-8 bytes spell; null if they are not UTF-8 (overlong forms and surrogates are not). */
export function utf8Decode(bytes: Uint8Array): string | null {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at];
    const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length === 0 || at + length > bytes.length) return null;
    let code = length === 1 ? first : first & (0xff >> (length + 1));
    for (let i = 1; i < length; i += 1) {
      const next = bytes[at + i];
      if ((next & 0xc0) !== 0x80) return null;
      code = (code << 6) | (next & 63);
    }
    if ((length === 3 && code < 0x800) || (length === 4 && code < 0x10000) || code > 0x10ffff) return null;
    if (code >= 0xd800 && code <= 0xdfff) return null;
    text += String.fromCodePoint(code);
    at += length;
  }
  return text;
}

const TWO_32 = 4294967296;

/** Grows as needed; one is kept and reused per purpose. All integers are little-endian. */
export class ByteWriter {
  bytes: Uint8Array;
  private view: DataView;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = fast.allocate(capacity);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  reset(): void {
    this.length = 0;
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = fast.allocate(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer, grown.byteOffset, grown.length);
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.length, value, true);
    this.length += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  /** A safe integer (0 to 2^53 − 1) in eight bytes. */
  u53(value: number): void {
    assert(value >= 0 && value <= Number.MAX_SAFE_INTEGER, "u53: not a safe integer");
    this.reserve(8);
    const high = Math.floor(value / TWO_32);
    this.view.setUint32(this.length, value - high * TWO_32, true);
    this.view.setUint32(this.length + 4, high, true);
    this.length += 8;
  }

  f64(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** Signed 64-bit. */
  i64(value: bigint): void {
    this.reserve(8);
    this.view.setBigInt64(this.length, value, true);
    this.length += 8;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Length (u32), then the bytes. */
  blob(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** Length (u16), then one byte a char. */
  latin1(text: string): void {
    assert(text.length <= 0xffff, "latin1: longer than 65,535 bytes");
    this.reserve(2 + text.length);
    this.view.setUint16(this.length, text.length, true);
    fast.latin1Write(text, this.bytes, this.length + 2);
    this.length += 2 + text.length;
  }

  /** Overwrites four bytes written before (a length that was not known yet). */
  patchU32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  /** What was written, in place: valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** What was written, in an array of its own. */
  copy(): Uint8Array {
    return copyBytes(this.written());
  }
}

/** Reads what {@link ByteWriter} wrote. Past the end: {@link CodecError}. */
export class ByteReader {
  private view: DataView;
  position = 0;

  constructor(public bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Starts over on other bytes. */
  open(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.position = 0;
  }

  get remaining(): number {
    return this.bytes.length - this.position;
  }

  private take(count: number): number {
    const at = this.position;
    if (at + count > this.bytes.length) throw new CodecError("ends too early");
    this.position = at + count;
    return at;
  }

  u8(): number {
    return this.bytes[this.take(1)];
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u53(): number {
    const at = this.take(8);
    const value = this.view.getUint32(at + 4, true) * TWO_32 + this.view.getUint32(at, true);
    if (value > Number.MAX_SAFE_INTEGER) throw new CodecError("integer above 2^53 - 1");
    return value;
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  i64(): bigint {
    return this.view.getBigInt64(this.take(8), true);
  }

  /** A view of the next `count` bytes; copy it to keep it. */
  raw(count: number): Uint8Array {
    const at = this.take(count);
    return this.bytes.subarray(at, at + count);
  }

  blob(): Uint8Array {
    return this.raw(this.u32());
  }

  latin1(): string {
    const length = this.u16();
    const at = this.take(length);
    return fast.latin1Decode(this.bytes, at, at + length);
  }
}

/** Replies of the Redis serialization protocol, versions 2 and 3. */
import { allocate, latin1Encode, utf8Encode } from "../../core/bytes.js";

const COPY_BY_LOOP_MAX = 48;
const INITIAL_BYTES = 16_384;
const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;

const PLUS = 0x2b;
const COLON = 0x3a;
const DOLLAR = 0x24;
const ASTERISK = 0x2a;
const PERCENT = 0x25;
const TILDE = 0x7e;
const EQUALS = 0x3d;
const PIPE = 0x7c;

const OK = latin1Encode("+OK\r\n");
const PONG = latin1Encode("+PONG\r\n");
const QUEUED = latin1Encode("+QUEUED\r\n");
const NULL_BULK = latin1Encode("$-1\r\n");
const NULL_ARRAY = latin1Encode("*-1\r\n");
const NULL_3 = latin1Encode("_\r\n");

export type RespVersion = 2 | 3;

/** Collects replies in one buffer that grows; what differs between the versions is decided here and nowhere else. */
export class RespWriter {
  bytes: Uint8Array;
  length = 0;
  version: RespVersion = 2;

  constructor(capacity = INITIAL_BYTES) {
    this.bytes = allocate(capacity);
  }

  /** What was written, in place: valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  private reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = allocate(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** Bytes that are a whole reply, or part of one, already. */
  raw(bytes: Uint8Array): void {
    const length = bytes.length;
    this.reserve(length);
    const at = this.length;
    if (length > COPY_BY_LOOP_MAX) this.bytes.set(bytes, at);
    else for (let i = 0; i < length; i += 1) this.bytes[at + i] = bytes[i];
    this.length = at + length;
  }

  ok(): void {
    this.raw(OK);
  }

  pong(): void {
    this.raw(PONG);
  }

  queued(): void {
    this.raw(QUEUED);
  }

  null(): void {
    this.raw(this.version === 3 ? NULL_3 : NULL_BULK);
  }

  nullArray(): void {
    this.raw(this.version === 3 ? NULL_3 : NULL_ARRAY);
  }

  /** A status. Latin1 without line breaks. */
  simple(text: string): void {
    this.marked(PLUS, text);
  }

  /**
   * `text` begins with the code word ("ERR …"): one char a byte like all that comes from clients, or, where there are chars
   * beyond those, UTF-8. Line breaks would end the reply: they become spaces, at its end they go (as in Redis).
   */
  error(text: string): void {
    const line = text.replace(/[\r\n]+$/, "").replace(/[\r\n]/g, " ");
    const isLatin1 = /^[\0-\xff]*$/.test(line);
    const bytes = isLatin1 ? latin1Encode(line) : utf8Encode(line);
    this.reserve(bytes.length + 3);
    this.bytes[this.length] = MINUS;
    this.length += 1;
    this.raw(bytes);
    this.reserve(2);
    this.crlf();
  }

  bulk(value: Uint8Array): void {
    this.header(DOLLAR, value.length);
    this.raw(value);
    this.reserve(2);
    this.crlf();
  }

  /** A bulk of one byte a char. */
  bulkText(text: string): void {
    this.header(DOLLAR, text.length);
    this.latin1(text);
    this.crlf();
  }

  /** A bulk of text for people: version 3 marks it as such. */
  verbatim(text: string): void {
    const bytes = utf8Encode(text);
    if (this.version === 2) {
      this.bulk(bytes);
      return;
    }
    this.header(EQUALS, bytes.length + 4);
    this.latin1("txt:");
    this.raw(bytes);
    this.reserve(2);
    this.crlf();
  }

  integer(value: number): void {
    this.header(COLON, value);
  }

  bigInteger(value: bigint): void {
    if (value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n) this.header(COLON, Number(value));
    else this.marked(COLON, value.toString());
  }

  array(count: number): void {
    this.header(ASTERISK, count);
  }

  /** Followed by `count` pairs. Version 2 has no maps: an array of both. */
  map(count: number): void {
    if (this.version === 3) this.header(PERCENT, count);
    else this.header(ASTERISK, count * 2);
  }

  set(count: number): void {
    this.header(this.version === 3 ? TILDE : ASTERISK, count);
  }

  /** Version 3 alone: `count` pairs about the reply that follows. */
  attribute(count: number): void {
    this.header(PIPE, count);
  }

  private marked(marker: number, text: string): void {
    this.reserve(text.length + 3);
    this.bytes[this.length] = marker;
    this.length += 1;
    this.latin1(text);
    this.crlf();
  }

  private latin1(text: string): void {
    this.reserve(text.length + 2);
    for (let i = 0; i < text.length; i += 1) this.bytes[this.length + i] = text.charCodeAt(i);
    this.length += text.length;
  }

  private crlf(): void {
    this.bytes[this.length] = CR;
    this.bytes[this.length + 1] = LF;
    this.length += 2;
  }

  /** `<marker><integer>CRLF`, digits written in place. The longest safe integer has 16. */
  private header(marker: number, value: number): void {
    this.reserve(24);
    const bytes = this.bytes;
    let at = this.length;
    bytes[at++] = marker;
    let rest = value;
    if (rest < 0) {
      bytes[at++] = MINUS;
      rest = -rest;
    }
    let digits = 1;
    for (let power = 10; power <= rest; power *= 10) digits += 1;
    for (let place = at + digits - 1; place >= at; place -= 1) {
      const tenth = Math.floor(rest / 10);
      bytes[place] = ZERO + (rest - tenth * 10);
      rest = tenth;
    }
    at += digits;
    bytes[at] = CR;
    bytes[at + 1] = LF;
    this.length = at + 2;
  }
}

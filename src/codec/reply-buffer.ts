/** What the text wires collect their replies in. */
import { allocate, latin1Encode, utf8Encode } from "../core/bytes.js";

const COPY_BY_LOOP_MAX = 48;
const INITIAL_BYTES = 16_384;
const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;

/** One buffer that grows. Each wire writes its own kind of replies into it. */
export class ReplyBuffer {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = INITIAL_BYTES) {
    this.bytes = allocate(capacity);
  }

  /** What was written, in place: valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
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

  protected reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = allocate(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** Leaves room for two bytes more: what ends a line. */
  protected latin1(text: string): void {
    this.reserve(text.length + 2);
    for (let i = 0; i < text.length; i += 1) this.bytes[this.length + i] = text.charCodeAt(i);
    this.length += text.length;
  }

  /** Room must have been reserved. */
  protected crlf(): void {
    this.bytes[this.length] = CR;
    this.bytes[this.length + 1] = LF;
    this.length += 2;
  }

  /** A whole number, its digits written in place. Room must have been reserved; the longest safe integer has 16. */
  protected digits(value: number): void {
    const bytes = this.bytes;
    let at = this.length;
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
    this.length = at + digits;
  }

  /**
   * Text for people, as one line without its end: one char a byte like all that comes from clients, or, where there are
   * chars beyond those, UTF-8. Line breaks would end the reply: they become spaces, at its end they go.
   */
  protected line(text: string): void {
    const line = text.replace(/[\r\n]+$/, "").replace(/[\r\n]/g, " ");
    const isLatin1 = /^[\0-\xff]*$/.test(line);
    this.raw(isLatin1 ? latin1Encode(line) : utf8Encode(line));
    this.reserve(2);
  }
}

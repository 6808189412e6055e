/** Requests of the Redis serialization protocol (https://redis.io/docs/reference/protocol-spec), as a server reads them. */
import { allocate, EMPTY_BYTES } from "../../core/bytes.js";
import { Arguments } from "./arguments.js";
import { splitInline } from "./inline.js";

export interface RespLimits {
  readonly argumentsMax: number;
  readonly bulkBytesMax: number;
  readonly inlineBytesMax: number;
  /** One whole request, with its length lines. */
  readonly requestBytesMax: number;
}

export const RESP_LIMITS: RespLimits = {
  argumentsMax: 65_536,
  bulkBytesMax: 1_048_576 + 65_536,
  inlineBytesMax: 65_536,
  requestBytesMax: 16 * 1_048_576,
};

export const Parsed = {
  /** The chunk is used up: feed the next one. */
  more: 0,
  /** `request` holds the next one until `next` or `feed` is called. */
  request: 1,
  /** `error` says why; nothing after it can be read. */
  error: 2,
} as const;
export type Parsed = (typeof Parsed)[keyof typeof Parsed];

const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const CR = 0x0d;
const LF = 0x0a;

const INTEGER_LINE_MAX = 32;
const INCOMPLETE = -1;
const INVALID = -2;
/** A carry that one large request has grown beyond this is given back after it. */
const CARRY_BYTES_KEPT = 65_536;

/**
 * An incremental parser. Requests that lie whole in a chunk are read in place; one that crosses into the next chunk is
 * collected in a carry of the parser's own, and only as far as that request reaches. Each byte is looked at once,
 * wherever the chunks are cut.
 *
 * Feed a chunk, call `next` until it answers `more`, then the chunk is the caller's again.
 */
export class RespParser {
  readonly request = new Arguments();
  /** A complete error line without its "-", in Redis' own words. */
  error = "";

  private chunk: Uint8Array = EMPTY_BYTES;
  private chunkPosition = 0;
  private carry: Uint8Array = EMPTY_BYTES;
  /** The window being read: the chunk, or the carry. */
  private bytes: Uint8Array = EMPTY_BYTES;
  private inCarry = false;
  private limit = 0;
  private position = 0;
  /** Where the request under way begins. */
  private start = 0;
  /** No newline before here. */
  private scanned = 0;
  /** Of the multibulk under way; -1 between requests. */
  private argumentsLeft = -1;
  /** Of the bulk whose header was read; -1 before that. */
  private bulkLength = -1;

  constructor(private readonly limits: RespLimits = RESP_LIMITS) {}

  /** The chunk must not change until `next` has answered `more`. */
  feed(chunk: Uint8Array): void {
    this.chunk = chunk;
    this.chunkPosition = 0;
    if (!this.inCarry) this.openChunk();
  }

  /** Part of a request has arrived and the rest has not. */
  get partial(): boolean {
    return this.inCarry && !(this.argumentsLeft < 0 && this.position === this.limit);
  }

  next(): Parsed {
    if (this.error !== "") return Parsed.error;
    for (;;) {
      const parsed = this.step();
      if (parsed !== Parsed.more) return parsed;
      if (!this.pull()) return Parsed.more;
    }
  }

  private step(): Parsed {
    for (;;) {
      if (this.argumentsLeft < 0) {
        if (!this.begin()) return Parsed.more;
        if (this.bytes[this.position] !== ASTERISK) {
          const parsed = this.inline();
          if (parsed === Parsed.request && this.request.count === 0) continue;
          return parsed;
        }
        const count = this.integerLine();
        if (count === INCOMPLETE) return Parsed.more;
        if (count === INVALID || count > this.limits.argumentsMax) return this.fail("invalid multibulk length");
        if (count <= 0) continue;
        this.argumentsLeft = count;
        this.request.clear();
      }
      return this.bulks();
    }
  }

  /** Stands at the first byte of a request; false: there is none yet. */
  private begin(): boolean {
    if (this.position === this.limit && this.inCarry) {
      if (this.carry.length > CARRY_BYTES_KEPT) this.carry = EMPTY_BYTES;
      this.inCarry = false;
      this.openChunk();
    }
    this.start = this.position;
    this.scanned = Math.max(this.scanned, this.position);
    return this.position < this.limit;
  }

  private bulks(): Parsed {
    const limits = this.limits;
    while (this.argumentsLeft > 0) {
      if (this.bulkLength < 0) {
        if (this.position === this.limit) return Parsed.more;
        const marker = this.bytes[this.position];
        if (marker !== DOLLAR) return this.fail(`expected '$', got '${String.fromCharCode(marker)}'`);
        const length = this.integerLine();
        if (length === INCOMPLETE) return Parsed.more;
        if (length < 0 || length > limits.bulkBytesMax) return this.fail("invalid bulk length");
        if (this.position - this.start + length > limits.requestBytesMax) return this.fail("too big request");
        this.bulkLength = length;
      }
      const end = this.position + this.bulkLength;
      if (end + 2 > this.limit) return Parsed.more;
      if (this.bytes[end] !== CR || this.bytes[end + 1] !== LF) return this.fail("bulk not followed by CRLF");
      this.request.add(this.position, end);
      this.position = end + 2;
      this.bulkLength = -1;
      this.argumentsLeft -= 1;
    }
    this.argumentsLeft = -1;
    this.request.bytes = this.bytes;
    return Parsed.request;
  }

  /** Reads `<marker><integer>CRLF`, as strictly as Redis' string2ll. A negative count is a valid nothing: INVALID only for bulks. */
  private integerLine(): number {
    const bytes = this.bytes;
    const first = this.position + 1;
    const limit = Math.min(this.limit, first + INTEGER_LINE_MAX);
    const negative = first < limit && bytes[first] === MINUS;
    const digits = negative ? first + 1 : first;
    let at = digits;
    let value = 0;
    while (at < limit) {
      const digit = bytes[at] - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at += 1;
    }
    if (at >= limit) return limit - first === INTEGER_LINE_MAX ? INVALID : INCOMPLETE;
    if (bytes[at] !== CR || at === digits) return INVALID;
    if (bytes[digits] === 0x30 && (negative || at - digits > 1)) return INVALID;
    if (at + 1 === this.limit) return INCOMPLETE;
    if (bytes[at + 1] !== LF) return INVALID;
    if (negative && bytes[this.position] === DOLLAR) return INVALID;
    this.position = at + 2;
    return negative ? 0 : value;
  }

  private inline(): Parsed {
    const newline = indexOfNewline(this.bytes, this.scanned, this.limit);
    const end = newline < 0 ? this.limit : newline;
    if (end - this.start > this.limits.inlineBytesMax) return this.fail("too big inline request");
    if (newline < 0) {
      this.scanned = this.limit;
      return Parsed.more;
    }
    const lineEnd = newline > this.start && this.bytes[newline - 1] === CR ? newline - 1 : newline;
    if (!splitInline(this.bytes, this.start, lineEnd, this.request)) return this.fail("unbalanced quotes in request");
    this.position = newline + 1;
    return Parsed.request;
  }

  private fail(what: string): Parsed {
    this.error = `ERR Protocol error: ${what}`;
    return Parsed.error;
  }

  private openChunk(): void {
    this.bytes = this.chunk;
    this.limit = this.chunk.length;
    this.position = this.chunkPosition;
    this.scanned = this.position;
  }

  /** Brings into the window what the step lacked. False: the chunk holds no more. */
  private pull(): boolean {
    if (!this.inCarry) {
      this.carryRest();
      return false;
    }
    const available = this.chunk.length - this.chunkPosition;
    if (available === 0) {
      this.chunk = EMPTY_BYTES;
      this.chunkPosition = 0;
      return false;
    }
    this.append(Math.min(available, this.missing()));
    return true;
  }

  /** How many more bytes belong to the request for sure: the rest of its bulk, or of its line. */
  private missing(): number {
    if (this.bulkLength >= 0) return this.position + this.bulkLength + 2 - this.limit;
    const newline = indexOfNewline(this.chunk, this.chunkPosition, this.chunk.length);
    return newline < 0 ? this.chunk.length - this.chunkPosition : newline + 1 - this.chunkPosition;
  }

  private append(count: number): void {
    this.reserve(this.limit + count);
    copyRange(this.chunk, this.chunkPosition, count, this.carry, this.limit);
    this.limit += count;
    this.chunkPosition += count;
    this.bytes = this.carry;
  }

  /** The chunk ends inside a request: what there is of it moves to the beginning of the carry. */
  private carryRest(): void {
    const rest = this.limit - this.start;
    if (rest > 0) {
      const start = this.start;
      this.reserve(rest);
      copyRange(this.chunk, start, rest, this.carry, 0);
      if (this.argumentsLeft >= 0) this.request.shift(start);
      this.bytes = this.carry;
      this.inCarry = true;
      this.start = 0;
      this.position -= start;
      this.scanned -= start;
      this.limit = rest;
    } else {
      this.bytes = EMPTY_BYTES;
      this.limit = 0;
      this.position = 0;
      this.scanned = 0;
    }
    this.chunk = EMPTY_BYTES;
    this.chunkPosition = 0;
  }

  /** Grows with what has arrived, never with what a header merely announces. */
  private reserve(length: number): void {
    if (length <= this.carry.length) return;
    const grown = allocate(Math.max(length, this.carry.length * 2, 512));
    if (this.inCarry) copyRange(this.carry, 0, this.limit, grown, 0);
    this.carry = grown;
  }
}

function copyRange(from: Uint8Array, start: number, count: number, to: Uint8Array, at: number): void {
  to.set(from.subarray(start, start + count), at);
}

function indexOfNewline(bytes: Uint8Array, from: number, limit: number): number {
  for (let at = from; at < limit; at += 1) if (bytes[at] === LF) return at;
  return -1;
}

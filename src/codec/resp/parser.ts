/** Requests of the Redis serialization protocol (https://redis.io/docs/reference/protocol-spec), as a server reads them. */
import { indexOfNewline, Parsed, RequestParser } from "../request-parser.js";
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

const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const CR = 0x0d;
const LF = 0x0a;

const INTEGER_LINE_MAX = 32;
const INCOMPLETE = -1;
const INVALID = -2;

/** Multibulk requests, and lines of words. An error is in Redis' own words. */
export class RespParser extends RequestParser {
  /** Of the multibulk under way; -1 between requests. */
  private argumentsLeft = -1;
  /** Of the bulk whose header was read; -1 before that. */
  private bulkLength = -1;

  constructor(private readonly limits: RespLimits = RESP_LIMITS) {
    super();
  }

  protected step(): Parsed {
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

  protected isNoted(): boolean {
    return this.argumentsLeft >= 0;
  }

  /** The rest of its bulk, or of its line. */
  protected missing(): number {
    return this.bulkLength >= 0 ? this.position + this.bulkLength + 2 - this.limit : this.missingOfLine();
  }
}

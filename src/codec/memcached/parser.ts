/** Requests of memcached's text protocol (its doc/protocol.txt), as a server reads them. */
import { COMMAND_LIMITS } from "../../kv/limits.js";
import { indexOfNewline, Parsed, RequestParser } from "../request-parser.js";
import { Block } from "./block.js";
import type { MemcachedSpec } from "./command-spec.js";
import { findMemcachedCommand, PLAIN_GET, PLAIN_SET } from "./commands.js";
import { TOO_LARGE } from "./errors.js";
import { wholeNumber } from "./numbers.js";

export interface MemcachedLimits {
  /** A command line, without its end. */
  readonly lineBytesMax: number;
  /** The line of a command that may name many keys: of a get or its kin, and of gamut. */
  readonly keysLineBytesMax: number;
  readonly valueBytesMax: number;
  /** A data block that is too large is dropped as it comes; past this the connection is closed. */
  readonly droppedBytesMax: number;
}

export const MEMCACHED_LIMITS: MemcachedLimits = {
  lineBytesMax: 8_192,
  keysLineBytesMax: 262_144,
  valueBytesMax: COMMAND_LIMITS.valueBytesMax,
  droppedBytesMax: 64 * 1_048_576,
};

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;

/** The words of a line, and the data block that some lines announce. */
export class MemcachedParser extends RequestParser {
  /** Of the line; null: there is none of that name. */
  spec: MemcachedSpec | null = null;
  /** Words of the line: the arguments but for the data. */
  words = 0;
  block: Block = Block.none;
  /** The dialect for people: `get` and `set` are other commands. A two-argument set turns it on. */
  isPlain = false;
  /** Of the block under way; -1 while a line is read. */
  private blockLength = -1;
  /** Bytes still to be dropped. */
  private dropping = 0;

  constructor(private readonly limits: MemcachedLimits = MEMCACHED_LIMITS) {
    super();
  }

  override get partial(): boolean {
    return this.dropping > 0 || super.partial;
  }

  protected isNoted(): boolean {
    return this.blockLength >= 0;
  }

  /** The rest of its block, or of its line. */
  protected missing(): number {
    return this.blockLength >= 0 ? this.position + this.blockLength + 2 - this.limit : this.missingOfLine();
  }

  protected step(): Parsed {
    if (this.blockLength >= 0) return this.readBlock();
    if (this.dropping > 0 && !this.drop()) return Parsed.more;
    if (!this.begin()) return Parsed.more;
    const newline = indexOfNewline(this.bytes, this.scanned, this.limit);
    const end = newline < 0 ? this.limit : newline;
    if (end - this.start > this.limits.lineBytesMax && end - this.start > this.lineBytesMax()) {
      return this.fail(`CLIENT_ERROR the line is longer than ${this.lineBytesMax()} bytes`);
    }
    if (newline < 0) {
      this.scanned = this.limit;
      return Parsed.more;
    }
    this.position = newline + 1;
    this.split(newline > this.start && this.bytes[newline - 1] === CR ? newline - 1 : newline);
    return this.readLine();
  }

  private lineBytesMax(): number {
    let end = this.start;
    while (end < this.limit && this.bytes[end] !== SPACE) end += 1;
    const spec = findMemcachedCommand(this.bytes, this.start, end);
    return spec?.namesKeys ? this.limits.keysLineBytesMax : this.limits.lineBytesMax;
  }

  /** Words are what stands between spaces. */
  private split(lineEnd: number): void {
    const { bytes, request } = this;
    request.clear();
    request.bytes = bytes;
    let at = this.start;
    for (;;) {
      while (at < lineEnd && bytes[at] === SPACE) at += 1;
      if (at === lineEnd) break;
      const start = at;
      while (at < lineEnd && bytes[at] !== SPACE) at += 1;
      request.add(start, at);
    }
    const spec = request.count === 0 ? null : findMemcachedCommand(bytes, request.start(0), request.end(0));
    this.spec = spec;
    if (spec?.name === "set" && (request.count === 3 || (this.isPlain && request.count > 3))) {
      this.isPlain = true;
      this.spec = PLAIN_SET;
      // The value is all that is left of the line.
      request.cut(3, lineEnd);
    } else if (this.isPlain && spec?.name === "get") this.spec = PLAIN_GET;
    this.words = request.count;
  }

  /** Whether the line is the whole request, or announces data. */
  private readLine(): Parsed {
    const { spec, request } = this;
    this.block = Block.none;
    if (spec === null || spec.lengthWord === 0 || !spec.accepts(this.words)) return Parsed.request;
    const length = wholeNumber(this.bytes, request.start(spec.lengthWord), request.end(spec.lengthWord));
    if (length < 0) return Parsed.request;
    if (length > this.limits.droppedBytesMax) return this.fail(TOO_LARGE);
    if (length > this.limits.valueBytesMax) {
      this.block = Block.tooLarge;
      this.dropping = length + 2;
      return Parsed.request;
    }
    this.blockLength = length;
    return this.readBlock();
  }

  private readBlock(): Parsed {
    const end = this.position + this.blockLength;
    if (end + 2 > this.limit) return Parsed.more;
    const isWhole = this.bytes[end] === CR && this.bytes[end + 1] === LF;
    this.block = isWhole ? Block.whole : Block.bad;
    if (isWhole) this.request.add(this.position, end);
    this.request.bytes = this.bytes;
    this.position = end + 2;
    this.blockLength = -1;
    return Parsed.request;
  }

  /** False: there is more to drop than has come. */
  private drop(): boolean {
    while (this.dropping > 0) {
      if (!this.begin()) return false;
      const count = Math.min(this.dropping, this.limit - this.position);
      this.position += count;
      this.start = this.position;
      this.dropping -= count;
    }
    return true;
  }

  private fail(line: string): Parsed {
    this.error = line;
    return Parsed.error;
  }
}

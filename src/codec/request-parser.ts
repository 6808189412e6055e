/** How the text wires read requests out of a stream that is cut anywhere. */
import { allocate, copyBytes, EMPTY_BYTES } from "../core/bytes.js";
import { Arguments } from "./resp/arguments.js";

export const Parsed = {
  /** The chunk is used up: feed the next one. */
  more: 0,
  /** `request` holds the next one until `next` or `feed` is called. */
  request: 1,
  /** `error` says why; nothing after it can be read. */
  error: 2,
} as const;
export type Parsed = (typeof Parsed)[keyof typeof Parsed];

const LF = 0x0a;
/** A carry that one large request has grown beyond this is given back after it. */
const CARRY_BYTES_KEPT = 65_536;

/**
 * An incremental parser. Requests that lie whole in a chunk are read in place; one that crosses into the next chunk is
 * collected in a carry of the parser's own, and only as far as that request reaches. Each byte is looked at once,
 * wherever the chunks are cut.
 *
 * Feed a chunk, call `next` until it answers `more`, then the chunk is the caller's again.
 */
export abstract class RequestParser {
  readonly request = new Arguments();
  /** A complete error line in the wire's own words; "" while all is well. */
  error = "";

  protected chunk: Uint8Array = EMPTY_BYTES;
  protected chunkPosition = 0;
  private carry: Uint8Array = EMPTY_BYTES;
  /** The window being read: the chunk, or the carry. */
  protected bytes: Uint8Array = EMPTY_BYTES;
  protected inCarry = false;
  protected limit = 0;
  protected position = 0;
  /** Where the request under way begins. */
  protected start = 0;
  /** No newline before here. */
  protected scanned = 0;

  /** Reads on in the window. `more`: what it holds does not suffice. */
  protected abstract step(): Parsed;
  /** How many more bytes belong to the request for sure, as far as the chunk can tell. */
  protected abstract missing(): number;
  /** Whether `request` holds offsets of the request under way. */
  protected abstract isNoted(): boolean;

  /** The chunk must not change until `next` has answered `more`, or `keepChunk` was called. */
  feed(chunk: Uint8Array): void {
    this.chunk = chunk;
    this.chunkPosition = 0;
    if (!this.inCarry) this.openChunk();
  }

  /** The chunk will be written over although `next` has not answered `more` yet: what it holds is copied. */
  keepChunk(): void {
    const { chunk } = this;
    if (chunk.length === 0) return;
    this.chunk = copyBytes(chunk);
    if (this.bytes === chunk) this.bytes = this.chunk;
    if (this.request.bytes === chunk) this.request.bytes = this.chunk;
  }

  /** Part of a request has arrived and the rest has not. */
  get partial(): boolean {
    return this.inCarry && (this.isNoted() || this.position !== this.limit);
  }

  next(): Parsed {
    if (this.error !== "") return Parsed.error;
    for (;;) {
      const parsed = this.step();
      if (parsed !== Parsed.more) return parsed;
      if (!this.pull()) return Parsed.more;
    }
  }

  /** Stands at the first byte of a request; false: there is none yet. */
  protected begin(): boolean {
    if (this.position === this.limit && this.inCarry) {
      if (this.carry.length > CARRY_BYTES_KEPT) this.carry = EMPTY_BYTES;
      this.inCarry = false;
      this.openChunk();
    }
    this.start = this.position;
    this.scanned = Math.max(this.scanned, this.position);
    return this.position < this.limit;
  }

  /** How much of the chunk belongs to the line under way. */
  protected missingOfLine(): number {
    const newline = indexOfNewline(this.chunk, this.chunkPosition, this.chunk.length);
    return newline < 0 ? this.chunk.length - this.chunkPosition : newline + 1 - this.chunkPosition;
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
      if (this.isNoted()) this.request.shift(start);
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

export function indexOfNewline(bytes: Uint8Array, from: number, limit: number): number {
  for (let at = from; at < limit; at += 1) if (bytes[at] === LF) return at;
  return -1;
}

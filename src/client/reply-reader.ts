import { CodecError, copyBytes, EMPTY_BYTES, latin1Decode, latin1Encode, utf8Decode } from "../core/bytes.js";
import { POSITION_BYTES_MAX } from "../kv/watch.js";

/** What a node answers to GAMUT CALL and GAMUT STATUS: bytes, or a line that says why there are none. */
export type Reply = Uint8Array | ReplyError;

export class ReplyError {
  constructor(readonly line: string) {}
}

const DOLLAR = 0x24;
const MINUS = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const ASTERISK = 0x2a;
const CR = 0x0d;
const LF = 0x0a;
const NO_REPLY = "the node's answer is no reply to a call";
/** An error may tell of a position, in hex. */
const LINE_BYTES_MAX = 16_384 + 2 * POSITION_BYTES_MAX;
const BULK_BYTES_MAX = 64 * 1_048_576;

/** What stands on the wire of RESP2. */
type Part = Uint8Array | ReplyError | Status | number | null | Part[];

class Status {
  constructor(readonly line: string) {}
}

/** Takes the node's bytes apart, wherever they are cut. Bytes that are no reply: {@link CodecError}. */
abstract class PartReader {
  private bytes: Uint8Array = EMPTY_BYTES;
  private length = 0;
  private at = 0;

  /** Bytes that have come and were not taken yet. */
  get buffered(): number {
    return this.length - this.at;
  }

  /** Copies the chunk. */
  feed(chunk: Uint8Array): void {
    const rest = this.length - this.at;
    if (rest + chunk.length > this.bytes.length) {
      const grown = new Uint8Array(
        Math.max(rest + chunk.length, Math.min(this.bytes.length * 2, BULK_BYTES_MAX), 4_096),
      );
      grown.set(this.bytes.subarray(this.at, this.length));
      this.bytes = grown;
    } else this.bytes.copyWithin(0, this.at, this.length);
    this.bytes.set(chunk, rest);
    this.length = rest + chunk.length;
    this.at = 0;
  }

  /** The next whole part; undefined: it is not there yet. Byte strings come in arrays of their own. */
  protected nextPart(): Part | undefined {
    const start = this.at;
    const part = this.read(false);
    if (part === undefined) this.at = start;
    return part;
  }

  private read(isItem: boolean): Part | undefined {
    const end = this.lineEnd();
    if (end < 0) return undefined;
    const marker = this.bytes[this.at];
    const line = latin1Decode(this.bytes, this.at + 1, end);
    this.at = end + 2;
    if (marker === DOLLAR) return this.readBulk(line);
    if (marker === MINUS) return new ReplyError(utf8Decode(latin1Encode(line)) ?? line);
    if (marker === PLUS) return new Status(line);
    if (marker === COLON && Number.isSafeInteger(Number(line))) return Number(line);
    if (marker === ASTERISK && !isItem && /^\d{1,2}$/.test(line)) return this.readItems(Number(line));
    throw new CodecError(NO_REPLY);
  }

  private readBulk(line: string): Uint8Array | null | undefined {
    if (line === "-1") return null;
    if (!/^\d{1,9}$/.test(line)) throw new CodecError(NO_REPLY);
    const length = Number(line);
    if (length > BULK_BYTES_MAX) throw new CodecError(`an answer of ${length} bytes is longer than any may be`);
    const start = this.at;
    if (this.length < start + length + 2) return undefined;
    this.at = start + length + 2;
    return copyBytes(this.bytes.subarray(start, start + length));
  }

  private readItems(count: number): Part[] | undefined {
    const items: Part[] = [];
    for (let i = 0; i < count; i += 1) {
      const item = this.read(true);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  }

  private lineEnd(): number {
    const limit = Math.min(this.length, this.at + LINE_BYTES_MAX);
    for (let i = this.at; i + 1 < limit; i += 1) {
      if (this.bytes[i] === CR && this.bytes[i + 1] === LF) return i;
    }
    if (limit - this.at === LINE_BYTES_MAX) throw new CodecError("a line of the node's answer is too long");
    return -1;
  }
}

/** Of answers to GAMUT CALL and GAMUT STATUS. */
export class ReplyReader extends PartReader {
  /** The next whole reply, in an array of its own; null: it is not there yet. */
  next(): Reply | null {
    const part = this.nextPart();
    if (part === undefined) return null;
    if (part instanceof Uint8Array || part instanceof ReplyError) return part;
    throw new CodecError(NO_REPLY);
  }
}

/** Of what comes on a connection that watches: `push` are the items behind the word `watch`. */
export type WatchReply = Uint8Array | ReplyError | "ok" | { readonly push: readonly (Uint8Array | number | null)[] };

export class WatchReader extends PartReader {
  /** Null: it is not there yet. */
  next(): WatchReply | null {
    const part = this.nextPart();
    if (part === undefined) return null;
    if (part instanceof Uint8Array || part instanceof ReplyError) return part;
    if (part instanceof Status) return "ok";
    if (!Array.isArray(part) || part.length < 2) throw new CodecError(NO_REPLY);
    const items = part.filter((item) => item === null || typeof item === "number" || item instanceof Uint8Array);
    if (items.length < part.length) throw new CodecError(NO_REPLY);
    return { push: items.slice(1) };
  }
}

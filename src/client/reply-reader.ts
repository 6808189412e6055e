import { CodecError, copyBytes, EMPTY_BYTES, latin1Decode } from "../core/bytes.js";

/** What a node answers to GAMUT CALL and GAMUT STATUS: bytes, or a line that says why there are none. */
export type Reply = Uint8Array | ReplyError;

export class ReplyError {
  constructor(readonly line: string) {}
}

const DOLLAR = 0x24;
const MINUS = 0x2d;
const CR = 0x0d;
const LF = 0x0a;
const LINE_BYTES_MAX = 16_384;
const BULK_BYTES_MAX = 64 * 1_048_576;

/** Takes the node's bytes apart, wherever they are cut. Bytes that are no reply: {@link CodecError}. */
export class ReplyReader {
  private bytes: Uint8Array = EMPTY_BYTES;
  private length = 0;
  private at = 0;

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

  /** The next whole reply, in an array of its own; null: it is not there yet. */
  next(): Reply | null {
    const end = this.lineEnd();
    if (end < 0) return null;
    const line = latin1Decode(this.bytes, this.at + 1, end);
    const marker = this.bytes[this.at];
    if (marker === MINUS) {
      this.at = end + 2;
      return new ReplyError(line);
    }
    if (marker !== DOLLAR || !/^\d{1,9}$/.test(line)) throw new CodecError("the node's answer is no reply to a call");
    const length = Number(line);
    if (length > BULK_BYTES_MAX) throw new CodecError(`an answer of ${length} bytes is longer than any may be`);
    const start = end + 2;
    if (this.length < start + length + 2) return null;
    this.at = start + length + 2;
    return copyBytes(this.bytes.subarray(start, start + length));
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

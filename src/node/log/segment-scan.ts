import { ByteReader } from "../../core/bytes.js";
import { type BatchHeader, payloadHolds, readHeader, SECTOR_BYTES, segmentName, UnsupportedFormat } from "./format.js";

const WORD_BYTES = 4;

/** The bytes of one segment, judged. */
export class SegmentScan {
  private readonly reader: ByteReader;

  constructor(
    readonly bytes: Uint8Array,
    readonly number: number,
    private readonly identity: number,
  ) {
    this.reader = new ByteReader(bytes);
  }

  get name(): string {
    return segmentName(this.number);
  }

  /** The whole and undamaged batch at `offset`, or what is wrong there. Throws {@link UnsupportedFormat}. */
  batchAt(offset: number): BatchHeader | string {
    const header = this.headerAt(offset);
    if (typeof header === "string") return header;
    return payloadHolds(this.bytes, header) ? header : "the payload's checksum does not match";
  }

  private headerAt(offset: number): BatchHeader | string {
    this.reader.position = offset;
    const header = this.headerHere(offset);
    if (typeof header === "string") return header;
    if (header.segment !== this.number) return `the batch was written for ${segmentName(header.segment)}`;
    if (header.offset !== offset) return `the batch was written for offset ${header.offset}`;
    return header;
  }

  private headerHere(offset: number): BatchHeader | string {
    try {
      return readHeader(this.reader, this.identity);
    } catch (error) {
      if (!(error instanceof UnsupportedFormat)) throw error;
      throw new UnsupportedFormat(`${this.name} at ${offset} is in ${error.message}`);
    }
  }

  /**
   * A sound header at or behind `offset` of a batch that follows record `sequence`; null if there is none. Its payload
   * does not matter: a batch is begun only after the one before it was stored.
   */
  laterProof(offset: number, sequence: number): BatchHeader | null {
    for (let at = offset; at < this.bytes.length; at += SECTOR_BYTES) {
      if (this.bytes[at] === 0) continue;
      const header = this.headerAt(at);
      if (typeof header !== "string" && header.firstSequence > sequence) return header;
    }
    return null;
  }

  /** Where, before `end`, the first batch stands that goes beyond `sequence`; `end` if none does. */
  firstBeyond(sequence: number, end: number): number {
    let offset = 0;
    while (offset < end) {
      const batch = this.headerAt(offset);
      if (typeof batch === "string" || batch.lastSequence > sequence) return offset;
      offset += batch.diskBytes;
    }
    return end;
  }

  /** End of the last sector at or behind `offset` that is not all zeros; `offset` when there is none. */
  endOfUse(offset: number): number {
    let last = this.bytes.length - 1 - this.zerosAtEnd();
    while (last >= offset && this.bytes[last] === 0) last -= 1;
    if (last < offset) return offset;
    return Math.min(this.bytes.length, (Math.floor(last / SECTOR_BYTES) + 1) * SECTOR_BYTES);
  }

  /** No more than there are: counted in whole words, for a spare segment has nothing but zeros. */
  private zerosAtEnd(): number {
    const { buffer, byteOffset, length } = this.bytes;
    if (byteOffset % WORD_BYTES !== 0 || length % WORD_BYTES !== 0) return 0;
    const words = new Uint32Array(buffer, byteOffset, length / WORD_BYTES);
    let count = words.length;
    while (count > 0 && words[count - 1] === 0) count -= 1;
    return length - count * WORD_BYTES;
  }
}

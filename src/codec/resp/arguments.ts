import { allocate, copyBytes, EMPTY_BYTES, latin1Decode } from "../../core/bytes.js";
import { parseInt64 } from "../../kv/integer-text.js";

const COPY_BY_LOOP_MAX = 48;
/** Offsets kept between requests: larger requests give their arrays back. */
const CAPACITY_KEPT = 1024;

/**
 * The arguments of one request, as offsets into bytes that belong to somebody else: all of it is valid only until the
 * parser moves on. What must outlive that is taken out by `text` or `copy`.
 */
export class Arguments {
  bytes: Uint8Array = EMPTY_BYTES;
  count = 0;
  private starts = new Int32Array(16);
  private ends = new Int32Array(16);

  clear(): void {
    this.count = 0;
    if (this.starts.length > CAPACITY_KEPT) {
      this.starts = new Int32Array(16);
      this.ends = new Int32Array(16);
    }
  }

  add(start: number, end: number): void {
    const at = this.count;
    if (at === this.starts.length) this.grow();
    this.starts[at] = start;
    this.ends[at] = end;
    this.count = at + 1;
  }

  private grow(): void {
    const starts = new Int32Array(this.starts.length * 2);
    const ends = new Int32Array(this.starts.length * 2);
    starts.set(this.starts);
    ends.set(this.ends);
    this.starts = starts;
    this.ends = ends;
  }

  /** Only the first `count` stay, and the last of them reaches to `end`. */
  cut(count: number, end: number): void {
    this.count = count;
    this.ends[count - 1] = end;
  }

  /** The bytes have moved `distance` towards the beginning of another array. */
  shift(distance: number): void {
    for (let i = 0; i < this.count; i += 1) {
      this.starts[i] -= distance;
      this.ends[i] -= distance;
    }
  }

  start(index: number): number {
    return this.starts[index];
  }

  end(index: number): number {
    return this.ends[index];
  }

  length(index: number): number {
    return this.ends[index] - this.starts[index];
  }

  /** Of all arguments, with what stands between them. */
  byteLength(): number {
    return this.count === 0 ? 0 : this.ends[this.count - 1] - this.starts[0];
  }

  /** One char a byte: how keys are held. */
  text(index: number): string {
    return latin1Decode(this.bytes, this.starts[index], this.ends[index]);
  }

  /** An array of its own: 40 ns more than a view for 100 bytes, but a view would keep the socket's 64 KiB chunk alive. */
  copy(index: number): Uint8Array {
    const start = this.starts[index];
    const length = this.ends[index] - start;
    const copy = allocate(length);
    if (length > COPY_BY_LOOP_MAX) copy.set(this.bytes.subarray(start, start + length));
    else for (let i = 0; i < length; i += 1) copy[i] = this.bytes[start + i];
    return copy;
  }

  /** A signed 64-bit decimal, read as strictly as Redis does; null: it is none. */
  integer(index: number): bigint | null {
    return parseInt64(this.bytes.subarray(this.starts[index], this.ends[index]));
  }

  /** Whether it is this word, in whatever case. `upper` is upper-case ASCII. */
  is(index: number, upper: string): boolean {
    const start = this.starts[index];
    if (this.ends[index] - start !== upper.length) return false;
    for (let i = 0; i < upper.length; i += 1) {
      const byte = this.bytes[start + i];
      const folded = byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte;
      if (folded !== upper.charCodeAt(i)) return false;
    }
    return true;
  }

  /** The same arguments over bytes of their own, to be kept. */
  clone(): Arguments {
    const clone = new Arguments();
    const first = this.count === 0 ? 0 : this.starts[0];
    const last = this.count === 0 ? 0 : this.ends[this.count - 1];
    clone.bytes = copyBytes(this.bytes.subarray(first, last));
    for (let i = 0; i < this.count; i += 1) clone.add(this.starts[i] - first, this.ends[i] - first);
    return clone;
  }
}

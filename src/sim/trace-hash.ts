import { crc32, latin1Encode } from "../core/bytes.js";

/**
 * A running hash over all that a run has shown to its nodes and clients, in order, with times and bytes. Equal seeds
 * must give equal hashes; it is a check for determinism, not for secrecy.
 */
export class TraceHash {
  private low = 0x9e3779b9;
  private high = 0x85ebca6b;
  count = 0;

  number(value: number): void {
    // Both halves of a number beyond 32 bits count.
    this.mix(value >>> 0);
    this.mix(Math.floor(value / 4_294_967_296) >>> 0);
  }

  bytes(bytes: Uint8Array): void {
    this.mix(bytes.length);
    this.mix(crc32(bytes));
  }

  text(text: string): void {
    this.bytes(latin1Encode(text));
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex32(this.high) + hex32(this.low);
  }

  private mix(word: number): void {
    this.count += 1;
    this.low = Math.imul(this.low ^ word, 0x01000193) >>> 0;
    const turned = ((this.high << 13) | (this.high >>> 19)) >>> 0;
    this.high = (Math.imul(turned ^ this.low, 0xc2b2ae35) + word) >>> 0;
  }
}

function hex32(word: number): string {
  return word.toString(16).padStart(8, "0");
}

/**
 * Frames of the link between nodes: length (u32), checksum (u32), payload; little-endian. The top bit of the length
 * marks a control frame (handshake, keepalive), which the link keeps to itself. The CRC-32 is seeded with the length
 * word, so that it covers the header too: a flipped bit anywhere is noticed.
 */
import { allocate, type ByteWriter, CodecError, crc32 } from "../core/bytes.js";

export const FRAME_HEADER_BYTES = 8;
/** 16 MiB of payload: a link refuses more, so that a peer's four bytes cannot claim the memory. */
export const FRAME_PAYLOAD_BYTES_MAX = 16 * 1024 * 1024;

const CONTROL_BIT = 0x80000000;
/** An assembly buffer above this is given back after its frame. */
const ASSEMBLY_KEEP_BYTES = 256 * 1024;

/** Appends one frame. The payload is copied. */
export function writeFrame(writer: ByteWriter, payload: Uint8Array, control: boolean): void {
  const word = control ? (payload.length | CONTROL_BIT) >>> 0 : payload.length;
  writer.reserve(FRAME_HEADER_BYTES + payload.length);
  writer.u32(word);
  writer.u32(crc32(payload, word));
  writer.raw(payload);
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/**
 * Cuts a byte stream, given in chunks of any size, back into frames. Usage: `push(chunk)`, then `next()` until it
 * answers null. A frame inside one chunk is a view of the chunk; one that lies across chunks is put together in a
 * buffer of the decoder. Either is valid until the next call of `next` or `push`.
 */
export class FrameDecoder {
  /** Whether the frame that `next` returned last is a control frame. */
  control = false;
  private chunk: Uint8Array = new Uint8Array(0);
  private position = 0;

  private readonly header = new Uint8Array(FRAME_HEADER_BYTES);
  /** Header bytes at hand of a frame that lies across chunks; 0 when none does. */
  private headerBytes = 0;
  private assembly: Uint8Array = new Uint8Array(0);
  private assembledBytes = 0;

  /** `payloadBytesMax` may change between frames: a stranger gets little room, a peer the full. */
  constructor(public payloadBytesMax: number = FRAME_PAYLOAD_BYTES_MAX) {}

  /** The chunk is the decoder's until `next` has answered null; only then may the next one come. */
  push(chunk: Uint8Array): void {
    this.chunk = chunk;
    this.position = 0;
  }

  /** The next frame's payload, or null when the chunk is used up. @throws CodecError: close the connection. */
  next(): Uint8Array | null {
    if (this.assembly.length > ASSEMBLY_KEEP_BYTES && this.headerBytes === 0) this.assembly = new Uint8Array(0);
    if (this.headerBytes > 0) return this.resume();
    const at = this.position;
    const left = this.chunk.length - at;
    if (left < FRAME_HEADER_BYTES) return this.resume();
    const word = readU32(this.chunk, at);
    const length = this.checkedLength(word);
    if (left < FRAME_HEADER_BYTES + length) return this.resume();
    const start = at + FRAME_HEADER_BYTES;
    this.position = start + length;
    return this.checked(word, readU32(this.chunk, at + 4), this.chunk.subarray(start, start + length));
  }

  /** Goes on with (or begins) a frame that the chunk does not hold whole. */
  private resume(): Uint8Array | null {
    while (this.headerBytes < FRAME_HEADER_BYTES) {
      if (this.position === this.chunk.length) return this.starve();
      this.header[this.headerBytes] = this.chunk[this.position];
      this.headerBytes += 1;
      this.position += 1;
    }
    const word = readU32(this.header, 0);
    const length = this.checkedLength(word);
    if (this.assembly.length < length) this.growAssembly(length);
    const count = Math.min(length - this.assembledBytes, this.chunk.length - this.position);
    this.assembly.set(this.chunk.subarray(this.position, this.position + count), this.assembledBytes);
    this.position += count;
    this.assembledBytes += count;
    if (this.assembledBytes < length) return this.starve();
    this.headerBytes = 0;
    this.assembledBytes = 0;
    return this.checked(word, readU32(this.header, 4), this.assembly.subarray(0, length));
  }

  /** The chunk is used up: do not keep it alive. */
  private starve(): null {
    this.chunk = this.header.subarray(0, 0);
    this.position = 0;
    return null;
  }

  private growAssembly(length: number): void {
    const grown = allocate(Math.min(Math.max(length, this.assembly.length * 2), this.payloadBytesMax));
    grown.set(this.assembly.subarray(0, this.assembledBytes));
    this.assembly = grown;
  }

  private checkedLength(word: number): number {
    const length = word & ~CONTROL_BIT;
    if (length > this.payloadBytesMax) {
      throw new CodecError(`frame of ${length} bytes is over the limit of ${this.payloadBytesMax}`);
    }
    return length;
  }

  private checked(word: number, expected: number, payload: Uint8Array): Uint8Array {
    if (crc32(payload, word) !== expected) {
      throw new CodecError(`frame of ${payload.length} bytes has a wrong checksum`);
    }
    this.control = word >= CONTROL_BIT;
    return payload;
  }
}

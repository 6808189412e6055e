import { describe, expect, it } from "vitest";
import { ByteWriter, CodecError } from "../core/bytes.js";
import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX, FrameDecoder, writeFrame } from "./frame.js";

interface Frame {
  control: boolean;
  payload: number[];
}

function encode(frames: Frame[]): Uint8Array {
  const writer = new ByteWriter(16);
  for (const frame of frames) writeFrame(writer, Uint8Array.from(frame.payload), frame.control);
  return writer.copy();
}

/** Feeds the chunks; what a view points to is overwritten after its use, as a socket would. */
function decode(chunks: Uint8Array[], decoder = new FrameDecoder()): Frame[] {
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    const copy = Uint8Array.from(chunk);
    decoder.push(copy);
    for (let payload = decoder.next(); payload !== null; payload = decoder.next()) {
      frames.push({ control: decoder.control, payload: [...payload] });
    }
    copy.fill(0xdd);
  }
  return frames;
}

const FRAMES: Frame[] = [
  { control: true, payload: [1, 2, 3] },
  { control: false, payload: [] },
  { control: false, payload: Array.from({ length: 40 }, (_, i) => i) },
  { control: true, payload: [] },
  { control: false, payload: [0xff] },
];

describe("peer frames", () => {
  it("come out as they went in, from one chunk", () => {
    expect(decode([encode(FRAMES)])).toEqual(FRAMES);
  });

  it("come out at every split into two and into three", () => {
    const bytes = encode(FRAMES);
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 1) {
        const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(decode(chunks)).toEqual(FRAMES);
      }
    }
  });

  it("come out byte by byte", () => {
    const bytes = encode(FRAMES);
    expect(decode([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(FRAMES);
  });

  it("are views of the chunk when they lie within it: nothing is copied", () => {
    const bytes = encode([{ control: false, payload: [1, 2, 3] }]);
    const decoder = new FrameDecoder();
    decoder.push(bytes);
    expect(decoder.next()?.buffer).toBe(bytes.buffer);
  });

  it("end with the chunk, an empty one too", () => {
    const decoder = new FrameDecoder();
    const bytes = encode(FRAMES);
    decode([bytes], decoder);
    expect(decoder.next()).toBeNull();
    decoder.push(new Uint8Array(0));
    expect(decoder.next()).toBeNull();
  });

  it("of many sizes in a row survive chunks of many sizes", () => {
    const frames: Frame[] = [];
    for (let i = 0; i < 200; i += 1) {
      frames.push({ control: i % 7 === 0, payload: new Array((i * 37) % 700).fill(i & 0xff) });
    }
    const bytes = encode(frames);
    for (const size of [1, 7, 8, 9, 64, 333, 1000, 4096, bytes.length]) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      expect(decode(chunks)).toEqual(frames);
    }
  });

  it("with any flipped bit are refused: header and payload are both covered", () => {
    const bytes = encode([{ control: false, payload: [1, 2, 3, 4, 5, 6, 7, 8] }]);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const bad = Uint8Array.from(bytes);
      bad[bit >> 3] ^= 1 << (bit & 7);
      let frames: Frame[] = [];
      let refused = false;
      try {
        frames = decode([bad]);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
        refused = true;
      }
      // A longer length waits for bytes that never come; no flip may give a frame.
      expect(refused || frames.length === 0).toBe(true);
    }
  });

  it("over the limit are refused by their header alone, with both sizes", () => {
    const writer = new ByteWriter();
    writer.u32(FRAME_PAYLOAD_BYTES_MAX + 1);
    writer.u32(0);
    expect(() => decode([writer.written()])).toThrow("frame of 16777217 bytes is over the limit of 16777216");
    const small = new FrameDecoder(10);
    expect(() => decode([encode([{ control: false, payload: new Array(11).fill(0) }])], small)).toThrow(CodecError);
    const atLimit = encode([{ control: false, payload: new Array(10).fill(0) }]);
    expect(decode([atLimit], new FrameDecoder(10))).toHaveLength(1);
  });

  it("at the limit pass across chunks", () => {
    const writer = new ByteWriter();
    const payload = new Uint8Array(FRAME_PAYLOAD_BYTES_MAX);
    for (let i = 0; i < payload.length; i += 4096) payload[i] = i >> 12;
    writeFrame(writer, payload, false);
    const bytes = writer.written();
    const decoder = new FrameDecoder();
    let found: Uint8Array | null = null;
    for (let at = 0; at < bytes.length; at += 65_536) {
      decoder.push(bytes.subarray(at, at + 65_536));
      for (let next = decoder.next(); next !== null; next = decoder.next()) found = next;
    }
    expect(Buffer.compare(found ?? new Uint8Array(0), payload)).toBe(0);
  });

  it("the limit may rise between frames of one chunk", () => {
    const bytes = encode([
      { control: true, payload: [1] },
      { control: false, payload: new Array(50).fill(2) },
    ]);
    const decoder = new FrameDecoder(10);
    decoder.push(bytes);
    expect(decoder.next()).toHaveLength(1);
    decoder.payloadBytesMax = 100;
    expect(decoder.next()).toHaveLength(50);
  });

  it("carry a header of eight bytes", () => {
    expect(encode([{ control: false, payload: [1] }])).toHaveLength(FRAME_HEADER_BYTES + 1);
  });

  it("never give a frame, nor another error than CodecError, for random bytes", () => {
    let state = 12345;
    const random = () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 8;
    };
    for (let round = 0; round < 5000; round += 1) {
      const bytes = Uint8Array.from({ length: 8 + (random() % 40) }, () => random() & 0xff);
      // Most random lengths are over the limit: make half of them plausible, so that the checksum is reached.
      if (round % 2 === 0) bytes.set([random() % 20, 0, 0, 0]);
      try {
        expect(decode([bytes])).toEqual([]);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
      }
    }
  });
});

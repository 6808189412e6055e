import { describe, expect, it } from "vitest";
import { AssertionError } from "../core/assert.js";
import { allocate, ByteReader, ByteWriter, crc32, latin1Encode } from "../core/bytes.js";
import { bytesSuite } from "../core/testing/bytes-suite.js";
import { fastBytes } from "./fast-bytes.js";

bytesSuite("node", fastBytes);

describe("fast bytes", () => {
  it("are in use once the file is imported", () => {
    // Neighbours in one slab: portable arrays have a buffer each.
    const first = allocate(8);
    const second = allocate(8);
    expect(second.buffer === first.buffer || second.byteOffset === 0).toBe(true);
    expect(first.buffer.byteLength).toBeGreaterThan(8);
    expect(crc32(latin1Encode("123456789"))).toBe(0xcbf43926);
  });

  it("carry writer and reader past the size of a slab piece", () => {
    const writer = new ByteWriter(16);
    for (let i = 0; i < 10_000; i += 1) writer.u32(i);
    const reader = new ByteReader(writer.written());
    for (let i = 0; i < 10_000; i += 1) expect(reader.u32()).toBe(i);
  });

  it("assert rather than truncate when there is no room", () => {
    expect(() => fastBytes.latin1Write("x".repeat(50), new Uint8Array(49), 0)).toThrow(AssertionError);
  });
});

import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.js";
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  CodecError,
  copyBytes,
  latin1Decode,
  latin1Encode,
  portableBytes,
  utf8Decode,
  utf8Encode,
} from "./bytes.js";
import { Random } from "./random.js";
import { bytesSuite } from "./testing/bytes-suite.js";

bytesSuite("portable", portableBytes);

const TWO_53_LESS_1 = Number.MAX_SAFE_INTEGER;

/** One field of each kind, so that a cut anywhere falls into every one of them. */
function writeAll(writer: ByteWriter): void {
  writer.u8(0xfe);
  writer.u16(0xfedc);
  writer.u32(0xfedcba98);
  writer.u53(TWO_53_LESS_1);
  writer.f64(-0.1);
  writer.i64(-(2n ** 63n));
  writer.raw(Uint8Array.of(1, 2, 3));
  writer.blob(Uint8Array.of(4, 5));
  writer.latin1("k\u00ff\u0000y");
}

function readAll(reader: ByteReader): unknown[] {
  return [
    reader.u8(),
    reader.u16(),
    reader.u32(),
    reader.u53(),
    reader.f64(),
    reader.i64(),
    [...reader.raw(3)],
    [...reader.blob()],
    reader.latin1(),
  ];
}

const ALL = [0xfe, 0xfedc, 0xfedcba98, TWO_53_LESS_1, -0.1, -(2n ** 63n), [1, 2, 3], [4, 5], "k\u00ff\u0000y"];

describe("ByteWriter and ByteReader", () => {
  it("read back every kind of field, whatever the capacity to begin with", () => {
    for (let capacity = 0; capacity < 80; capacity += 1) {
      const writer = new ByteWriter(capacity);
      writeAll(writer);
      const reader = new ByteReader(writer.written());
      expect(readAll(reader)).toEqual(ALL);
      expect(reader.remaining).toBe(0);
    }
  });

  it("are little-endian", () => {
    const writer = new ByteWriter();
    writer.u16(0x0102);
    writer.u32(0x01020304);
    writer.u53(2 ** 40 + 1);
    expect([...writer.written()]).toEqual([2, 1, 4, 3, 2, 1, 1, 0, 0, 0, 0, 1, 0, 0]);
  });

  it("refuse input that is cut anywhere, by a CodecError", () => {
    const writer = new ByteWriter();
    writeAll(writer);
    const whole = writer.copy();
    for (let end = 0; end < whole.length; end += 1) {
      expect(() => readAll(new ByteReader(whole.subarray(0, end)))).toThrow(CodecError);
    }
  });

  it("refuse a length that points beyond the end without allocating it", () => {
    const writer = new ByteWriter();
    writer.u32(0xffffffff);
    expect(() => new ByteReader(writer.written()).blob()).toThrow(CodecError);
  });

  it("keep integers from 0 to 2^53 - 1 exactly and assert on others", () => {
    for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1, 2 ** 52 + 1, TWO_53_LESS_1]) {
      const writer = new ByteWriter();
      writer.u53(value);
      expect(new ByteReader(writer.written()).u53()).toBe(value);
    }
    for (const value of [-1, 2 ** 53, Number.NaN]) {
      expect(() => new ByteWriter().u53(value)).toThrow(AssertionError);
    }
    const tooLarge = Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0);
    expect(() => new ByteReader(tooLarge).u53()).toThrow(CodecError);
  });

  it("keep every double, negative zero and infinity too", () => {
    for (const value of [0, -0, 1.5, Number.MIN_VALUE, Number.MAX_VALUE, -Infinity]) {
      const writer = new ByteWriter();
      writer.f64(value);
      expect(Object.is(new ByteReader(writer.written()).f64(), value)).toBe(true);
    }
  });

  it("assert on a latin1 field that is too long for its length", () => {
    const writer = new ByteWriter();
    writer.latin1("x".repeat(0xffff));
    expect(new ByteReader(writer.written()).latin1()).toHaveLength(0xffff);
    expect(() => writer.latin1("x".repeat(0x10000))).toThrow(AssertionError);
  });

  it("patch a length that was not known yet, also after growing", () => {
    const writer = new ByteWriter(4);
    writer.u32(0);
    writer.raw(new Uint8Array(1000).fill(7));
    writer.patchU32(0, writer.length - 4);
    expect(new ByteReader(writer.written()).blob()).toHaveLength(1000);
  });

  it("reset keeps the buffer; copies are independent of it", () => {
    const writer = new ByteWriter(16);
    writer.u32(1);
    const copy = writer.copy();
    const before = writer.bytes;
    writer.reset();
    writer.u32(2);
    expect(writer.bytes).toBe(before);
    expect(writer.length).toBe(4);
    expect(new ByteReader(copy).u32()).toBe(1);
  });

  it("open starts the reader over, on a view with an offset too", () => {
    const reader = new ByteReader(Uint8Array.of(9));
    expect(reader.u8()).toBe(9);
    reader.open(Uint8Array.of(0, 0, 5, 0).subarray(2));
    expect(reader.remaining).toBe(2);
    expect(reader.u16()).toBe(5);
  });
});

describe("byte helpers", () => {
  it("latin1 text of any chars below 256 survives", () => {
    const text = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
    expect(latin1Decode(latin1Encode(text))).toBe(text);
    expect(latin1Decode(latin1Encode(text), 10, 12)).toBe(text.slice(10, 12));
  });

  it("bytesEqual compares lengths and every byte", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(bytesEqual(bytes, copyBytes(bytes))).toBe(true);
    expect(bytesEqual(bytes, bytes.subarray(0, 2))).toBe(false);
    for (let i = 0; i < 3; i += 1) {
      const other = copyBytes(bytes);
      other[i] += 1;
      expect(bytesEqual(bytes, other)).toBe(false);
    }
  });

  it("copyBytes does not share memory", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const copy = copyBytes(bytes.subarray(1));
    bytes.fill(0);
    expect([...copy]).toEqual([2, 3]);
  });

  it("utf8Decode does what a fatal TextDecoder does", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const expected = (bytes: Uint8Array): string | null => {
      try {
        return decoder.decode(bytes);
      } catch {
        return null;
      }
    };
    const random = new Random(11);
    let texts = 0;
    for (let i = 0; i < 60_000; i += 1) {
      const edges = [
        0x00, 0x7f, 0x80, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xa0, 0x9f, 0xed, 0xef, 0xf0, 0x90, 0x8f, 0xf4, 0xf5,
      ];
      const bytes = Uint8Array.from({ length: random.below(6) }, () =>
        random.chance(0.8) ? random.pick(edges) : random.below(256),
      );
      const text = utf8Decode(bytes);
      expect([...bytes, text]).toEqual([...bytes, expected(bytes)]);
      if (text !== null) texts += 1;
    }
    expect(texts).toBeGreaterThan(5_000);
    expect(utf8Decode(utf8Encode("\ufeffä漢🂡"))).toBe("\ufeffä漢🂡");
  });

  it("utf8Encode does what TextEncoder does, unpaired surrogates included", () => {
    const encoder = new TextEncoder();
    for (const text of [
      "",
      "plain",
      "h\u00e9",
      "\u20ac\u0800\uffff",
      "\u{1f600}\u{10ffff}",
      "a\ud800b",
      "\udfff",
      "\u007f\u0080\u07ff",
    ]) {
      expect([...utf8Encode(text)]).toEqual([...encoder.encode(text)]);
    }
  });
});

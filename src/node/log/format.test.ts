import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, crc32 } from "../../core/bytes.js";
import { type GroupId, LogRecord, RecordKind } from "../../core/machine.js";
import {
  BatchHeader,
  HEADER_BYTES,
  Mark,
  markOffset,
  payloadHolds,
  readHeader,
  readMark,
  readRecord,
  sealBatch,
  segmentName,
  segmentOfName,
  UnsupportedFormat,
  writeMark,
  writeRecord,
} from "./format.js";

const IDENTITY = 0xabcdef012345;

function sampleBatch(): Uint8Array {
  const writer = new ByteWriter();
  writer.raw(new Uint8Array(HEADER_BYTES));
  writeRecord(writer, 3, new LogRecord(RecordKind.hardState, 5, 0, Uint8Array.of(1, 2)));
  writeRecord(writer, 4_000_000_000, new LogRecord(RecordKind.entry, 2 ** 40, 2 ** 50, Uint8Array.of(9)));
  sealBatch(writer, new BatchHeader(IDENTITY, 6, 7, 0, writer.length - HEADER_BYTES, 101, 102, 100, 5));
  return writer.copy();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("format 1", () => {
  test("a batch has these bytes for ever", () => {
    const bytes = sampleBatch();
    expect(bytes.length).toBe(512);
    expect(hex(bytes.subarray(0, 68 + 2 * 25 + 3))).toMatchInlineSnapshot(
      `"474c4f4701004400452301efcdab000006000000070000000000000035000000650000000000000066000000000000006400000000000000050000008029f513f164619a0203000000050000000000000000000000000000000200000001020100286bee000000000001000000000000000004000100000009"`,
    );
    expect(bytes.subarray(121).every((byte) => byte === 0)).toBe(true);
  });

  test("a mark has these bytes for ever", () => {
    const writer = new ByteWriter();
    writeMark(writer, new Mark(IDENTITY, 6, 102, 5));
    expect(writer.length).toBe(512);
    expect(hex(writer.written().subarray(0, 40))).toMatchInlineSnapshot(
      `"474d524b01002800452301efcdab00000600000005000000660000000000000000000000a9776689"`,
    );
    expect(
      writer
        .written()
        .subarray(40)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  test("a batch is read as it was written", () => {
    const bytes = sampleBatch();
    const reader = new ByteReader(bytes);
    const header = readHeader(reader, IDENTITY) as BatchHeader;
    expect(header).toEqual(new BatchHeader(IDENTITY, 6, 7, 0, 53, 101, 102, 100, 5));
    expect(payloadHolds(bytes, header)).toBe(true);
    const records: [GroupId, LogRecord][] = [];
    reader.open(bytes.subarray(HEADER_BYTES, HEADER_BYTES + header.payloadBytes));
    while (reader.remaining > 0)
      expect(readRecord(reader, (group, record) => records.push([group, record]))).toBe(true);
    expect(records).toEqual([
      [3, new LogRecord(RecordKind.hardState, 5, 0, Uint8Array.of(1, 2))],
      [4_000_000_000, new LogRecord(RecordKind.entry, 2 ** 40, 2 ** 50, Uint8Array.of(9))],
    ]);
  });

  test("every flipped bit of a batch is seen", () => {
    for (let bit = 0; bit < 8 * 121; bit += 1) {
      const bytes = sampleBatch();
      bytes[bit >> 3] ^= 1 << (bit & 7);
      const header = readHeader(new ByteReader(bytes), IDENTITY);
      expect(typeof header === "string" || !payloadHolds(bytes, header), `bit ${bit}`).toBe(true);
    }
  });

  test("every flipped bit of a mark is seen", () => {
    for (let bit = 0; bit < 8 * 40; bit += 1) {
      const writer = new ByteWriter();
      writeMark(writer, new Mark(IDENTITY, 6, 102, 5));
      const bytes = writer.copy();
      bytes[bit >> 3] ^= 1 << (bit & 7);
      expect(readMark(new ByteReader(bytes), 0), `bit ${bit}`).toBe(null);
    }
  });

  test("what is wrong is said", () => {
    const problem = (bytes: Uint8Array, identity = IDENTITY): unknown => readHeader(new ByteReader(bytes), identity);
    expect(problem(new Uint8Array(67))).toBe("the file ends");
    expect(problem(new Uint8Array(512))).toBe("zeros where a batch should begin");
    expect(problem(new Uint8Array(512).fill(1))).toBe("no batch begins here (wrong magic)");
    expect(problem(sampleBatch(), 1)).toBe("the batch belongs to another log");
    const flipped = sampleBatch();
    flipped[20] ^= 1;
    expect(problem(flipped)).toBe("the header's checksum does not match");
  });

  test("a stranger's header may say anything", () => {
    const bytes = sampleBatch();
    bytes.fill(0xff, 4, 64);
    const view = new DataView(bytes.buffer);
    view.setUint16(6, HEADER_BYTES, true);
    view.setUint32(64, crc32(bytes.subarray(0, 64)), true);
    expect(readHeader(new ByteReader(bytes), IDENTITY)).toBe("the batch belongs to another log");
  });

  test("another version is refused if the batch is this log's and sound", () => {
    const bytes = sampleBatch();
    const view = new DataView(bytes.buffer);
    view.setUint16(4, 2, true);
    view.setUint32(64, crc32(bytes.subarray(0, 64)), true);
    expect(() => readHeader(new ByteReader(bytes), IDENTITY)).toThrow(new UnsupportedFormat("log format 2"));
    expect(readHeader(new ByteReader(bytes), 1)).toBe("the batch belongs to another log");
  });

  test("a payload that claims more than there is does not hold", () => {
    const bytes = sampleBatch();
    const header = readHeader(new ByteReader(bytes), IDENTITY) as BatchHeader;
    expect(payloadHolds(bytes.subarray(0, 120), header)).toBe(false);
  });

  test("marks are read from their slots, the newer one by generation, then by what it vouches for", () => {
    const writer = new ByteWriter();
    const file = new Uint8Array(8192);
    writeMark(writer, new Mark(IDENTITY, 2, 50, 1));
    file.set(writer.written(), markOffset(1));
    expect(readMark(new ByteReader(file), 0)).toBe(null);
    expect(readMark(new ByteReader(file), 1)).toEqual(new Mark(IDENTITY, 2, 50, 1));
    expect(readMark(new ByteReader(file.subarray(0, 100)), 0)).toBe(null);
    const order = [new Mark(1, 1, 9, 9), new Mark(1, 2, 3, 9), new Mark(1, 2, 4, 1), new Mark(1, 2, 4, 2)];
    for (let i = 0; i < order.length; i += 1) {
      for (let j = 0; j < order.length; j += 1) expect(order[i].isNewerThan(order[j])).toBe(i > j);
    }
  });

  test("segments bear their numbers", () => {
    expect(segmentName(42)).toBe("log-0000000042");
    expect(segmentOfName("log-0000000042")).toBe(42);
    for (const name of ["log-marks", "log-42", "lost-log-0000000042", "log-0000000042.aside"]) {
      expect(segmentOfName(name)).toBe(0);
    }
  });
});

import { expect, test } from "vitest";
import { AssertionError } from "../core/assert.js";
import { ByteReader, CodecError, EMPTY_BYTES, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { batchTimeMs, readSectionHeader, readSections, SectionWriter, writeBatch } from "./batch.js";
import { getCommand, incrementCommand, setCommand } from "./command.js";
import { decodeCommand } from "./command-codec.js";
import { CLIENT, OTHER_CLIENT, section } from "./testing/harness.js";

test("a section's header says what begin was told, and where the commands are", () => {
  const writer = new SectionWriter();
  writer.begin(CLIENT, 2 ** 40, 2 ** 40 - 3, 1, 77);
  writer.add(setCommand("k", latin1Encode("v")));
  writer.add(incrementCommand("n", 5n));
  expect(writer.count).toBe(2);
  const bytes = writer.finish();
  expect(writer.byteLength).toBe(bytes.length);
  const header = readSectionHeader(bytes, 0);
  expect(header).toEqual({
    client: CLIENT,
    firstSequence: 2 ** 40,
    acknowledgedThrough: 2 ** 40 - 3,
    openedMs: 77,
    flags: 1,
    count: 2,
    start: 0,
    commandsStart: 49,
    end: bytes.length,
  });
  const reader = new ByteReader(bytes.subarray(header.commandsStart, header.end));
  expect(decodeCommand(reader)).toEqual(setCommand("k", latin1Encode("v")));
  expect(decodeCommand(reader)).toEqual(incrementCommand("n", 5n));
  expect(reader.remaining).toBe(0);
});

test("the writer is used again, and what it handed out stays", () => {
  const writer = new SectionWriter();
  writer.begin(CLIENT, 1, 0, 0);
  writer.add(getCommand("first"));
  const first = writer.finish();
  const copy = first.slice();
  writer.begin(OTHER_CLIENT, 9, 8, 1);
  expect(writer.count).toBe(0);
  const second = writer.finish();
  expect(first).toEqual(copy);
  expect(readSectionHeader(second, 0)).toMatchObject({ client: OTHER_CLIENT, firstSequence: 9, count: 0 });
});

test("a batch holds its sections in order", () => {
  const sections = [section([getCommand("a")]), section([], { client: OTHER_CLIENT }), section([getCommand("b")])];
  const batch = writeBatch(1_700_000_000_000, sections);
  expect(batchTimeMs(batch)).toBe(1_700_000_000_000);
  const headers = readSections(batch);
  expect(headers.map((header) => batch.slice(header.start, header.end))).toEqual(sections);
  expect(readSections(writeBatch(5, []))).toEqual([]);
  expect(batchTimeMs(EMPTY_BYTES)).toBe(0);
});

test("headers are found at any offset of a larger array", () => {
  const one = section([getCommand("a")], { firstSequence: 3 });
  const frame = new Uint8Array(one.length + 20).fill(0xff);
  frame.set(one, 13);
  expect(readSectionHeader(frame, 13)).toMatchObject({ firstSequence: 3, start: 13, end: 13 + one.length });
  expect(() => readSectionHeader(frame, -1)).toThrow(CodecError);
  expect(() => readSectionHeader(frame, frame.length)).toThrow(CodecError);
});

test("bad framing is a codec error", () => {
  const batch = writeBatch(1, [section([getCommand("a")]), section([getCommand("b")])]);
  for (let length = 0; length < batch.length; length += 1) {
    expect(() => readSections(batch.subarray(0, length))).toThrow(CodecError);
  }
  expect(() => readSections(Uint8Array.from([...batch, 0]))).toThrow("bytes after its last section");
  const newer = batch.slice();
  newer[0] = 2;
  expect(() => readSections(newer)).toThrow("version 2 is not known");
  expect(() => batchTimeMs(newer)).toThrow("version 2 is not known");
  const header = section([getCommand("a")]);
  const patched = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = header.slice();
    copy.set(bytes, at);
    return copy;
  };
  expect(() => readSectionHeader(patched(0, 1, 0, 0, 0), 0)).toThrow("length is not right");
  expect(() => readSectionHeader(patched(0, 255, 255, 255, 255), 0)).toThrow("length is not right");
  expect(() => readSectionHeader(patched(20, 0), 0)).toThrow("begin at 1");
  expect(() => readSectionHeader(patched(45, 255, 255, 255, 255), 0)).toThrow("more commands than bytes");
  expect(() => readSectionHeader(patched(20, 255, 255, 255, 255, 255, 255, 31, 0), 0)).toThrow("above 2^53 - 1");
  expect(() => readSectionHeader(patched(20, 255, 255, 255, 255, 255, 255, 255, 255), 0)).toThrow("above 2^53 - 1");
});

test("random bytes are a codec error or sections inside of them", () => {
  const random = new Random(8);
  for (let i = 0; i < 20_000; i += 1) {
    const batch = writeBatch(1, [section([getCommand("a")]), section([getCommand("b")])]);
    for (let flips = 1 + random.below(4); flips > 0; flips -= 1) batch[random.below(batch.length)] = random.below(256);
    try {
      let at = 13;
      for (const header of readSections(batch)) {
        expect(header.start).toBe(at);
        expect(header.end).toBeLessThanOrEqual(batch.length);
        at = header.end;
      }
    } catch (error) {
      expect(error).toBeInstanceOf(CodecError);
    }
  }
});

test("refuses a client id of another length, sequence 0, a time that is none", () => {
  const writer = new SectionWriter();
  expect(() => writer.begin("short", 1, 0, 0)).toThrow(AssertionError);
  expect(() => writer.begin(CLIENT, 0, 0, 0)).toThrow(AssertionError);
  expect(() => writeBatch(0.5, [])).toThrow(AssertionError);
  expect(() => writeBatch(-1, [])).toThrow(AssertionError);
});

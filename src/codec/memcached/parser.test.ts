import { describe, expect, test } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import { Parsed } from "../request-parser.js";
import { Block } from "./block.js";
import { MEMCACHED_LIMITS, type MemcachedLimits, MemcachedParser } from "./parser.js";
import { type Reading, readRequests } from "./testing/twin.js";

const BLOCKS = Object.fromEntries(Object.entries(Block).map(([name, value]) => [value, name]));

/** Feeds the chunks and overwrites each as soon as the parser has had it. */
function parse(chunks: readonly string[], limits: MemcachedLimits = MEMCACHED_LIMITS): Reading {
  const parser = new MemcachedParser(limits);
  const requests: Reading["requests"] = [];
  for (const chunk of chunks) {
    const bytes = latin1Encode(chunk);
    parser.feed(bytes);
    for (;;) {
      const parsed = parser.next();
      if (parsed === Parsed.error) return { requests, error: parser.error, partial: false };
      if (parsed === Parsed.more) break;
      const { request, words, block, isPlain } = parser;
      const texts = Array.from({ length: request.count }, (_, i) => request.text(i));
      const data = block === Block.whole ? texts[words] : null;
      requests.push({ words: texts.slice(0, words), data, block: BLOCKS[block], isPlain });
    }
    bytes.fill(0x7e);
  }
  return { requests, error: "", partial: parser.partial };
}

const SMALL: MemcachedLimits = { lineBytesMax: 60, keysLineBytesMax: 90, valueBytesMax: 30, droppedBytesMax: 99 };

const WHOLE: readonly string[] = [
  "get x\r\n",
  "get a b c\r\ngets a\n",
  "set k 1 2 5\r\nhello\r\nget k\r\n",
  "set k 1 2 5 noreply\r\na\r\n b\r\nmn\r\n",
  "set k 0 0 0\r\n\r\nversion\r\n",
  "cas k 0 0 3 17\r\nset\r\n",
  "ms k 4 c T0 O1\r\nms k\r\nmg k v\r\n",
  `set k 0 0 31\r\n${"v".repeat(31)}\r\nmn\r\n`,
  `set k 0 0 99\r\n${"set x 0 0 1\n".repeat(9).slice(0, 99)}\r\nmn\r\n`,
  "set k 0 0 3\r\nlonger\r\nmn\r\n",
  "\r\n\n  \r\n nonsense  here \r\n",
  "append k 0 0 2\r\n\x00\xff\r\nprepend k 0 0 1\r\n\n\r\n",
];

const CORPUS: readonly string[] = [
  ...WHOLE,
  "set k value\r\nget k\r\nset k a value of  words \r\nset k 0 0 5\r\nhello\r\n",
  "set k v\nset k 1 2 3\nget k\n",
  "set k 0 0 x\r\nset k 0 0 -1\r\nset k 0 0 1 2 3\r\nset k 0 0\r\n",
  "set k 0 0 100\r\n",
  "set k 0 0 9999999999999999\r\nmn\r\n",
  "ms k\r\nms\r\nms k 01\r\nx\r\n",
  "x".repeat(60),
  `${"x".repeat(60)}\r\n`,
  "x".repeat(61),
  `get ${"k".repeat(86)}\n`,
  `gamut watch k${" k".repeat(38)}\n`,
  `gamut watch k${" k".repeat(39)}\nmn\n`,
  `get ${"k".repeat(87)}`,
  `getx ${"k".repeat(60)}\n`,
  "set k 0 0 5\r\nhel",
  "set k 0 0 5\r",
];

describe("requests", () => {
  for (const input of CORPUS) {
    test(`at every split: ${JSON.stringify(input.slice(0, 50))}`, () => {
      const expected = readRequests(input, SMALL);
      expect(parse([input], SMALL)).toEqual(expected);
      expect(parse([...input], SMALL)).toEqual(expected);
      for (let i = 0; i <= input.length; i += 1) {
        expect(parse([input.slice(0, i), input.slice(i)], SMALL)).toEqual(expected);
        const j = i + ((input.length - i) >> 1);
        expect(parse([input.slice(0, i), input.slice(i, j), input.slice(j)], SMALL)).toEqual(expected);
      }
    });
  }

  test("what is read", () => {
    const read = (input: string): unknown[] => parse([input]).requests.map(({ words, data }) => [...words, data]);
    expect(read("set k 1 2 5\r\nh\r\nlo\r\nget k  l\n")).toEqual([
      ["set", "k", "1", "2", "5", "h\r\nlo"],
      ["get", "k", "l", null],
    ]);
    expect(read("set k v\r\nset k  two words \r\nget k\r\n")).toEqual([
      ["set", "k", "v", null],
      ["set", "k", "two words ", null],
      ["get", "k", null],
    ]);
    expect(parse(["x".repeat(8_193)]).error).toBe("CLIENT_ERROR the line is longer than 8192 bytes");
    expect(parse([`get ${"k ".repeat(100_000)}\r\n`]).requests[0].words).toHaveLength(100_001);
  });

  test("a line announces, but only bytes that come take memory", () => {
    const before = process.memoryUsage();
    const parsers: MemcachedParser[] = [];
    for (let i = 0; i < 2000; i += 1) {
      const parser = new MemcachedParser();
      parser.feed(latin1Encode("set k 0 0 1048576\r\nabc"));
      expect(parser.next()).toBe(Parsed.more);
      parsers.push(parser);
    }
    const after = process.memoryUsage();
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(16e6);
    expect(parsers.every((parser) => parser.partial)).toBe(true);
  });

  test("data that are too large are dropped as they come", () => {
    const parser = new MemcachedParser();
    parser.feed(latin1Encode(`set k 0 0 ${64 * 1_048_576}\r\n`));
    expect([parser.next(), parser.block, parser.next()]).toEqual([Parsed.request, Block.tooLarge, Parsed.more]);
    const chunk = new Uint8Array(65_536);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 1024; i += 1) {
      parser.feed(chunk);
      expect(parser.next()).toBe(Parsed.more);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4e6);
    parser.feed(latin1Encode("\r\nmn\r\n"));
    expect([parser.next(), parser.spec?.name, parser.partial]).toEqual([Parsed.request, "mn", false]);
  });
});

test("50,000 mutated streams, cut anywhere, are read as the twin reads them", () => {
  const seed = 20_261_121;
  const random = new Random(seed);
  const below = (n: number): number => random.below(n);
  const pieces = [..." \r\n0123456789-xgset\0\xff", "\r\n", "\n", "get ", "set ", " 0 0 5\r\n", "ms k 2\r\n", "mn\r\n"];
  let errors = 0;
  let requests = 0;
  const blocks = new Set<string>();
  for (let round = 0; round < 50_000; round += 1) {
    let input = "";
    for (let i = below(4); i > 0; i -= 1) input += WHOLE[below(WHOLE.length)];
    if (below(3) === 0) input += CORPUS[below(CORPUS.length)];
    for (let edits = below(3); edits > 0; edits -= 1) {
      const at = below(input.length + 1);
      input = input.slice(0, at) + pieces[below(pieces.length)] + input.slice(at + below(3));
    }
    const chunks: string[] = [];
    for (let at = 0; at < input.length; ) {
      const end = at + 1 + below(below(2) === 0 ? 4 : 64);
      chunks.push(input.slice(at, end));
      at = end;
    }
    const found = parse(chunks, SMALL);
    expect(found, `seed ${seed}, round ${round}: ${JSON.stringify(chunks)}`).toEqual(readRequests(input, SMALL));
    errors += found.error === "" ? 0 : 1;
    requests += found.requests.length;
    for (const { block } of found.requests) blocks.add(block);
  }
  expect([...blocks].sort()).toEqual(["bad", "none", "tooLarge", "whole"]);
  expect(errors).toBeGreaterThan(1_000);
  expect(errors).toBeLessThan(25_000);
  expect(requests).toBeGreaterThan(100_000);
});

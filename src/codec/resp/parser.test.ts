import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { describe, expect, test } from "vitest";
import { Parsed } from "../request-parser.js";
import { RESP_LIMITS, type RespLimits, RespParser } from "./parser.js";
import { type Reading, readRequests } from "./testing/twin.js";

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

/** Feeds the chunks and overwrites each as soon as the parser has had it. */
function parse(chunks: readonly string[], limits: RespLimits = RESP_LIMITS): Reading & { partial: boolean } {
  const parser = new RespParser(limits);
  const requests: string[][] = [];
  for (const chunk of chunks) {
    const bytes = latin1(chunk);
    parser.feed(bytes);
    for (;;) {
      const parsed = parser.next();
      if (parsed === Parsed.request) {
        const words: string[] = [];
        for (let i = 0; i < parser.request.count; i += 1) words.push(parser.request.text(i));
        requests.push(words);
      } else if (parsed === Parsed.error) return { requests, error: parser.error, rest: 0, partial: false };
      else break;
    }
    bytes.fill(0x7e);
  }
  return { requests, error: "", rest: 0, partial: parser.partial };
}

const request = (...words: string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;

const SMALL: RespLimits = { argumentsMax: 9, bulkBytesMax: 99, inlineBytesMax: 60, requestBytesMax: 300 };

const WHOLE: readonly string[] = [
  request("GET", "x"),
  request("SET", "key", "value\r\nwith $5\r\n*3\r\n") + request("GET", "key"),
  request("SET", "", "") + request("PING"),
  `*0\r\n*-1\r\n${request("PING")}*0\r\n`,
  "PING\r\n\r\n\n  \r\nGET x\n",
  `SET "a \\x41\\n\\"q\\"" 'it\\'s \\n' plain\r\n${request("GET", "a")}ECHO ab"c d"\r\n`,
  `${request("ECHO", "\x00\xff\x80\x0d\x0a")}PING tail`,
  `ECHO ""\r\nECHO ''\r\nnul\0hidden " word\r\n`,
  request(...Array.from({ length: 9 }, (_, i) => String(i))),
];

const CORPUS: readonly string[] = [
  ...WHOLE,
  "*2\r\n$3\r\nGET\r\n$1",
  "*01\r\n$4\r\nPING\r\n",
  "*-0\r\n",
  "*\r\n",
  "*+1\r\n",
  "* 1\r\n",
  "*1\n$4\nPING\n",
  "*1\r$4",
  "*99\r\n",
  `*${"9".repeat(40)}\r\n`,
  "*1\r\n+OK\r\n",
  "*1\r\n$-1\r\n",
  "*1\r\n$04\r\nPING\r\n",
  "*1\r\n$100\r\n",
  "*1\r\n$4\r\nPINGxx",
  "*1\r\n$4\r\nPING\n\r",
  `${request("PING")}GET "unbalanced\r\n`,
  `GET "a"b\r\n`,
  `GET 'a'b\r\n`,
  `${"x".repeat(60)}\r\n`,
  "x".repeat(61),
  `*9\r\n${"$99\r\n".concat("v".repeat(99), "\r\n").repeat(9)}`,
];

describe("requests", () => {
  for (const input of CORPUS) {
    test(`at every split: ${JSON.stringify(input.slice(0, 50))}`, () => {
      const { requests, error, rest } = readRequests(input, SMALL);
      const expected = { requests, error, rest: 0, partial: error === "" && rest > 0 };
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
    expect(parse([`SET "a \\x41\\n\\"q\\"" 'it\\'s \\n' plain\r\nECHO ab"c d"\r\n`]).requests).toEqual([
      ["SET", 'a A\n"q"', "it's \\n", "plain"],
      ["ECHO", "abc d"],
    ]);
    expect(parse([request("SET", "k", "\r\n$1\r\n")]).requests).toEqual([["SET", "k", "\r\n$1\r\n"]]);
    expect(parse(["*1\r\n+OK\r\n"]).error).toBe("ERR Protocol error: expected '$', got '+'");
    expect(parse(["*abc\r\n"]).error).toBe("ERR Protocol error: invalid multibulk length");
    expect(parse(["*1\r\n$abc\r\n"]).error).toBe("ERR Protocol error: invalid bulk length");
    expect(parse(['GET "\r\n']).error).toBe("ERR Protocol error: unbalanced quotes in request");
    expect(parse(["x".repeat(65_537)]).error).toBe("ERR Protocol error: too big inline request");
  });

  test("an error is final", () => {
    const parser = new RespParser();
    parser.feed(latin1("*x\r\n"));
    expect(parser.next()).toBe(Parsed.error);
    parser.feed(latin1(request("PING")));
    expect(parser.next()).toBe(Parsed.error);
  });

  test("a header announces, but only bytes that come take memory", () => {
    const before = process.memoryUsage();
    const parsers: RespParser[] = [];
    for (let i = 0; i < 2000; i += 1) {
      const parser = new RespParser();
      parser.feed(latin1("*65536\r\n$1048576\r\nabc"));
      expect(parser.next()).toBe(Parsed.more);
      parsers.push(parser);
    }
    const after = process.memoryUsage();
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(16e6);
    expect(parsers.every((parser) => parser.partial)).toBe(true);
  });

  test("a value of a MiB in small chunks, then small requests", () => {
    const value = "v".repeat(1_048_576);
    const input = request("SET", "big", value) + request("GET", "big").repeat(3);
    const chunks: string[] = [];
    for (let at = 0; at < input.length; at += 1447) chunks.push(input.slice(at, at + 1447));
    const { requests, partial } = parse(chunks);
    expect(requests.length).toBe(4);
    expect(requests[0][2] === value).toBe(true);
    expect(requests[3]).toEqual(["GET", "big"]);
    expect(partial).toBe(false);
  });
});

test("50,000 mutated streams, cut anywhere, are read as the twin reads them", () => {
  const seed = 20_261_121;
  const random = xoroshiro128plus(seed);
  const below = (n: number): number => uniformInt(random, 0, n - 1);
  const pieces = [..."*$+-:\r\n 0123456789\"'\\xaA\0\xff", "\r\n", "*1\r\n", "$4\r\nPING\r\n", "PING\r\n", "*0\r\n"];
  let errors = 0;
  let requests = 0;
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
    const expected = readRequests(input, SMALL);
    const found = parse(chunks, SMALL);
    const hint = `seed ${seed}, round ${round}: ${JSON.stringify(chunks)}`;
    expect(found.requests, hint).toEqual(expected.requests);
    expect(found.error, hint).toBe(expected.error);
    expect(found.partial, hint).toBe(expected.error === "" && expected.rest > 0);
    errors += found.error === "" ? 0 : 1;
    requests += found.requests.length;
  }
  // The mutations neither break everything nor leave everything whole.
  expect(errors).toBeGreaterThan(10_000);
  expect(errors).toBeLessThan(49_000);
  expect(requests).toBeGreaterThan(100_000);
});

import { expect, test } from "vitest";
import { CodecError, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { ReplyError, ReplyReader, WatchReader, type WatchReply } from "./reply-reader.js";

const STREAM = "$5\r\nhe\r\no\r\n-ERR no such thing\r\n$0\r\n\r\n$3\r\nabc\r\n";
const REPLIES = ["he\r\no", "-ERR no such thing", "", "abc"];

function readAll(reader: ReplyReader): string[] {
  const replies: string[] = [];
  for (let reply = reader.next(); reply !== null; reply = reader.next()) {
    replies.push(reply instanceof ReplyError ? `-${reply.line}` : Buffer.from(reply).toString("latin1"));
  }
  return replies;
}

test("reads replies wherever the bytes are cut, and keeps none of the caller's", () => {
  const bytes = latin1Encode(STREAM);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      const reader = new ReplyReader();
      const replies: string[] = [];
      for (const [from, to] of [
        [0, first],
        [first, second],
        [second, bytes.length],
      ]) {
        const chunk = bytes.slice(from, to);
        reader.feed(chunk);
        chunk.fill(0);
        replies.push(...readAll(reader));
      }
      expect(replies).toEqual(REPLIES);
    }
  }
});

test("a long reply in many chunks", () => {
  const random = new Random(1);
  const value = Buffer.alloc(300_000, "x");
  const bytes = Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from("\r\n$1\r\ny\r\n")]);
  const reader = new ReplyReader();
  const replies: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.below(9_000));
    reader.feed(bytes.subarray(at, end));
    replies.push(...readAll(reader));
    at = end;
  }
  expect(replies.map((reply) => reply.length)).toEqual([300_000, 1]);
});

test("what is no reply is a codec error", () => {
  for (const text of [
    "+OK\r\n",
    ":1\r\n",
    "$-1\r\n",
    "$x\r\n",
    "$999999999\r\n",
    "*1\r\n$1\r\na\r\n",
    "x".repeat(100_000),
  ]) {
    const reader = new ReplyReader();
    reader.feed(latin1Encode(text));
    expect(() => reader.next()).toThrow(CodecError);
  }
});

const WATCHED =
  "+OK\r\n$2\r\n47\r\n*6\r\n$5\r\nwatch\r\n$3\r\nput\r\n$2\r\n\r\n\r\n:7\r\n$0\r\n\r\n$-1\r\n+PONG\r\n-ERR compacted: n\xc3\xb6\r\n";

function showWatched(reply: WatchReply): unknown {
  if (reply instanceof ReplyError) return reply.line;
  if (reply instanceof Uint8Array) return Buffer.from(reply).toString("latin1");
  if (reply === "ok") return reply;
  return reply.push.map((item) => (item instanceof Uint8Array ? Buffer.from(item).toString("latin1") : item));
}

test("what a watch tells, wherever the bytes are cut", () => {
  const bytes = latin1Encode(WATCHED);
  for (let at = 0; at <= bytes.length; at += 1) {
    const reader = new WatchReader();
    const replies: unknown[] = [];
    for (const chunk of [bytes.slice(0, at), bytes.slice(at)]) {
      reader.feed(chunk);
      for (let reply = reader.next(); reply !== null; reply = reader.next()) replies.push(showWatched(reply));
    }
    expect(replies).toEqual(["ok", "47", ["put", "\r\n", 7, "", null], "ok", "ERR compacted: nö"]);
    expect(reader.buffered).toBe(0);
  }
});

test("any bytes are replies or a codec error", () => {
  const random = new Random(2);
  const words = [
    "*2\r\n",
    "*1\r\n",
    "$1\r\na\r\n",
    "$-1\r\n",
    ":5\r\n",
    ":x\r\n",
    "+OK\r\n",
    "-E\r\n",
    "*-1\r\n",
    "_\r\n",
    "*99\r\n",
  ];
  let replies = 0;
  let errors = 0;
  for (let run = 0; run < 20_000; run += 1) {
    const reader = new WatchReader();
    try {
      for (let i = random.below(6); i >= 0; i -= 1) reader.feed(latin1Encode(words[random.below(words.length)]));
      while (reader.next() !== null) replies += 1;
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      errors += 1;
    }
  }
  expect(replies).toBeGreaterThan(1_000);
  expect(errors).toBeGreaterThan(1_000);
});

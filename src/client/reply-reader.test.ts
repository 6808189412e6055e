import { expect, test } from "vitest";
import { CodecError, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { ReplyError, ReplyReader } from "./reply-reader.js";

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
    "x".repeat(20_000),
  ]) {
    const reader = new ReplyReader();
    reader.feed(latin1Encode(text));
    expect(() => reader.next()).toThrow(CodecError);
  }
});

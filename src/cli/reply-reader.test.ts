import { describe, expect, it } from "vitest";
import { type Answer, Push, ReplyError, ReplyFormatError, ReplyReader } from "./reply-reader.js";

const REPLIES =
  "+OK\r\n:5\r\n:9223372036854775807\r\n_\r\n$-1\r\n$0\r\n\r\n$4\r\na\r\nb\r\n*2\r\n:1\r\n*1\r\n+x\r\n*-1\r\n" +
  "%1\r\n$4\r\nname\r\n:7\r\n=7\r\ntxt:abc\r\n-TRYAGAIN unavailable: nobody: there\r\n|1\r\n+receipt\r\n+why\r\n$1\r\nv\r\n";

function readAll(chunks: readonly Buffer[]): Answer[] {
  const reader = new ReplyReader();
  const answers: Answer[] = [];
  for (const chunk of chunks) {
    reader.feed(chunk);
    for (let answer = reader.next(); answer !== null; answer = reader.next()) {
      if (!(answer instanceof Push)) answers.push(answer);
    }
  }
  return answers;
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describe("replies", () => {
  it("are read, each kind as what it is", () => {
    const answers = readAll([Buffer.from(REPLIES)]);
    expect(answers.map(({ reply }) => reply)).toEqual([
      "OK",
      5,
      9223372036854775807n,
      null,
      null,
      bytes(""),
      bytes("a\r\nb"),
      [1, ["x"]],
      null,
      new Map([["name", 7]]),
      "abc",
      expect.any(ReplyError),
      bytes("v"),
    ]);
    expect(answers.at(-1)!.attributes).toEqual(new Map([["receipt", "why"]]));
    expect(answers.slice(0, -1).every(({ attributes }) => attributes === null)).toBe(true);
  });

  it("are the same wherever they are cut", () => {
    const whole = Buffer.from(REPLIES);
    const expected = readAll([whole]);
    for (let at = 0; at <= whole.length; at += 1) {
      expect(readAll([whole.subarray(0, at), whole.subarray(at)])).toEqual(expected);
    }
    expect(readAll(Array.from(whole, (byte) => Buffer.from([byte])))).toEqual(expected);
  });

  it("that are errors tell code, message and whether they are definite", () => {
    const parts = (line: string): unknown[] => {
      const { code, message, definite } = new ReplyError(line);
      return [code, message, definite];
    };
    expect(parts("TRYAGAIN unavailable: nobody: there")).toEqual(["unavailable", "nobody: there", true]);
    expect(parts("UNKNOWN the outcome: who knows")).toEqual(["unknown", "the outcome: who knows", false]);
    expect(parts("UNKNOWN session_expired: gone")).toEqual(["session_expired", "gone", false]);
    expect(parts("ERR value is not an integer")).toEqual(["ERR", "value is not an integer", true]);
    expect(parts("NOPROTO")).toEqual(["NOPROTO", "", true]);
  });

  it("that are none are refused", () => {
    for (const bad of ["HTTP/1.1 400\r\n", "$x\r\n", "*99999999999\r\n", `${"*1\r\n".repeat(40)}:1\r\n`]) {
      expect(() => readAll([Buffer.from(bad)])).toThrow(ReplyFormatError);
    }
  });
});

import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode, KvError } from "../../kv/errors.js";
import { Arguments } from "./arguments.js";
import { COMMANDS, findCommandIn } from "./commands.js";
import { errorText, unknownCommand } from "./errors.js";
import { type RespVersion, RespWriter } from "./reply.js";

function written(write: (writer: RespWriter) => void, version: RespVersion = 2, capacity?: number): string {
  const writer = new RespWriter(capacity);
  writer.version = version;
  write(writer);
  return Buffer.from(writer.written()).toString("latin1");
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

describe("each shape in both versions", () => {
  const shapes: [name: string, write: (writer: RespWriter) => void, two: string, three: string][] = [
    ["ok", (w) => w.ok(), "+OK\r\n", "+OK\r\n"],
    ["simple", (w) => w.simple("RESET"), "+RESET\r\n", "+RESET\r\n"],
    ["null", (w) => w.null(), "$-1\r\n", "_\r\n"],
    ["null array", (w) => w.nullArray(), "*-1\r\n", "_\r\n"],
    ["array", (w) => w.array(2), "*2\r\n", "*2\r\n"],
    ["map", (w) => w.map(2), "*4\r\n", "%2\r\n"],
    ["set", (w) => w.set(2), "*2\r\n", "~2\r\n"],
    ["bulk", (w) => w.bulk(bytes("a\r\n\xff")), "$4\r\na\r\n\xff\r\n", "$4\r\na\r\n\xff\r\n"],
    ["empty bulk", (w) => w.bulk(bytes("")), "$0\r\n\r\n", "$0\r\n\r\n"],
    ["text", (w) => w.bulkText("\xe9"), "$1\r\n\xe9\r\n", "$1\r\n\xe9\r\n"],
    ["verbatim", (w) => w.verbatim("é"), "$2\r\n\xc3\xa9\r\n", "=6\r\ntxt:\xc3\xa9\r\n"],
    ["error", (w) => w.error("ERR a\r\nb\xff\r\n"), "-ERR a  b\xff\r\n", "-ERR a  b\xff\r\n"],
    ["error in UTF-8", (w) => w.error("ERR é→"), "-ERR \xc3\xa9\xe2\x86\x92\r\n", "-ERR \xc3\xa9\xe2\x86\x92\r\n"],
  ];
  for (const [name, write, two, three] of shapes) {
    test(name, () => {
      // From a buffer that has to grow, too.
      expect([written(write), written(write, 2, 1)]).toEqual([two, two]);
      expect([written(write, 3), written(write, 3, 1)]).toEqual([three, three]);
    });
  }
});

test("integers of every length", () => {
  const values = [0n, 1n, 9n, 10n, 99n, 100n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n];
  for (let power = 1n; power < 2n ** 63n; power *= 10n) values.push(power - 1n, power, power + 1n);
  for (const value of values) {
    for (const signed of [value, -value]) {
      expect(written((writer) => writer.bigInteger(signed))).toBe(`:${signed}\r\n`);
      if (value < 2n ** 53n)
        expect(written((writer) => writer.integer(Number(signed)))).toBe(`:${Number(signed) || 0}\r\n`);
    }
  }
});

test("replies follow each other through growth", () => {
  const writer = new RespWriter(1);
  let expected = "";
  for (let i = 0; i < 300; i += 1) {
    const value = "v".repeat(i);
    writer.bulk(bytes(value));
    writer.integer(i);
    expected += `$${i}\r\n${value}\r\n:${i}\r\n`;
  }
  expect(Buffer.from(writer.written()).toString("latin1")).toBe(expected);
});

test("unknown outcomes are never told as errors that may be retried, nor the other way round", () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const error = new KvError(code);
    const word = errorText(error).split(" ")[0];
    expect(word === "UNKNOWN", code).toBe(!error.definite);
    expect(["UNKNOWN", "TRYAGAIN", "ERR"], code).toContain(word);
  }
  expect(errorText(new KvError("not_an_integer"))).toBe("ERR value is not an integer or out of range");
  expect(errorText(new KvError("overflow"))).toBe("ERR increment or decrement would overflow");
});

test("commands are found in whatever case, and nothing else is", () => {
  for (const spec of COMMANDS) {
    for (const name of [spec.name, spec.name.toUpperCase(), spec.name[0].toUpperCase() + spec.name.slice(1)]) {
      expect(findCommandIn(bytes(name), 0, name.length)).toBe(spec);
    }
    for (let i = 0; i < spec.name.length; i += 1) {
      for (let bit = 1; bit < 256; bit *= 2) {
        const changed = bytes(spec.name);
        changed[i] ^= bit;
        const isSame = Buffer.from(changed).toString("latin1").toLowerCase() === spec.name;
        if (!isSame) expect(findCommandIn(changed, 0, changed.length)?.name).not.toBe(spec.name);
      }
    }
  }
  expect(findCommandIn(bytes(""), 0, 0)).toBeNull();
  expect(findCommandIn(new Uint8Array(100_000), 0, 100_000)).toBeNull();
});

test("an unknown command is shown in part", () => {
  const request = new Arguments();
  request.bytes = bytes(`${"f".repeat(200)}${"a".repeat(100)}${"b".repeat(100)}c`);
  request.add(0, 200);
  request.add(200, 300);
  request.add(300, 400);
  request.add(400, 401);
  expect(unknownCommand(request)).toBe(
    `ERR unknown command '${"f".repeat(128)}', with args beginning with: '${"a".repeat(100)}' '${"b".repeat(25)}' `,
  );
});

test("a clone outlives what it was cloned from", () => {
  const request = new Arguments();
  request.bytes = bytes("..key..value..");
  request.add(2, 5);
  request.add(7, 12);
  const clone = request.clone();
  request.bytes.fill(0);
  request.clear();
  expect([clone.count, clone.text(0), clone.text(1)]).toEqual([2, "key", "value"]);
});

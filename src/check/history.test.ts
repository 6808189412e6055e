import { expect, test } from "vitest";
import { HistoryError } from "./assembler.js";
import { formatHistory, parseHistory } from "./history.js";
import { HistoryRecorder } from "./recorder.js";

const invoke = (more: object) =>
  JSON.stringify({ process: 0, type: "invoke", f: "write", key: "x", value: 1, time: 0, ...more });
const complete = (more: object) =>
  JSON.stringify({ process: 0, type: "ok", f: "write", key: "x", value: 1, time: 1, ...more });

function errorOf(...lines: string[]): string {
  try {
    parseHistory(lines.join("\n"));
  } catch (error) {
    expect(error).toBeInstanceOf(HistoryError);
    return (error as HistoryError).message;
  }
  return "no error";
}

test("pairs invocations with completions", () => {
  const [write, read, cas, open] = parseHistory(
    [
      '{"gamut":"history","version":1}',
      '{"process":0,"type":"invoke","f":"write","key":"x","value":1,"time":0,"node":"a"}',
      '{"process":1,"type":"invoke","f":"read","key":"x","value":null,"time":1}',
      '{"process":0,"type":"ok","f":"write","key":"x","value":1,"time":2,"receipt":{"term":3}}',
      "",
      '{"process":1,"type":"ok","f":"read","key":"x","value":1,"time":3,"final":true}',
      '{"process":0,"type":"invoke","f":"cas","key":"x","value":[1,2],"time":4}',
      '{"process":0,"type":"fail","f":"cas","key":"x","value":null,"time":5}',
      '{"process":0,"type":"invoke","f":"cas","key":"x","value":[1,3],"time":6}',
      '{"process":0,"type":"ok","f":"cas","key":"x","value":[1,3],"time":7}',
      '{"process":1,"type":"invoke","f":"delete","key":"x","value":null,"time":8}',
    ].join("\r\n"),
  );
  expect(write).toEqual({
    index: 0,
    process: 0,
    f: "write",
    key: "x",
    value: 1,
    expected: null,
    output: undefined,
    invokeTime: 0,
    returnTime: 2,
    status: "ok",
    line: 2,
    fields: { node: "a", receipt: { term: 3 } },
  });
  expect(read).toMatchObject({ f: "read", output: 1, value: null, fields: { final: true } });
  expect(cas).toMatchObject({ index: 2, f: "cas", expected: 1, value: 3, output: true, line: 9 });
  expect(open).toMatchObject({ f: "delete", status: "info", returnTime: Number.POSITIVE_INFINITY, output: undefined });
});

test("a header is optional, and another version or kind is refused by name", () => {
  expect(parseHistory("")).toEqual([]);
  expect(parseHistory(`\ufeff${invoke({})}`)).toHaveLength(1);
  expect(errorOf('{"gamut":"history","version":2}')).toBe(
    "line 1: history version 2 is unknown; this build reads version 1",
  );
  expect(errorOf('{"gamut":"receipt","version":1}')).toBe(
    'line 1: this is a Gamut file of kind "receipt", not a history',
  );
});

test("a cas that the store refused for a mismatch is an observation", () => {
  const cas = { f: "cas", value: [1, 2] };
  const [operation] = parseHistory(`${invoke(cas)}\n${complete({ ...cas, type: "fail", mismatch: true })}`);
  expect(operation).toMatchObject({ status: "ok", output: false, expected: 1, value: 2 });
});

test("says what is wrong, and where", () => {
  expect(errorOf("{")).toBe("line 1: not JSON: {");
  expect(errorOf("", "[1]")).toBe("line 2: an event is a JSON object, not [1]");
  expect(errorOf(invoke({ process: -1 }))).toContain('line 1: "process" must be an integer from 0, not -1');
  expect(errorOf(invoke({ type: "start" }))).toContain('"type" must be invoke, ok, fail or info, not "start"');
  expect(errorOf(invoke({ f: "swap" }))).toContain(
    '"f" must be one of read, write, cas, delete, increment, append, not "swap"',
  );
  expect(errorOf(invoke({ key: 7 }))).toContain('"key" must be a string, not 7');
  expect(errorOf(invoke({ time: 1e300 }))).toContain('"time" must be an integer within ±2^53');
  expect(errorOf(invoke({ time: undefined }))).toContain('"time" must be an integer within ±2^53, not nothing');
  expect(errorOf(invoke({ value: [1] }))).toContain('"value" must be a string, number, boolean or null, not [1]');
  expect(errorOf(invoke({ value: 2 ** 53 }))).toContain("beyond ±2^53 and would lose digits; write it as a string");
  expect(errorOf(invoke({}).replace('"value":1', '"value":1e999'))).toContain("beyond ±2^53");
  expect(errorOf(invoke({ f: "cas", value: 1 }))).toContain('the "value" of a cas must be [expected, new], not 1');
  expect(errorOf(invoke({ f: "cas", value: [1, {}] }))).toContain("not {}");
  expect(errorOf(invoke({ f: "increment", value: "1" }))).toContain(
    'the "value" of an increment must be a number, not "1"',
  );
  expect(errorOf(invoke({ f: "append", value: 1 }))).toContain('the "value" of an append must be a string, not 1');
  expect(errorOf(invoke({ f: "delete" }))).toContain('the "value" of a delete must be null, not 1');
  expect(errorOf(invoke({ f: "read" }))).toContain('the "value" of an invoked read must be null, not 1');
});

test("refuses what no client could have recorded", () => {
  expect(errorOf(invoke({}), invoke({ f: "read", value: null }))).toBe(
    "line 2: process 0 invokes a read while its write of line 1 is still open; a process has one open operation at a time",
  );
  expect(errorOf(complete({}))).toBe("line 1: process 0 completes a write that it has not invoked");
  expect(errorOf(invoke({}), complete({ key: "y" }))).toContain(
    'completes a write of "y", but its open operation (line 1) is a write of "x"',
  );
  expect(errorOf(invoke({}), complete({ value: 2 }))).toContain(
    "line 2: completes a write of 2, but line 1 invoked it with 1",
  );
  expect(errorOf(invoke({ time: 5 }), complete({}))).toBe(
    "line 2: time goes back from 5 to 1; events stand in order of time",
  );
  expect(errorOf(invoke({}), complete({ type: "info" }), invoke({ time: 2 }))).toContain(
    "line 3: process 0 goes on although the outcome of its operation became unknown in line 2",
  );
});

test("a field called __proto__ is just a field", () => {
  const line = invoke({}).replace("{", '{"__proto__":{"status":"hacked"},');
  const [operation] = parseHistory(line);
  expect(Object.keys(operation!.fields)).toEqual(["__proto__"]);
  expect((operation as unknown as Record<string, unknown>).status).toBe("info");
});

test("the recorder writes what the parser reads", () => {
  const recorder = new HistoryRecorder();
  recorder.invoke(0, "write", "x", 1, 0, { node: "a" });
  recorder.invoke(1, "increment", "n", 2, 1);
  recorder.ok(0, null, 2);
  recorder.ok(1, 2, 3);
  recorder.invoke(0, "cas", "x", [1, 2], 4);
  recorder.fail(0, 5, { mismatch: true });
  recorder.invoke(0, "read", "x", null, 6);
  recorder.ok(0, null, 7, { final: true });
  recorder.invoke(1, "append", "s", "tail", 8);
  recorder.info(1, 9);
  recorder.invoke(2, "delete", "x", null, 10);
  expect(parseHistory(recorder.toJsonl())).toEqual(recorder.operations());
  expect(formatHistory(recorder.events)).toBe(recorder.toJsonl());
  expect(recorder.operations().map(({ f, output, status }) => [f, output, status])).toEqual([
    ["write", undefined, "ok"],
    ["increment", 2, "ok"],
    ["cas", false, "ok"],
    ["read", null, "ok"],
    ["append", undefined, "info"],
    ["delete", undefined, "info"],
  ]);
});

test("the recorder refuses a harness that lost track", () => {
  const recorder = new HistoryRecorder();
  expect(() => recorder.ok(0, null, 0)).toThrow("line 2: process 0 completes a read that it has not invoked");
  recorder.invoke(0, "write", "x", 1, 5);
  expect(() => recorder.invoke(0, "write", "x", 2, 6)).toThrow(
    "line 3: process 0 invokes a write while its write of line 2 is still open",
  );
  expect(() => recorder.ok(0, null, 4)).toThrow("time goes back from 5 to 4");
  recorder.ok(0, null, 7);
  expect(recorder.operations()).toHaveLength(1);
});

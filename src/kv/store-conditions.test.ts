/** Conditions on versions, answers with the record, and the commands on parts, numbers and names of records. */
import { beforeEach, describe, expect, test } from "vitest";
import { latin1Decode, latin1Encode } from "../core/bytes.js";
import { SectionFlag } from "./batch.js";
import { Command, CommandFlag, getCommand, incrementCommand, NO_DEADLINE, Op, setCommand } from "./command.js";
import { ResultKind } from "./result.js";
import { Store } from "./store.js";
import { Driver, section } from "./testing/harness.js";
import { StrictState } from "./testing/strict-state.js";
import { type PlainResult, plain } from "./testing/twin.js";

const { ifVersion, returnValue, ifAbsent, ifPresent, atFront, orCreate, deadlineRelative } = CommandFlag;

let driver: Driver;

beforeEach(() => {
  driver = new Driver(new Store(new StrictState()));
});

function make(op: Op, key: string, fields: Partial<Command> & { text?: string } = {}): Command {
  const { text = "", ...rest } = fields;
  return Object.assign(new Command(op, key), { value: latin1Encode(text) }, rest);
}

function done(command: Command): PlainResult {
  return plain(driver.one(command));
}

function set(key: string, text: string, fields: Partial<Command> = {}): number {
  const command = Object.assign(setCommand(key, latin1Encode(text)), fields);
  return driver.one(command).version;
}

function record(key: string): PlainResult {
  return plain(driver.store.read(getCommand(key)));
}

function value(key: string): string | null {
  const result = driver.store.read(getCommand(key));
  return result.kind === ResultKind.value ? latin1Decode(result.value) : null;
}

const absent = { kind: "absent", deadlineMs: -2 };

describe("ifVersion", () => {
  const writes: Record<string, (fields: Partial<Command>) => Command> = {
    set: (fields) => make(Op.set, "k", { text: "9", ...fields }),
    append: (fields) => make(Op.append, "k", { text: "9", ...fields }),
    setRange: (fields) => make(Op.setRange, "k", { text: "9", ...fields }),
    increment: (fields) => Object.assign(incrementCommand("k", 8n), fields),
    incrementDecimal: (fields) => make(Op.incrementDecimal, "k", { text: "8", ...fields }),
    countUp: (fields) => make(Op.countUp, "k", { integer: 8n, ...fields }),
    countDown: (fields) => make(Op.countDown, "k", { integer: 1n, ...fields }),
    expire: (fields) => make(Op.expire, "k", { deadlineMs: 90_000, ...fields }),
    persist: (fields) => make(Op.persist, "k", fields),
    delete: (fields) => make(Op.delete, "", { keys: ["k"], ...fields }),
  };

  test.each(Object.keys(writes))("%s is done at that version alone", (name) => {
    const at = (version: number): Command => writes[name]({ flags: ifVersion, versions: [version] });
    expect(done(at(1))).toEqual(absent);
    const version = set("k", "1", { deadlineMs: 50_000 });
    expect(done(at(version + 1))).toEqual({ kind: "notDone", version });
    expect(done(at(0))).toEqual({ kind: "notDone", version });
    expect(driver.store.revision).toBe(version);
    expect(driver.one(at(version)).version).toBe(version + 1);
    expect(driver.store.revision).toBe(version + 1);
    // Once: the version has moved on, or the record is gone.
    expect(done(at(version)).kind).toBe(name === "delete" ? "absent" : "notDone");
    // What keeps its deadline is absent once that has passed.
    driver.advance(90_000);
    if (name !== "set" && name !== "persist") expect(done(at(version + 1))).toEqual(absent);
  });

  test("is checked before ifAbsent, and together with it never holds", () => {
    const version = set("k", "1");
    const both = { text: "2", flags: ifVersion | ifAbsent, versions: [version] };
    expect(done(make(Op.set, "k", both))).toEqual({ kind: "notDone" });
    expect(value("k")).toBe("1");
  });
});

describe("returnValue", () => {
  test("a delete answers what is gone", () => {
    const command = make(Op.delete, "", { keys: ["k"], flags: returnValue });
    expect(done(command)).toEqual(absent);
    set("k", "v", { recordFlags: 7, deadlineMs: 5_000 });
    expect(done(command)).toEqual({ kind: "value", value: "v", recordFlags: 7, deadlineMs: 5_000, version: 2 });
    expect(record("k")).toEqual(absent);
    expect(driver.store.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("an expire answers the record under its new deadline", () => {
    const command = make(Op.expire, "k", { flags: returnValue | deadlineRelative, deadlineMs: 500 });
    expect(done(command)).toEqual(absent);
    set("k", "v", { recordFlags: 7 });
    expect(done(command)).toEqual({ kind: "value", value: "v", recordFlags: 7, deadlineMs: 1_500, version: 2 });
    expect(record("k")).toEqual({ kind: "value", value: "v", recordFlags: 7, deadlineMs: 1_500, version: 2 });
    const unmet = make(Op.expire, "k", { flags: returnValue | CommandFlag.ifNoDeadline, deadlineMs: 9_000 });
    expect(done(unmet)).toEqual({ kind: "notDone" });
    // A deadline that has passed deletes, and the value is answered all the same.
    expect(done(make(Op.expire, "k", { flags: returnValue, deadlineMs: 0 }))).toMatchObject({ value: "v", version: 3 });
    expect(record("k")).toEqual(absent);
  });

  test("a persist answers the record, with a new version only if it had a deadline", () => {
    const command = make(Op.persist, "k", { flags: returnValue });
    expect(done(command)).toEqual(absent);
    set("k", "v", { deadlineMs: 5_000 });
    expect(done(command)).toEqual({ kind: "value", value: "v", version: 2 });
    expect(done(command)).toEqual({ kind: "value", value: "v", version: 2 });
    expect(driver.store.revision).toBe(2);
  });

  test("is refused where it means nothing", () => {
    expect(done(make(Op.delete, "", { keys: ["a", "b"], flags: returnValue })).error).toBe("bad_request");
    expect(done(make(Op.set, "k", { flags: returnValue })).error).toBe("bad_request");
    expect(driver.store.revision).toBe(0);
  });
});

describe("append and ranges", () => {
  test("atFront puts it before the value; ifPresent demands one", () => {
    expect(done(make(Op.append, "k", { text: "x", flags: ifPresent }))).toEqual({ kind: "notDone" });
    set("k", "mid", { recordFlags: 3, deadlineMs: 5_000 });
    expect(done(make(Op.append, "k", { text: "<", flags: ifPresent | atFront }))).toMatchObject({ integer: "4" });
    expect(done(make(Op.append, "k", { text: ">", flags: ifPresent }))).toMatchObject({ integer: "5" });
    expect(record("k")).toEqual({ kind: "value", value: "<mid>", recordFlags: 3, deadlineMs: 5_000, version: 3 });
  });

  test("getRange counts from either end", () => {
    set("k", "This is a string");
    const range = (offset: number, limit: number): PlainResult =>
      plain(driver.store.read(make(Op.getRange, "k", { offset, limit })));
    expect([range(0, 3), range(-3, -1), range(0, -1), range(10, 100)].map((each) => each.value)).toEqual([
      "This",
      "ing",
      "This is a string",
      "string",
    ]);
    expect(range(5, 3)).toEqual({ kind: "value", version: 1 });
    expect(range(-1, -5)).toEqual({ kind: "value", version: 1 });
    expect(range(-100, -100)).toEqual({ kind: "value", version: 1, value: "T" });
    expect(plain(driver.store.read(make(Op.getRange, "none", { limit: -1 })))).toEqual(absent);
  });

  test("setRange overwrites, pads with zeros, and is bounded", () => {
    expect(done(make(Op.setRange, "k", { offset: 3 }))).toEqual({ kind: "integer" });
    expect(record("k")).toEqual(absent);
    expect(done(make(Op.setRange, "k", { offset: 2, text: "ab" }))).toEqual({
      kind: "integer",
      integer: "4",
      version: 1,
    });
    expect(value("k")).toBe("\0\0ab");
    expect(done(make(Op.setRange, "k", { offset: 1, text: "XY" })).integer).toBe("4");
    expect(value("k")).toBe("\0XYb");
    expect(done(make(Op.setRange, "k", { offset: 9 }))).toEqual({ kind: "integer", integer: "4" });
    expect(done(make(Op.setRange, "k", { offset: 1_048_575, text: "z" })).integer).toBe("1048576");
    expect(done(make(Op.setRange, "k", { offset: 1_048_576, text: "z" })).error).toBe("value_too_large");
    expect(done(make(Op.append, "k", { text: "z", flags: atFront })).error).toBe("value_too_large");
    expect(driver.store.revision).toBe(3);
  });
});

describe("numbers", () => {
  test("decimals are exact, and keep flags and deadline", () => {
    const add = (text: string): PlainResult => done(make(Op.incrementDecimal, "k", { text }));
    expect(add("0.1")).toEqual({ kind: "value", value: "0.1", version: 1 });
    expect(add("0.2")).toEqual({ kind: "value", value: "0.3", version: 2 });
    expect(add("-0.3").value).toBe("0");
    set("k", "10.50", { recordFlags: 5, deadlineMs: 5_000 });
    expect(add("0.1")).toEqual({ kind: "value", value: "10.6", recordFlags: 5, deadlineMs: 5_000, version: 5 });
    expect(add("1e20").value).toBe("100000000000000000010.6");
    expect(add("x")).toEqual({ kind: "error", error: "not_a_decimal" });
    expect(add("inf")).toEqual({ kind: "error", error: "overflow" });
    set("k", "9e307");
    expect(add("1e307")).toEqual({ kind: "error", error: "overflow" });
    set("k", "text");
    expect(add("1")).toEqual({ kind: "error", error: "not_a_decimal" });
  });

  test("counters wrap above, stop below, and begin only when told to", () => {
    const count = (op: Op, integer: bigint, fields = {}): PlainResult => done(make(op, "k", { integer, ...fields }));
    expect(count(Op.countUp, 1n)).toEqual(absent);
    const begin = { flags: orCreate | deadlineRelative, text: "5", recordFlags: 9, deadlineMs: 1_000 };
    expect(count(Op.countUp, 1n, begin)).toEqual({
      kind: "value",
      value: "5",
      recordFlags: 9,
      deadlineMs: 2_000,
      version: 1,
    });
    expect(count(Op.countUp, 1n, begin)).toEqual({
      kind: "value",
      value: "6",
      recordFlags: 9,
      deadlineMs: 2_000,
      version: 2,
    });
    expect(count(Op.countDown, 7n).value).toBe("0");
    expect(count(Op.countUp, 2n ** 64n - 1n).value).toBe("18446744073709551615");
    expect(count(Op.countUp, 1n).value).toBe("0");
    expect(record("k")).toEqual({ kind: "value", value: "0", recordFlags: 9, deadlineMs: 2_000, version: 5 });
    set("k", "-1");
    const result = driver.one(make(Op.countUp, "k", { integer: 1n }));
    expect(result.error).toMatchObject({
      code: "not_an_integer",
      message: "cannot increment or decrement non-numeric value",
    });
    expect(count(Op.countUp, 1n, { flags: orCreate, text: "x" }).error).toBe("bad_request");
  });

  test("a request that is sent again counts once and has the same answer", () => {
    set("k", "1");
    const once = (): PlainResult[] =>
      driver
        .applySection(
          section([make(Op.countUp, "k", { integer: 4n })], { firstSequence: 2, flags: SectionFlag.keepResults }),
        )
        .map(plain);
    const first = once();
    expect(first).toEqual([{ kind: "value", value: "5", version: 2 }]);
    expect(once()).toEqual(first);
    expect(value("k")).toBe("5");
  });
});

describe("names", () => {
  const move = (op: Op, from: string, to: string, flags = 0): PlainResult =>
    done(make(op, from, { keys: [to], flags }));

  test("a rename takes deadline and flags along, and both keys are changed", () => {
    expect(move(Op.rename, "a", "b")).toEqual(absent);
    set("a", "v", { recordFlags: 2, deadlineMs: 5_000 });
    set("b", "old", { deadlineMs: 3_000 });
    expect(move(Op.rename, "a", "b", ifAbsent)).toEqual({ kind: "notDone" });
    const before = driver.recorder.changes.length;
    expect(move(Op.rename, "a", "b")).toEqual({ kind: "ok", version: 3 });
    expect(driver.recorder.changes.slice(before)).toEqual([
      { key: "b", version: 3 },
      { key: "a", version: 3 },
    ]);
    expect(record("b")).toEqual({ kind: "value", value: "v", recordFlags: 2, deadlineMs: 5_000, version: 3 });
    expect(record("a")).toEqual(absent);
    expect(driver.store.nextDeadlineMs()).toBe(5_000);
    expect(plain(driver.store.read(new Command(Op.count)))).toEqual({ kind: "integer", integer: "1" });
    expect(move(Op.rename, "b", "b")).toEqual({ kind: "ok" });
    expect(move(Op.rename, "b", "b", ifAbsent)).toEqual({ kind: "notDone" });
  });

  test("what has expired is absent, as source and as target", () => {
    driver = new Driver(new Store(new StrictState(), { expiriesPerBatch: 0 }));
    set("a", "v");
    set("b", "old", { deadlineMs: 2_000 });
    driver.advance(2_000);
    expect(move(Op.copy, "b", "c")).toEqual(absent);
    expect(move(Op.rename, "a", "b", ifAbsent)).toEqual({ kind: "ok", version: 3 });
    expect(value("b")).toBe("v");
    expect(record("b").deadlineMs).toBe(undefined);
    expect(plain(driver.store.read(new Command(Op.count)))).toEqual({ kind: "integer", integer: "1" });
  });

  test("a copy leaves the original, and replaces unless told not to", () => {
    set("a", "v", { recordFlags: 2, deadlineMs: 5_000 });
    expect(move(Op.copy, "a", "b", ifAbsent)).toEqual({ kind: "ok", version: 2 });
    expect(move(Op.copy, "a", "b", ifAbsent)).toEqual({ kind: "notDone" });
    expect(record("a").version).toBe(1);
    expect(record("b")).toEqual({ kind: "value", value: "v", recordFlags: 2, deadlineMs: 5_000, version: 2 });
    set("a", "w", { deadlineMs: NO_DEADLINE });
    expect(move(Op.copy, "a", "b")).toEqual({ kind: "ok", version: 4 });
    expect(record("b")).toEqual({ kind: "value", value: "w", version: 4 });
    expect(driver.store.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("setMany with ifAbsent writes all or none", () => {
    set("b", "old");
    const many = make(Op.setMany, "", {
      keys: ["a", "b"],
      values: [latin1Encode("1"), latin1Encode("2")],
      flags: ifAbsent,
    });
    expect(done(many)).toEqual({ kind: "notDone" });
    expect(value("a")).toBe(null);
    driver.one(make(Op.delete, "", { keys: ["b"] }));
    expect(done(many)).toEqual({ kind: "ok", version: 3 });
    expect([value("a"), value("b")]).toEqual(["1", "2"]);
  });
});

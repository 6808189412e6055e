/** What each command answers, case by case, as the Redis documentation has it. The model test covers the mixtures. */
import { beforeEach, describe, expect, test } from "vitest";
import { AssertionError } from "../core/assert.js";
import { CodecError, EMPTY_BYTES, latin1Decode, latin1Encode } from "../core/bytes.js";
import { MapState } from "../core/map-state.js";
import { SectionFlag, SectionWriter, writeBatch } from "./batch.js";
import {
  Command,
  CommandFlag,
  deleteCommand,
  getCommand,
  incrementCommand,
  NO_DEADLINE,
  Op,
  setCommand,
} from "./command.js";
import { checkCommand } from "./limits.js";
import { ResultKind } from "./result.js";
import { Store } from "./store.js";
import { CLIENT, Driver, hashState, OTHER_CLIENT, section } from "./testing/harness.js";
import { plain } from "./testing/twin.js";

let state: MapState;
let driver: Driver;

beforeEach(() => {
  state = new MapState();
  driver = new Driver(new Store(state));
});

function set(key: string, text: string, flags = 0, deadlineMs = NO_DEADLINE): Command {
  const command = setCommand(key, latin1Encode(text));
  command.flags = flags;
  command.deadlineMs = deadlineMs;
  return command;
}

function make(op: Op, fields: Partial<Command>): Command {
  return Object.assign(new Command(op), fields);
}

function get(key: string): string | null {
  const result = driver.store.read(getCommand(key));
  return result.kind === ResultKind.value ? latin1Decode(result.value) : null;
}

describe("set", () => {
  test("stores flags and version, takes the deadline away, answers the previous value on demand", () => {
    const withFlags = set("k", "one", CommandFlag.deadlineRelative, 500);
    withFlags.recordFlags = 0xdeadbeef;
    expect(plain(driver.one(withFlags))).toEqual({ kind: "ok", version: 1 });
    expect(plain(driver.store.read(getCommand("k")))).toEqual({
      kind: "value",
      value: "one",
      version: 1,
      recordFlags: 0xdeadbeef,
      deadlineMs: 1_500,
    });
    expect(plain(driver.one(set("k", "two", CommandFlag.returnPrevious)))).toMatchObject({ value: "one", version: 2 });
    expect(plain(driver.store.read(getCommand("k")))).toEqual({ kind: "value", value: "two", version: 2 });
    expect(plain(driver.one(set("new", "x", CommandFlag.returnPrevious)))).toMatchObject({
      kind: "absent",
      version: 3,
    });
  });

  test("NX and XX", () => {
    expect(driver.one(set("k", "a", CommandFlag.ifPresent)).kind).toBe(ResultKind.notDone);
    expect(get("k")).toBe(null);
    expect(driver.one(set("k", "b", CommandFlag.ifAbsent)).kind).toBe(ResultKind.ok);
    expect(driver.one(set("k", "c", CommandFlag.ifAbsent)).kind).toBe(ResultKind.notDone);
    expect(get("k")).toBe("b");
    expect(driver.one(set("k", "d", CommandFlag.ifPresent)).kind).toBe(ResultKind.ok);
    expect(get("k")).toBe("d");
    // SET … NX GET answers the value that stood in the way.
    const both = CommandFlag.ifAbsent | CommandFlag.returnPrevious;
    expect(plain(driver.one(set("k", "e", both)))).toEqual({ kind: "value", value: "d", version: 2 });
    expect(get("k")).toBe("d");
    expect(driver.store.revision).toBe(2);
  });

  test("keepDeadline keeps it; a deadline that has passed deletes", () => {
    driver.one(set("k", "a", 0, 9_000));
    driver.one(set("k", "b", CommandFlag.keepDeadline));
    expect(driver.store.read(getCommand("k")).deadlineMs).toBe(9_000);
    expect(driver.one(set("k", "c", 0, 1_000)).kind).toBe(ResultKind.ok);
    expect(get("k")).toBe(null);
    expect(driver.store.read(new Command(Op.count)).integer).toBe(0n);
  });
});

describe("other writes", () => {
  test("delete counts each key once", () => {
    driver.apply(set("a", "1"), set("b", "2"));
    expect(plain(driver.one(deleteCommand(["a", "a", "c", "b"])))).toEqual({
      kind: "integer",
      integer: "2",
      version: 3,
    });
    expect(plain(driver.one(deleteCommand(["a"])))).toEqual({ kind: "integer" });
    expect(driver.store.revision).toBe(3);
  });

  test("setMany writes all under one version, or none", () => {
    const many = make(Op.setMany, { keys: ["a", "b", "a"], values: ["1", "2", "3"].map(latin1Encode) });
    expect(plain(driver.one(many))).toEqual({ kind: "ok", version: 1 });
    expect([get("a"), get("b")]).toEqual(["3", "2"]);
    many.flags = CommandFlag.ifAbsent;
    many.keys = ["z", "b", "y"];
    expect(driver.one(many).kind).toBe(ResultKind.notDone);
    expect(get("z")).toBe(null);
  });

  test("increment is signed 64-bit and keeps deadline and flags", () => {
    const first = set("n", "9223372036854775800", 0, 9_000);
    first.recordFlags = 7;
    driver.one(first);
    expect(driver.one(incrementCommand("n", 7n)).integer).toBe(9223372036854775807n);
    expect(driver.one(incrementCommand("n", 1n)).error?.code).toBe("overflow");
    expect(plain(driver.store.read(getCommand("n")))).toMatchObject({ deadlineMs: 9_000, recordFlags: 7, version: 2 });
    expect(driver.one(incrementCommand("m", -5n)).integer).toBe(-5n);
    expect(get("m")).toBe("-5");
    for (const text of ["", " 1", "1 ", "+1", "01", "-0", "1.0", "abc", "9223372036854775808", "-"]) {
      driver.one(set("x", text));
      expect(driver.one(incrementCommand("x", 1n)).error?.code, text).toBe("not_an_integer");
      expect(get("x")).toBe(text);
    }
  });

  test("append makes or lengthens, up to the limit", () => {
    const append = (text: string): Command => make(Op.append, { key: "k", value: latin1Encode(text) });
    expect(driver.one(append("ab")).integer).toBe(2n);
    expect(driver.one(append("")).integer).toBe(2n);
    expect(driver.one(append("cd")).integer).toBe(4n);
    expect(get("k")).toBe("abcd");
    driver.one(setCommand("k", new Uint8Array(1_048_576)));
    expect(driver.one(append("x")).error?.code).toBe("value_too_large");
    expect(driver.store.read(make(Op.length, { key: "k" })).integer).toBe(1_048_576n);
  });

  test("expire with NX, XX, GT, LT; a deadline in the past deletes; persist", () => {
    const expire = (deadlineMs: number, flags = 0): bigint =>
      driver.one(make(Op.expire, { key: "k", deadlineMs, flags })).integer;
    const deadline = (): number => driver.store.read(make(Op.deadline, { key: "k" })).deadlineMs;
    expect(expire(5_000)).toBe(0n);
    expect(deadline()).toBe(-2);
    driver.one(set("k", "v"));
    expect(deadline()).toBe(NO_DEADLINE);
    expect(expire(5_000, CommandFlag.ifHasDeadline)).toBe(0n);
    expect(expire(5_000, CommandFlag.ifDeadlineGreater)).toBe(0n);
    expect(expire(6_000, CommandFlag.ifDeadlineLess)).toBe(1n);
    expect(expire(5_000, CommandFlag.ifNoDeadline)).toBe(0n);
    expect(expire(6_000, CommandFlag.ifDeadlineGreater)).toBe(0n);
    expect(expire(6_000, CommandFlag.ifDeadlineLess)).toBe(0n);
    expect(expire(7_000, CommandFlag.ifDeadlineGreater | CommandFlag.ifHasDeadline)).toBe(1n);
    expect(deadline()).toBe(7_000);
    expect(driver.one(make(Op.persist, { key: "k" })).integer).toBe(1n);
    expect(driver.one(make(Op.persist, { key: "k" })).integer).toBe(0n);
    expect(driver.store.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
    expect(expire(-1, CommandFlag.deadlineRelative)).toBe(1n);
    expect(get("k")).toBe(null);
  });

  test("flush deletes all data, however much, and neither sessions nor versions", () => {
    for (let i = 0; i < 5; i += 1) {
      driver.apply(...Array.from({ length: 700 }, (_, j) => set(`key ${i} ${j}`, "v", 0, j % 3 === 0 ? 99_000 : -1)));
    }
    expect(driver.store.read(new Command(Op.count)).integer).toBe(3_500n);
    driver.recorder.changes.length = 0;
    expect(plain(driver.one(new Command(Op.flush)))).toEqual({ kind: "ok", version: 3_501 });
    expect(driver.store.read(new Command(Op.count)).integer).toBe(0n);
    expect(driver.store.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
    expect(driver.recorder.changes).toHaveLength(3_500);
    // Meta, the session and its place in the index of uses are left.
    expect(state.size).toBe(3);
    expect(driver.one(set("k", "v")).version).toBe(3_502);
  });
});

describe("atomic", () => {
  test("checks versions, runs the children in order, and lets one fail alone", () => {
    driver.apply(set("a", "1"), set("text", "x"));
    const atomic = make(Op.atomic, {
      keys: ["a", "gone"],
      versions: [1, 0],
      children: [incrementCommand("a", 1n), incrementCommand("text", 1n), getCommand("a"), set("b", "y")],
    });
    expect(plain(driver.one(atomic))).toEqual({
      kind: "list",
      version: 4,
      items: [
        { kind: "integer", integer: "2", version: 3 },
        { kind: "error", error: "not_an_integer" },
        { kind: "value", value: "2", version: 3 },
        { kind: "ok", version: 4 },
      ],
    });
    expect(plain(driver.one(atomic))).toEqual({ kind: "notDone" });
    expect([get("a"), get("b")]).toEqual(["2", "y"]);
    expect(plain(driver.one(make(Op.atomic, {})))).toEqual({ kind: "list", items: [] });
  });

  test("a child that no limit allows refuses the whole", () => {
    const atomic = make(Op.atomic, { children: [set("a", "1"), set("k".repeat(3_000), "2")] });
    expect(driver.one(atomic).error?.code).toBe("key_too_long");
    expect(get("a")).toBe(null);
  });
});

describe("reads", () => {
  test("scan pages through all live keys in byte order", () => {
    const keys = ["", "a", "a\u0000", "ab", "b", "\u007f", "\u0080", "\u00ff", "\u00ff\u00ff"];
    for (const key of [...keys].reverse()) driver.one(set(key, "v"));
    driver.one(set("aa", "v", 0, 1_001));
    driver.advance(1_001);
    for (const limit of [1, 2, 4, 100]) {
      const found: string[] = [];
      let cursor = "";
      do {
        const page = driver.store.read(make(Op.scan, { key: cursor, limit }));
        for (const item of page.items!) found.push(item.key);
        cursor = page.key;
      } while (cursor !== "");
      expect(found).toEqual(keys);
    }
    const page = driver.store.read(make(Op.scan, { limit: 4, value: latin1Encode("?") }));
    expect(page.items!.map((item) => item.key)).toEqual(["a"]);
    expect(page.key).toBe("b");
  });

  test("range pages through the records between two keys, with their values, each page of one moment", () => {
    for (const key of ["", "a", "b", "b\u00ff", "c", "d"]) driver.one(set(key, `v${key}`));
    driver.one(set("bb", "v", 0, 1_001));
    driver.advance(1_001);
    const read = (key: string, end: string, limit: number): [string, string][] => {
      const page = driver.store.read(make(Op.range, { key, limit, value: latin1Encode(end) }));
      const found = page.items!.map((item): [string, string] => [item.key, latin1Decode(item.value)]);
      return page.key === "" ? found : [...found, ...read(page.key, end, limit)];
    };
    for (const limit of [1, 2, 100]) {
      expect(read("a", "c", limit).map(([key]) => key)).toEqual(["a", "b", "b\u00ff"]);
      expect(read("", "", limit).every(([key, value]) => value === `v${key}`)).toBe(true);
    }
    expect(driver.store.read(make(Op.range, { key: "a", limit: 1, value: latin1Encode("b") })).key).toBe("");
  });

  test("a range ends early where its bytes would be too many, never before its first record", () => {
    const large = "x".repeat(700_000);
    for (const key of ["a", "b", "c"]) driver.one(set(key, large));
    const page = driver.store.read(make(Op.range, { limit: 10 }));
    expect([page.items!.length, page.key]).toEqual([1, "b"]);
    driver.one(set("a", "x".repeat(1_048_576)));
    expect(driver.store.read(make(Op.range, { limit: 10 })).items!.length).toBe(1);
  });

  test("a range's bounds are checked, and none stands in an atomic", () => {
    expect(checkCommand(make(Op.range, { limit: 0 }))?.code).toBe("bad_request");
    expect(checkCommand(make(Op.range, { limit: 1, value: new Uint8Array(2_049) }))?.code).toBe("key_too_long");
    const atomic = make(Op.atomic, { children: [make(Op.range, { limit: 1 })] });
    expect(driver.one(atomic).error?.code).toBe("bad_request");
  });

  test("time is the replicated one", () => {
    driver.advance(77_000);
    expect(driver.store.read(new Command(Op.time)).integer).toBe(77_000n);
  });

  test("exists counts a key as often as it is named; versions and getMany answer one item a key", () => {
    driver.apply(set("a", "1"), set("b", "2"));
    expect(driver.store.read(make(Op.exists, { keys: ["a", "a", "c"] })).integer).toBe(2n);
    expect(plain(driver.store.read(make(Op.versions, { keys: ["b", "c"] }))).items).toEqual([
      { kind: "ok", version: 2 },
      { kind: "absent", deadlineMs: -2 },
    ]);
    expect(plain(driver.store.read(make(Op.getMany, { keys: ["c", "a"] }))).items).toEqual([
      { kind: "absent", deadlineMs: -2 },
      { kind: "value", value: "1", version: 1 },
    ]);
  });

  test("a result keeps its value when the record and the batch are overwritten", () => {
    driver.one(set("k", "before"));
    const result = driver.store.read(getCommand("k"));
    const batch = writeBatch(1_000, [section([set("k", "after!")], { client: OTHER_CLIENT })]);
    driver.store.applyBatch(batch, driver.recorder);
    batch.fill(0);
    expect(latin1Decode(result.value)).toBe("before");
    expect(get("k")).toBe("after!");
  });

  test("neither a write nor progress is a read", () => {
    expect(() => driver.store.read(set("k", "v"))).toThrow(AssertionError);
    expect(driver.store.read(new Command(Op.progress)).error?.code).toBe("bad_request");
    expect(driver.one(new Command(Op.progress)).error?.code).toBe("bad_request");
  });
});

describe("what stands in the log", () => {
  test("an empty payload changes nothing", () => {
    driver.one(set("k", "v"));
    const before = hashState(state);
    driver.store.applyBatch(EMPTY_BYTES, driver.recorder);
    expect(hashState(state)).toBe(before);
  });

  test("a payload that is no batch throws before anything has changed", () => {
    driver.one(set("k", "v"));
    const before = hashState(state);
    const batch = writeBatch(9_000, [section([set("k", "w")], { firstSequence: 2 })]);
    for (const bad of [batch.subarray(0, batch.length - 1), Uint8Array.of(7, ...batch.subarray(1))]) {
      expect(() => driver.store.applyBatch(bad, driver.recorder)).toThrow(CodecError);
    }
    expect(hashState(state)).toBe(before);
    expect(driver.store.timeMs).toBe(1_000);
  });

  test("rubbish in one section is answered there, and does not touch the next", () => {
    const bad = section([set("a", "1"), set("b", "2"), set("c", "3")], { flags: SectionFlag.keepResults });
    // The op of the second command: 49 bytes of header, 10 of the first.
    bad[49 + 10] = 99;
    const good = section([set("d", "4")], { client: OTHER_CLIENT });
    driver.store.applyBatch(writeBatch(1_000, [bad, good]), driver.recorder);
    const codes = driver.recorder.sections[0].results.map((result) => result.error?.code ?? "done");
    expect(codes).toEqual(["done", "bad_request", "bad_request"]);
    expect([get("a"), get("b"), get("c"), get("d")]).toEqual(["1", null, null, "4"]);
    expect(driver.store.lastSequence(CLIENT)).toBe(3);
    expect(driver.store.cachedResult(CLIENT, 3)?.error?.code).toBe("bad_request");
  });

  test("changes are told in order of their versions", () => {
    driver.apply(set("a", "1"), set("b", "2", 0, 1_100), deleteCommand(["a", "nothing"]), incrementCommand("n", 1n));
    driver.advance(2_000);
    expect(driver.recorder.changes).toEqual([
      { key: "a", version: 1 },
      { key: "b", version: 2 },
      { key: "a", version: 3 },
      { key: "n", version: 4 },
      { key: "b", version: 5 },
    ]);
  });

  test("nobody who is not wanted gets results", () => {
    const asked: string[] = [];
    const writer = new SectionWriter();
    writer.begin(CLIENT, 1, 0, 0);
    writer.add(set("k", "v"));
    driver.store.applyBatch(writeBatch(1, [writer.finish()]), {
      wants: (client) => {
        asked.push(client);
        return false;
      },
      applied: () => expect.unreachable("not wanted"),
      changed: () => {},
    });
    expect(asked).toEqual([CLIENT]);
    expect(get("k")).toBe("v");
  });

  test("a state of another version is refused by name", () => {
    driver.one(set("k", "v"));
    const meta = state.get("m")!.slice();
    meta[0] = 9;
    state.put("m", meta);
    expect(() => new Store(state)).toThrow("version 9");
  });
});

describe("a transaction", () => {
  const sum = (key: string, delta: bigint): Command => make(Op.increment, { key, integer: delta });
  const transaction = (...children: Command[]): Command => make(Op.transaction, { children });

  test("is done under one version", () => {
    driver.one(set("gone", "x"));
    const result = driver.one(
      transaction(set("a", "5"), sum("a", 2n), make(Op.delete, { keys: ["gone"] }), sum("b", -1n)),
    );
    expect(plain(result).items).toMatchObject([{ version: 2 }, { integer: "7" }, { integer: "1" }, { integer: "-1" }]);
    expect(result.version).toBe(2);
    const versions = driver.store.read(make(Op.versions, { keys: ["a", "b", "gone"] })).items!;
    expect(versions.map((item) => item.version)).toEqual([2, 2, 0]);
    expect(driver.one(set("c", "x")).version).toBe(3);
  });

  test("does nothing if a child would fail, by what is there or by what the others leave", () => {
    driver.one(set("text", "x"));
    const max = 2n ** 63n - 1n;
    const doomed: [Command, string][] = [
      [transaction(set("a", "1"), sum("text", 1n)), "operation 2 of the transaction: value is not an integer"],
      [transaction(set("a", "no number"), sum("a", 1n)), "operation 2"],
      [transaction(sum("a", max), sum("a", 1n)), "would overflow"],
    ];
    for (const [command, message] of doomed) expect(driver.one(command).error?.message).toContain(message);
    expect(get("a")).toBe(null);
    expect(driver.one(transaction(make(Op.delete, { keys: ["text"] }), sum("text", 1n))).error).toBe(null);
    expect(get("text")).toBe("1");
    expect(driver.one(transaction()).version).toBe(0);
  });

  test("does nothing if a check does not hold", () => {
    const checked = make(Op.transaction, { keys: ["a"], versions: [9], children: [set("b", "1")] });
    expect(plain(driver.one(checked))).toEqual({ kind: "notDone" });
    expect(get("b")).toBe(null);
  });

  test("holds only what can be foreseen", () => {
    const children = [make(Op.get, { key: "a" }), make(Op.append, { key: "a" }), make(Op.flush, {})];
    children.push(make(Op.set, { key: "a", flags: CommandFlag.ifAbsent }), transaction());
    for (const child of children) expect(checkCommand(transaction(child))?.code).toBe("bad_request");
  });
});

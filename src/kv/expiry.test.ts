import { expect, test } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import { MapState } from "../core/map-state.js";
import { Random } from "../core/random.js";
import { Command, CommandFlag, getCommand, Op, setCommand } from "./command.js";
import { ResultKind } from "./result.js";
import { Store } from "./store.js";
import { Driver } from "./testing/harness.js";

function timed(key: string, deadlineMs: number, flags = 0): Command {
  const command = setCommand(key, latin1Encode("v"));
  command.deadlineMs = deadlineMs;
  command.flags = flags;
  return command;
}

function isThere(driver: Driver, key: string): boolean {
  return driver.store.read(getCommand(key)).kind === ResultKind.value;
}

test("time comes with batches, never goes back, and jumps no further than the bound", () => {
  const driver = new Driver(new Store(new MapState(), { timeJumpMsMax: 1_000 }));
  driver.advance(1_700_000_000_000);
  expect(driver.store.timeMs).toBe(1_700_000_000_000);
  driver.advance(1_600_000_000_000);
  expect(driver.store.timeMs).toBe(1_700_000_000_000);
  driver.advance(1_700_000_001_000);
  expect(driver.store.timeMs).toBe(1_700_000_001_000);
  driver.advance(1_900_000_000_000);
  expect(driver.store.timeMs).toBe(1_700_000_002_000);
  driver.advance(Number.MAX_SAFE_INTEGER);
  expect(driver.store.timeMs).toBe(1_700_000_003_000);
});

test("a record is there until its deadline, and not from then on", () => {
  const driver = new Driver(new Store(new MapState()));
  driver.one(timed("k", 1_100));
  expect(driver.store.nextDeadlineMs()).toBe(1_100);
  driver.advance(1_099);
  expect(isThere(driver, "k")).toBe(true);
  driver.advance(1_100);
  expect(isThere(driver, "k")).toBe(false);
  expect(driver.store.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
});

test("what waits to be removed is absent to every command", () => {
  const driver = new Driver(new Store(new MapState(), { expiriesPerBatch: 0 }));
  driver.apply(timed("a", 1_100), timed("b", 1_200), timed("c", 1_300), timed("d", 9_000));
  driver.timeMs = 2_000;
  const exists = Object.assign(new Command(Op.exists), { keys: ["a", "b", "c", "d"] });
  expect(driver.one(exists).integer).toBe(1n);
  const nx = timed("a", 9_500, CommandFlag.ifAbsent);
  expect(driver.one(nx).kind).toBe(ResultKind.ok);
  expect(driver.one(Object.assign(new Command(Op.persist), { key: "b" })).integer).toBe(0n);
  expect(driver.one(Object.assign(new Command(Op.append), { key: "c", value: latin1Encode("xy") })).integer).toBe(2n);
  expect(driver.store.read(getCommand("c")).deadlineMs).toBe(-1);
  const scan = driver.store.read(Object.assign(new Command(Op.scan), { limit: 10 }));
  expect(scan.items!.map((item) => item.key)).toEqual(["a", "c", "d"]);
  // Held, but gone: the count says four until "b" is removed.
  expect(driver.store.read(new Command(Op.count)).integer).toBe(4n);
  expect(driver.store.nextDeadlineMs()).toBe(1_200);
});

test("removes so many with a batch, the earliest first, until none is left", () => {
  const state = new MapState();
  const driver = new Driver(new Store(state, { expiriesPerBatch: 3 }));
  driver.apply(...Array.from({ length: 10 }, (_, i) => timed(`k${i}`, 2_000 - i)));
  driver.recorder.changes.length = 0;
  driver.advance(5_000);
  expect(driver.recorder.changes.map(({ key }) => key)).toEqual(["k9", "k8", "k7"]);
  expect(driver.store.nextDeadlineMs()).toBe(1_994);
  for (let i = 0; i < 3; i += 1) driver.advance(5_000);
  expect(driver.recorder.changes).toHaveLength(10);
  expect(driver.store.read(new Command(Op.count)).integer).toBe(0n);
  let left = 0;
  state.range("e", "f", () => {
    left += 1;
    return true;
  });
  expect(left).toBe(0);
});

test("the earliest deadline is right through any changes, and in a store made anew", () => {
  const random = new Random(6);
  const state = new MapState();
  const driver = new Driver(new Store(state));
  const deadlines = new Map<string, number>();
  for (let i = 0; i < 3_000; i += 1) {
    const key = `k${random.below(6)}`;
    const draw = random.below(4);
    if (draw === 0) {
      driver.one(Object.assign(new Command(Op.delete), { keys: [key] }));
      deadlines.delete(key);
    } else if (draw === 1) {
      driver.one(setCommand(key, latin1Encode("v")));
      deadlines.delete(key);
    } else {
      const deadlineMs = 2_000 + random.below(50);
      driver.one(timed(key, deadlineMs));
      deadlines.set(key, deadlineMs);
    }
    if (random.chance(0.1)) driver.store = new Store(state);
    if (random.chance(0.5)) {
      expect(driver.store.nextDeadlineMs()).toBe(Math.min(Number.POSITIVE_INFINITY, ...deadlines.values()));
    }
  }
});

test("a relative deadline holds while the replicated time catches up after a long pause", () => {
  const driver = new Driver(new Store(new MapState(), { timeJumpMsMax: 60_000 }));
  driver.advance(1_000);
  const weekLater = 1_000 + 7 * 86_400_000;
  driver.timeMs = weekLater;
  driver.one(timed("k", 10_000, CommandFlag.deadlineRelative));
  for (let i = 0; i < 20_000 && driver.store.timeMs < weekLater; i += 1) driver.advance(weekLater);
  expect(driver.store.timeMs).toBe(weekLater);
  expect(isThere(driver, "k")).toBe(true);
  driver.advance(weekLater + 9_999);
  expect(isThere(driver, "k")).toBe(true);
  driver.advance(weekLater + 10_000);
  expect(isThere(driver, "k")).toBe(false);
});

test("a deadline beyond all numbers is the last one there is", () => {
  const driver = new Driver(new Store(new MapState()));
  driver.one(timed("k", Number.MAX_SAFE_INTEGER, CommandFlag.deadlineRelative));
  expect(driver.store.read(getCommand("k")).deadlineMs).toBe(Number.MAX_SAFE_INTEGER - 1);
  const wrong = timed("w", 1);
  wrong.deadlineMs = 0.5;
  expect(isThere(driver, "k")).toBe(true);
  driver.one(timed("zero", -5));
  expect(isThere(driver, "zero")).toBe(false);
});

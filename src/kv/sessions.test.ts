/** Exactly once: duplicated, reordered, late and forgotten sections. */
import { expect, test } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import { MapState } from "../core/map-state.js";
import { Random } from "../core/random.js";
import { SectionFlag, writeBatch } from "./batch.js";
import { getCommand, incrementCommand, setCommand } from "./command.js";
import type { Result } from "./result.js";
import { Store, type StoreLimits } from "./store.js";
import { CLIENT, Driver, hashState, OTHER_CLIENT, Recorder, section } from "./testing/harness.js";

const KEEP = SectionFlag.keepResults;

function driverWith(limits: Partial<StoreLimits> = {}): { driver: Driver; state: MapState } {
  const state = new MapState();
  return { driver: new Driver(new Store(state, limits)), state };
}

function increments(count: number): ReturnType<typeof incrementCommand>[] {
  return Array.from({ length: count }, () => incrementCommand("n", 1n));
}

function answers(results: Result[]): string[] {
  return results.map((result) => result.error?.code ?? result.integer.toString());
}

function counter(driver: Driver): number {
  return Number(String.fromCharCode(...driver.store.read(getCommand("n")).value) || "0");
}

test("a duplicate is not done again; its results come back if they were kept", () => {
  const { driver } = driverWith();
  const kept = section(increments(3), { flags: KEEP });
  expect(answers(driver.applySection(kept))).toEqual(["1", "2", "3"]);
  expect(answers(driver.applySection(kept))).toEqual(["1", "2", "3"]);
  const bare = section(increments(2), { client: OTHER_CLIENT });
  expect(answers(driver.applySection(bare))).toEqual(["4", "5"]);
  expect(answers(driver.applySection(bare))).toEqual(["session_expired", "session_expired"]);
  expect(counter(driver)).toBe(5);
  expect(driver.store.cachedResult(CLIENT, 2)?.integer).toBe(2n);
  expect(driver.store.cachedResult(CLIENT, 4)).toBe(null);
  expect(driver.store.cachedResult(OTHER_CLIENT, 1)).toBe(null);
});

test("a section half of which was done before does the other half", () => {
  const { driver } = driverWith();
  driver.applySection(section(increments(3), { flags: KEEP }));
  expect(answers(driver.applySection(section(increments(4), { firstSequence: 2, flags: KEEP })))).toEqual([
    "2",
    "3",
    "4",
    "5",
  ]);
  expect(driver.store.lastSequence(CLIENT)).toBe(5);
});

test("a gap, and a session that nobody knows, are refused as unknown", () => {
  const { driver, state } = driverWith();
  driver.applySection(section(increments(2)));
  const before = hashState(state);
  const gap = driver.applySection(section(increments(2), { firstSequence: 4 }));
  expect(answers(gap)).toEqual(["session_expired", "session_expired"]);
  expect(gap[0].error?.definite).toBe(false);
  expect(answers(driver.applySection(section(increments(1), { client: OTHER_CLIENT, firstSequence: 2 })))).toEqual([
    "session_expired",
  ]);
  expect(hashState(state)).toBe(before);
  expect(driver.store.lastSequence(OTHER_CLIENT)).toBe(0);
});

test("acknowledged results are forgotten", () => {
  const { driver, state } = driverWith();
  driver.applySection(section(increments(5), { flags: KEEP }));
  const size = state.size;
  driver.applySection(section(increments(1), { firstSequence: 6, acknowledgedThrough: 4, flags: KEEP }));
  expect(state.size).toBe(size - 4 + 1);
  expect([4, 5, 6].map((sequence) => driver.store.cachedResult(CLIENT, sequence)?.integer)).toEqual([
    undefined,
    5n,
    6n,
  ]);
  // Acknowledging what is yet to come is nothing to fall over.
  driver.applySection(section(increments(1), { firstSequence: 7, acknowledgedThrough: 2 ** 50, flags: KEEP }));
  expect(driver.store.cachedResult(CLIENT, 7)?.integer).toBe(7n);
});

test("what is kept is bounded in number and bytes, the newest last", () => {
  const { driver, state } = driverWith({ cachedResultsMax: 3, cachedResultBytesMax: 200 });
  for (let i = 1; i <= 10; i += 1) driver.applySection(section(increments(1), { firstSequence: i, flags: KEEP }));
  const kept = Array.from({ length: 10 }, (_, i) => driver.store.cachedResult(CLIENT, i + 1) !== null);
  expect(kept.indexOf(true)).toBe(7);
  expect(kept.lastIndexOf(false)).toBe(6);

  const big = setCommand("big", latin1Encode("x".repeat(170)));
  driver.applySection(section([big, getCommand("big")], { firstSequence: 11, flags: KEEP }));
  expect([10, 11, 12].map((sequence) => driver.store.cachedResult(CLIENT, sequence) !== null)).toEqual([
    false, // pushed out by the bytes of 12
    true,
    true,
  ]);
  const huge = setCommand("big", latin1Encode("x".repeat(1_000)));
  driver.applySection(section([huge, getCommand("big")], { firstSequence: 13, flags: KEEP }));
  expect(driver.store.cachedResult(CLIENT, 14)).toBe(null);

  // A long run without results to keep leaves none behind.
  for (let i = 15; i < 25; i += 1) driver.applySection(section(increments(1), { firstSequence: i }));
  let results = 0;
  state.range("r", "s", () => {
    results += 1;
    return true;
  });
  expect(results).toBe(0);
});

test("duplicated and reordered sections of several clients: each increment counts once", () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = new Random(seed);
    const { driver } = driverWith();
    const clients = Array.from({ length: 4 }, (_, i) => `client-${seed % 10}-${i}-abcde`);
    const sent: { client: string; bytes: Uint8Array; first: number; count: number }[] = [];
    for (const client of clients) {
      let first = 1;
      for (let i = 0; i < 8; i += 1) {
        const count = 1 + random.below(3);
        sent.push({ client, bytes: section(increments(count), { client, firstSequence: first }), first, count });
        first += count;
      }
    }
    const done = new Map(clients.map((client) => [client, 0]));
    let expected = 0;
    for (let i = 0; i < 400; i += 1) {
      const { client, bytes, first, count } = random.pick(sent);
      const last = done.get(client)!;
      const results = answers(driver.applySection(bytes));
      const executed = first <= last + 1 ? Math.max(0, first + count - 1 - last) : 0;
      expect(results.filter((answer) => answer !== "session_expired")).toHaveLength(executed);
      expected += executed;
      if (executed > 0) done.set(client, first + count - 1);
      expect(counter(driver)).toBe(expected);
      expect(driver.store.lastSequence(client)).toBe(done.get(client));
    }
    expect(expected).toBeGreaterThan(10);
  }
});

test("beyond the bound the session used longest ago goes, with all that was kept for it", () => {
  const { driver, state } = driverWith({ sessionsMax: 3 });
  const clients = ["a", "b", "c", "d", "e"].map((name) => name.repeat(16));
  for (const [i, client] of clients.slice(0, 3).entries()) {
    driver.timeMs = 10_000 + 2_000 * i;
    driver.applySection(section(increments(2), { client, flags: KEEP }));
  }
  driver.timeMs = 20_000;
  driver.applySection(section(increments(1), { client: clients[0], firstSequence: 3, flags: KEEP }));
  driver.timeMs = 22_000;
  driver.applySection(section(increments(1), { client: clients[3], flags: KEEP }));
  expect(clients.map((client) => driver.store.lastSequence(client))).toEqual([3, 0, 2, 1, 0]);
  expect(driver.store.cachedResult(clients[1], 1)).toBe(null);
  driver.store = new Store(state, { sessionsMax: 3 });
  driver.applySection(section(increments(1), { client: clients[4] }));
  expect(clients.map((client) => driver.store.lastSequence(client))).toEqual([3, 0, 0, 1, 1]);
  expect(answers(driver.applySection(section(increments(1), { client: clients[1], firstSequence: 3 })))).toEqual([
    "session_expired",
  ]);
  let entries = 0;
  state.range("r", "v", () => {
    entries += 1;
    return true;
  });
  // Three sessions, each in the table and in the index of uses, and the results 1 … 3 of a and 1 of d.
  expect(entries).toBe(2 * 3 + 4);
});

test("idle sessions go by replicated time, some with each batch, also after none was left", () => {
  const limits = { sessionIdleMs: 60_000, evictionsPerBatch: 2 };
  const { driver, state } = driverWith(limits);
  const open = (names: string[]): void => {
    for (const name of names) driver.applySection(section(increments(1), { client: name.repeat(16) }));
  };
  const alive = (names: string): string =>
    names
      .split("")
      .filter((name) => driver.store.lastSequence(name.repeat(16)) > 0)
      .join("");
  open(["a", "b", "c", "d", "e"]);
  driver.advance(60_999);
  expect(alive("abcde")).toBe("abcde");
  driver.advance(61_000);
  expect(alive("abcde")).toBe("cde");
  driver.advance(61_000);
  driver.advance(61_000);
  driver.advance(61_000);
  expect(alive("abcde")).toBe("");
  open(["f"]);
  driver.advance(200_000);
  expect(alive("f")).toBe("");
  const size = state.size;
  expect(size).toBe(2); // meta and "n"
});

test("eviction does not depend on when a store was made", () => {
  const random = new Random(12);
  const limits = { sessionsMax: 5, sessionIdleMs: 5_000, evictionsPerBatch: 1 };
  const states = [new MapState(), new MapState()];
  const lasting = new Store(states[0], limits);
  const next = new Map<string, number>();
  let timeMs = 1_000;
  for (let i = 0; i < 3_000; i += 1) {
    timeMs += random.pick([0, 10, 300, 3_000, 20_000]);
    const client = String.fromCharCode(97 + random.below(9)).repeat(16);
    const firstSequence = lasting.lastSequence(client) + 1;
    next.set(client, firstSequence);
    const batch = writeBatch(timeMs, [section(increments(1), { client, firstSequence, flags: random.below(2) })]);
    lasting.applyBatch(batch, new Recorder());
    new Store(states[1], limits).applyBatch(batch, new Recorder());
    expect(hashState(states[1])).toBe(hashState(states[0]));
  }
});

test("the late copy of an evicted session's first request is not done again", () => {
  const { driver, state } = driverWith({ sessionsMax: 1 });
  driver.timeMs = 10_000;
  const first = section(increments(1), { openedMs: 10_000 });
  driver.applySection(first);
  driver.timeMs = 20_000;
  driver.applySection(section(increments(1), { client: OTHER_CLIENT, openedMs: 20_000 }));
  expect(driver.store.lastSequence(CLIENT)).toBe(0);
  expect(answers(driver.applySection(first))).toEqual(["session_expired"]);
  driver.store = new Store(state, { sessionsMax: 1 });
  expect(answers(driver.applySection(first))).toEqual(["session_expired"]);
  expect(counter(driver)).toBe(2);
  // A session that is really new is let in.
  driver.advance(20_001);
  expect(answers(driver.applySection(section(increments(1), { client: "c".repeat(16), openedMs: 20_001 })))).toEqual([
    "3",
  ]);
});

test("sessions outlive the catching up of the replicated time after a long pause", () => {
  const { driver } = driverWith();
  driver.applySection(section(increments(1)));
  const weekLater = 1_000 + 7 * 86_400_000;
  driver.timeMs = weekLater;
  driver.applySection(section(increments(1), { client: OTHER_CLIENT }));
  for (let i = 0; i < 2_000 && driver.store.timeMs < weekLater; i += 1) driver.advance(weekLater);
  expect(driver.store.timeMs).toBe(weekLater);
  expect(driver.store.lastSequence(CLIENT)).toBe(0);
  expect(driver.store.lastSequence(OTHER_CLIENT)).toBe(1);
});

test("an id from the future is refused: neither shuts it others out, nor is a late copy of its request done again", () => {
  const { driver } = driverWith({ sessionsMax: 1 });
  driver.advance(5_000);
  for (const openedMs of [5_001, Number.MAX_SAFE_INTEGER]) {
    const early = section(increments(1), { openedMs });
    expect(answers(driver.applySection(early))).toEqual(["session_expired"]);
  }
  const first = section(increments(1), { openedMs: 5_000 });
  expect(answers(driver.applySection(first))).toEqual(["1"]);
  driver.advance(6_000);
  const next = section(increments(1), { client: OTHER_CLIENT, openedMs: 6_000 });
  expect(answers(driver.applySection(next))).toEqual(["2"]);
  driver.advance(7_000);
  expect(answers(driver.applySection(first))).toEqual(["session_expired"]);
  expect(counter(driver)).toBe(2);
});

test("whatever times its ids claim, a request that was answered is never done a second time", () => {
  const random = new Random(20);
  for (let round = 0; round < 200; round += 1) {
    const { driver } = driverWith({ sessionsMax: 2 });
    const done: Uint8Array[] = [];
    let counted = 0;
    for (let i = 0; i < 12; i += 1) {
      driver.advance(driver.timeMs + random.below(50));
      const openedMs = Math.max(1, driver.timeMs + random.below(200) - 100);
      const bytes = section(increments(1), { client: `client-${String(i).padStart(9, "0")}`, openedMs });
      if (answers(driver.applySection(bytes))[0] !== "session_expired") {
        counted += 1;
        done.push(bytes);
      }
      if (done.length > 0) driver.applySection(random.pick(done));
      expect(counter(driver)).toBe(counted);
    }
  }
});

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Call } from "../codec/call.js";
import { Random } from "../core/random.js";
import { Op } from "../kv/command.js";
import { type ErrorCode, KvError } from "../kv/errors.js";
import { connect, type Gamut, ok } from "./index.js";
import { type Reaction, ScriptedNode, ScriptedStore } from "./testing/scripted-node.js";

let node: ScriptedNode;
let gamut: Gamut;

beforeEach(async () => {
  node = await ScriptedNode.start();
  gamut = connect(node.address, { backoffMs: 1, backoffMsMax: 20, timeoutMs: 10_000 });
});
afterEach(async () => {
  gamut.close();
  await node.close();
});

/** Reacts to the n-th sending of a counting write; from 1. */
function onCount(react: (n: number, call: Call) => Reaction): void {
  let counts = 0;
  node.react = (call) => {
    if (call.command.op !== Op.increment) return "execute";
    counts += 1;
    return react(counts, call);
  };
}

/** The store from which each counting write gets that error. */
function failing(store: ScriptedStore, code: ErrorCode): ScriptedStore["execute"] {
  const execute = store.execute.bind(store);
  return (call) => execute(call, call.command.op === Op.increment ? new KvError(code) : null);
}

const sequences = (): string[] => node.written.map(({ sequence, counts }) => `${sequence}${counts ? "" : " nothing"}`);

test("an id is opened by a write that does nothing, under the node's time; results are acknowledged", async () => {
  for (let i = 1n; i <= 3n; i += 1n) expect(await gamut.sum("n", 1)).toMatchObject({ value: i });
  expect(sequences()).toEqual(["1 nothing", "2", "3", "4"]);
  expect(node.written.map((each) => each.acknowledgedThrough)).toEqual([0, 1, 2, 3]);
  expect(new Set(node.calls.filter((call) => call.id !== null).map((call) => call.id!.openedMs))).toEqual(
    new Set([1_000]),
  );
});

test("a broken connection: the same sequences again, in order, until they are answered", async () => {
  onCount((n) => (n === 2 ? "hang up" : "execute"));
  const values = await Promise.all([gamut.sum("n", 1), gamut.sum("n", 1), gamut.sum("n", 1)]);
  expect(values.map((outcome) => ok(outcome).value)).toEqual([1n, 2n, 3n]);
  expect(sequences().slice(0, 3)).toEqual(["1 nothing", "2", "3"]);
});

test("refused at once: a definite error, and the sequence is used up by nothing", async () => {
  onCount((n) => (n === 1 ? "overloaded" : "execute"));
  expect(await gamut.sum("n", 1)).toMatchObject({ kind: "error", code: "overloaded", definite: true });
  expect(await gamut.sum("n", 1)).toMatchObject({ value: 1n });
  expect(sequences()).toEqual(["1 nothing", "2", "2 nothing", "3"]);
});

test("refused after a try of which nobody knows: unknown, never a definite error", async () => {
  for (const code of [
    "overloaded",
    "disk_full",
    "level_unsupported",
    "bad_request",
    "value_too_large",
  ] as ErrorCode[]) {
    onCount((n) => (n === 1 ? "hang up" : n === 2 ? code : "execute"));
    expect(await gamut.sum("n", 1)).toMatchObject({ kind: "unknown", definite: false });
    expect(await gamut.sum("n", 1)).toMatchObject({ kind: "ok" });
  }
});

test("what another moment may mend is tried again until the deadline", async () => {
  onCount((n) => (["unavailable", "stopping", "recovering", "unknown"] as const)[n - 1] ?? "execute");
  expect(await gamut.sum("n", 1)).toMatchObject({ value: 1n });
  onCount(() => "unavailable");
  const refused = await gamut.sum("n", 1, { timeoutMs: 100 });
  expect(refused).toMatchObject({ kind: "error", code: "unavailable", definite: true });
  onCount((n) => (n === 1 ? "unknown" : "unavailable"));
  expect(await gamut.sum("n", 1, { timeoutMs: 100 })).toMatchObject({ kind: "unknown", definite: false });
});

test("an executed error takes its place: the next sequence follows at once", async () => {
  // Whatever it is: that it was executed is told by the answer, for a newer node has errors that this client does not know.
  for (const [i, executed] of (["not_an_integer", "value_too_large", "not_a_decimal"] as const).entries()) {
    onCount((n) => (n === 1 ? { executed } : "execute"));
    expect(await gamut.sum("n", 1)).toMatchObject({ kind: "error", code: executed, definite: true });
    expect(await gamut.sum("n", 1)).toMatchObject({ value: BigInt(i + 1) });
  }
  expect(sequences()).toEqual(["1 nothing", "2", "3", "4", "5", "6", "7"]);
});

test("an executed error is the answer to a retry as well, and not a doubt", async () => {
  onCount((n) => (n === 1 ? "hang up, done later" : "execute"));
  node.store.execute = failing(node.store, "value_too_large");
  expect(await gamut.sum("n", 1)).toMatchObject({ kind: "error", code: "value_too_large", definite: true });
});

describe("a keyspace that is dropped and made again", () => {
  const ids = (): string[] => node.calls.filter((call) => call.command.op === Op.increment).map(shownId);
  const shownId = ({ id, life }: Call): string => `${life}: ${id === null ? "no id" : id.sequence}`;

  test("without an order: its writes go without ids, and nothing is failed", async () => {
    ok(await gamut.sum("n", 1));
    node.store.remake(true);
    const values = await Promise.all([gamut.sum("n", 1), gamut.sum("n", 1)]);
    expect(values.map((outcome) => outcome.kind)).toEqual(["ok", "ok"]);
    expect(await gamut.sum("n", 1)).toMatchObject({ value: 4n });
    expect(ids()).toEqual(["1: 2", "1: 3", "1: 4", "2: no id", "2: no id", "2: no id"]);
  });

  test("with an order: its writes have ids again, and survive a broken connection", async () => {
    node.store.remake(true);
    ok(await gamut.sum("n", 1));
    node.store.remake(false);
    onCount((n) => (n === 2 ? "done, hang up" : "execute"));
    expect(await gamut.sum("n", 1)).toMatchObject({ value: 2n });
    expect(ids()).toEqual(["2: no id", "2: no id", "3: 2", "3: 2"]);
  });

  test("with an order, as before: its writes have a new id, and none is unknown", async () => {
    ok(await gamut.sum("n", 1));
    node.store.remake(false);
    expect(await gamut.sum("n", 1)).toMatchObject({ value: 2n });
    expect(ids()).toEqual(["1: 2", "1: 3", "2: 2"]);
  });

  test("a write that may have been done in the life before is unknown, and not done again", async () => {
    ok(await gamut.sum("n", 1));
    onCount((n) => {
      if (n > 1) return "execute";
      node.store.execute(node.calls.at(-1)!);
      node.store.remake(true);
      return "hang up";
    });
    expect(await gamut.sum("n", 1)).toMatchObject({ kind: "unknown", definite: false });
    expect(await gamut.sum("n", 1)).toMatchObject({ value: 3n });
  });

  test("what a session's token says is gone is its own affair", async () => {
    ok(await gamut.sum("n", 1));
    onCount((n) => (n === 1 ? "keyspace_gone" : "execute"));
    node.store.lifeTold = 0;
    expect(await gamut.sum("n", 1)).toMatchObject({ kind: "error", code: "keyspace_gone" });
    expect(await gamut.sum("n", 1)).toMatchObject({ value: 2n });
    expect(ids()).toEqual(["1: 2", "1: 3", "1: 4"]);
  });
});

test("later sequences are sent again behind the one that was refused, in order", async () => {
  let refusals = 0;
  node.react = (call) => {
    if (call.command.op !== Op.increment || call.id!.sequence !== 2 || refusals === 2) return "execute";
    refusals += 1;
    return "unavailable";
  };
  const values = await Promise.all(Array.from({ length: 5 }, () => gamut.sum("n", 1)));
  expect(values.map((outcome) => ok(outcome).value)).toEqual([1n, 2n, 3n, 4n, 5n]);
  const sent = sequences();
  expect(sent.slice(-5)).toEqual(["2", "3", "4", "5", "6"]);
});

test("an id that is refused from the start is made anew, and nothing is lost", async () => {
  let refusals = 0;
  node.react = (call) => {
    if (call.id?.sequence !== 1 || refusals === 3) return "execute";
    refusals += 1;
    node.store.timeMs += 1;
    return "session_expired";
  };
  expect(await gamut.sum("n", 1)).toMatchObject({ value: 1n });
  expect(new Set(node.written.map((each) => each.client)).size).toBe(4);
});

test("an id that is gone later: its writes are unknown, and the next ones have another id", async () => {
  ok(await gamut.sum("n", 1));
  onCount((n) => (n === 1 ? "session_expired" : "execute"));
  expect(await gamut.sum("n", 1)).toMatchObject({ kind: "unknown", code: "session_expired", definite: false });
  expect(await gamut.sum("n", 1)).toMatchObject({ kind: "ok" });
  expect(sequences()).toEqual(["1 nothing", "2", "3", "1 nothing", "2"]);
});

test("given up when it had been sent: its place is taken by nothing, so it cannot be done any more", async () => {
  ok(await gamut.sum("n", 1));
  onCount((n) => (n === 1 ? "silence" : "execute"));
  const impatient = gamut.sum("n", 1, { timeoutMs: 60 });
  expect(await impatient).toMatchObject({ kind: "unknown" });
  gamut.close();
  expect(sequences()).toEqual(["1 nothing", "2", "3"]);
});

test("a silent node is taken for dead, and asked again", async () => {
  const patient = connect(node.address, { silenceMs: 100, backoffMs: 1 });
  onCount((n) => (n === 1 ? "silence" : "execute"));
  expect(await patient.sum("n", 1)).toMatchObject({ value: 1n });
  expect(sequences()).toEqual(["1 nothing", "2", "2"]);
  patient.close();
});

test("a keyspace that there is not: every write hears it, and the next ones begin anew", async () => {
  onCount((n) => (n <= 2 ? "keyspace_unknown" : "execute"));
  const outcomes = await Promise.all([gamut.sum("n", 1), gamut.sum("n", 1)]);
  expect(outcomes[0]).toMatchObject({ kind: "error", code: "keyspace_unknown" });
  expect(["error", "unknown"]).toContain(outcomes[1].kind);
  expect(await gamut.sum("n", 1)).toMatchObject({ kind: "ok" });
});

test("reads are asked again whatever came of them, and end definite", async () => {
  let tries = 0;
  node.react = (call) => {
    if (call.command.op !== Op.count && call.command.op !== Op.get) return "execute";
    tries += 1;
    return (["hang up", "unknown", "stopping"] as const)[tries - 1] ?? "execute";
  };
  expect(await gamut.get("k")).toMatchObject({ kind: "ok" });
  expect(tries).toBe(4);
  node.react = () => "unknown";
  expect(await gamut.get("k", { timeoutMs: 80 })).toMatchObject({ kind: "error", code: "unavailable", definite: true });
});

test("whatever nodes do: done is done once, an error is never done, whatever comes later", {
  timeout: 60_000,
}, async () => {
  const reactions: Reaction[] = ["hang up", "done, hang up", "hang up, done later", "unknown", "unavailable"];
  reactions.push("overloaded", "disk_full", "stopping", "silence");
  const kinds = new Map<string, number>();
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = new Random(seed);
    const store = new ScriptedStore();
    const nodes = [await ScriptedNode.start(store, 1), await ScriptedNode.start(store, 2)];
    // Now and then the store forgets whom it knew, or the keyspace is made again.
    for (const each of nodes) {
      each.react = () => {
        if (random.chance(0.005)) store.remake(random.chance(0.5));
        if (random.chance(0.002)) return "session_expired";
        return random.chance(0.15) ? random.pick(reactions) : "execute";
      };
    }
    const client = connect(
      nodes.map((each) => each.address),
      { backoffMs: 1, backoffMsMax: 8, silenceMs: 60, timeoutMs: 5_000 },
    );
    const count = async (i: number): Promise<[string, string]> => {
      const options = random.chance(0.2) ? { timeoutMs: 1 + random.below(40) } : {};
      const { kind } = await client.sum(`key ${i}`, 1, options);
      return [`key ${i}`, kind];
    };
    const outcomes: [string, string][] = [];
    for (let i = 0; i < 100; i += 10) {
      outcomes.push(...(await Promise.all(Array.from({ length: 10 }, (_, k) => count(i + k)))));
    }
    // What was sent long ago, and what takes the place of what was given up.
    for (const each of nodes) each.react = () => "execute";
    ok(await client.sum("last", 1, { timeoutMs: 30_000 }));
    await new Promise((done) => setTimeout(done, 30));
    for (const [key, kind] of outcomes) {
      const counted = store.counts.get(key) ?? 0n;
      const allowed = kind === "ok" ? [1n] : kind === "error" ? [0n] : [0n, 1n];
      expect({ seed, key, kind, counted: allowed.includes(counted) ? "as promised" : counted }).toEqual({
        seed,
        key,
        kind,
        counted: "as promised",
      });
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    client.close();
    for (const each of nodes) await each.close();
  }
  expect(kinds.get("ok")).toBeGreaterThan(800);
  expect(kinds.get("error")).toBeGreaterThan(10);
  expect(kinds.get("unknown")).toBeGreaterThan(10);
});

/** The SDK's watches on three real nodes. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client as RespClient } from "../../src/cli/client.js";
import {
  type Change,
  type Changes,
  CompactedError,
  connect,
  type Gamut,
  type GamutError,
  ok,
  text,
} from "../../src/client/index.js";
import { encodePosition } from "../../src/kv/watch.js";
import { Cluster } from "../processes/cluster.js";
import { limitMs, rounds } from "../processes/soak.js";
import { UniqueWriter } from "../processes/unique-writer.js";
import { until, within } from "../processes/wait.js";

const WAIT_MS_MAX = 30_000;

let cluster: Cluster;
let addresses: string[];
const toClose: Gamut<string>[] = [];

beforeAll(async () => {
  cluster = await Cluster.start();
  addresses = cluster.members.map((member) => `127.0.0.1:${member.clientPort}`);
}, 60_000);
afterAll(() => cluster.close());
afterEach(() => {
  for (const each of toClose.splice(0)) each.close();
});

function client(options: object = {}): Gamut<string> {
  const gamut = connect(addresses, { values: text, ...options });
  toClose.push(gamut);
  return gamut;
}

async function resp(...request: string[]): Promise<void> {
  const raw = await RespClient.connectTo(cluster.member(1).address, 10_000);
  await raw.demand(request);
  raw.close();
}

async function take<T>(iterator: AsyncIterator<T, undefined>, count: number): Promise<T[]> {
  const items: T[] = [];
  while (items.length < count) {
    const { done, value } = await within(`item ${items.length + 1} of ${count}`, WAIT_MS_MAX, iterator.next());
    if (done) throw new Error(`it ended after ${items.length} of ${count}`);
    items.push(value as T);
  }
  return items;
}

function show(change: Change<string>): string {
  const { kind } = change;
  if (kind === "snapshot-begin" || kind === "snapshot-end") return kind;
  const value = "value" in change ? `=${change.value}` : "";
  return `${kind} ${JSON.stringify(change.key)}${value}`;
}

async function heard(changes: Changes<string>, count: number): Promise<string[]> {
  return (await take(changes, count)).map(show);
}

describe("watch", () => {
  it("shows the records as they are, and again when one has changed", async () => {
    const gamut = client();
    const keys = [["watch", 1], "watch:2", "watch:3"];
    ok(await gamut.set(["watch", 1], "one"));
    const watch = gamut.watch(keys);
    const values = async (): Promise<unknown[]> => (await take(watch, 1))[0].map(({ value }) => value);
    const [first] = await take(watch, 1);
    expect(first).toEqual(
      [
        ok(await gamut.get(["watch", 1])),
        { key: "watch:2", value: null, versionstamp: null },
        { key: "watch:3", value: null, versionstamp: null },
      ].map(({ key, value, versionstamp }) => ({ key, value, versionstamp })),
    );
    ok(await gamut.set("watch:4", "of no concern"));
    ok(await gamut.atomic().set("watch:2", "two").set("watch:3", "three").commit());
    expect(await values()).toEqual(["one", "two", "three"]);
    ok(await gamut.delete(["watch", 1]));
    expect(await values()).toEqual([null, "two", "three"]);
    ok(await gamut.set("watch:3", "soon", { expireIn: 30 }));
    await until("it has expired", WAIT_MS_MAX, async () => (await values())[2] === null);
    // What nobody asked for in between is not told.
    for (let i = 0; i < 50; i += 1) ok(await gamut.set("watch:2", `${i}`));
    await until("the last is shown", WAIT_MS_MAX, async () => (await values())[1] === "49");
    await watch.return();
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  it("never shows half of what was done at once, nor anything old", async () => {
    const gamut = client();
    const watch = gamut.watch(["both:1", "both:2"]);
    let last = -1;
    const writing = (async () => {
      for (let i = 0; i < 200; i += 1) ok(await gamut.atomic().set("both:1", `${i}`).set("both:2", `${i}`).commit());
    })();
    for await (const [one, two] of watch) {
      expect(one.value).toBe(two.value);
      const n = Number(one.value ?? -1);
      expect(n).toBeGreaterThanOrEqual(last);
      last = n;
      if (n === 199) break;
    }
    await writing;
    expect(last).toBe(199);
  });
});

describe("changes", () => {
  it("are told in order, of the range asked for, in the form of its bounds", async () => {
    const gamut = client();
    const tuples = gamut.changes({ prefix: ["in"] });
    const strings = gamut.changes({ start: "in:b", end: "in:d" }, { values: false });
    await Promise.all([tuples.begin(), strings.begin()]);
    ok(await gamut.set(["in", 1n, true], "a"));
    ok(await gamut.set("in:a", "a"));
    ok(await gamut.atomic().set("in:b", "b").set("in:c\u00e4", "c").set("in:d", "d").set(["in", "x"], "y").commit());
    ok(await gamut.delete("in:b"));
    ok(await gamut.set(["in", "x"], "soon", { expireIn: 20 }));
    const told = await take(tuples, 4);
    expect(told.map((change) => ("value" in change ? [change.kind, change.key, change.value] : [change.kind]))).toEqual(
      [["put", ["in", 1n, true], "a"], ["put", ["in", "x"], "y"], ["put", ["in", "x"], "soon"], ["expire"]],
    );
    expect(await heard(strings, 3)).toEqual(['put "in:b"=null', 'put "in:cä"=null', 'delete "in:b"']);
    const { versionstamp } = ok(await gamut.set("in:b", "again"));
    expect(await take(strings, 1)).toMatchObject([{ kind: "put", versionstamp, position: strings.position }]);
  });

  it("a snapshot comes first; another watch goes on from a position, at any node", async () => {
    const gamut = client();
    for (const n of [1, 2, 3]) ok(await gamut.set(`snap:${n}`, `${n}`));
    const changes = gamut.changes({ prefix: "snap:" }, { snapshot: true });
    expect(changes.position).toBe("");
    const records = ['record "snap:1"=1', 'record "snap:2"=2', 'record "snap:3"=3'];
    expect(await heard(changes, 5)).toEqual(["snapshot-begin", ...records, "snapshot-end"]);
    const from = changes.position;
    ok(await gamut.delete("snap:2"));
    ok(await gamut.set("snap:4", "4"));
    expect(await heard(changes, 2)).toEqual(['delete "snap:2"', 'put "snap:4"=4']);
    for (const address of addresses) {
      const elsewhere = connect(address, { values: text });
      const again = elsewhere.changes({ prefix: "snap:" }, { from, snapshot: true });
      expect(await heard(again, 2)).toEqual(['delete "snap:2"', 'put "snap:4"=4']);
      expect(again.position).toBe(changes.position);
      elsewhere.close();
    }
  });

  it("more than is kept: a typed error, or a snapshot anew", async () => {
    const gamut = client();
    const changes = gamut.changes({ prefix: "kept:" });
    await changes.begin();
    const from = changes.position;
    await changes.return();
    ok(await gamut.set("kept:1", "x"));
    for (let i = 0; i < 70; i += 1) {
      const atomic = gamut.atomic();
      for (let n = 0; n < 1_000; n += 1) atomic.set(`filler:${n}`, "");
      ok(await atomic.commit());
    }
    const late = gamut.changes({ prefix: "kept:" }, { from });
    const error = await late.next().catch((each: unknown) => each);
    expect(error).toBeInstanceOf(CompactedError);
    const { code, oldest, definite } = error as CompactedError;
    expect([code, definite]).toEqual(["compacted", true]);
    expect(late.position).toBe(from);
    await expect(late.next()).rejects.toBe(error);
    const oldestOn = gamut.changes({ prefix: "filler:" }, { from: oldest });
    expect((await take(oldestOn, 1))[0].kind).toBe("put");
    const anew = gamut.changes({ prefix: "kept:" }, { from, snapshot: true });
    expect(await heard(anew, 3)).toEqual(["snapshot-begin", 'record "kept:1"=x', "snapshot-end"]);
  });
});

describe("the end", () => {
  it("comes with close, with a signal, with return", async () => {
    const gamut = client();
    const watch = gamut.watch(["end"]);
    const changes = gamut.changes({ prefix: "end" });
    await take(watch, 1);
    const waiting = [watch.next(), changes.next()];
    gamut.close();
    for (const each of await Promise.all(waiting)) expect(each).toEqual({ done: true, value: undefined });
    expect(() => gamut.changes({ prefix: "end" })).toThrow("the client is closed");

    const other = client();
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = [other.watch(["end"], { signal }), other.changes({ prefix: "end" }, { signal })];
    await take(aborted[0] as AsyncIterator<unknown, undefined>, 1);
    const ends = aborted.map((each) => each.next().catch((error: GamutError) => error.code));
    controller.abort();
    expect(await Promise.all(ends)).toEqual(["cancelled", "cancelled"]);
    const late = other.changes({ prefix: "end" }, { signal: AbortSignal.abort() });
    await expect(late.next()).rejects.toThrow("cancelled");
    const returned = other.changes({ prefix: "end" });
    const pending = returned.next();
    await returned.return();
    expect(await pending).toEqual({ done: true, value: undefined });
  });

  it("tells the changes of a keyspace of gossip", async () => {
    await resp("GAMUT", "KEYSPACE", "CREATE", "rumours", "PROTOCOL", "gossip");
    const rumours = client().keyspace("rumours").at("eventual");
    await until("the keyspace is there", WAIT_MS_MAX, async () => (await rumours.set("a", "0")).kind === "ok");
    const changes = rumours.changes({ prefix: "" }, { snapshot: true });
    const hear = async (what: string): Promise<void> => {
      await until(`${what} is told`, WAIT_MS_MAX, async () => show((await take(changes, 1))[0]) === what);
    };
    await hear("snapshot-begin");
    await hear("snapshot-end");
    // Each is waited for: what two writes come to may be told as one.
    ok(await rumours.set("a", "1"));
    await hear('put "a"=1');
    ok(await rumours.delete("a"));
    await hear('delete "a"');
  });

  it("is an error where nothing can be watched", async () => {
    const gamut = client();
    const codeOf = (changes: { next(): Promise<unknown> }) =>
      changes.next().then(
        () => "",
        (error: GamutError) => error.code,
      );
    await resp("GAMUT", "KEYSPACE", "CREATE", "heard", "PROTOCOL", "gossip");
    const feed = gamut.keyspace("heard");
    await until("the keyspace is there", WAIT_MS_MAX, async () => (await feed.set("a", "1")).kind === "ok");
    const unordered = {
      code: "operation_unsupported",
      message: expect.stringMatching(/^operation_unsupported: writes of .* with changes\(\)/),
    };
    for (const each of [feed, feed.at("session")]) {
      const watch = each.watch(["a"]);
      await expect(watch.next()).rejects.toMatchObject(unordered);
      await expect(watch.next()).rejects.toMatchObject(unordered);
    }
    expect(await codeOf(gamut.keyspace("none").changes({ prefix: "" }))).toBe("keyspace_unknown");
    expect(await codeOf(gamut.changes({ prefix: "" }, { level: "causal" }))).toBe("level_unsupported");
    expect(await codeOf(gamut.changes({ prefix: "" }, { from: "0011" }))).toBe("bad_token");
    const alien = encodePosition("aaaaaaaaaaaa", { group: 1, version: 1, ordinal: 1 });
    expect(await codeOf(gamut.changes({ prefix: "" }, { from: alien }))).toBe("wrong_cluster");
    expect(() => gamut.changes({ prefix: "" }, { from: "" })).toThrow("from is empty");
    expect(() => gamut.watch([])).toThrow("needs a key");
    expect(await codeOf(gamut.watch(["k".repeat(2_049)]))).toBe("key_too_long");
    const nobody = connect("127.0.0.1:1", { values: text, timeoutMs: 300 });
    await expect(nobody.changes({ prefix: "" }).next()).rejects.toThrow("ECONNREFUSED");
    nobody.close();

    await resp("GAMUT", "KEYSPACE", "CREATE", "dropped");
    const dropped = gamut.keyspace("dropped");
    await until("it serves", WAIT_MS_MAX, async () => (await dropped.set("x", "1")).kind === "ok");
    const changes = dropped.changes({ prefix: "" });
    await changes.begin();
    await resp("GAMUT", "KEYSPACE", "DROP", "dropped");
    expect(await within("the watch hears of it", WAIT_MS_MAX, codeOf(changes))).toMatch(/^keyspace_(gone|unknown)$/);
  });
});

it("goes on at another node when its own is killed, stops or pauses: no gap, nothing twice", {
  timeout: limitMs(180_000),
}, async () => {
  const gamut = client({ silenceMs: 1_500, timeoutMs: 60_000 });
  const changes = gamut.changes({ prefix: "written:" });
  await changes.begin();
  const told: Change<string>[] = [];
  const following = (async () => {
    for await (const change of changes) {
      told.push(change);
      if ("key" in change && change.key === "written:last") break;
    }
  })();
  let shown: unknown[] = [];
  const watching = (async () => {
    for await (const entries of gamut.watch(["written:0", "written:last"])) {
      shown = entries.map(({ value }) => value);
      if (shown[1] === "last") break;
    }
  })();
  const writers = [1, 2, 3].map(
    (n) => new UniqueWriter(`w${n}`, [...cluster.members.slice(n - 1), ...cluster.members]),
  );
  const goOn = async (): Promise<void> => {
    const goal = told.length + 100;
    await Promise.race([until("it goes on", WAIT_MS_MAX, () => told.length >= goal), following]);
    expect(told.length).toBeGreaterThanOrEqual(goal);
  };
  await goOn();
  // Whichever node it listens to: each of them has its turn.
  for (const round of rounds(6)) {
    const victim = cluster.member(((round - 1) % 3) + 1);
    if (round <= 3) await victim.kill();
    else if (round % 2 === 0) await victim.stop();
    else victim.pause();
    await goOn();
    if (victim.isRunning) victim.resume();
    else victim.start();
    await cluster.ready();
    await goOn();
  }
  for (const writer of writers) await writer.stop();
  ok(await gamut.set("written:last", "last"));
  await within("the last write is heard", WAIT_MS_MAX, following);
  await within("the last write is shown", WAIT_MS_MAX, watching);

  const stamps = told.map((change) => ("versionstamp" in change ? Number.parseInt(change.versionstamp, 16) : 0));
  // Nobody else writes, and every write has one version.
  expect(stamps).toEqual(stamps.map((_, i) => stamps[0] + i));
  const values = told.map((change) => ("value" in change ? change.value : null)).filter((value) => value !== null);
  const heardValues = new Set(values);
  expect(heardValues.size).toBe(values.length);
  // A value that was written over before another node could tell of it: its change is told without it.
  const missing = writers.flatMap(({ acknowledged }) => acknowledged).filter((value) => !heardValues.has(value));
  expect(missing.length).toBeLessThanOrEqual(told.length - values.length);
  for (const value of writers.flatMap(({ refused }) => refused)) expect(heardValues.has(value)).toBe(false);
  expect(shown).toEqual([ok(await gamut.get("written:0")).value, "last"]);
});

import { expect, test } from "vitest";
import { Random } from "../core/random.js";
import type { Command } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { decodeOriginPosition, encodeOriginPosition, type OriginPosition } from "../kv/origin-position.js";
import { Seen } from "../kv/seen.js";
import { Compacted, encodePosition } from "../kv/watch.js";
import {
  ALL,
  betweenDigests,
  CLUSTER,
  del,
  OriginListener,
  OriginWorld,
  put,
  quietWorld,
  watching,
} from "./testing/origin-world.js";

function randomWrite(random: Random, n: number): Command {
  const key = `k${random.below(12)}`;
  switch (random.below(6)) {
    case 0:
      return del(key, `k${random.below(12)}`);
    case 1:
      return put(key, `${n}`, 1 + random.below(4_000));
    case 2:
    case 3:
      return put(`only-${n}`, `${n}`);
    default:
      return put(key, `${n}`);
  }
}

/** Goes on elsewhere, or, where that is not possible, anew with a snapshot. Answers which it was. */
function hop(world: OriginWorld, listener: OriginListener, node: number): "resumed" | "compacted" | "anew" {
  if (listener.life === world.at(listener.node)) listener.handle?.close();
  if (listener.position !== "") {
    const refused = world.watch(node, listener, { from: listener.position });
    if (refused === null) return "resumed";
    expect(refused).toBeInstanceOf(Compacted);
  }
  const kind = listener.position === "" ? "anew" : "compacted";
  listener.forgets();
  expect(world.watch(node, listener, { snapshot: true })).toBe(null);
  return kind;
}

test("whoever folds what is told, wherever it goes on, holds in the end what the replicas hold", () => {
  const counts = { resumed: 0, elsewhere: 0, compacted: 0, anew: 0, expired: 0, parked: 0, found: 0 };
  for (let seed = 1; seed <= 24; seed += 1) {
    const random = new Random(seed);
    const world = new OriginWorld(random, {
      gossip: {
        digestTicks: random.pick([2, 5]),
        maxExceptions: random.pick([2, 64]),
        maxIndexed: random.pick([4, 30, 1_000]),
        maxSweep: random.pick([2, 500]),
        maxAnswerBytes: random.pick([200, 4_096]),
        suspicions: 3,
      },
      history: { changesMax: random.pick([20, 200, 4_000, 4_000]) },
      aheadMs: [random.pick([0, 0, 900]), 0, 0],
    });
    const listeners = [1, 2, 3].map(() => new OriginListener(world));
    for (const listener of listeners) hop(world, listener, 1 + random.below(3));
    const losesMemory = seed % 5 === 0;
    for (let round = 0; round < 120; round += 1) {
      for (let writes = random.below(4); writes > 0; writes -= 1) {
        world.ask(1 + random.below(3), randomWrite(random, round * 10 + writes));
      }
      if (random.below(8) === 0) world.dropped = random.pick([0, 0, 30, 80]);
      if (random.below(8) === 0) world.link(1 + random.below(3), 1 + random.below(3), random.below(2) === 0);
      if (random.below(25) === 0) world.restart(1 + random.below(3));
      if (losesMemory && random.below(40) === 0) {
        // What no other has would be lost, and who has heard of it would fold it for ever.
        world.heal();
        world.run(200);
        world.loseMemory(1 + random.below(3));
      }
      for (const listener of listeners) {
        listener.isReady = random.below(4) > 0;
        const isGone = listener.life !== world.at(listener.node) || listener.error !== null;
        if (!isGone && random.below(12) > 0) continue;
        const before = listener.node;
        const node = 1 + random.below(3);
        const kind = hop(world, listener, node);
        counts[kind] += 1;
        if (kind === "resumed" && node !== before) counts.elsewhere += 1;
      }
      counts.parked += world.at(2).gossip.replica.counters.parked;
      world.run(1 + random.below(5));
    }
    counts.found += world.foundCount;
    world.heal();
    for (const listener of listeners) listener.isReady = true;
    world.run(400);
    for (const listener of listeners) if (listener.error !== null) hop(world, listener, 1 + random.below(3));
    world.run(100);
    expect(world.state(2)).toEqual(world.state(1));
    expect(world.state(3)).toEqual(world.state(1));
    for (const listener of listeners) {
      expect({ seed, error: listener.error }).toEqual({ seed, error: null });
      const versionsOf = (map: Map<string, string>) =>
        [...map].map(([key, value]) => `${key} ${value.split(" ")[0]}`).sort();
      expect({ seed, held: versionsOf(listener.folded) }).toEqual({ seed, held: versionsOf(world.state(1)) });
      counts.expired += listener.lines.filter((line) => line.startsWith("expire")).length;
    }
  }
  expect(counts.elsewhere).toBeGreaterThan(200);
  expect(counts.compacted).toBeGreaterThan(100);
  expect(counts.expired).toBeGreaterThan(100);
  expect(counts.found).toBeGreaterThan(100);
  expect(counts.parked).toBeGreaterThan(0);
});

test("changes of one origin come in their order: a later one waits for one that is still on its way", () => {
  const world = quietWorld();
  const listener = watching(world, 2);
  betweenDigests(world);
  world.ask(1, put("a", "1"));
  world.run(1);
  world.link(1, 2, false);
  world.ask(1, put("b", "2"));
  world.run(1);
  world.link(1, 2, true);
  world.ask(1, put("c", "3"));
  world.ask(3, put("d", "4"));
  world.run(2);
  expect(world.state(2).get("c")).toMatch(/ 3$/);
  expect(world.state(2).has("b")).toBe(false);
  expect(listener.lines).toEqual(["put a", "put d"]);
  world.run(300);
  expect(listener.lines).toEqual(["put a", "put d", "put b", "put c"]);
});

test("a write that waits for its turn and is written over, or expires, is told as it stands then", () => {
  const world = quietWorld();
  const listener = watching(world, 2);
  betweenDigests(world);
  world.link(1, 2, false);
  world.ask(1, put("a", "1"));
  world.run(1);
  world.link(1, 2, true);
  world.ask(1, put("over", "2"));
  world.ask(1, put("brief", "3", 60));
  world.run(2);
  world.ask(2, put("over", "4"));
  world.run(300);
  expect(listener.lines).toEqual(["put over", "put a", "expire brief"]);
  expect(listener.folded.get("over")).toMatch(/ 4$/);
});

test("a write that lost is not told; a delete is told where nothing was to be deleted, too", () => {
  const world = quietWorld();
  const listener = watching(world, 2);
  world.link(1, 2, false);
  world.link(1, 3, false);
  world.ask(1, put("k", "early"));
  world.run(5);
  world.ask(2, put("k", "late"));
  world.run(5);
  world.heal();
  world.run(100);
  world.ask(3, del("absent"));
  world.run(5);
  expect(listener.lines).toEqual(["put k", "delete absent"]);
  expect(world.state(1).get("k")).toMatch(/ late$/);
});

test("nothing is kept while nobody watches; who watches one node can go on at another; then it ends again", () => {
  const world = quietWorld({ ageMsMax: 5_000 });
  const kept = (): number[] => world.lives.map(({ history }) => history.end - history.first);
  world.ask(1, put("before", "1"));
  world.run(5);
  expect(kept()).toEqual([0, 0, 0]);
  const listener = watching(world, 1);
  world.ask(2, put("k", "1"));
  world.run(5);
  expect(kept()).toEqual([1, 1, 1]);
  expect(listener.lines).toEqual(["put k"]);
  listener.handle!.close();
  world.ask(3, put("k", "2"));
  world.run(5);
  const next = watching(world, 2, listener.position);
  expect(next.lines).toEqual(["put k"]);
  next.handle!.close();
  world.run(300);
  world.ask(3, put("k", "3"));
  world.run(5);
  expect(kept()).toEqual([0, 0, 0]);
  const late = new OriginListener(world);
  expect(world.watch(2, late, { from: next.position })).toBeInstanceOf(Compacted);
});

test("a value that expires while its watcher is on the way is told of where it goes on", () => {
  const world = quietWorld();
  const listener = watching(world, 1);
  world.ask(1, put("brief", "1", 400));
  world.run(3);
  expect(listener.lines).toEqual(["put brief"]);
  listener.handle!.close();
  world.run(100);
  const next = watching(world, 2, listener.position);
  expect(next.lines).toContain("expire brief");
  next.handle!.close();
  // Who has heard of it there does not hear of it again.
  expect(watching(world, 3, next.position).lines).toEqual([]);
});

test("at its own node a watcher goes on exactly where it was", () => {
  const world = quietWorld();
  const listener = watching(world, 1);
  const positions: string[] = [];
  for (let n = 0; n < 20; n += 1) {
    world.ask(1 + (n % 3), put(`k${n}`, "v"));
    world.run(2);
    positions.push(listener.position);
  }
  expect(listener.lines).toHaveLength(20);
  for (let n = 0; n < 20; n += 1) {
    expect(watching(world, 1, positions[n]).lines).toEqual(listener.lines.slice(n + 1));
  }
});

test("what is not kept is compacted, with a position that is; so is what waits too long for its turn", () => {
  const world = quietWorld({ changesMax: 10 });
  const listener = watching(world, 2);
  world.ask(2, put("k", "0"));
  world.run(1);
  const old = listener.position;
  for (let n = 1; n <= 20; n += 1) {
    world.ask(2, put("k", `${n}`));
    world.run(1);
  }
  expect(listener.lines).toHaveLength(21);
  const late = new OriginListener(world);
  const refused = world.watch(2, late, { from: old });
  expect(refused).toBeInstanceOf(Compacted);
  expect(watching(world, 2, (refused as Compacted).oldest).lines).toEqual(Array(10).fill("put k"));
  // The first is lost, and no digest tells of it: the others wait, until they are too many.
  betweenDigests(world);
  world.link(1, 2, false);
  world.ask(1, put("lost", "1"));
  world.run(1);
  world.link(1, 2, true);
  for (let n = 0; n < 11; n += 1) world.ask(1, put(`waits-${n}`, "v"));
  world.run(5);
  expect(listener.error).toBeInstanceOf(Compacted);
  const { oldest } = listener.error as Compacted;
  // When it comes it is told; what was in effect by then is in the past of that position.
  expect(watching(world, 2, oldest).lines).toEqual(["put lost"]);
});

test("a node that begins again goes on with who has heard all that it held", () => {
  const world = quietWorld();
  const listener = watching(world, 1);
  world.ask(1, put("a", "1"));
  world.run(5);
  const behind = listener.position;
  world.ask(2, put("b", "2"));
  world.run(5);
  world.restart(2);
  world.run(20);
  world.ask(3, put("c", "3"));
  world.run(20);
  expect(watching(world, 2, listener.position).lines).toEqual([]);
  listener.handle!.close();
  world.ask(3, put("d", "4"));
  world.run(20);
  expect(watching(world, 2, listener.position).lines).toEqual(["put d"]);
  expect(world.watch(2, new OriginListener(world), { from: behind })).toBeInstanceOf(Compacted);
});

test("positions of others are refused by name", () => {
  const world = quietWorld();
  const listener = watching(world, 1);
  world.ask(1, put("a", "1"));
  world.run(5);
  const { position } = listener;
  const refusal = (from: string, cluster = CLUSTER): string => {
    const begun = world.at(1).watches.add({ ...ALL, from }, cluster, new OriginListener(world));
    return begun instanceof KvError ? begun.code : "none";
  };
  expect(refusal(position)).toBe("none");
  expect(refusal("00")).toBe("bad_token");
  expect(refusal("47".repeat(40_000))).toBe("bad_token");
  for (let at = 0; at < position.length; at += 1) {
    const digit = position[at] === "0" ? "1" : "0";
    expect(refusal(position.slice(0, at) + digit + position.slice(at + 1))).toBe("bad_token");
    expect(refusal(position.slice(at + 1) || "0")).toBe("bad_token");
  }
  expect(refusal(position, "another")).toBe("wrong_cluster");
  expect(refusal(encodePosition(CLUSTER, { group: 9, version: 1, ordinal: 1 }))).toBe("keyspace_gone");
  const elsewhere = { group: 8, node: 1, life: 1, count: 0, seen: new Seen(), expiredBeforeMs: 0 };
  expect(refusal(encodeOriginPosition(CLUSTER, elsewhere))).toBe("keyspace_gone");
});

test("a position is bounded, and what it leaves out is only told again", () => {
  const seen = new Seen();
  for (let n = 1; n <= 1_500; n += 1) seen.raise(1, n, n);
  const text = encodeOriginPosition(CLUSTER, { group: 9, node: 1, life: 1, count: 0, seen, expiredBeforeMs: 5 });
  expect(text.length).toBeLessThan(40_000);
  const back = decodeOriginPosition(text, CLUSTER) as OriginPosition;
  expect(back.seen.origins).toEqual(seen.origins.slice(0, 1_024));
});

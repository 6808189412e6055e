import { expect, test } from "vitest";
import { MapState } from "../core/map-state.js";
import { Random } from "../core/random.js";
import { Change } from "../kv/change-history.js";
import { Op } from "../kv/command.js";
import { OriginHistory } from "../kv/origin-history.js";
import { Compacted } from "../kv/watch.js";
import { Gossip } from "../protocols/gossip/gossip.js";
import { encodeItems, Item } from "../protocols/gossip/item.js";
import { GossipMessage, MessageKind } from "../protocols/gossip/message.js";
import { GOSSIP_DEFAULTS } from "../protocols/gossip/options.js";
import { SectionKind } from "../protocols/gossip/section.js";
import { Stamp } from "../protocols/gossip/stamp.js";
import { betweenDigests, del, OriginListener, OriginWorld, put, quietWorld, watching } from "./testing/origin-world.js";

test("a node that lags tells what is older than what was heard elsewhere: the newer is told again", () => {
  for (const leavesInTheMiddle of [false, true]) {
    const world = quietWorld();
    const listener = watching(world, 2);
    world.link(3, 1, false);
    world.link(3, 2, false);
    for (const key of ["k", "y", "z"]) world.ask(3, put(key, "old"));
    world.run(2);
    world.ask(2, put("k", "new"));
    world.run(2);
    expect(listener.folded.get("k")).toMatch(/ new$/);
    listener.handle!.close();
    expect(world.watch(3, listener, { from: listener.position })).toBe(null);
    // One is on its way when it takes no more.
    if (leavesInTheMiddle) listener.linesMax = listener.lines.length + 1;
    world.run(2);
    expect(listener.lines).toEqual(["put k", "put k", "put y", ...(leavesInTheMiddle ? [] : ["put z"])]);
    expect(listener.folded.get("k")).not.toMatch(/ new$/);
    const { position } = listener;
    listener.handle!.close();
    listener.linesMax = Number.POSITIVE_INFINITY;
    world.heal();
    world.run(100);
    expect(world.watch(2, listener, { from: position })).toBe(null);
    world.run(2);
    expect(listener.folded.get("k")).toMatch(/ new$/);
    expect(listener.folded.has("z")).toBe(true);
  }
});

test("who leaves in the middle of what is told again stands before the rest of it", () => {
  const world = quietWorld();
  const listener = watching(world, 3);
  world.link(3, 1, false);
  world.link(3, 2, false);
  world.ask(2, put("x", "1"));
  world.ask(2, put("k", "old"));
  world.run(2);
  world.ask(3, put("k", "new"));
  world.run(2);
  const { position } = listener;
  listener.handle!.close();
  world.heal();
  world.run(100);
  expect(world.watch(2, listener, { from: position })).toBe(null);
  // One is on its way when it takes no more.
  listener.linesMax = listener.lines.length + 1;
  world.run(2);
  expect(listener.lines).toEqual(["put k", "put x", "put k"]);
  expect(listener.folded.get("k")).not.toMatch(/ new$/);
  listener.linesMax = Number.POSITIVE_INFINITY;
  listener.handle!.close();
  expect(world.watch(1, listener, { from: listener.position })).toBe(null);
  world.run(2);
  expect(listener.folded.get("k")).toMatch(/ new$/);
});

/** Node 2 has been away, and a comparison of trees is bringing what it missed: some of it is in effect. */
function halfFound(watched: boolean): { world: OriginWorld; position: string } {
  const gossip = { maxIndexed: 0, maxAnswerBytes: 200, digestTicks: 2 };
  const world = new OriginWorld(new Random(1), { gossip, history: { ageMsMax: 1_000 } });
  const listener = watching(world, 1);
  world.ask(1, put("first", "1"));
  world.run(20);
  const { position } = listener;
  if (!watched) listener.handle!.close();
  world.link(2, 1, false);
  world.link(2, 3, false);
  for (let n = 0; n < 40; n += 1) world.ask(1, put(`k${n}`, "v"));
  world.run(150);
  expect(world.foundCount).toBe(0);
  world.heal();
  for (let ticks = 0; ticks < 400 && world.foundCount === 0; ticks += 1) world.run(1);
  expect(world.foundCount).toBeGreaterThan(0);
  const { have } = world.at(2).gossip.replica.origins.find(1, 1)!;
  expect(have.highest).toBe(1);
  return { world, position };
}

test("what a comparison of trees has brought while nobody watched is known not to be known", () => {
  const { world, position } = halfFound(false);
  expect(world.watch(2, new OriginListener(world), { from: position })).toBeInstanceOf(Compacted);
});

test("what one has brought before the node began again counts as a hole", () => {
  const { world, position } = halfFound(false);
  world.restart(2);
  const listener = new OriginListener(world);
  expect(world.watch(2, listener, { from: position })).toBe(null);
  world.run(400);
  expect(world.state(2)).toEqual(world.state(1));
  expect(listener.error).toBeInstanceOf(Compacted);
});

test("what one brings while somebody watches is told when it counts, in the order of its origin", () => {
  const { world, position } = halfFound(true);
  const listener = new OriginListener(world);
  expect(world.watch(2, listener, { from: position })).toBe(null);
  world.run(400);
  expect(listener.error).toBe(null);
  expect(listener.lines).toEqual(Array.from({ length: 40 }, (_, n) => `put k${n}`));
});

test("where the history begins, what came out of order is in its past", () => {
  const world = quietWorld();
  betweenDigests(world);
  world.link(1, 2, false);
  const listener = new OriginListener(world);
  expect(world.watch(1, listener)).toBe(null);
  world.ask(1, put("a", "1"));
  world.run(1);
  const { position } = listener;
  listener.handle!.close();
  world.link(1, 2, true);
  world.ask(1, put("b", "2"));
  world.run(1);
  expect(world.state(2).has("b")).toBe(true);
  expect(world.watch(2, new OriginListener(world), { from: position })).toBeInstanceOf(Compacted);
});

test("where the history begins, what has expired is in its past", () => {
  const world = quietWorld({ ageMsMax: 1_000 });
  const listener = watching(world, 1);
  world.ask(1, put("brief", "1", 200));
  world.run(2);
  const { position } = listener;
  listener.handle!.close();
  world.run(200);
  expect(world.watch(2, new OriginListener(world), { from: position })).toBeInstanceOf(Compacted);
});

test("between two changes of one turn a position knows what has yet to expire", () => {
  const world = quietWorld();
  const listener = watching(world, 1);
  world.link(2, 3, false);
  betweenDigests(world);
  listener.isReady = false;
  world.ask(1, put("brief", "1", 200));
  world.ask(2, put("other", "3"));
  world.run(1);
  listener.isReady = true;
  world.run(1);
  listener.handle!.close();
  expect(listener.lines).toEqual(["put brief", "put other"]);
  // There the one has expired before the other came.
  world.link(1, 3, false);
  world.run(30);
  world.heal();
  world.run(100);
  expect(watching(world, 3, listener.positions[0]).lines).toEqual(["expire brief", "put other"]);
});

/** One replica that nobody talks to; its clock stands at 10,000 ms. */
function loneReplica(): { gossip: Gossip; history: OriginHistory; settle: () => void } {
  const history = new OriginHistory({ changesMax: 100, bytesMax: 1 << 20, ageMsMax: 60_000 });
  const gossip = new Gossip(
    { ...GOSSIP_DEFAULTS, node: 1, members: [1, 2], seed: 1, changes: history },
    new MapState(),
  );
  const settle = (): void => {
    gossip.flush();
    gossip.stored(gossip.outbox.issuedSeq);
  };
  gossip.now(10_000, 10_000);
  return { gossip, history, settle };
}

test("a write that a comparison of trees brought, and that comes again by its sequence, is told then", () => {
  const { gossip, history, settle } = loneReplica();
  const item = new Item(new Stamp(5_000, 0, 2, 1, 1, 0), "k", false);
  // Before the process began.
  gossip.replica.apply({ kind: SectionKind.found, batch: encodeItems([item]) });
  gossip.start({ position: 0, epoch: 0, incarnation: 1, recovering: false }, []);
  gossip.changes!.record();
  const push = new GossipMessage(MessageKind.push, 1);
  push.to = 1;
  push.payload = encodeItems([item]);
  gossip.receive(2, push);
  settle();
  expect(history.end - history.first).toBe(1);
  expect(history.keyOf(history.first)).toBe("k");
});

test("what a comparison of trees brought while nobody watched is told when it expires", () => {
  const { gossip, history, settle } = loneReplica();
  gossip.start({ position: 0, epoch: 0, incarnation: 1, recovering: false }, []);
  const item = new Item(new Stamp(5_000, 0, 2, 1, 7, 0), "k", false);
  item.deadlineMs = 10_500;
  gossip.log.add({ kind: SectionKind.found, batch: encodeItems([item]) });
  settle();
  gossip.changes!.record();
  expect(history.floor.seen.sequenceOf(2, 1)).toBe(7);
  gossip.now(11_000, 11_000);
  for (let ticks = 0; ticks < 10; ticks += 1) gossip.tick();
  settle();
  expect(history.end - history.first).toBe(1);
  const change = new Change();
  history.read(history.first, change);
  expect([change.key, change.cause, change.isPut]).toEqual(["k", Op.advance, false]);
});

test.each([0, 1, 400])(
  "a replica that has lost its memory tells of a delete that all have collected, or says compacted (%s)",
  (wait) => {
    const world = quietWorld();
    watching(world, 1);
    const listener = watching(world, 3);
    world.ask(1, put("k", "1"));
    world.ask(1, put("other", "1"));
    world.run(2);
    const { position } = listener;
    expect(listener.folded.has("k")).toBe(true);
    listener.handle!.close();
    world.ask(1, del("k"));
    world.run(400);
    expect(world.at(1).gossip.replica.counters.tombstones).toBe(0);
    world.loseMemory(2);
    world.run(wait);
    const begun = world.watch(2, listener, { from: position });
    world.run(400);
    if (begun === null && listener.error === null)
      expect([...listener.folded.keys()]).toEqual([...world.state(2).keys()]);
  },
);

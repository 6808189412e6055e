/** Deletes stay deletes, whatever comes late: copies of old values, clocks that were set back, folders put back. */
import { describe, expect, test } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import { deleteCommand, setCommand } from "../../kv/command.js";
import { encodeItems, Item } from "./item.js";
import { GossipMessage, MessageKind } from "./message.js";
import { Stamp } from "./stamp.js";
import { LoneReplica, Replicas } from "./testing/replicas.js";

/** Made before the delete of x, by a clock that is right. */
function oldValue(): Item {
  const item = new Item(new Stamp(9_990, 0, 2, 1, 1, 0), "x", false);
  item.value = latin1Encode("old");
  return item;
}

function replicaWithDelete(): LoneReplica {
  const lone = new LoneReplica();
  lone.ask(deleteCommand(["x"]));
  lone.settle();
  lone.peerHolds(1, 1, 1);
  return lone;
}

/** The clock is right again, and what was parked has its time. */
function expectGone(lone: LoneReplica): void {
  lone.gossip.now(2, 12_000);
  lone.sweepAt(1);
  expect(lone.gossip.replica.entries.records.live("x")).toBeUndefined();
}

describe("a clock set back", () => {
  test("a tree's answer from before a collection is not parked either", () => {
    const lone = replicaWithDelete();
    const { intake } = lone.gossip.antiEntropy;
    const { epoch } = intake;
    lone.sweepAt(7);
    expect(lone.gossip.replica.counters.tombstones).toBe(0);
    lone.gossip.now(1, 9_000);
    expect(intake.takeFound([oldValue()], epoch)).toBe(false);
    lone.settle();
    expectGone(lone);
  });

  test("no tombstone is collected while an older write is on its way to be parked", () => {
    const lone = replicaWithDelete();
    lone.gossip.now(1, 9_000);
    lone.gossip.antiEntropy.intake.takePushed(encodeItems([oldValue()]));
    lone.sweepAt(7);
    expect(lone.gossip.replica.counters.parked).toBe(1);
    expectGone(lone);
  });
});

describe("an older copy of a folder", () => {
  test.each(["of an earlier life", "of the same life"])("%s brings no deleted value back", (copy) => {
    const replicas = new Replicas([1, 2, 3]);
    replicas.run(40);
    replicas.ask(1, setCommand("x", latin1Encode("old")));
    replicas.run(60);
    expect(replicas.has(3, "x")).toBe(true);
    const folder = replicas.backUp(3);
    if (copy === "of an earlier life") {
      replicas.loseMemory(3);
      replicas.run(300);
      expect(replicas.at(3).recovering).toBe(false);
      expect(replicas.has(3, "x")).toBe(true);
    }
    replicas.ask(1, deleteCommand(["x"]));
    replicas.run(600);
    for (const node of [1, 2, 3]) expect(replicas.at(node).replica.counters.tombstones).toBe(0);
    replicas.putBack(3, folder);
    replicas.run(2_000);
    expect([1, 2, 3].map((node) => replicas.has(node, "x"))).toEqual([false, false, false]);
    expect(replicas.rebuilt.map(({ node }) => node)).toEqual([3]);
    expect(replicas.at(3).recovering).toBe(false);
  });

  test("gives no sequence to two writes", () => {
    const replicas = new Replicas([1, 2, 3]);
    replicas.run(40);
    replicas.ask(3, setCommand("a", latin1Encode("1")));
    replicas.run(40);
    const folder = replicas.backUp(3);
    for (let i = 0; i < 5; i += 1) replicas.ask(3, setCommand(`b${i}`, latin1Encode("1")));
    replicas.run(40);
    replicas.putBack(3, folder);
    replicas.run(300);
    expect(replicas.rebuilt).toEqual([
      { node: 3, reason: expect.stringMatching(/holds write 6 .* has 1: an older copy/) },
    ]);
    replicas.ask(3, setCommand("acknowledged", latin1Encode("1")));
    replicas.run(300);
    for (const node of [1, 2, 3]) {
      for (const key of ["a", "b0", "b4", "acknowledged"])
        expect(replicas.has(node, key), `${key} at ${node}`).toBe(true);
    }
  });
});

test("a digest tells no life that is not durably known", () => {
  const lone = new LoneReplica();
  const digest = new GossipMessage(MessageKind.digest, 4);
  digest.wallMs = 10_000;
  lone.gossip.receive(2, digest);
  const told = () => {
    for (let i = 0; i < 5; i += 1) lone.gossip.tick();
    lone.gossip.flush();
    lone.gossip.antiEntropy.peers.get(2)!.question = null;
    return lone.gossip.outbox.sends.filter(({ message }) => message.kind === MessageKind.digest).at(-1)?.message.lives;
  };
  expect(told()).not.toContain(4);
  lone.settle();
  expect(told()).toEqual([1, 1, 2, 4]);
});

test("a delete answers how many keys it was to remove: what it removes elsewhere it cannot know", () => {
  const lone = new LoneReplica();
  const request = lone.ask(deleteCommand(["x", "y", "x"]));
  lone.settle();
  expect(lone.answerOf(request)?.integer).toBe(2n);
  lone.gossip.antiEntropy.intake.takePushed(encodeItems([oldValue()]));
  lone.settle();
  expect(lone.gossip.replica.entries.records.live("x")).toBeUndefined();
});

test("a clock that was a day ahead and is right again: what the stamps would be is refused while peers are there", () => {
  const lone = new LoneReplica();
  const day = 86_400_000;
  // Nobody is reachable, and the clock is wrong: one write.
  lone.gossip.now(1, 10_000 + day);
  lone.ask(setCommand("x", latin1Encode("1")));
  lone.settle();
  // ntp sets it right, and the peer is reachable.
  lone.gossip.now(2, 10_002);
  lone.peerHolds(1, 1, 1);
  const peer = lone.gossip.antiEntropy.peers.get(2)!;
  peer.heardTick = lone.gossip.ticks;
  peer.clockOffsetMs = 10_000;
  const request = lone.ask(setCommand("y", latin1Encode("2")));
  lone.settle();
  expect(lone.answerOf(request)?.error?.code).toBe("clock_ahead");
});

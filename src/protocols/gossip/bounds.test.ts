/** What a replica remembers has bounds, and past them it says so or goes on without. */
import { describe, expect, test } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import { deleteCommand, setCommand } from "../../kv/command.js";
import { Vector, VectorEntry } from "./origins.js";
import { SectionKind } from "./section.js";
import { SequenceSet } from "./sequence-set.js";
import { LoneReplica } from "./testing/replicas.js";

describe("bounds", () => {
  test("the index finds the newest writes though there are many tombstones, and forgets those that were replaced", () => {
    const lone = new LoneReplica({ maxIndexed: 10, maxSweep: 2 });
    const write = (key: string) => {
      lone.ask(setCommand(key, latin1Encode("v")));
      lone.settle();
      lone.sweepAt(50);
    };
    for (let i = 0; i < 30; i += 1) lone.ask(deleteCommand([`d${i}`]));
    lone.settle();
    for (let i = 0; i < 20; i += 1) write(`k${i}`);
    const origin = lone.gossip.replica.origins.find(1, 1)!;
    const { counters } = lone.gossip.replica;
    expect([origin.have.highest - origin.floor, counters.indexed - counters.tombstones]).toEqual([10, 10]);
    for (let i = 0; i < 30; i += 1) write(`d${i}`);
    expect([origin.have.highest - origin.floor, counters.tombstones, counters.indexed]).toEqual([10, 0, 10]);
  });

  test("a group that knows as many lives as it can refuses the writes of one more, and is still understood", () => {
    const lone = new LoneReplica();
    const vector = new Vector();
    for (let i = 0; i < 1_500; i += 1) {
      const sequences = new SequenceSet();
      sequences.contiguous = 1;
      vector.entries.push(new VectorEntry(2, 10 + i, sequences));
    }
    lone.gossip.log.add({
      kind: SectionKind.merge,
      vector: { ...vector, entries: vector.entries.slice(0, 1_000) } as Vector,
    });
    lone.gossip.log.add({
      kind: SectionKind.merge,
      vector: { ...vector, entries: vector.entries.slice(1_000) } as Vector,
    });
    lone.settle();
    const { origins } = lone.gossip.replica;
    expect([origins.size, origins.vector(false).entries.length]).toEqual([1_024, 1_023]);
    lone.gossip.hard.incarnation = 2;
    lone.gossip.gateway.lifeBegins();
    const request = lone.ask(setCommand("k", latin1Encode("v")));
    lone.settle();
    expect([lone.answerOf(request)?.error?.code, origins.size]).toEqual(["unavailable", 1_024]);
  });
});

/** What a session says it has seen may be made up: it must harm nobody, and whatever is logged must be readable. */
import { describe, expect, test } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import { RecordKind } from "../../core/machine.js";
import { Random } from "../../core/random.js";
import { getCommand, setCommand } from "../../kv/command.js";
import { Level } from "../../kv/level.js";
import { Seen, SeenOrigin } from "../../kv/seen.js";
import { decodeItems, encodeItems, Item, MAX_DEPENDENCIES } from "./item.js";
import { Vector, VectorEntry } from "./origins.js";
import { readSections, SectionKind } from "./section.js";
import { SequenceSet } from "./sequence-set.js";
import { Stamp } from "./stamp.js";
import { LoneReplica, Replicas } from "./testing/replicas.js";

function seenOf(...origins: readonly (readonly [node: number, incarnation: number, sequence: number])[]): Seen {
  const seen = new Seen();
  for (const [node, incarnation, sequence] of origins) seen.raise(node, incarnation, sequence);
  return seen;
}

const SET = setCommand("k", latin1Encode("v"));

describe("a token's claims", () => {
  test("what can be no write, no member's, or more than this node has written, is refused", () => {
    const lone = new LoneReplica();
    lone.ask(SET);
    lone.settle();
    for (const claim of [
      [0, 7, 5],
      [2, 0, 5],
      [999, 7, 5],
      [1, 1, 2],
      [1, 2, 1],
    ] as const) {
      const seen = seenOf(claim);
      expect(lone.gossip.gateway.claimProblem(seen)?.code, String(claim)).toBe("bad_token");
      const request = lone.ask(SET, seen);
      lone.settle();
      expect(lone.answerOf(request)?.error?.code, String(claim)).toBe("bad_token");
    }
    expect(lone.gossip.gateway.claimProblem(seenOf([1, 1, 1], [2, 7, 5]))).toBeNull();
  });

  test("a life that was never heard of is not passed on; one that is known is", () => {
    const lone = new LoneReplica();
    lone.peerHolds(2, 1, 3);
    const answers = (
      [
        [2, 1, 3],
        [2, 1, 4],
        [2, 9, 1],
      ] as const
    ).map((claim) => {
      const request = lone.ask(SET, seenOf(claim));
      lone.settle();
      return lone.answerOf(request)?.error?.code ?? "ok";
    });
    expect(answers).toEqual(["ok", "ok", "unavailable"]);
  });

  test("many made-up lives in one turn, or more than a write can name, are refused and stop nothing", () => {
    const lone = new LoneReplica();
    const requests = Array.from({ length: 20 }, (_, i) => {
      const lives = Array.from({ length: 64 }, (_, j) => [2, 1 + i * 64 + j, 1] as const);
      return lone.ask(setCommand(`k${i}`, latin1Encode("v")), seenOf(...lives));
    });
    lone.settle();
    for (const request of requests) expect(lone.answerOf(request)?.error?.code).toBe("unavailable");
    const vector = new Vector();
    for (let life = 1; life <= 80; life += 1) {
      const set = new SequenceSet();
      set.addRange(2, 2); // Its first is missing: not held by every member.
      vector.entries.push(new VectorEntry(2, life, set));
    }
    lone.gossip.log.add({ kind: SectionKind.merge, vector });
    lone.settle();
    const told = (count: number) => {
      const request = lone.ask(SET, seenOf(...Array.from({ length: count }, (_, i) => [2, 1 + i, 2] as const)));
      lone.gossip.flush();
      const items = lone.newestItems();
      lone.settle();
      return lone.answerOf(request)?.error?.code ?? items[0].dependencies.length;
    };
    expect([told(MAX_DEPENDENCIES), told(MAX_DEPENDENCIES + 1)]).toEqual([MAX_DEPENDENCIES, "unavailable"]);
  });

  test("whatever is accepted is logged so that it can be read again", () => {
    const random = new Random(11);
    const lone = new LoneReplica();
    lone.peerHolds(2, 1, 3);
    let accepted = 0;
    for (let run = 0; run < 3_000; run += 1) {
      const seen = new Seen();
      seen.raiseClock(random.below(2) * 10_400, random.below(2) * 0xffff_ffff);
      for (let left = random.below(3); left > 0; left -= 1) {
        const sequence = random.pick([0, 1, 3, 2 ** 32, Number.MAX_SAFE_INTEGER]);
        seen.origins.push(new SeenOrigin(random.below(4), random.pick([0, 1, 2, Number.MAX_SAFE_INTEGER]), sequence));
      }
      const request = lone.ask(SET, seen);
      const before = lone.gossip.outbox.records.length;
      lone.gossip.flush();
      for (const record of lone.gossip.outbox.records.slice(before)) {
        if (record.kind !== RecordKind.entry) continue;
        accepted += 1;
        for (const section of readSections(record.payload)) {
          expect(section.kind === SectionKind.writes && decodeItems(section.batch).length).toBe(1);
        }
      }
      lone.settle();
      expect(lone.answerOf(request)).toBeDefined();
      lone.gossip.outbox.replies.length = lone.gossip.outbox.records.length = 0;
    }
    expect(accepted).toBeGreaterThan(300);
  });

  test("a write that depends on what never was stops its readers no longer than a question to its node takes", () => {
    const replicas = new Replicas([1, 2, 3]);
    replicas.run(40);
    const life = replicas.at(2).hard.incarnation;
    expect(replicas.ask(1, SET, seenOf([2, life, 2 ** 50])).error).toBeNull();
    replicas.run(5);
    for (const node of [1, 2, 3]) {
      const seen = new Seen();
      for (let i = 0; i < 3; i += 1) {
        expect(replicas.ask(node, getCommand("k"), seen, Level.session, 60).value.length, `node ${node}`).toBe(1);
      }
    }
    replicas.run(300);
    for (const node of [1, 2, 3]) expect(replicas.at(node).replica.counters.dependents, `node ${node}`).toBe(0);
  });

  test("rows of dependencies that are still missing do not keep later ones from being forgotten", () => {
    const lone = new LoneReplica({ maxSweep: 2 });
    const write = (key: string, sequence: number, after: SeenOrigin) => {
      const item = new Item(new Stamp(9_990, sequence, 2, 1, sequence, 0), key, false);
      item.dependencies = [after];
      lone.gossip.antiEntropy.intake.takePushed(encodeItems([item]));
      lone.settle();
    };
    for (let i = 1; i <= 5; i += 1) write(`a${i}`, i, new SeenOrigin(2, 1, 1_000));
    write("z", 6, new SeenOrigin(1, 1, 1));
    lone.ask(setCommand("x", latin1Encode("v")));
    lone.settle();
    for (let i = 0; i < 6; i += 1) lone.sweepAt(50);
    expect([lone.gossip.replica.dependenciesOf("z"), lone.gossip.replica.counters.dependents]).toEqual([null, 5]);
  });
});

test.each(["k", ""])("a session that has read the key %j knows what it has read", (key) => {
  const lone = new LoneReplica();
  const item = new Item(new Stamp(9_990, 0, 2, 1, 2, 0), key, false); // The first of its origin has not come.
  item.value = latin1Encode("v");
  lone.gossip.antiEntropy.intake.takePushed(encodeItems([item]));
  lone.settle();
  const request = lone.ask(getCommand(key), new Seen(), Level.session);
  lone.settle();
  expect([lone.answerOf(request)?.value.length, request.seen?.sequenceOf(2, 1)]).toEqual([1, 2]);
});

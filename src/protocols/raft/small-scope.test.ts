import { describe, expect, test } from "vitest";
import { Leader } from "./leader.js";
import { MessageKind } from "./message.js";
import { quorumReached } from "./quorum.js";
import { Raft } from "./raft.js";
import { type Scope, SmallScope } from "./testing/small-scope.js";
import type { MakeRaft } from "./testing/tiny-host.js";

const sound: MakeRaft = (options, state) => new Raft(options, state);

/** Two candidates that do not hear each other, and a voter between them. */
const TWO_CANDIDATES: Scope = {
  nodes: 3,
  make: sound,
  ticks: [1, 1, 0],
  crashes: [1, 1, 1],
  writes: [0, 0, 0],
  doubles: 0,
  cut: (from, to) => from + to === 3,
};

/** Raft paper, figure 8 (b), with three: 1 has led term 1 and 2 has led term 2, and neither has reached anybody. */
const FIGURE_8: Scope = {
  ...TWO_CANDIDATES,
  ticks: [2, 1, 0],
  crashes: [0, 0, 0],
  logs: [
    { term: 2, terms: [1] },
    { term: 2, terms: [2] },
    { term: 2, terms: [] },
  ],
};

describe("every run within these bounds keeps what figure 3 of the Raft paper promises", () => {
  // The exact number of states is part of the claim: it changes when the machine or the exploration does.
  const scopes: [name: string, scope: Scope, states: number, leaders: number, committed: number][] = [
    [
      "two nodes, three timeouts, a write",
      { nodes: 2, make: sound, ticks: [2, 1], crashes: [0, 0], writes: [1, 0], doubles: 0 },
      320_871,
      2,
      3,
    ],
    [
      "two nodes, a timeout each, a crash, a write, and a message twice",
      { nodes: 2, make: sound, ticks: [1, 0], crashes: [1, 1], writes: [1, 0], doubles: 1 },
      54_558,
      1,
      2,
    ],
    [
      "three nodes, one timeout",
      { nodes: 3, make: sound, ticks: [1, 0, 0], crashes: [0, 0, 0], writes: [0, 0, 0], doubles: 0 },
      71_819,
      1,
      1,
    ],
    ["two candidates, all three may crash", TWO_CANDIDATES, 43_799, 1, 1],
    ["figure 8", FIGURE_8, 78_943, 2, 2],
    ["figure 8 with crashes", { ...FIGURE_8, ticks: [1, 1, 0], crashes: [1, 0, 1] }, 39_843, 1, 2],
  ];

  test.each(scopes)("%s", (_name, scope, states, leaders, committed) => {
    expect(new SmallScope(scope).run()).toMatchObject({ violation: null, states, leaders, committed });
  });
});

/** A vote leaves before its record is durable. */
class UnheldVoteRaft extends Raft {
  constructor(...parts: ConstructorParameters<typeof Raft>) {
    super(...parts);
    const { outbox } = this;
    const hold = outbox.sendHeld.bind(outbox);
    outbox.sendHeld = (peer, message) => {
      if (message.kind === MessageKind.voteResponse) outbox.send(peer, message);
      else hold(peer, message);
    };
  }
}

/** An entry of an older term is committed by counting who holds it. */
class CountingLeader extends Leader {
  constructor(private readonly host: Raft) {
    super(host);
  }

  override advanceCommit(): void {
    const index = quorumReached(this.host.configuration, (node) => this.durableIndexOf(node));
    this.host.commitTo(Math.min(index, this.host.log.lastIndex));
  }
}

class CountingRaft extends Raft {
  protected override createLeader(): Leader {
    return new CountingLeader(this);
  }
}

describe("a planted bug is found by the shortest way to it", () => {
  test("a vote that is not held behind its record", () => {
    const make: MakeRaft = (options, state) => new UnheldVoteRaft(options, state);
    const { violation } = new SmallScope({ ...TWO_CANDIDATES, crashes: [0, 0, 1], make }).run();
    expect(violation).toMatch(/^election safety: the leaders were 1:1,1:2\n/);
    expect(violation).toContain("\ncrash 3\n");
  });

  test("an entry of an older term committed by counting", () => {
    const make: MakeRaft = (options, state) => new CountingRaft(options, state);
    const { violation } = new SmallScope({ ...FIGURE_8, make }).run();
    expect(violation).toMatch(/^leader completeness: entry 1 is committed, and a leader without it could be elected\n/);
  });
});

import { describe, expect, test } from "vitest";
import type { NodeId } from "../../core/machine.js";
import { Random } from "../../core/random.js";
import { type Configuration, configurationMembers, isVoter, majority, quorumReached, voteOutcome } from "./quorum.js";

/** What a quorum is, from its definition: a majority of the voters and, while they are joint, of the outgoing ones. */
function isQuorum(configuration: Configuration, nodes: readonly NodeId[]): boolean {
  const most = (voters: readonly NodeId[]): boolean =>
    voters.length === 0 || voters.filter((node) => nodes.includes(node)).length * 2 > voters.length;
  return most(configuration.voters) && most(configuration.outgoing);
}

function subsets(nodes: readonly NodeId[]): NodeId[][] {
  return Array.from({ length: 2 ** nodes.length }, (_, bits) => nodes.filter((_node, i) => (bits >> i) & 1));
}

/** The best that any quorum can say of all its members. */
function reachedByBruteForce(configuration: Configuration, reached: (node: NodeId) => number): number {
  const quorums = subsets(configurationMembers(configuration)).filter((nodes) => isQuorum(configuration, nodes));
  return Math.max(...quorums.map((nodes) => Math.min(...nodes.map(reached))));
}

function randomConfiguration(random: Random): Configuration {
  const pick = (most: number): NodeId[] => random.shuffle([1, 2, 3, 4, 5, 6, 7]).slice(0, random.below(most + 1));
  const voters = random.shuffle([1, 2, 3, 4, 5, 6, 7]).slice(0, 1 + random.below(5));
  return { voters, outgoing: random.chance(0.5) ? pick(5) : [], learners: pick(2) };
}

describe("quorums agree with brute force over all subsets", () => {
  test("what a quorum has reached", () => {
    const random = new Random(1);
    for (let i = 0; i < 5_000; i += 1) {
      const configuration = randomConfiguration(random);
      const values = new Map([1, 2, 3, 4, 5, 6, 7].map((node) => [node, random.below(6)]));
      const reached = (node: NodeId): number => values.get(node)!;
      const wanted = reachedByBruteForce(configuration, reached);
      expect(quorumReached(configuration, reached), JSON.stringify({ configuration, values: [...values] })).toBe(
        wanted,
      );
    }
  });

  test("votes", () => {
    const random = new Random(2);
    const seen = new Set<string>();
    for (let i = 0; i < 20_000; i += 1) {
      const configuration = randomConfiguration(random);
      const votes = new Map([1, 2, 3, 4, 5, 6, 7].map((node) => [node, random.pick([true, false, undefined])]));
      const members = configurationMembers(configuration);
      const isWon = isQuorum(
        configuration,
        members.filter((node) => votes.get(node)),
      );
      const mayBeWon = isQuorum(
        configuration,
        members.filter((node) => votes.get(node) !== false),
      );
      const wanted = isWon ? "won" : mayBeWon ? "pending" : "lost";
      seen.add(wanted);
      expect(voteOutcome(configuration, (node) => votes.get(node))).toBe(wanted);
    }
    expect(seen).toEqual(new Set(["won", "pending", "lost"]));
  });

  test("two quorums of one configuration share a member", () => {
    const random = new Random(3);
    for (let i = 0; i < 300; i += 1) {
      const configuration = randomConfiguration(random);
      const quorums = subsets(configurationMembers(configuration)).filter((nodes) => isQuorum(configuration, nodes));
      for (const a of quorums) for (const b of quorums) expect(a.some((node) => b.includes(node))).toBe(true);
    }
  });
});

test("majorities", () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(majority)).toEqual([1, 2, 2, 3, 3, 4, 4]);
});

test("members are told once, and learners do not vote", () => {
  const configuration = { voters: [3, 1], outgoing: [1, 2], learners: [2, 4] };
  expect(configurationMembers(configuration)).toEqual([3, 1, 2, 4]);
  expect([1, 2, 3, 4].filter((node) => isVoter(configuration, node))).toEqual([1, 2, 3]);
});

import type { NodeId } from "../../core/machine.js";

/**
 * Who decides. `outgoing` is the old set of voters while a joint configuration holds (thesis 4.3): a decision then
 * needs a majority of both. Learners receive entries and decide nothing.
 */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
}

export function majority(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** The largest number that a majority of `voters` has reached. `reached` answers 0 for who does not count. */
function majorityReached(voters: readonly NodeId[], reached: (node: NodeId) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  const sorted: number[] = [];
  for (const node of voters) {
    const value = reached(node);
    let at = sorted.length;
    while (at > 0 && sorted[at - 1] < value) at -= 1;
    sorted.splice(at, 0, value);
  }
  return sorted[majority(voters.length) - 1];
}

/** The largest number that a quorum has reached: a match index, a read round. */
export function quorumReached(configuration: Configuration, reached: (node: NodeId) => number): number {
  return Math.min(majorityReached(configuration.voters, reached), majorityReached(configuration.outgoing, reached));
}

export type VoteOutcome = "won" | "lost" | "pending";

function majorityVote(voters: readonly NodeId[], vote: (node: NodeId) => boolean | undefined): VoteOutcome {
  if (voters.length === 0) return "won";
  let granted = 0;
  let open = 0;
  for (const node of voters) {
    const answer = vote(node);
    if (answer === undefined) open += 1;
    else if (answer) granted += 1;
  }
  if (granted >= majority(voters.length)) return "won";
  return granted + open >= majority(voters.length) ? "pending" : "lost";
}

export function voteOutcome(configuration: Configuration, vote: (node: NodeId) => boolean | undefined): VoteOutcome {
  const incoming = majorityVote(configuration.voters, vote);
  const outgoing = majorityVote(configuration.outgoing, vote);
  if (incoming === "lost" || outgoing === "lost") return "lost";
  return incoming === "won" && outgoing === "won" ? "won" : "pending";
}

/** Every node of a configuration once, voters first. */
export function configurationMembers(configuration: Configuration): NodeId[] {
  const members = [...configuration.voters];
  for (const node of configuration.outgoing) if (!members.includes(node)) members.push(node);
  for (const node of configuration.learners) if (!members.includes(node)) members.push(node);
  return members;
}

export function isVoter(configuration: Configuration, node: NodeId): boolean {
  return configuration.voters.includes(node) || configuration.outgoing.includes(node);
}

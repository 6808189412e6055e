/**
 * What may be believed of what a session says it has seen. Tokens are not secret and not signed: anybody can make one up.
 * DESIGN.md ("Tokens are claims") tells the rule.
 */
import { KvError } from "../../kv/errors.js";
import { type Seen, SeenOrigin } from "../../kv/seen.js";
import type { Gossip } from "./gossip.js";
import { MAX_DEPENDENCIES } from "./item.js";
import { isLost } from "./past-lives.js";

/** Why no session can have seen that: `bad_token`; null if one may. */
export function claimProblem(gossip: Gossip, seen: Seen): KvError | null {
  for (const it of seen.origins) {
    const problem = originProblem(gossip, it);
    if (problem !== null) return problem;
  }
  return null;
}

function originProblem(gossip: Gossip, { node, incarnation, sequence }: SeenOrigin): KvError | null {
  const { hard, options, replica } = gossip;
  if (incarnation < 1 || sequence < 1) {
    return new KvError(
      "bad_token",
      `the token names write ${sequence} of life ${incarnation} of a node; both begin at 1`,
    );
  }
  if (!options.members.includes(node)) {
    return new KvError("bad_token", `the token names a write of node ${node}, which is no member of this group`);
  }
  if (node !== gossip.node || incarnation < hard.incarnation) return null;
  if (gossip.recovering && incarnation > hard.incarnation) {
    // Of all lives it has had, the one that it has now need not be the latest: its peers have yet to say so.
    return new KvError(
      "unavailable",
      `node ${node} has lost its memory and does not know yet what it has written before: try again in a moment, or at another node`,
    );
  }
  const written = incarnation > hard.incarnation ? 0 : (replica.origins.find(node, incarnation)?.have.highest ?? 0);
  if (sequence <= written) return null;
  return new KvError(
    "bad_token",
    `the token names write ${sequence} of life ${incarnation} of node ${node}, which has made ${written} in that life`,
  );
}

/**
 * What a write has to tell of what its session has seen: of other origins, but for what every member holds and what is
 * lost. Or why it cannot be told, and the write cannot be taken.
 */
export function dependenciesFor(gossip: Gossip, seen: Seen): SeenOrigin[] | KvError {
  const { node, hard, replica } = gossip;
  const found: SeenOrigin[] = [];
  for (const it of seen.origins) {
    if (it.node === node && it.incarnation === hard.incarnation) continue;
    const origin = replica.origins.find(it.node, it.incarnation);
    if (it.sequence <= (origin?.trimmed ?? 0)) continue;
    if ((origin?.have.contiguous ?? 0) < it.sequence) {
      if (isLost(gossip, it)) continue;
      if (!isHeardOf(gossip, it)) {
        return new KvError(
          "unavailable",
          `the session has seen write ${it.sequence} of life ${it.incarnation} of node ${it.node}, of which node ${node} has not heard yet: try again in a moment, or at another node`,
        );
      }
    }
    found.push(new SeenOrigin(it.node, it.incarnation, it.sequence));
  }
  if (found.length <= MAX_DEPENDENCIES) return found;
  return new KvError(
    "unavailable",
    `the session has seen writes of ${found.length} lives of nodes that not every member holds yet, and a write can name ${MAX_DEPENDENCIES}: try again when these have come to all members`,
  );
}

/** The newest life of a member may have gone on by any number of writes; of an older one, only what somebody has counts. */
function isHeardOf({ hard, replica, antiEntropy }: Gossip, { node, incarnation, sequence }: SeenOrigin): boolean {
  if (hard.known.get(node) === incarnation) return true;
  if ((replica.origins.find(node, incarnation)?.taken.highest ?? 0) >= sequence) return true;
  for (const peer of antiEntropy.peers.values()) {
    if ((peer.taken.find(node, incarnation)?.highest ?? 0) >= sequence) return true;
  }
  return false;
}

/**
 * Whether a write that was named here at `sinceTick` or before never was. Its own node knows: nothing is shown to anybody
 * before it is durable there, so what that node has when it answers a question put later is all that can have been seen.
 */
export function neverWritten(gossip: Gossip, { node, incarnation, sequence }: SeenOrigin, sinceTick: number): boolean {
  if (node === gossip.node) {
    if (incarnation !== gossip.hard.incarnation) return false;
    return (gossip.replica.origins.find(node, incarnation)?.have.highest ?? 0) < sequence;
  }
  const peer = gossip.antiEntropy.peers.get(node);
  if (peer === undefined) return true;
  return peer.incarnation === incarnation && peer.toldTick > sinceTick && peer.written < sequence;
}

/** More than that are reviewed the next time round. */
const CLAIMS_MAX = 65_536;

/** Which writes that others depend on have been named here, and since when: until they are held, or never were. */
export class Claims {
  private since = new Map<string, number>();
  private next = new Map<string, number>();

  constructor(private readonly gossip: Gossip) {}

  /** Rows of dependencies that say nothing any more go; `limit` are looked at. */
  review(limit: number): void {
    const { gossip } = this;
    const { replica, ticks } = gossip;
    const { next } = this;
    const isEnd = replica.forgetDependencies(limit, (it) => {
      const name = `${it.node}.${it.incarnation}:${it.sequence}`;
      const sinceTick = next.get(name) ?? this.since.get(name) ?? ticks;
      if (next.size < CLAIMS_MAX) next.set(name, sinceTick);
      return isLost(gossip, it) || neverWritten(gossip, it, sinceTick);
    });
    if (!isEnd) return;
    this.since = next;
    this.next = new Map();
  }
}

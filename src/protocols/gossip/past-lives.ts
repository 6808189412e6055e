import type { SeenOrigin } from "../../kv/seen.js";
import type { Gossip } from "./gossip.js";
import { type Origin, Vector, VectorEntry } from "./origins.js";
import { SequenceSet } from "./sequence-set.js";

/**
 * What is left of a life that is over: every member knows that it is, so none takes anything from it any more, and what
 * all of them together hold is all that there will ever be. Null as long as that is not so.
 */
function remains(gossip: Gossip, node: number, incarnation: number): SequenceSet | null {
  const { hard, replica, antiEntropy, recovering } = gossip;
  const known = node === gossip.node ? hard.incarnation : (hard.known.get(node) ?? 0);
  if (known <= incarnation || recovering || !gossip.hardStateIsDurable) return null;
  const union = new SequenceSet();
  const own = replica.origins.find(node, incarnation);
  if (own !== undefined) union.merge(own.taken);
  for (const peer of antiEntropy.peers.values()) {
    if (!peer.counts || (peer.lives.get(node) ?? 0) <= incarnation) return null;
    const held = peer.taken.find(node, incarnation);
    if (held !== null) union.merge(held);
  }
  return union;
}

/** Whether a write that is waited for went with its node's memory before any other had it. */
export function isLost(gossip: Gossip, { node, incarnation, sequence }: SeenOrigin): boolean {
  const union = remains(gossip, node, incarnation);
  return union !== null && union.highest < sequence;
}

/**
 * The gaps in a past life's writes that nobody can fill: they count as held from now on, or whoever has seen what follows
 * them would wait for ever, and no tombstone of that life would be collected. Null if there are none.
 */
export function lostGaps(gossip: Gossip, origin: Origin): Vector | null {
  if (origin.have.rangeCount === 0 && origin.have.contiguous > 0) return null;
  const union = remains(gossip, origin.node, origin.incarnation);
  if (union === null || union.highest === 0) return null;
  const all = new SequenceSet();
  all.contiguous = union.highest;
  const missing = all.minus(union);
  if (missing.length === 0) return null;
  const gaps = new SequenceSet();
  for (let i = 0; i < missing.length; i += 2) gaps.addRange(missing[i], missing[i + 1]);
  if (gaps.minus(origin.have).length === 0) return null;
  const vector = new Vector();
  vector.entries.push(new VectorEntry(origin.node, origin.incarnation, gaps));
  return vector;
}

import type { HybridTime } from "../../core/hybrid-clock.js";
import type { Incarnation, NodeId } from "../../core/machine.js";
import { mix32 } from "../../core/random.js";
import { getU32, getU53, putU32, putU53 } from "../../kv/fixed-integers.js";

/**
 * The tag of one write: unique for ever, and what the last writer wins by. (node, incarnation) is the origin, `sequence`
 * its count of writes; the two together name the write, the hybrid time before them orders it.
 */
export class Stamp implements HybridTime {
  constructor(
    readonly ms: number,
    readonly logical: number,
    readonly node: NodeId,
    readonly incarnation: Incarnation,
    readonly sequence: number,
    /** Version of what this write replaced where it was made; 0 for nothing. Tells an overwrite from a conflict. */
    readonly replaced: number,
    /** Follows from the others: given by whoever has stored it. */
    readonly version: number = versionOf(ms, logical, node, incarnation, sequence),
  ) {}
}

/** Below 0 when `a` loses against `b`; 0 only for one and the same write. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.ms !== b.ms) return a.ms - b.ms;
  if (a.logical !== b.logical) return a.logical - b.logical;
  if (a.node !== b.node) return a.node - b.node;
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation;
  return a.sequence - b.sequence;
}

function mixHigh(high: number, low: number, word: number): number {
  return mix32(high ^ low ^ Math.imul(word, 0x85ebca6b));
}

/** The tag as one number of 53 bits, for those who compare for equality alone. Never 0. */
function versionOf(ms: number, logical: number, node: number, incarnation: number, sequence: number): number {
  const msHigh = Math.floor(ms / 4294967296);
  const incarnationHigh = Math.floor(incarnation / 4294967296);
  const sequenceHigh = Math.floor(sequence / 4294967296);
  let low = mix32(0x9e3779b9 ^ ms);
  let high = mixHigh(0x243f6a88, low, ms);
  low = mix32(low ^ msHigh);
  high = mixHigh(high, low, msHigh);
  low = mix32(low ^ logical);
  high = mixHigh(high, low, logical);
  low = mix32(low ^ node);
  high = mixHigh(high, low, node);
  low = mix32(low ^ incarnation);
  high = mixHigh(high, low, incarnation);
  low = mix32(low ^ incarnationHigh);
  high = mixHigh(high, low, incarnationHigh);
  low = mix32(low ^ sequence);
  high = mixHigh(high, low, sequence);
  low = mix32(low ^ sequenceHigh);
  high = mixHigh(high, low, sequenceHigh);
  return Math.max(1, (high & 0x1f_ffff) * 4294967296 + low);
}

export function putStamp(bytes: Uint8Array, at: number, stamp: Stamp): void {
  putU53(bytes, at, stamp.ms);
  putU32(bytes, at + 8, stamp.logical);
  putU32(bytes, at + 12, stamp.node);
  putU53(bytes, at + 16, stamp.incarnation);
  putU53(bytes, at + 24, stamp.sequence);
  putU53(bytes, at + 32, stamp.replaced);
}

/** `version`: if it is known. */
export function getStamp<S extends Stamp>(
  Kind: new (...fields: ConstructorParameters<typeof Stamp>) => S,
  bytes: Uint8Array,
  at: number,
  version?: number,
): S {
  return new Kind(
    getU53(bytes, at),
    getU32(bytes, at + 8),
    getU32(bytes, at + 12),
    getU53(bytes, at + 16),
    getU53(bytes, at + 24),
    getU53(bytes, at + 32),
    version,
  );
}

import type { HybridTime } from "../../core/hybrid-clock.js";
import type { Incarnation, NodeId } from "../../core/machine.js";
import { mix32 } from "../../core/random.js";
import { getU32, getU53, putU32, putU53 } from "../../kv/fixed-integers.js";

/**
 * The tag of one write: unique for ever, and what the last writer wins by. (node, incarnation) is the origin, `sequence`
 * its count of writes; the two together name the write, the hybrid time before them orders it.
 */
export class Stamp implements HybridTime {
  readonly version: number;

  constructor(
    readonly ms: number,
    readonly logical: number,
    readonly node: NodeId,
    readonly incarnation: Incarnation,
    readonly sequence: number,
    /** Version of what this write replaced where it was made; 0 for nothing. Tells an overwrite from a conflict. */
    readonly replaced: number,
  ) {
    this.version = versionOf(ms, logical, node, incarnation, sequence);
  }
}

/** Below 0 when `a` loses against `b`; 0 only for one and the same write. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.ms !== b.ms) return a.ms - b.ms;
  if (a.logical !== b.logical) return a.logical - b.logical;
  if (a.node !== b.node) return a.node - b.node;
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation;
  return a.sequence - b.sequence;
}

/** The tag as one number of 53 bits, for those who compare for equality alone. Never 0. */
function versionOf(ms: number, logical: number, node: number, incarnation: number, sequence: number): number {
  let low = 0x9e3779b9;
  let high = 0x243f6a88;
  for (let i = 0; i < 8; i += 1) {
    const word = wordOf(i, ms, logical, node, incarnation, sequence);
    low = mix32(low ^ word);
    high = mix32(high ^ low ^ Math.imul(word, 0x85ebca6b));
  }
  return Math.max(1, (high & 0x1f_ffff) * 4294967296 + low);
}

function wordOf(i: number, ms: number, logical: number, node: number, incarnation: number, sequence: number): number {
  switch (i) {
    case 0:
      return ms >>> 0;
    case 1:
      return Math.floor(ms / 4294967296);
    case 2:
      return logical;
    case 3:
      return node;
    case 4:
      return incarnation >>> 0;
    case 5:
      return Math.floor(incarnation / 4294967296);
    case 6:
      return sequence >>> 0;
    default:
      return Math.floor(sequence / 4294967296);
  }
}

export function putStamp(bytes: Uint8Array, at: number, stamp: Stamp): void {
  putU53(bytes, at, stamp.ms);
  putU32(bytes, at + 8, stamp.logical);
  putU32(bytes, at + 12, stamp.node);
  putU53(bytes, at + 16, stamp.incarnation);
  putU53(bytes, at + 24, stamp.sequence);
  putU53(bytes, at + 32, stamp.replaced);
}

export function getStamp(bytes: Uint8Array, at: number): Stamp {
  return new Stamp(
    getU53(bytes, at),
    getU32(bytes, at + 8),
    getU32(bytes, at + 12),
    getU53(bytes, at + 16),
    getU53(bytes, at + 24),
    getU53(bytes, at + 32),
  );
}

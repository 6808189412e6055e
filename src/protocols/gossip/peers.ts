import type { Incarnation, NodeId } from "../../core/machine.js";
import type { SeenOrigin } from "../../kv/seen.js";
import { NO_VECTOR } from "./message.js";
import type { Vector } from "./origins.js";

/** A question that was put to a peer and is not answered. */
export interface Question {
  readonly number: number;
  readonly overdueTick: number;
  /** Of the intake's collections, when it was put. */
  readonly epoch: number;
  /** What the peer had said before that it holds: it cannot hold less now. */
  readonly promised: Vector;
}

/** What this replica knows of another. */
export class Peer {
  /** 0 until it was heard. */
  incarnation: Incarnation = 0;
  recovering = true;
  /** What is in effect there, and what need not be sent there: as of its newest digest in its present life. */
  have: Vector = NO_VECTOR;
  taken: Vector = NO_VECTOR;
  /** The most that it has said to hold in its present life. */
  promised: Vector = NO_VECTOR;
  /** Newest lives that it knows, of each node. */
  readonly lives = new Map<NodeId, Incarnation>();
  heardTick = Number.NEGATIVE_INFINITY;
  askedTick = Number.NEGATIVE_INFINITY;
  /** Its wall clock minus our monotonic one. */
  clockOffsetMs = 0;
  question: Question | null = null;
  /** How many writes it has made in this life, as it has said in its answer to a question that was put at `toldTick`. */
  written = 0;
  toldTick = Number.NEGATIVE_INFINITY;
  /** Questions in a row that nobody answered. */
  silences = 0;
  /**
   * This replica's own writes above `settled` may still be on their way there: they were pushed a moment ago, and are no answer to
   * a digest. `settling` takes its place. Infinity: nothing was.
   */
  settled = Number.POSITIVE_INFINITY;
  settling = Number.POSITIVE_INFINITY;
  /** Digests in a row that found equal vectors and unequal trees. */
  suspicions = 0;

  constructor(readonly node: NodeId) {}

  begins(incarnation: Incarnation): void {
    this.incarnation = incarnation;
    this.recovering = true;
    this.have = NO_VECTOR;
    this.taken = NO_VECTOR;
    this.promised = NO_VECTOR;
    this.lives.clear();
    this.question = null;
    this.written = 0;
    this.toldTick = Number.NEGATIVE_INFINITY;
    this.silences = 0;
    this.suspicions = 0;
    this.settled = Number.POSITIVE_INFINITY;
    this.settling = Number.POSITIVE_INFINITY;
  }

  /** All that an origin has written through that sequence. */
  holds({ node, incarnation, sequence }: SeenOrigin): boolean {
    return (this.have.find(node, incarnation)?.contiguous ?? 0) >= sequence;
  }

  /** The present life has said what it holds, and has its memory. */
  get counts(): boolean {
    return this.have !== NO_VECTOR && !this.recovering;
  }
}

/** The upper one of the two in the middle: one slow clock of two stops nobody. Null without any. */
export function upperMedian(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

import type { ByteReader } from "../core/bytes.js";
import type { NodeId } from "../core/machine.js";
import type { NodeContext } from "./context.js";
import { PartKind } from "./frame.js";

const ASK_EVERY_TICKS = 10;

/** `fresh`: nobody has ever been part of a cluster, so there is nothing that this node could have forgotten. */
export type FormingOutcome = "fresh" | "recovering";

/**
 * A node with an empty folder does not know whether it is new or has lost everything. It asks all others. Only if each
 * of them answers, after the question, that it has never been part of the cluster either, does this node start as one
 * with nothing to forget. If one has, this node stands in for a lost one and recovers. If some are silent, it waits.
 */
export class Forming {
  private readonly fresh = new Set<NodeId>();
  private ticks = ASK_EVERY_TICKS - 1;

  constructor(
    private readonly others: readonly NodeId[],
    /** Tells the answers to this life's questions from those to an earlier one's. */
    private readonly nonce: number,
    private readonly context: NodeContext,
    private readonly done: (outcome: FormingOutcome) => void,
  ) {}

  /** Members from which no answer has come. */
  get silent(): NodeId[] {
    return this.others.filter((node) => !this.fresh.has(node));
  }

  tick(): void {
    if (this.others.length === 0) {
      this.done("fresh");
      return;
    }
    this.ticks += 1;
    if (this.ticks < ASK_EVERY_TICKS) return;
    this.ticks = 0;
    for (const peer of this.silent) {
      const frame = this.context.frameTo(peer);
      frame.begin(0, PartKind.formingQuestion);
      frame.writer.u53(this.nonce);
      frame.end();
    }
  }

  takeAnswer(peer: NodeId, part: ByteReader): void {
    if (part.u53() !== this.nonce) return;
    const formed = part.u8() === 1;
    if (formed) this.done("recovering");
    else {
      this.fresh.add(peer);
      if (this.silent.length === 0) this.done("fresh");
    }
  }
}

export function answerFormingQuestion(peer: NodeId, part: ByteReader, formed: boolean, context: NodeContext): void {
  const nonce = part.u53();
  const frame = context.frameTo(peer);
  frame.begin(0, PartKind.formingAnswer);
  frame.writer.u53(nonce);
  frame.writer.u8(formed ? 1 : 0);
  frame.end();
}

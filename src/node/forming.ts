import type { ByteReader } from "../core/bytes.js";
import type { Incarnation, NodeId } from "../core/machine.js";
import type { NodeContext } from "./context.js";
import { PartKind } from "./frame.js";
import type { Identity } from "./identity.js";

const ASK_EVERY_TICKS = 10;

/** `founding`: there is nothing that this node could have forgotten. `recovering`: there may be. */
export type FormingOutcome = "founding" | "recovering";

/**
 * A node with an empty folder does not know whether it is new or has lost everything. It asks all others. Only if each
 * of them answers, after the question, that it is new as well, does this node start as one with nothing to forget. If
 * one has been part of the cluster already, this node stands in for a lost one and recovers. If some are silent, it
 * waits.
 *
 * Some member is the first to have heard everybody. To those who ask it later it would seem old, so it remembers the
 * lives that it has heard of as new (they are founders like itself): to the very same life it still answers "new".
 */
export class Forming {
  readonly founders = new Map<NodeId, Incarnation>();
  private ticks = ASK_EVERY_TICKS - 1;

  constructor(
    private readonly others: readonly NodeId[],
    private readonly incarnation: Incarnation,
    /** Tells the answers to this process's questions from those to an earlier one's. */
    private readonly nonce: number,
    private readonly context: NodeContext,
    private readonly done: (outcome: FormingOutcome) => void,
  ) {}

  /** Members from which no answer has come. */
  get silent(): NodeId[] {
    return this.others.filter((node) => !this.founders.has(node));
  }

  tick(): void {
    if (this.others.length === 0) {
      this.done("founding");
      return;
    }
    this.ticks += 1;
    if (this.ticks < ASK_EVERY_TICKS) return;
    this.ticks = 0;
    for (const peer of this.silent) {
      const frame = this.context.frameTo(peer);
      frame.begin(0, PartKind.formingQuestion);
      frame.writer.u53(this.nonce);
      frame.writer.u53(this.incarnation);
      frame.end();
    }
  }

  takeAnswer(peer: NodeId, part: ByteReader): void {
    if (part.u53() !== this.nonce) return;
    const isNew = part.u8() === 1;
    const incarnation = part.u53();
    if (isNew) this.founders.set(peer, incarnation);
    if (!isNew) this.done("recovering");
    else if (this.silent.length === 0) this.done("founding");
  }
}

export function answerFormingQuestion(peer: NodeId, part: ByteReader, identity: Identity, context: NodeContext): void {
  const nonce = part.u53();
  const asker = part.u53();
  const isNew = !identity.formed || identity.founders.get(peer) === asker;
  const frame = context.frameTo(peer);
  frame.begin(0, PartKind.formingAnswer);
  frame.writer.u53(nonce);
  frame.writer.u8(isNew ? 1 : 0);
  frame.writer.u53(identity.incarnation);
  frame.end();
}

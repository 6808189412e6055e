import type { NodeId } from "../../core/machine.js";
import { MessageFlag, MessageKind, type RaftMessage } from "./message.js";
import type { Raft } from "./raft.js";

/** Numbers of the questions of a recovering replica, apart from those of its reads. */
const RECOVERY_ROUND_BASE = 2 ** 40;

export function isRecoveryRound(round: number): boolean {
  return round > RECOVERY_ROUND_BASE;
}

/**
 * The lives of replicas. Whoever has lost what it had promised comes back under a higher incarnation and recovers: it
 * votes in nothing and counts in nothing until it has applied, durably, what a quorum without it had committed after
 * its recovery began. DESIGN.md has the argument.
 */
export class Recovery {
  private round = 0;
  /** Applied and durable up to here, this replica counts again; Infinity until a leader has told. */
  private index = Number.POSITIVE_INFINITY;
  private age = 0;
  /** Write sequence of the record that ends the recovery; 0 when there is none under way. */
  private endSeq = 0;

  constructor(private readonly raft: Raft) {}

  get isUnderWay(): boolean {
    return this.raft.hard.recovering || this.endSeq !== 0;
  }

  leaderChanged(): void {
    this.index = Number.POSITIVE_INFINITY;
    this.age = this.raft.options.resendTicks;
  }

  tick(): void {
    this.age += 1;
    if (this.raft.leaderId === 0 || this.index !== Number.POSITIVE_INFINITY) return;
    if (this.age < this.raft.options.resendTicks) return;
    this.age = 0;
    this.round = Math.max(this.round, RECOVERY_ROUND_BASE) + 1;
    this.raft.askReadIndex(this.round);
  }

  indexKnown(round: number, index: number): void {
    if (round === this.round) this.index = index;
  }

  maybeFinish(): void {
    const { raft } = this;
    if (!raft.hard.recovering || Math.min(raft.appliedIndex, raft.durableIndex) < this.index) return;
    raft.hard.recovering = false;
    this.endSeq = raft.persistHardState();
  }

  stored(seq: number): void {
    if (this.endSeq !== 0 && seq >= this.endSeq) this.endSeq = 0;
  }

  // The lives of others

  /** Whether the message comes from the newest life of its sender that is known here. */
  accept(peer: NodeId, message: RaftMessage): boolean {
    const { raft } = this;
    const known = raft.hard.known.get(peer) ?? 0;
    if (message.incarnation === known) return true;
    if (message.incarnation < known) {
      if (message.has(MessageFlag.recovering)) {
        const stale = raft.message(MessageKind.staleIncarnation);
        stale.index = known;
        raft.outbox.send(peer, stale);
      }
      return false;
    }
    this.seen(peer, message.incarnation);
    return true;
  }

  private seen(peer: NodeId, incarnation: number): void {
    const first = !this.raft.hard.known.has(peer);
    this.raft.hard.known.set(peer, incarnation);
    this.raft.persistHardState();
    if (!first) this.raft.peerReplaced(peer);
  }

  /** Learns of others' new lives from the leader. */
  note(message: RaftMessage): void {
    const { raft } = this;
    for (let i = 0; i + 1 < message.numbers.length; i += 2) {
      const node = message.numbers[i];
      if (node === raft.node || message.numbers[i + 1] <= (raft.hard.known.get(node) ?? 0)) continue;
      this.seen(node, message.numbers[i + 1]);
    }
  }

  /** A clock that went back gave this life a lower number than an earlier one had. It has promised nothing yet. */
  onStale(message: RaftMessage): void {
    const { hard } = this.raft;
    if (!hard.recovering || message.index < hard.incarnation) return;
    hard.incarnation = message.index + 1;
    this.raft.persistHardState();
  }
}

import type { NodeId } from "../../core/machine.js";
import { Random } from "../../core/random.js";
import { MessageKind, type RaftMessage } from "./message.js";
import type { Raft } from "./raft.js";

/** Numbers of the questions of a recovering replica, apart from those of its reads. */
const RECOVERY_ROUND_BASE = 2 ** 40;

/** Where a life's numbers of questions begin: an answer to an earlier life must not be taken for one to this. */
export function firstRound(seed: number): number {
  return new Random(seed).fork("rounds").u32();
}

export function isRecoveryRound(round: number): boolean {
  return round > RECOVERY_ROUND_BASE;
}

/**
 * The lives of replicas. Whoever has lost what it had promised comes back under a higher incarnation and recovers: it
 * votes in nothing and counts in nothing until it has applied, durably, what a quorum without it had committed after
 * its recovery began. DESIGN.md has the argument.
 */
export class Recovery {
  private round: number;
  /** Applied and durable up to here, this replica counts again; Infinity until a leader has told. */
  private index = Number.POSITIVE_INFINITY;
  private age = 0;
  /** Write sequence of the record that ends the recovery; 0 when there is none under way. */
  private endSeq = 0;

  constructor(private readonly raft: Raft) {
    this.round = RECOVERY_ROUND_BASE + firstRound(raft.options.seed);
  }

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
    this.round += 1;
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
      this.sendStale(peer, known);
      return false;
    }
    this.seen(peer, message.incarnation);
    return true;
  }

  private sendStale(peer: NodeId, known: number): void {
    const stale = this.raft.message(MessageKind.staleIncarnation);
    stale.index = known;
    this.raft.outbox.send(peer, stale);
  }

  private seen(peer: NodeId, incarnation: number): void {
    const first = !this.raft.hard.known.has(peer);
    this.raft.hard.known.set(peer, incarnation);
    this.raft.persistHardState();
    if (!first) this.raft.peerReplaced(peer);
  }

  /**
   * Learns of others' new lives from the leader. False: this replica knows a life of one of them that counts as newer (a
   * clock went back), and must not confirm the leader's round as long as that one has not taken a higher number.
   */
  note(message: RaftMessage): boolean {
    const { raft } = this;
    let agreed = true;
    for (let i = 0; i + 1 < message.numbers.length; i += 2) {
      const node = message.numbers[i];
      const known = raft.hard.known.get(node) ?? 0;
      if (node === raft.node || message.numbers[i + 1] === known) continue;
      if (message.numbers[i + 1] > known) this.seen(node, message.numbers[i + 1]);
      else {
        this.sendStale(node, known);
        agreed = false;
      }
    }
    return agreed;
  }

  /**
   * A clock that went back gave this life a lower number than another one had. It takes a higher one: that costs it what
   * peers count for it, and no promise, for it has lost nothing since it began (or recovers).
   */
  onStale(message: RaftMessage): void {
    const { hard } = this.raft;
    if (message.index <= hard.incarnation) return;
    hard.incarnation = message.index + 1;
    this.raft.persistHardState();
  }
}

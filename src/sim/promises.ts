import type { NodeId } from "../core/machine.js";
import { type LogRecord, RecordKind } from "../core/machine.js";
import { HardState } from "../protocols/raft/hard-state.js";
import { MessageFlag, MessageKind, type RaftMessage } from "../protocols/raft/message.js";
import type { Raft } from "../protocols/raft/raft.js";

interface Written {
  readonly seq: number;
  readonly record: LogRecord;
}

/** Hears what a replica's disk holds. */
export interface DurabilityListener {
  entryDurable(position: number, term: number): void;
  stateDurable(position: number): void;
}

/**
 * What one replica could still prove if its power failed now, followed record by record from outside, and whether what
 * it says to others goes beyond that: persist before you promise.
 */
export class Promises {
  private term = 0;
  private vote: NodeId = 0;
  private basePosition = 0;
  /** Terms of the durable entries after the base, by position. */
  private readonly terms = new Map<number, number>();
  private lastPosition = 0;
  private written: Written[] = [];

  /**
   * `before`: the replica's promises when its last process ended, null if there was none. `broken` hears what this one
   * has forgotten of them, `durable` what its disk holds from now on.
   */
  constructor(
    private readonly raft: Raft,
    before: Promises | null,
    broken: (problem: string) => void,
    private readonly durable: DurabilityListener,
  ) {
    const { outbox } = raft;
    const append = outbox.append.bind(outbox);
    outbox.append = (kind, epoch, position, payload) => {
      const seq = append(kind, epoch, position, payload);
      this.written.push({ seq, record: outbox.records[outbox.records.length - 1] });
      return seq;
    };
    const start = raft.start.bind(raft);
    raft.start = (from, tail) => {
      this.moveBase(from.position);
      for (const record of tail) this.persist(record);
      start(from, tail);
      // A new life does not stand by what an older one has promised; that it says so is the point of it.
      if (before === null || before.raft.hard.incarnation !== raft.hard.incarnation) return;
      const forgotten = this.forgotten(before);
      if (forgotten !== "") broken(forgotten);
    };
    const stored = raft.stored.bind(raft);
    raft.stored = (seq) => {
      while (this.written.length > 0 && this.written[0].seq <= seq) this.persist(this.written.shift()!.record);
      stored(seq);
    };
    const installed = raft.snapshotInstalled.bind(raft);
    raft.snapshotInstalled = (epoch, position) => {
      this.moveBase(position);
      installed(epoch, position);
    };
  }

  /** What the last process knew to be durable and this one does not find. */
  private forgotten(before: Promises): string {
    if (this.term < before.term) return `comes back in term ${this.term} and had been in ${before.term}`;
    if (this.term === before.term && before.vote !== 0 && this.vote !== before.vote) {
      return `comes back with its vote of term ${this.term} for ${this.vote}, which had been for ${before.vote}`;
    }
    // Writes that were under way may have replaced what they were to replace.
    let sure = before.lastPosition;
    for (const { record } of before.written) {
      if (record.kind !== RecordKind.hardState) sure = Math.min(sure, record.position - 1);
    }
    for (let position = this.basePosition + 1; position <= sure; position += 1) {
      const term = before.terms.get(position);
      if (term === undefined || this.terms.get(position) === term) continue;
      return `comes back without its entry ${position} of term ${term}, which had been durable`;
    }
    return "";
  }

  private moveBase(position: number): void {
    this.basePosition = Math.max(this.basePosition, position);
    this.lastPosition = Math.max(this.lastPosition, position);
    this.durable.stateDurable(position);
  }

  private persist(record: LogRecord): void {
    if (record.kind === RecordKind.hardState) {
      const hard = HardState.decode(record.payload);
      this.term = hard.term;
      this.vote = hard.vote;
      return;
    }
    const { position } = record;
    if (record.kind === RecordKind.entry) {
      this.terms.set(position, record.epoch);
      this.durable.entryDurable(position, record.epoch);
    }
    for (let after = position + 1; after <= this.lastPosition; after += 1) this.terms.delete(after);
    this.lastPosition = position;
  }

  /** What is compacted away is in a durable checkpoint. */
  private holds(position: number): boolean {
    const { log } = this.raft;
    if (position <= this.basePosition || position <= log.baseIndex) return true;
    return this.terms.get(position) === log.termAt(position);
  }

  /** What is wrong with sending this message now, or "". */
  sent(peer: NodeId, message: RaftMessage): string {
    const { kind, term, index } = message;
    if (kind === MessageKind.voteResponse && message.has(MessageFlag.granted)) {
      const kept = this.term > term || (this.term === term && this.vote === peer);
      return kept ? "" : `gives node ${peer} its vote in term ${term}, which its disk does not know of`;
    }
    if (kind === MessageKind.vote && this.term < term)
      return `campaigns in term ${term}, which its disk does not know of`;
    if (kind === MessageKind.appendResponse && message.has(MessageFlag.granted)) {
      // A term past the message's may have replaced what it acknowledges.
      if (this.raft.term > term || this.holds(index)) return "";
      return `acknowledges entries through ${index} to node ${peer}, which its disk does not hold`;
    }
    return "";
  }

  /** What is wrong with what the replica takes for durable, or "". */
  check(): string {
    const { durableIndex, log } = this.raft;
    if (this.holds(durableIndex)) return "";
    return `takes its entry ${durableIndex} of term ${log.termAt(durableIndex)} for durable, which it is not`;
  }
}

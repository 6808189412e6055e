import type { NodeId } from "../../core/machine.js";
import type { Entry } from "./entry-log.js";
import { MessageFlag, MessageKind, type RaftMessage } from "./message.js";
import type { Raft } from "./raft.js";

/** What a replica does with the messages of its leader (Raft paper 5.3). */
export class Follower {
  /** Entries up to here are known to agree with the log of this term's leader. */
  private verifiedIndex = 0;
  private lastRoundAnswered = 0;

  constructor(private readonly raft: Raft) {}

  termChanged(): void {
    this.verifiedIndex = 0;
    this.lastRoundAnswered = 0;
  }

  onAppend(peer: NodeId, message: RaftMessage): void {
    const { raft } = this;
    this.answerRound(peer, message);
    if (message.index < raft.log.baseIndex) {
      // What is compacted here was committed: the leader has it too.
      this.acknowledge(peer, raft.commitIndex, message.round);
      return;
    }
    if (raft.log.termAt(message.index) !== message.logTerm) {
      this.refuse(peer, message);
      return;
    }
    let last = message.index;
    for (const entry of message.entries) {
      if (raft.diskFull && entry.payload.length > 0 && raft.log.termAt(entry.index) !== entry.term) break;
      this.acceptEntry(entry);
      last = entry.index;
    }
    this.verifiedIndex = Math.max(this.verifiedIndex, last);
    this.commitThrough(message.commit);
    this.acknowledge(peer, last, message.round);
  }

  private acceptEntry(entry: Entry): void {
    const { log } = this.raft;
    if (log.termAt(entry.index) === entry.term) return;
    if (entry.index <= log.lastIndex) this.raft.truncateFrom(entry.index);
    this.raft.appendToLog(entry);
  }

  /** What the leader has committed, as far as this log is known to agree with the leader's. */
  commitThrough(index: number): void {
    this.raft.commitTo(Math.min(index, this.verifiedIndex));
  }

  acknowledge(peer: NodeId, index: number, round: number): void {
    const response = this.raft.message(MessageKind.appendResponse);
    response.flags |= MessageFlag.granted;
    response.index = index;
    response.round = round;
    this.raft.outbox.sendHeld(peer, response);
  }

  private refuse(peer: NodeId, message: RaftMessage): void {
    const { log } = this.raft;
    const response = this.raft.message(MessageKind.appendResponse);
    const hint = log.lastIndexWithTermAtMost(message.index, message.logTerm);
    response.index = hint;
    response.logTerm = Math.max(0, log.termAt(hint));
    response.round = message.round;
    this.raft.outbox.send(peer, response);
  }

  onHeartbeat(peer: NodeId, message: RaftMessage): void {
    // Logs that have an entry of the same index and term agree up to it (Raft paper 5.3).
    if (this.raft.log.termAt(message.index) === message.logTerm) {
      this.verifiedIndex = Math.max(this.verifiedIndex, message.index);
    }
    this.commitThrough(message.commit);
    if (message.has(MessageFlag.silent)) return;
    this.lastRoundAnswered = 0; // a heartbeat is always answered
    this.answerRound(peer, message);
  }

  /** Held while it confirms others' new lives: those must be durable here before the round counts. */
  private answerRound(peer: NodeId, message: RaftMessage): void {
    if (message.round <= this.lastRoundAnswered) return;
    this.lastRoundAnswered = message.round;
    const response = this.raft.message(MessageKind.heartbeatResponse);
    response.round = message.round;
    response.index = this.raft.log.lastIndex;
    this.raft.tellClock(response);
    if (message.numbers.length > 0) this.raft.outbox.sendHeld(peer, response);
    else this.raft.outbox.send(peer, response);
  }
}

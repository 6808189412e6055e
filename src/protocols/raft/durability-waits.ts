import type { NodeId, ReplicaProgress } from "../../core/machine.js";
import { type ErrorCode, KvError } from "../../kv/errors.js";
import type { Request } from "../../kv/request.js";
import { errorResult, integerResult } from "../../kv/result.js";
import { MessageKind, type RaftMessage } from "./message.js";
import type { Raft } from "./raft.js";

/**
 * Requests that wait until `limit` replicas besides the leader hold a position durably (Redis' WAIT). The leader knows;
 * a follower asks it once a tick while somebody waits here.
 */
export class DurabilityWaits {
  private waiting: Request[] = [];
  /** What the leader has told. */
  private reported: ReplicaProgress[] = [];

  constructor(private readonly raft: Raft) {}

  get size(): number {
    return this.waiting.length;
  }

  add(request: Request): void {
    this.waiting.push(request);
  }

  abandon(code: ErrorCode): void {
    for (const request of this.waiting) this.raft.outbox.reply(request, errorResult(new KvError(code)));
    this.waiting = [];
  }

  tick(): void {
    const { raft } = this;
    if (this.waiting.length === 0) return;
    if (raft.role !== "leader" && raft.leaderId !== 0) {
      raft.outbox.send(raft.leaderId, raft.message(MessageKind.progressQuery));
    }
  }

  /** Answers who is satisfied, or overdue with what there is. */
  evaluate(): void {
    if (this.waiting.length === 0) return;
    const { raft } = this;
    const progress = raft.role === "leader" ? raft.progress() : this.reported;
    this.waiting = this.waiting.filter((request) => {
      if (request.cancelled) {
        raft.outbox.reply(request, errorResult(new KvError("cancelled")));
        return false;
      }
      const count = durableCount(progress, raft.leaderId, request.minimumPosition);
      if (count < request.command.limit && raft.monotonicMs < request.deadlineMs) return true;
      raft.outbox.reply(request, integerResult(BigInt(count)));
      return false;
    });
  }

  onQuery(peer: NodeId): void {
    const response = this.raft.message(MessageKind.progressResponse);
    const numbers: number[] = [];
    for (const replica of this.raft.progress()) {
      numbers.push(replica.node, replica.durablePosition, replica.recovering ? 1 : 0);
    }
    response.numbers = numbers;
    this.raft.outbox.send(peer, response);
  }

  onResponse(message: RaftMessage): void {
    const progress: ReplicaProgress[] = [];
    for (let i = 0; i + 2 < message.numbers.length; i += 3) {
      const [node, durablePosition, recovering] = message.numbers.slice(i, i + 3);
      progress.push({ node, durablePosition, recovering: recovering === 1 });
    }
    this.reported = progress;
  }
}

function durableCount(progress: readonly ReplicaProgress[], leader: NodeId, position: number): number {
  let count = 0;
  for (const replica of progress) {
    if (replica.node !== leader && !replica.recovering && replica.durablePosition >= position) count += 1;
  }
  return count;
}

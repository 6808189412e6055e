import type { NodeId, ReplicaProgress } from "../../core/machine.js";
import { type ErrorCode, KvError } from "../../kv/errors.js";
import type { Request } from "../../kv/request.js";
import { errorResult, integerResult } from "../../kv/result.js";
import { MessageKind, type RaftMessage } from "./message.js";
import type { Raft } from "./raft.js";

/** A question to the leader is numbered; only the answer to one that was put after a request had come counts for it. */
interface Waiting {
  readonly request: Request;
  readonly lastQuestion: number;
}

interface Report {
  readonly question: number;
  readonly leader: NodeId;
  readonly replicas: readonly ReplicaProgress[];
}

const NOTHING: Report = { question: 0, leader: 0, replicas: [] };

/**
 * Requests that wait until `limit` replicas besides the leader hold a position durably (Redis' WAIT). The leader knows;
 * a follower asks it once a tick while somebody waits here. What a leader said earlier is no evidence: a replica may have
 * lost its memory since.
 */
export class DurabilityWaits {
  private waiting: Waiting[] = [];
  private report = NOTHING;

  /** `question`: the number before the first, drawn in each life, so that no answer to an earlier one passes for ours. */
  constructor(
    private readonly raft: Raft,
    private question: number,
  ) {}

  get size(): number {
    return this.waiting.length;
  }

  add(request: Request): void {
    this.waiting.push({ request, lastQuestion: this.question });
  }

  abandon(code: ErrorCode): void {
    for (const { request } of this.waiting) this.raft.outbox.reply(request, errorResult(new KvError(code)));
    this.waiting = [];
  }

  tick(): void {
    const { raft } = this;
    if (this.waiting.length === 0 || raft.role === "leader" || raft.leaderId === 0) return;
    this.question += 1;
    const message = raft.message(MessageKind.progressQuery);
    message.round = this.question;
    raft.outbox.send(raft.leaderId, message);
  }

  /** Answers who is satisfied, or overdue with what there is. */
  evaluate(): void {
    if (this.waiting.length === 0) return;
    const { raft } = this;
    const own: Report | null =
      raft.role === "leader" ? { question: Infinity, leader: raft.node, replicas: raft.progress() } : null;
    this.waiting = this.waiting.filter(({ request, lastQuestion }) => {
      if (request.cancelled) {
        raft.outbox.reply(request, errorResult(new KvError("cancelled")));
        return false;
      }
      const report = own ?? (this.report.question > lastQuestion ? this.report : NOTHING);
      const count = durableCount(report, request.minimumPosition);
      if (count < request.command.limit && raft.monotonicMs < request.deadlineMs) return true;
      raft.outbox.reply(request, integerResult(BigInt(count)));
      return false;
    });
  }

  onQuery(peer: NodeId, message: RaftMessage): void {
    const response = this.raft.message(MessageKind.progressResponse);
    const numbers: number[] = [];
    for (const replica of this.raft.progress()) {
      numbers.push(replica.node, replica.durablePosition, replica.recovering ? 1 : 0);
    }
    response.numbers = numbers;
    response.round = message.round;
    this.raft.outbox.send(peer, response);
  }

  onResponse(leader: NodeId, message: RaftMessage): void {
    // Late answers, and those to an earlier life of this node, say nothing about now.
    if (message.round <= this.report.question || message.round > this.question) return;
    const replicas: ReplicaProgress[] = [];
    for (let i = 0; i + 2 < message.numbers.length; i += 3) {
      const [node, durablePosition, recovering] = message.numbers.slice(i, i + 3);
      replicas.push({ node, durablePosition, recovering: recovering === 1 });
    }
    this.report = { question: message.round, leader, replicas };
  }
}

function durableCount({ leader, replicas }: Report, position: number): number {
  let count = 0;
  for (const replica of replicas) {
    if (replica.node !== leader && !replica.recovering && replica.durablePosition >= position) count += 1;
  }
  return count;
}

import { type CallAnswer, encodeCall } from "../codec/call.js";
import { ByteWriter } from "../core/bytes.js";
import { Level } from "../kv/level.js";
import { learn, mayTryElsewhere, type PendingCall } from "./call.js";
import type { Cluster, Worker } from "./cluster.js";
import { type Attempt, backoff, type Link } from "./link.js";
import { nodeTimeoutMs } from "./options.js";
import { callError } from "./outcome.js";

/** A read under way: it has no effect, so it is asked anew, of whomever, until somebody answers. */
class Read implements Attempt {
  isSent = false;
  retryAtMs = 0;
  problem = "";
  private failures = 0;

  constructor(
    readonly call: PendingCall,
    private readonly reader: Reader,
  ) {}

  answered(link: Link, answer: CallAnswer): void {
    this.isSent = false;
    if (!this.call.settled) this.reader.answered(this, link, answer);
  }

  lost(link: Link): void {
    this.isSent = false;
    this.again(link.problem, 0);
  }

  again(problem: string, waitMs: number): void {
    this.problem = problem;
    this.retryAtMs = performance.now() + waitMs;
  }

  nextBackoff(): number {
    this.failures += 1;
    return backoff(this.failures, this.reader.cluster.settings);
  }
}

/** All reads of a client. */
export class Reader implements Worker {
  private readonly reads = new Set<Read>();
  private readonly writer = new ByteWriter(1_024);

  constructor(readonly cluster: Cluster) {
    cluster.add(this);
  }

  get isBusy(): boolean {
    return this.reads.size > 0;
  }

  add(call: PendingCall): void {
    const read = new Read(call, this);
    this.reads.add(read);
    this.cluster.wake();
    this.send(read, performance.now());
  }

  pump(): void {
    const nowMs = performance.now();
    for (const read of this.reads) {
      if (read.call.settled) this.reads.delete(read);
      else if (!read.isSent && read.retryAtMs <= nowMs) this.send(read, nowMs);
    }
  }

  private send(read: Read, nowMs: number): void {
    const { call } = read;
    // Whoever leads can confirm that at once; another has to ask.
    const link = this.cluster.pick(call.level === null || call.level === Level.linearizable ? call.keyspace : null);
    if (link === null) return;
    const { command, keyspace, level, explain, session } = call;
    const timeoutMs = Math.max(1, Math.min(Math.ceil(call.deadlineMs - nowMs), nodeTimeoutMs(this.cluster.settings)));
    const token = session.demand(keyspace);
    this.writer.reset();
    encodeCall({ command, keyspace, life: 0, level, timeoutMs, id: null, token, explain }, this.writer);
    read.isSent = true;
    link.send(this.writer.copy(), read);
  }

  answered(read: Read, link: Link, answer: CallAnswer): void {
    const { call } = read;
    const { error } = answer;
    this.cluster.leads(call.keyspace, answer.leader);
    learn(call, answer, link.clusterId);
    if (error === null) {
      this.reads.delete(read);
      call.succeed(answer);
    } else if (mayTryElsewhere(error)) {
      this.cluster.avoid(link);
      read.again(`node ${link.node}: ${error.code}: ${error.message}`, read.nextBackoff());
    } else {
      this.reads.delete(read);
      call.fail(error);
    }
  }

  tick(nowMs: number): void {
    for (const read of this.reads) {
      if (read.call.settled) this.reads.delete(read);
      else if (read.call.deadlineMs <= nowMs) {
        this.reads.delete(read);
        read.call.fail(overdue(read.problem || this.cluster.problem));
      }
    }
  }

  close(): void {
    for (const read of this.reads) read.call.fail(callError("cancelled", "the client was closed"));
    this.reads.clear();
  }
}

/** For what has certainly had no effect. */
export function overdue(problem: string) {
  return callError("unavailable", `no answer in time; nothing was done (${problem})`);
}

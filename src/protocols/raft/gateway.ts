import { isWrite, Op } from "../../kv/command.js";
import { type ErrorCode, KvError } from "../../kv/errors.js";
import { Level } from "../../kv/level.js";
import type { Request } from "../../kv/request.js";
import { errorResult, type Result } from "../../kv/result.js";
import type { ApplyObserver } from "../../kv/store.js";
import { DurabilityWaits } from "./durability-waits.js";
import type { Leader } from "./leader.js";
import { MessageKind } from "./message.js";
import type { Raft } from "./raft.js";
import { ReadQueue } from "./read-queue.js";
import { firstRound } from "./recovery.js";
import { type PendingSection, WriteQueue } from "./write-queue.js";

/** Where requests enter at this replica: writes go on to the leader, reads obtain an index from it. */
export class Gateway {
  readonly writes: WriteQueue;
  readonly reads: ReadQueue;
  readonly waits: DurabilityWaits;
  /** What the store tells of each batch that it applies. */
  readonly observer: ApplyObserver;
  /** The leader has said that it takes no writes. */
  leaderRefuses = false;
  /** What was committed when this node first had a leader and wanted a session of its own; -1: not wanted now. */
  private sessionFloor = -1;

  constructor(private readonly raft: Raft) {
    const answer = (request: Request, result: Result): void => raft.outbox.reply(request, result);
    this.writes = new WriteQueue(raft.options, raft, answer);
    this.reads = new ReadQueue(firstRound(raft.options.seed), (request) => raft.store.read(request.command), answer);
    this.waits = new DurabilityWaits(raft, firstRound(raft.options.seed));
    this.observer = {
      wants: (client) => this.writes.wants(client),
      applied: (client, firstSequence, results) =>
        this.writes.applied(client, firstSequence, results, raft.appliedIndex),
      changed: (key, version, record, cause) => raft.options.changes?.changed(key, version, record, cause),
    };
  }

  request(request: Request): void {
    const { op } = request.command;
    const pending = this.writes.size + this.reads.size + this.waits.size;
    const { maxPendingRequests, maxPendingBytes } = this.raft.options;
    if (pending >= maxPendingRequests || this.writes.byteLength >= maxPendingBytes) this.refuse(request, "overloaded");
    else if (op === Op.progress) this.waits.add(request);
    else if (isWrite(op)) this.writes.add(request);
    else if (request.level === Level.linearizable) this.reads.addLinearizable(request);
    else if (request.level === Level.sequential) this.reads.addAt(request.minimumPosition, request);
    else this.refuse(request, "level_unsupported");
  }

  private refuse(request: Request, code: ErrorCode): void {
    this.raft.outbox.reply(request, errorResult(new KvError(code)));
  }

  abandon(code: ErrorCode): void {
    this.writes.abandon(code);
    this.reads.abandon(code);
    this.waits.abandon(code);
  }

  tick(): void {
    const { raft } = this;
    const { resendTicks } = raft.options;
    const whyNot = raft.recovering ? "recovering" : "unavailable";
    if (this.writes.tick(raft.monotonicMs, resendTicks, whyNot)) this.writes.resendAll();
    if (this.reads.tick(raft.monotonicMs, resendTicks, whyNot)) this.reads.repeatQuestion();
    this.waits.tick();
  }

  /** What went to the old leader may be lost. */
  leaderChanged(): void {
    this.writes.resendAll();
    this.reads.askAgain();
    this.leaderRefuses = false;
  }

  flush(leader: Leader | null): void {
    if (this.writes.hasUnsent && this.mayOpenSession()) {
      if (leader !== null) this.offerWrites(leader);
      else if (this.raft.leaderId !== 0) this.forwardWrites();
    }
    this.raft.outbox.turnWithinMs = this.writes.waitMs;
    if (this.raft.leaderId !== 0) this.askReadIndex(leader);
  }

  /**
   * A session bears the replicated time at which it was opened. A replica that lags would give one so old that it looks
   * like a session that was forgotten since: it catches up first.
   */
  private mayOpenSession(): boolean {
    const { raft } = this;
    if (!this.writes.beginsSession || raft.leaderId === 0) return true;
    if (this.sessionFloor < 0) this.sessionFloor = Math.max(raft.commitIndex, raft.leaderCommit);
    if (raft.appliedIndex < this.sessionFloor) return false;
    this.sessionFloor = -1;
    return true;
  }

  private offerWrites(leader: Leader): void {
    const { raft } = this;
    if (leader.takesNoWrites) this.writes.refuseQueued("disk_full", raft.refusal || undefined);
    else if (leader.handsOver) return;
    else if (leader.uncommittedIsFull) this.writes.refuseQueued("overloaded");
    for (const section of this.writes.takeUnsent()) leader.offerSections(raft.node, section.bytes);
  }

  private forwardWrites(): void {
    if (this.leaderRefuses) this.writes.refuseQueued("disk_full");
    const sections = this.writes.takeUnsent();
    const { maxAppendBytes } = this.raft.options;
    let start = 0;
    while (start < sections.length) {
      let end = start + 1;
      let bytes = sections[start].bytes.length;
      while (end < sections.length && bytes + sections[end].bytes.length <= maxAppendBytes) {
        bytes += sections[end].bytes.length;
        end += 1;
      }
      this.forward(sections, start, end, bytes);
      start = end;
    }
  }

  private forward(sections: readonly PendingSection[], start: number, end: number, bytes: number): void {
    const { raft } = this;
    const message = raft.message(MessageKind.forward);
    const payload = new Uint8Array(bytes);
    let at = 0;
    for (let i = start; i < end; i += 1) {
      payload.set(sections[i].bytes, at);
      at += sections[i].bytes.length;
    }
    message.payload = payload;
    raft.outbox.send(raft.leaderId, message);
  }

  private askReadIndex(leader: Leader | null): void {
    const round = this.reads.nextRound();
    if (round === 0) return;
    if (leader !== null) leader.askReadIndex(this.raft.node, round);
    else this.raft.askReadIndex(round);
  }
}

import { EMPTY_BYTES } from "../../core/bytes.js";
import { mergeHybrid, nextHybrid } from "../../core/hybrid-clock.js";
import { type Command, CommandFlag, isWrite, NO_DEADLINE, Op } from "../../kv/command.js";
import { type ErrorCode, KvError } from "../../kv/errors.js";
import { executeRead } from "../../kv/execute.js";
import { Level } from "../../kv/level.js";
import { checkCommand } from "../../kv/limits.js";
import { orderlessProblem } from "../../kv/orderless.js";
import type { Request } from "../../kv/request.js";
import { errorResult, integerResult, Result, ResultKind } from "../../kv/result.js";
import type { Seen, SeenOrigin } from "../../kv/seen.js";
import { claimProblem, dependenciesFor } from "./credibility.js";
import type { Gossip } from "./gossip.js";
import { BatchReader, BatchWriter, Item } from "./item.js";
import { upperMedian } from "./peers.js";
import { RequestWaits, type WaitHost } from "./request-waits.js";
import { SectionKind } from "./section.js";
import type { OwnWrite } from "./section-log.js";
import { raiseSeen, sessionView } from "./session-view.js";
import { Stamp } from "./stamp.js";

const NO_DEPENDENCIES: readonly SeenOrigin[] = [];
const NO_KEYS: readonly string[] = [];

/** Requests of clients: refused, answered, or made into writes of this node. */
export class Gateway implements WaitHost {
  /** Why no writes are taken: the disk is short of room; "" when it is not. */
  refusal = "";
  private readonly waits = new RequestWaits(this);
  private turn: OwnWrite[] = [];
  private readonly batch = new BatchWriter();
  private turnBytes = 0;
  /** Requests and bytes that are not durable yet. */
  private pendingCount = 0;
  private pendingBytes = 0;
  /** Of the newest write given a stamp in this life. */
  protected sequence = 0;
  /** What the reachable peers call the time, in the turn of that number: many writes of one turn ask. */
  private peersMs: number | null = null;
  private clocksOfTurn = -1;
  /** Answered before their writes were durable: the deadline passed, or the group went. */
  private readonly answered = new Set<Request>();

  constructor(protected readonly gossip: Gossip) {}

  get waitingCount(): number {
    return this.waits.size + this.pendingCount;
  }

  started(): void {
    this.lifeBegins();
  }

  lifeBegins(): void {
    const { node, hard, replica } = this.gossip;
    const { origins } = replica;
    this.sequence = origins.mayKnow(node, hard.incarnation) ? origins.get(node, hard.incarnation).have.highest : 0;
  }

  request(request: Request): void {
    const problem = checkCommand(request.command) ?? orderlessProblem(request, "gossip");
    if (problem !== null) this.reply(request, errorResult(problem));
    else if (isWrite(request.command.op)) this.write(request);
    else this.read(request);
  }

  // Writes

  private write(request: Request): void {
    const refusal = this.writeRefusal(request);
    if (refusal !== null) {
      this.reply(request, errorResult(refusal));
      return;
    }
    const dependencies = this.dependenciesOf(request);
    if (dependencies instanceof KvError) {
      this.reply(request, errorResult(dependencies));
      return;
    }
    const { command } = request;
    const keys = command.op === Op.set ? 1 : (command.keys ?? NO_KEYS).length;
    if (keys === 0) {
      this.reply(request, command.op === Op.delete ? integerResult(0n) : new Result(ResultKind.ok));
      return;
    }
    const before = this.turnBytes;
    this.addItems(request, dependencies);
    this.turn.push({ request, count: keys, bytes: this.turnBytes - before });
    this.pendingCount += 1;
    if (this.turnBytes >= this.gossip.options.maxRecordBytes) this.flush();
  }

  private writeRefusal({ seen }: Request): KvError | null {
    const { gossip } = this;
    const { options } = gossip;
    if (this.refusal !== "") return new KvError("disk_full", this.refusal);
    if (!gossip.replica.origins.mayKnow(gossip.node, gossip.hard.incarnation)) {
      return new KvError(
        "unavailable",
        "this group has known as many lives of its nodes as it can: this node's present one is not among them, and its writes would be taken by nobody; write at another node, and move the keyspace to a new one",
      );
    }
    if (this.pendingCount >= options.maxPendingRequests) return new KvError("overloaded");
    if (this.pendingBytes + this.turnBytes >= options.maxPendingBytes) return new KvError("overloaded");
    const aheadMs = this.clockAheadMs();
    if (aheadMs > options.maxOffsetMs) {
      return new KvError(
        "clock_ahead",
        `the clock of node ${gossip.node} is ${Math.ceil(aheadMs)} ms ahead of its peers' (at most ${options.maxOffsetMs} are allowed); nothing was written: set the clock right, or write at another node`,
      );
    }
    if (seen !== null && seen.ms > gossip.wallMs + options.maxOffsetMs) return this.behind(seen.ms);
    return null;
  }

  /**
   * How far this node's clock is ahead of what the reachable peers call the time, or was when it gave out its latest stamp. Sessions
   * and peers carry the hybrid clock maxOffsetMs further at most, and must not stop others' writes by that. Overridden by a canary.
   */
  protected clockAheadMs(): number {
    const { gossip } = this;
    if (this.clocksOfTurn !== gossip.turn) {
      this.clocksOfTurn = gossip.turn;
      this.peersMs = upperMedian(gossip.antiEntropy.peerClocks());
    }
    const { peersMs } = this;
    if (peersMs === null) return 0;
    return Math.max(gossip.wallMs, gossip.clock.ms - gossip.options.maxOffsetMs) - peersMs;
  }

  private behind(seenMs: number): KvError {
    const { node, wallMs } = this.gossip;
    return new KvError(
      "unavailable",
      `the session has seen writes of ${Math.ceil(seenMs - wallMs)} ms after the clock of node ${node}: it waits for that clock, or another node serves it`,
    );
  }

  private addItems({ command, seen }: Request, dependencies: readonly SeenOrigin[]): void {
    const { gossip } = this;
    if (seen !== null) gossip.clock = mergeHybrid(gossip.clock, seen);
    const deadlineMs = this.deadlineOf(command);
    if (command.op === Op.set) {
      this.add(command, command.key, command.value, deadlineMs, dependencies);
      return;
    }
    const keys = command.keys!;
    for (let i = 0; i < keys.length; i += 1) {
      this.add(command, keys[i], command.values?.[i] ?? EMPTY_BYTES, deadlineMs, dependencies);
    }
  }

  private add(
    command: Command,
    key: string,
    value: Uint8Array,
    deadlineMs: number,
    dependencies: readonly SeenOrigin[],
  ): void {
    const item = new Item(this.stamp(key), key, command.op === Op.delete);
    item.dependencies = dependencies;
    if (!item.isDelete) {
      item.value = value;
      item.recordFlags = command.recordFlags;
      item.deadlineMs = deadlineMs;
    }
    this.batch.add(item);
    this.turnBytes += item.byteLength;
  }

  private stamp(key: string): Stamp {
    const { gossip } = this;
    const { node, hard, replica } = gossip;
    const time = this.nextTime();
    gossip.clock = time;
    this.sequence += 1;
    replica.origins.get(node, hard.incarnation).taken.add(this.sequence);
    const replaced = replica.entries.currentVersion(key);
    // Its version is counted when it is read back from the batch.
    return new Stamp(time.ms, time.logical, node, hard.incarnation, this.sequence, replaced, 0);
  }

  /** Overridden by a canary. */
  protected nextTime(): { ms: number; logical: number } {
    return nextHybrid(this.gossip.clock, this.gossip.wallMs);
  }

  /** What the session has seen of others' writes; or why the write cannot be taken. Overridden by a canary. */
  protected dependenciesOf({ seen }: Request): readonly SeenOrigin[] | KvError {
    if (seen === null || seen.origins.length === 0) return NO_DEPENDENCIES;
    return claimProblem(this.gossip, seen) ?? dependenciesFor(this.gossip, seen);
  }

  private deadlineOf(command: Command): number {
    if (command.deadlineMs === NO_DEADLINE) return NO_DEADLINE;
    const isRelative = (command.flags & CommandFlag.deadlineRelative) !== 0;
    const deadlineMs = isRelative ? this.gossip.nowMs + command.deadlineMs : command.deadlineMs;
    return Math.min(Math.max(deadlineMs, 0), Number.MAX_SAFE_INTEGER - 1);
  }

  /** The writes of the turn become one section of the log. */
  flush(): void {
    if (this.turn.length === 0) return;
    const own = this.turn;
    this.turn = [];
    this.pendingBytes += this.turnBytes;
    this.turnBytes = 0;
    this.gossip.log.add({ kind: SectionKind.writes, batch: this.batch.finish() }, own);
  }

  /** The writes are durable: they take effect, and their requests are answered. */
  applyOwn(own: readonly OwnWrite[], batch: Uint8Array): void {
    const { replica } = this.gossip;
    const reader = new BatchReader(batch);
    for (const { request, count, bytes } of own) {
      let last: Stamp | null = null;
      for (let left = count; left > 0; left -= 1) {
        reader.next();
        const item = reader.item(keyOf(request.command, count - left));
        replica.applyItem(item);
        last = item.stamp;
      }
      this.pendingCount -= 1;
      this.pendingBytes -= bytes;
      this.answerWrite(request, last!);
    }
  }

  private answerWrite(request: Request, last: Stamp): void {
    const { seen, command } = request;
    seen?.raise(last.node, last.incarnation, last.sequence);
    seen?.raiseClock(last.ms, last.logical);
    request.clockMs = last.ms;
    request.clockLogical = last.logical;
    // How many keys were to go: each write that is older goes, also where this node has not heard of it.
    const result =
      command.op === Op.delete ? integerResult(BigInt(new Set(command.keys).size)) : new Result(ResultKind.ok);
    result.version = last.version;
    if (!this.answered.delete(request)) this.reply(request, result);
  }

  // Reads

  private read(request: Request): void {
    if (request.command.op !== Op.progress && request.level === Level.eventual) {
      this.reply(request, this.execute(request));
      return;
    }
    const result = this.tryAnswer(request, this.gossip.ticks);
    if (result !== null) this.reply(request, result);
    else if (this.waits.size >= this.gossip.options.maxPendingRequests) {
      this.reply(request, errorResult(new KvError("overloaded")));
    } else this.waits.add(request, this.gossip.ticks);
  }

  private execute(request: Request): Result {
    const { replica, nowMs, clock } = this.gossip;
    replica.meta.timeMs = nowMs;
    request.clockMs = nowMs;
    request.clockLogical = clock.ms === nowMs ? clock.logical : 0;
    return executeRead(replica.entries.records, request.command);
  }

  tryAnswer(request: Request, sinceTick: number): Result | null {
    if (request.command.op === Op.progress) {
      const count = this.countCopies(request);
      return count >= request.command.limit ? integerResult(BigInt(count)) : null;
    }
    const view = sessionView(this.gossip, request.seen, sinceTick);
    if (view === "wait" && this.mustWait()) return null;
    if (view instanceof KvError) return errorResult(view);
    if (request.seen !== null) this.gossip.clock = mergeHybrid(this.gossip.clock, request.seen);
    const result = this.execute(request);
    if (request.seen !== null) raiseSeen(this.gossip, request.seen, request.command, result);
    return result;
  }

  /** Overridden by a canary. */
  protected mustWait(): boolean {
    return true;
  }

  /** How many replicas besides this one hold durably what the session has written and read. */
  private countCopies({ seen }: Request): number {
    let count = 0;
    for (const peer of this.gossip.antiEntropy.peers.values()) {
      const holds = seen === null || seen.origins.every((it) => peer.holds(it));
      if (peer.counts && holds) count += 1;
    }
    return count;
  }

  overdue(request: Request): Result {
    if (request.command.op === Op.progress) return integerResult(BigInt(this.countCopies(request)));
    if (this.gossip.recovering) {
      return errorResult(
        new KvError("recovering", "this replica has lost its memory and is being brought up: ask another node"),
      );
    }
    const { seen } = request;
    if (seen !== null && seen.ms > this.gossip.wallMs + this.gossip.options.maxOffsetMs) {
      return errorResult(this.behind(seen.ms));
    }
    return errorResult(
      new KvError(
        "unavailable",
        "this node has not received in time all that the session has seen: ask another node, or at level eventual",
      ),
    );
  }

  evaluateWaits(): void {
    this.waits.evaluate(this.gossip.monotonicMs);
  }

  /** Whoever's write has not become durable by its deadline is told that nobody knows. */
  tick(): void {
    if (this.pendingCount === 0) return;
    for (const { request } of this.gossip.log.waiting()) {
      if (request.deadlineMs > this.gossip.monotonicMs || this.answered.has(request)) continue;
      this.reply(request, errorResult(new KvError("unknown", "the write is not durable yet, and may become so")));
      this.answered.add(request);
    }
  }

  /** Why no session can have seen that: `bad_token`; null if one may. For tokens, before they are taken. */
  claimProblem(seen: Seen): KvError | null {
    return claimProblem(this.gossip, seen);
  }

  reply(request: Request, result: Result): void {
    this.gossip.outbox.reply(request, result);
  }

  abandon(code: ErrorCode): void {
    this.flush();
    for (const { request } of this.gossip.log.waiting()) {
      if (this.answered.has(request)) continue;
      this.answered.add(request);
      this.reply(request, errorResult(new KvError(code)));
    }
    this.waits.abandon(errorResult(new KvError(code)));
  }
}

/** Of the write at that place among those of a command. */
function keyOf(command: Command, at: number): string {
  return command.op === Op.set ? command.key : command.keys![at];
}

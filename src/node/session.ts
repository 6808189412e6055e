import type { GroupId, NodeId } from "../core/machine.js";
import type { Session } from "../kv/backend.js";
import { type Command, isWrite, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { Level } from "../kv/level.js";
import { type ReplySink, Request, type RequestId } from "../kv/request.js";
import { errorResult, type Result } from "../kv/result.js";
import { Seen } from "../kv/seen.js";
import type { WatchHandle, WatchOptions, WatchSink } from "../kv/watch.js";
import type { Group } from "./group.js";
import type { GamutNode } from "./node.js";

/** A request with the session that it belongs to. */
export class NodeRequest extends Request {
  /** Requests of one kind go in parallel; see {@link NodeSession}. */
  readonly kind: number;
  /** Who it was given to, or was refused by; null while it waits. */
  group: Group | null = null;

  constructor(
    command: Command,
    level: Level,
    sink: ReplySink,
    readonly session: NodeSession,
    readonly keyspace: string,
    /** No level was asked for: it gets the keyspace's own, which this node may have to ask for first. */
    readonly takesDefault: boolean,
  ) {
    super(command, level, sink);
    // A local read may not overtake a linearizable one: what it sees could be older. So levels are kinds, too.
    this.kind = command.op === Op.progress ? 0 : isWrite(command.op) ? 1 : 1 + level;
  }
}

/**
 * A connection. Its operations take effect in the order submitted: a run of requests of one kind goes in parallel, the
 * next run begins when the last is answered. Every local read waits for the position of what the session has seen.
 */
export class NodeSession implements Session {
  keyspaceLife: GroupId = 0;
  level: Level | null = null;
  explains = false;
  timeoutMs = 0;
  private waiting: NodeRequest[] = [];
  private runKind = -1;
  private running = 0;
  private closed = false;
  /** Position of the last read or write, by group. */
  readonly positions = new Map<number, number>();
  /** What was written and read in groups without an order. */
  readonly seen = new Map<number, Seen>();

  constructor(
    private readonly node: GamutNode,
    public keyspace: string,
    /** The node's own, on the catalog's group, which no client can name. */
    readonly isCatalog = false,
  ) {}

  submit(command: Command, sink: ReplySink, tag: number): NodeRequest {
    return this.submitWithId(command, null, sink, tag);
  }

  submitWithId(command: Command, id: RequestId | null, sink: ReplySink, tag: number): NodeRequest {
    const level = this.level ?? this.node.defaultLevel(this.keyspace);
    const request = new NodeRequest(command, level, sink, this, this.keyspace, this.level === null);
    request.id = id;
    request.tag = tag;
    request.deadlineMs = this.node.deadlineFor(command, this.timeoutMs);
    if (this.running > 0 ? this.waiting.length > 0 || request.kind !== this.runKind : false) this.waiting.push(request);
    else this.begin(request);
    return request;
  }

  private begin(request: NodeRequest): void {
    this.runKind = request.kind;
    this.running += 1;
    this.node.route(request);
  }

  /** What a local read of this group must have seen. */
  positionIn(group: number): number {
    return this.positions.get(group) ?? 0;
  }

  seenIn(group: number): Seen {
    let seen = this.seen.get(group);
    if (seen === undefined) {
      seen = new Seen();
      this.seen.set(group, seen);
    }
    return seen;
  }

  /** The answer is known: hand it on, then let the next run begin. */
  finished(request: NodeRequest, result: Result): void {
    this.running -= 1;
    if (request.group !== null && request.position > this.positionIn(request.group.id)) {
      this.positions.set(request.group.id, request.position);
    }
    if (!this.closed && !request.cancelled) request.sink.reply(request, result);
    if (this.running === 0) this.beginNextRun();
  }

  private beginNextRun(): void {
    if (this.waiting.length === 0) return;
    const waiting = this.waiting;
    const { kind } = waiting[0];
    let count = 0;
    while (count < waiting.length && waiting[count].kind === kind) count += 1;
    this.waiting = waiting.slice(count);
    this.running += count;
    this.runKind = kind;
    const now = this.node.nowMs;
    for (let i = 0; i < count; i += 1) {
      const request = waiting[i];
      if (request.cancelled) this.finished(request, errorResult(new KvError("cancelled")));
      else if (request.deadlineMs <= now && request.command.op !== Op.progress) {
        this.finished(request, errorResult(new KvError("unavailable")));
      } else this.node.route(request);
    }
  }

  cancel(request: Request): void {
    request.cancelled = true;
  }

  leader(request: Request): NodeId {
    return (request as NodeRequest).group?.machine.describe().leader ?? 0;
  }

  lifeOf(request: Request): GroupId {
    return (request as NodeRequest).group?.id ?? 0;
  }

  watch(read: Request, options: WatchOptions, sink: WatchSink): WatchHandle | KvError {
    return this.node.watch(read as NodeRequest, options, sink);
  }

  token(): Uint8Array {
    return this.node.tokenOf(this);
  }

  acceptToken(token: Uint8Array): KvError | null {
    return this.node.acceptToken(this, token);
  }

  close(): void {
    this.closed = true;
    for (const request of this.waiting) request.cancelled = true;
  }
}

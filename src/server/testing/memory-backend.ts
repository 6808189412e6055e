import { MapState } from "../../core/map-state.js";
import type { Backend, BackendStatus, KeyspaceStatus, Principal, Session } from "../../kv/backend.js";
import { SectionWriter, writeBatch } from "../../kv/batch.js";
import { ChangeHistory } from "../../kv/change-history.js";
import { type Command, isWrite, Op } from "../../kv/command.js";
import { KvError } from "../../kv/errors.js";
import { hasLeader, type Protocol } from "../../kv/grants.js";
import { LEVEL_NAMES, Level } from "../../kv/level.js";
import { Meta } from "../../kv/meta.js";
import type { Receipt } from "../../kv/receipt.js";
import { type ReplySink, Request, type RequestId } from "../../kv/request.js";
import { errorResult, integerResult, type Result } from "../../kv/result.js";
import { type ApplyObserver, Store } from "../../kv/store.js";
import type { WatchHandle, WatchOptions, WatchSink } from "../../kv/watch.js";
import { NODE_DEFAULTS } from "../../node/options.js";
import { type WatchedGroup, Watches } from "../../node/watches.js";

const CLIENT = "memory-backend--";
/** Replicas, besides the leader, that hold every write at once. */
const OTHERS = 2;

/** One keyspace: a store and the batches that lead to its state. */
class Keyspace {
  readonly state = new MapState();
  readonly store = new Store(this.state);
  private readonly writer = new SectionWriter();
  private sequence = 0;
  readonly history = new ChangeHistory(NODE_DEFAULTS.watch.history);
  readonly watches: Watches;

  constructor(
    readonly defaultLevel: Level,
    readonly protocol: string,
    wake: () => void,
  ) {
    const { store, history } = this;
    const watched: WatchedGroup = {
      id: 1,
      history,
      read: (command) => store.read(command),
      revision: () => store.revision,
      wake,
    };
    this.watches = new Watches(watched, NODE_DEFAULTS.watch);
  }

  /** Commands written until now. */
  get written(): number {
    return this.sequence;
  }

  /** Writes, and atomics, in order under one time. */
  write(commands: readonly Command[], nowMs: number): Result[] {
    let results: Result[] = [];
    const observer: ApplyObserver = {
      wants: () => true,
      applied: (_client, _first, applied) => {
        results = applied;
      },
      changed: (key, version, record, cause) => this.history.changed(key, version, record, cause),
    };
    this.writer.begin(CLIENT, this.sequence + 1, this.sequence, 0);
    for (const command of commands) this.writer.add(command);
    this.sequence += commands.length;
    this.store.applyBatch(writeBatch(nowMs, [this.writer.finish()]), observer);
    return results;
  }

  advance(nowMs: number): void {
    if (this.store.nextDeadlineMs() > nowMs) return;
    this.store.applyBatch(writeBatch(nowMs, []), {
      wants: () => false,
      applied: () => {},
      changed: (key, version, record, cause) => this.history.changed(key, version, record, cause),
    });
  }
}

/**
 * A backend of one process for tests of the wires: the real store, without replication. Requests collect and are answered
 * in a turn of their own, as the node's are.
 */
export class MemoryBackend implements Backend {
  readonly keyspaces = new Map<string, Keyspace>([["default", this.makeKeyspace()]]);
  readonly cancelled: Request[] = [];
  openSessions = 0;
  /** Most requests ever queued at once. */
  queuedMost = 0;
  /** While true, nothing is answered. */
  held = false;
  /** Names that are known to the catalog but not yet to this node. */
  readonly late = new Set<string>();
  /** Every command of these operations fails with this. */
  readonly failures = new Map<Op, KvError>();
  /** Called for each request before it is executed. */
  onExecute: ((request: Request, keyspace: string) => void) | null = null;
  /** Order in which a turn's answers are given; null: as they were asked. */
  order: ((a: Request, b: Request) => number) | null = null;
  /** Answer at once, inside `submit`. */
  synchronous = false;
  /** What the status of each keyspace says that its protocol counts. */
  counters: Readonly<Record<string, number>> = {};
  /** This node is 2. */
  leader = 1;
  private queue: Queued[] = [];
  private administration: (() => void)[] = [];
  private answers: Answer[] = [];
  private readonly expired = new Set<Request>();
  private scheduled = false;
  private readonly listeners: (() => void)[] = [];

  openSession(_principal: Principal): Session {
    this.openSessions += 1;
    return new MemorySession(this);
  }

  afterTurn(listener: () => void): void {
    this.listeners.push(listener);
  }

  addKeyspace(name: string): void {
    this.keyspaces.set(name, this.makeKeyspace());
  }

  createKeyspace(name: string, protocol: Protocol, defaultLevel: Level, done: (error: KvError | null) => void): void {
    this.administer(() => {
      if (this.keyspaces.has(name)) done(new KvError("keyspace_exists"));
      else {
        // One without an order says so; it is served by the same store.
        this.keyspaces.set(name, this.makeKeyspace(defaultLevel, hasLeader(protocol) ? "memory" : protocol));
        done(null);
      }
    });
  }

  dropKeyspace(name: string, done: (error: KvError | null) => void): void {
    this.administer(() => done(this.keyspaces.delete(name) ? null : new KvError("keyspace_unknown")));
  }

  private makeKeyspace(level: Level = Level.linearizable, protocol = "memory"): Keyspace {
    return new Keyspace(level, protocol, () => this.schedule());
  }

  private administer(action: () => void): void {
    this.administration.push(action);
    if (this.synchronous) this.turn();
    else this.schedule();
  }

  status(): BackendStatus {
    const names = [...this.keyspaces.keys()].filter((name) => !this.late.has(name));
    const member = { connected: true, peerAddress: "127.0.0.1:7000" };
    return {
      node: 2,
      clusterId: "0123456789abcdef",
      version: "0.1.0",
      members: [1, 2, 3].map((node) => ({ ...member, node, clientAddress: `127.0.0.1:600${node}` })),
      keyspaces: names.map((name) => keyspaceStatus(name, this.keyspaces.get(name)!, this.leader, this.counters)),
    };
  }

  enqueue(request: Request, keyspace: string, explains: boolean): void {
    const { command } = request;
    if (command.op === Op.progress && command.limit > OTHERS && !this.expired.has(request)) {
      // So few replicas can never grant it: only its time ends it.
      this.expired.add(request);
      if (command.deadlineMs > 0) setTimeout(() => this.enqueue(request, keyspace, explains), command.deadlineMs);
      return;
    }
    this.queue.push({ request, keyspace, explains });
    this.queuedMost = Math.max(this.queuedMost, this.queue.length);
    if (this.synchronous) this.turn();
    else this.schedule();
  }

  /** Requests that wait for the next turn. */
  get queued(): number {
    return this.queue.length;
  }

  release(): void {
    this.held = false;
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled || this.held) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      if (!this.held) this.turn();
    });
  }

  private turn(): void {
    const queue = this.queue;
    this.queue = [];
    const nowMs = Date.now();
    for (const keyspace of this.keyspaces.values()) keyspace.advance(nowMs);
    for (let i = 0; i < queue.length; i += 1) {
      let end = i + 1;
      if (isWrite(queue[i].request.command.op)) {
        while (end < queue.length && sameRun(queue[i], queue[end])) end += 1;
      }
      this.answerRun(queue.slice(i, end), nowMs);
      i = end - 1;
    }
    this.giveAnswers();
    for (const action of this.administration.splice(0)) action();
    for (const listener of this.listeners) listener();
    for (const { watches } of this.keyspaces.values()) {
      watches.now(nowMs);
      watches.deliver(nowMs);
    }
  }

  private answerRun(run: readonly Queued[], nowMs: number): void {
    const live = run.filter(({ request }) => !request.cancelled);
    if (live.length === 0) return;
    for (const { request, keyspace } of live) this.onExecute?.(request, keyspace);
    const keyspace = this.keyspaces.get(live[0].keyspace);
    const { op } = live[0].request.command;
    const commands = live.map(({ request }) => request.command);
    if (keyspace !== undefined && isWrite(op) && !this.failures.has(op)) {
      const results = keyspace.write(commands, nowMs);
      for (let i = 0; i < live.length; i += 1) {
        // What a write came to has its place in the order, also where it changed nothing.
        this.answers.push({ ...live[i], result: results[i], position: results[i].version || keyspace.written });
      }
      return;
    }
    for (let i = 0; i < live.length; i += 1) {
      const result = this.read(commands[i], keyspace);
      this.answers.push({ ...live[i], result, position: result.version });
    }
  }

  private giveAnswers(): void {
    const { order } = this;
    const answers = this.answers;
    this.answers = [];
    if (order !== null) answers.sort((a, b) => order(a.request, b.request));
    for (const each of answers) give(each);
  }

  private read(command: Command, keyspace: Keyspace | undefined): Result {
    if (keyspace === undefined) return errorResult(new KvError("keyspace_unknown"));
    const failure = this.failures.get(command.op);
    if (failure !== undefined) return errorResult(failure);
    return command.op === Op.progress ? integerResult(BigInt(OTHERS)) : keyspace.store.read(command);
  }
}

interface Queued {
  readonly request: Request;
  readonly keyspace: string;
  readonly explains: boolean;
}

interface Answer extends Queued {
  readonly result: Result;
  readonly position: number;
}

function sameRun(a: Queued, b: Queued): boolean {
  return a.keyspace === b.keyspace && isWrite(b.request.command.op) && a.request.command.op === b.request.command.op;
}

function give({ request, result, position, explains }: Answer): void {
  request.position = position;
  if (explains) request.receipt = receiptOf(request, result);
  request.sink.reply(request, result);
}

function receiptOf(request: Request, result: Result): Receipt {
  return {
    asked: request.level,
    given: request.level,
    protocol: "memory",
    node: 2,
    leader: 1,
    epoch: 1,
    position: result.version,
    durableOn: [],
    evidence: isWrite(request.command.op) ? "log" : "local",
  };
}

function keyspaceStatus(
  name: string,
  { defaultLevel, protocol, state }: Keyspace,
  leader: number,
  counters: Readonly<Record<string, number>>,
): KeyspaceStatus {
  return {
    name,
    protocol,
    counters,
    defaultLevel: LEVEL_NAMES[defaultLevel],
    group: 1,
    role: leader === 2 ? "leader" : "follower",
    leader,
    epoch: 1,
    lastPosition: 9,
    commitPosition: 9,
    appliedPosition: 9,
    checkpointPosition: 5,
    keys: new Meta(state).recordCount,
    recovering: false,
    replicas: [1, 2, 3],
    progress: [1, 2, 3].map((node) => ({ node, durablePosition: 6 + node })),
  };
}

class MemorySession implements Session {
  keyspace = "default";
  keyspaceLife = 0;
  level: Level | null = null;
  explains = false;
  timeoutMs = 0;
  private floor: Uint8Array = new Uint8Array([1, 2, 250]);

  constructor(private readonly backend: MemoryBackend) {}

  submit(command: Command, sink: ReplySink, tag: number): Request {
    return this.submitWithId(command, null, sink, tag);
  }

  submitWithId(command: Command, id: RequestId | null, sink: ReplySink, tag: number): Request {
    const request = new Request(command, this.level ?? Level.linearizable, sink);
    request.tag = tag;
    request.id = id;
    this.backend.enqueue(request, this.keyspace, this.explains);
    return request;
  }

  cancel(request: Request): void {
    request.cancelled = true;
    this.backend.cancelled.push(request);
  }

  leader(): number {
    return this.backend.leader;
  }

  lifeOf(): number {
    return 1;
  }

  token(): Uint8Array {
    return this.floor;
  }

  watch(_read: Request, options: WatchOptions, sink: WatchSink): WatchHandle | KvError {
    return this.backend.keyspaces.get(this.keyspace)!.watches.add(options, "memory", sink);
  }

  acceptToken(token: Uint8Array): KvError | null {
    if (token.length !== 3) return new KvError("bad_token");
    this.floor = token;
    return null;
  }

  close(): void {
    this.backend.openSessions -= 1;
  }
}

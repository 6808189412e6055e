import { HistoryRecorder } from "../check/recorder.js";
import type { GroupId, NodeId } from "../core/machine.js";
import { Random } from "../core/random.js";
import { type Command, Op } from "../kv/command.js";
import type { KvError } from "../kv/errors.js";
import type { Level } from "../kv/level.js";
import type { ReplySink, Request, RequestId } from "../kv/request.js";
import { errorResult, Result, ResultKind } from "../kv/result.js";
import type { GamutNode } from "../node/node.js";
import type { NodeRequest, NodeSession } from "../node/session.js";
import { Answer, Call, type CallEnd } from "./call.js";
import type { Caller } from "./caller.js";
import { between } from "./chance.js";
import { Client } from "./client.js";
import type { Computer } from "./computer.js";
import { Lives } from "./lives.js";
import { OrderedWatches } from "./ordered-watches.js";
import type { Reference } from "./reference.js";
import type { Safety } from "./safety.js";
import { Surveyor } from "./surveyor.js";
import { Tenant } from "./tenant.js";
import { Watcher, type WatchKind } from "./watcher.js";
import type { World } from "./world.js";

/** The keyspace that every cluster begins with. */
export const DEFAULT_GROUP: GroupId = 1;
const DEFAULT_KEYSPACE = "default";
const WIRE_US_MIN = 30;
const WIRE_US_MAX = 500;

/** A client's connection to one process. It dies with the process. */
export class Connection {
  readonly open = new Set<Call>();
  /** What is sent on one connection arrives in order. */
  lastArrivalUs = 0;

  constructor(
    readonly computer: Computer,
    readonly life: number,
    readonly session: NodeSession,
  ) {}

  get isAlive(): boolean {
    return this.computer.life === this.life && this.computer.state === "running";
  }
}

export class FleetCounters {
  ok = 0;
  refused = 0;
  definiteErrors = 0;
  unknown = 0;
  retries = 0;
  retriesAnswered = 0;
  conditionsFailed = 0;
  localReads = 0;
  bursts = 0;
  /** Questions for durable copies: answered with as many as were wanted, and with fewer when the time was over. */
  waitsMet = 0;
  waitsOverdue = 0;
  tokensTaken = 0;
  /** Tokens that name a keyspace which is gone. */
  tokensRefused = 0;
  /** Tokens refused because one of two nodes had not noted yet which cluster it is of. */
  tokensTooEarly = 0;
  walks = 0;
  walkPages = 0;
  /** Walks with writes between their first page and their last. */
  walksOvertaken = 0;
  /** Walks that went on at another node than they began at. */
  walksMoved = 0;
  counts = 0;
  flushes = 0;
  keyspacesMade = 0;
  keyspacesDropped = 0;
  /** Operations that were told that there is no such keyspace. */
  keyspacesMissed = 0;
  watchesBegun = 0;
  /** Watches that went on from a position, at whichever node. */
  watchesResumed = 0;
  watchesCompacted = 0;
  changesTold = 0;
  snapshotsTold = 0;
  keyspaceWrites = 0;
  keyspaceReads = 0;
}

/** A flush that was answered: at and after its position no record is of its version or an older one. */
interface Flush {
  readonly position: number;
  readonly version: number;
}

/**
 * All clients of a run, the wire between them and the nodes, and the history of what they saw. A client knows only what
 * has come back to it.
 */
export class Fleet implements ReplySink {
  readonly history = new HistoryRecorder();
  readonly counters = new FleetCounters();
  readonly lives = new Lives();
  protected readonly clients: Caller[] = [];
  readonly watchers: Watcher[] = [];
  private readonly calls = new Map<number, Call>();
  private readonly connections: Connection[] = [];
  private readonly random: Random;
  private callNumber = 0;
  private processes = 0;
  private moments = 0;
  private values = 0;
  working = true;
  /** The newest position that an answered operation has shown to a client, by group. */
  private readonly newest = new Map<GroupId, number>();
  private lastFlush: Flush = { position: 0, version: 0 };

  constructor(
    readonly world: World,
    private readonly safety: Safety,
  ) {
    const random = new Random(world.plan.seed);
    this.random = random.fork("wire");
    this.hire(random);
  }

  /** The clients of the run. Overridden where another kind is at work. */
  protected hire(random: Random): void {
    const { clients, surveyors, tenants, watchers } = this.world.plan.workload;
    for (let i = 1; i <= clients; i += 1) this.clients.push(new Client(this, i, random.fork(`client ${i}`)));
    for (let i = 1; i <= surveyors; i += 1) this.clients.push(new Surveyor(this, i, random.fork(`surveyor ${i}`)));
    for (let i = 1; i <= watchers; i += 1) this.watch(i, random, new OrderedWatches(this));
    for (let i = 1; i <= tenants; i += 1) this.clients.push(new Tenant(this, i, random.fork(`tenant ${i}`)));
  }

  protected watch(index: number, random: Random, kind: WatchKind): void {
    this.watchers.push(new Watcher(this, index, random.fork(`watcher ${index}`), kind));
  }

  /** What a group has decided. */
  referenceOf(group: GroupId): Reference {
    return this.safety.reference(group);
  }

  isKeyspace(group: GroupId): boolean {
    return this.safety.keyspaceGroups().includes(group);
  }

  /** What the default keyspace has decided. */
  reference(): Reference {
    return this.referenceOf(DEFAULT_GROUP);
  }

  begin(): void {
    const author = this.newProcess();
    for (let number = 1; number <= this.world.plan.workload.keyspaces; number += 1) {
      this.history.invoke(author, "write", `tenant${number}`, "down", this.moment());
      this.history.ok(author, null, this.moment());
    }
    for (const client of this.clients) client.think();
    for (const watcher of this.watchers) watcher.look();
  }

  newProcess(): number {
    this.processes += 1;
    return this.processes;
  }

  /** A moment for the history: its order is that of the events of the run. */
  moment(): number {
    this.moments += 1;
    return this.moments;
  }

  newValue(): string {
    this.values += 1;
    return `v${this.values}`;
  }

  /** A connection to a node that runs now, to `node` if that is possible; null if none does. */
  connect(random: Random, node: NodeId): Connection | null {
    const { running } = this.world;
    if (running.length === 0) return null;
    const computer = running.find((it) => it.number === node) ?? random.pick(running);
    const session = computer.node!.openSession({ name: "sim" }) as NodeSession;
    const connection = new Connection(computer, computer.life, session);
    this.connections.push(connection);
    return connection;
  }

  /** Sends a command. `end` is called exactly once, later. */
  submit(
    connection: Connection,
    command: Command,
    level: Level,
    id: RequestId | null,
    end: CallEnd,
    keyspace = DEFAULT_KEYSPACE,
  ): void {
    const { session } = connection;
    this.send(connection, new Call(connection.computer.number, end), (call, number) => {
      session.level = level;
      session.keyspace = keyspace;
      call.request = session.submitWithId(command, id, this, number);
    });
  }

  /** Has a node make or drop a keyspace. `end` is called exactly once, later. */
  administer(
    connection: Connection,
    act: (node: GamutNode, done: (error: KvError | null) => void) => void,
    end: CallEnd,
  ): void {
    this.send(connection, new Call(connection.computer.number, end), (_call, number) => {
      act(connection.computer.node!, (error) => {
        this.answer(number, new Answer(error === null ? new Result(ResultKind.ok) : errorResult(error), 0, 0));
      });
    });
  }

  private send(connection: Connection, call: Call, deliver: (call: Call, number: number) => void): void {
    connection.open.add(call);
    this.callNumber += 1;
    const number = this.callNumber;
    const { scheduler, plan } = this.world;
    connection.lastArrivalUs = Math.max(connection.lastArrivalUs, scheduler.nowUs + this.wireUs());
    scheduler.after(connection.lastArrivalUs - scheduler.nowUs, () => {
      if (!connection.isAlive) {
        connection.open.delete(call);
        call.finish("refused");
        return;
      }
      this.calls.set(number, call);
      connection.computer.guard(() => deliver(call, number));
    });
    scheduler.after(plan.workload.patienceUs, () => {
      if (call.ended) return;
      connection.open.delete(call);
      if (call.request !== null && connection.isAlive) connection.session.cancel(call.request);
      call.finish("silence");
    });
  }

  /** What clients have been shown so far, by group. */
  positionsShown(): ReadonlyMap<GroupId, number> {
    return new Map(this.newest);
  }

  /** A client has got an answer that is no error. */
  shown({ position, group }: Answer): void {
    if (position > (this.newest.get(group) ?? 0)) this.newest.set(group, position);
  }

  flushed({ position, version }: Answer): void {
    if (position > this.lastFlush.position) this.lastFlush = { position, version };
  }

  /** A record was read at a position: it must not be one that a flush has removed. */
  checkFlushed(key: string, version: number, position: number): void {
    const flush = this.lastFlush;
    if (position < flush.position || version > flush.version) return;
    this.world.violate(
      `${key} was read at position ${position} with version ${version}, after a flush of version ${flush.version}`,
    );
  }

  /** The node answers: the client knows of it once it has crossed the wire. */
  reply(request: Request, result: Result): void {
    const group = (request as NodeRequest).group?.id ?? 0;
    if (request.command.op === Op.progress && result.kind === ResultKind.integer) {
      this.checkWait(request, group, Number(result.integer));
    }
    this.answer(request.tag, new Answer(result, request.position, group));
  }

  /** Who is told that so many replicas hold what it wrote must not lose it with fewer. */
  private checkWait({ tag, minimumPosition }: Request, group: GroupId, told: number): void {
    const { node } = this.calls.get(tag)!;
    const copies = this.safety.copiesBesidesLeader(node, group, minimumPosition);
    if (told <= copies) return;
    this.world.violate(
      `node ${node} counts ${told} durable copies of ${minimumPosition} besides the leader's; there are ${copies}`,
    );
  }

  private answer(number: number, answer: Answer): void {
    const { world } = this;
    const call = this.calls.get(number);
    if (call === undefined || call.answered) {
      world.violate(`request ${number} was answered twice`);
      return;
    }
    call.answered = true;
    world.hash.number(world.scheduler.nowUs);
    world.hash.number(number);
    world.hash.text(answer.words);
    world.scheduler.after(this.wireUs(), () => call.finish(answer));
  }

  /** Nothing more comes back from a process that has ended, except what is on the wire already. */
  processEnded(computer: Computer): void {
    for (const connection of this.connections.splice(0)) {
      if (connection.computer !== computer) {
        if (connection.isAlive) this.connections.push(connection);
        continue;
      }
      for (const call of connection.open) {
        if (call.answered || call.request === null) continue;
        this.world.scheduler.after(this.wireUs(), () => call.finish("silence"));
      }
    }
  }

  private wireUs(): number {
    return between(this.random, WIRE_US_MIN, WIRE_US_MAX);
  }
}

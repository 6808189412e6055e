import { HistoryRecorder } from "../check/recorder.js";
import type { NodeId } from "../core/machine.js";
import { Random } from "../core/random.js";
import type { Command } from "../kv/command.js";
import type { Level } from "../kv/level.js";
import type { ReplySink, Request, RequestId } from "../kv/request.js";
import type { Result } from "../kv/result.js";
import type { NodeSession } from "../node/session.js";
import { Answer, Call, type CallEnd } from "./call.js";
import { between } from "./chance.js";
import { Client } from "./client.js";
import type { Computer } from "./computer.js";
import type { Reference } from "./reference.js";
import type { World } from "./world.js";

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
}

/**
 * All clients of a run, the wire between them and the nodes, and the history of what they saw. A client knows only what
 * has come back to it.
 */
export class Fleet implements ReplySink {
  readonly history = new HistoryRecorder();
  readonly counters = new FleetCounters();
  private readonly clients: Client[] = [];
  private readonly calls = new Map<number, Call>();
  private readonly connections: Connection[] = [];
  private readonly random: Random;
  private callNumber = 0;
  private processes = 0;
  private moments = 0;
  private values = 0;
  working = true;

  constructor(
    readonly world: World,
    /** What the default keyspace has decided. */
    readonly reference: () => Reference,
  ) {
    const random = new Random(world.plan.seed);
    this.random = random.fork("wire");
    const { clients } = world.plan.workload;
    for (let i = 1; i <= clients; i += 1) this.clients.push(new Client(this, i, random.fork(`client ${i}`)));
  }

  begin(): void {
    for (const client of this.clients) client.think();
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
  submit(connection: Connection, command: Command, level: Level, id: RequestId | null, end: CallEnd): Call {
    const call = new Call(end);
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
      connection.computer.guard(() => {
        connection.session.level = level;
        call.request = connection.session.submitWithId(command, id, this, number);
      });
    });
    scheduler.after(plan.workload.patienceUs, () => {
      if (call.ended) return;
      connection.open.delete(call);
      if (call.request !== null && connection.isAlive) connection.session.cancel(call.request);
      call.finish("silence");
    });
    return call;
  }

  /** The node answers: the client knows of it once it has crossed the wire. */
  reply(request: Request, result: Result): void {
    const { world } = this;
    const call = this.calls.get(request.tag);
    if (call === undefined || call.answered) {
      world.violate(`request ${request.tag} was answered twice`);
      return;
    }
    call.answered = true;
    const answer = new Answer(result, request.position);
    world.hash.number(world.scheduler.nowUs);
    world.hash.number(request.tag);
    world.hash.text(`${answer.kind} ${answer.text ?? answer.error?.code ?? answer.integer}`);
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

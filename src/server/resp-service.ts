import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import type { Backend } from "../kv/backend.js";
import { CommandTimes } from "./command-times.js";
import type { ServerLimits } from "./limits.js";
import { RespConnection } from "./resp-connection.js";
import { WriterPool } from "./resp-output.js";
import { ScanCursors } from "./scan-cursors.js";
import type { ServerStats } from "./stats.js";

/** What the node says about itself beyond the backend's status. */
export interface NodeFacts {
  /** Where acknowledged writes are: on disk after a sync, with the operating system, or in memory alone. */
  readonly durability: "disk" | "os" | "memory";
  readonly host: string;
  readonly port: number;
}

const CURSOR_BELOW = 2 ** 48 - 1;
/** Keyspaces of which it is known where RANDOMKEY goes on. */
const PLACES_MAX = 1024;

/** What the RESP connections of a node share. */
export class RespService {
  readonly connections = new Map<number, RespConnection>();
  readonly cursors: ScanCursors;
  readonly startedMs = Date.now();
  private nextId = 1;
  private answered: RespConnection[] = [];
  private answeredBefore: RespConnection[] = [];
  readonly writers = new WriterPool();
  readonly times: CommandTimes;
  /** Keyspace → where RANDOMKEY goes on. */
  readonly randomPlaces = new Map<string, string>();
  /** Monotonic ms, read once a turn; 0: not yet. */
  private turnMs = 0;

  constructor(
    readonly backend: Backend,
    readonly limits: ServerLimits,
    readonly facts: NodeFacts,
    readonly stats: ServerStats,
  ) {
    this.cursors = new ScanCursors(limits.scanCursorsMax, () => randomInt(1, CURSOR_BELOW));
    this.times = new CommandTimes(limits.slowCommandsMax, limits.latencySamplesMax);
    backend.afterTurn(() => this.turnEnded());
  }

  /** Monotonic ms of this turn. */
  nowMs(): number {
    if (this.turnMs === 0) this.turnMs = performance.now();
    return this.turnMs;
  }

  /** Something has come from the world: time has passed. */
  timePassed(): void {
    this.turnMs = 0;
  }

  rememberPlace(keyspace: string, key: string): void {
    if (key === "") this.randomPlaces.delete(keyspace);
    else if (this.randomPlaces.size < PLACES_MAX || this.randomPlaces.has(keyspace))
      this.randomPlaces.set(keyspace, key);
  }

  /** `received`: what the connection has sent so far. */
  open(socket: Socket, received: Uint8Array): void {
    const id = this.nextId;
    this.nextId += 1;
    const connection = new RespConnection(id, socket, this, this.backend.openSession({ name: "default" }));
    this.connections.set(id, connection);
    connection.start(received);
  }

  closed(connection: RespConnection): void {
    this.connections.delete(connection.id);
  }

  /** It has replies to write when the turn ends. */
  answeredTo(connection: RespConnection): void {
    this.answered.push(connection);
  }

  private turnEnded(): void {
    const answered = this.answered;
    this.answered = this.answeredBefore;
    for (let i = 0; i < answered.length; i += 1) answered[i].turnEnded();
    this.timePassed();
    answered.length = 0;
    this.answeredBefore = answered;
  }

  /** Called once in a while: cuts those that have stopped in the middle of something. */
  sweep(nowMs: number): void {
    for (const connection of this.connections.values()) connection.sweep(nowMs);
  }

  /** Stops taking requests; each connection ends when what it has under way is answered. */
  drain(): void {
    for (const connection of this.connections.values()) connection.endWhenAnswered();
  }
}

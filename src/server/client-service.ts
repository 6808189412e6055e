import type { Socket } from "node:net";
import type { ReplyBuffer } from "../codec/reply-buffer.js";
import type { Backend } from "../kv/backend.js";
import type { Durability } from "../node/options.js";
import type { ClientConnection } from "./client-connection.js";
import type { ServerLimits } from "./limits.js";
import { WriterPool } from "./output.js";
import type { PendingReply } from "./pipeline.js";
import type { Wire } from "./sniff.js";
import type { ServerStats } from "./stats.js";

/** What the node says about itself beyond the backend's status. */
export interface NodeFacts {
  readonly durability: Durability;
  readonly host: string;
  readonly port: number;
}

/** What the connections of one wire share. */
export abstract class ClientService<
  Writer extends ReplyBuffer,
  Connection extends ClientConnection<Writer, PendingReply>,
> {
  abstract readonly wire: Wire;
  readonly connections = new Map<number, Connection>();
  readonly startedMs = Date.now();
  readonly writers: WriterPool<Writer>;
  private nextId = 1;
  /** 0: not read yet. */
  private turnAtMs = 0;
  private answered: ClientConnection<Writer, PendingReply>[] = [];
  private answeredBefore: ClientConnection<Writer, PendingReply>[] = [];

  constructor(
    readonly backend: Backend,
    readonly limits: ServerLimits,
    readonly facts: NodeFacts,
    readonly stats: ServerStats,
    makeWriter: () => Writer,
  ) {
    this.writers = new WriterPool(makeWriter);
    backend.afterTurn(() => this.turnEnded());
  }

  /** Monotonic ms, read once a turn: what a turn answers was answered at one time. */
  turnMs(): number {
    if (this.turnAtMs === 0) this.turnAtMs = performance.now();
    return this.turnAtMs;
  }

  protected abstract connect(id: number, socket: Socket): Connection;

  /** `received`: what the connection has sent so far. */
  open(socket: Socket, received: Uint8Array): void {
    const id = this.nextId;
    this.nextId += 1;
    const connection = this.connect(id, socket);
    this.connections.set(id, connection);
    connection.start(received);
  }

  closed(id: number): void {
    this.connections.delete(id);
  }

  /** It has replies to write when the turn ends. */
  answeredTo(connection: ClientConnection<Writer, PendingReply>): void {
    this.answered.push(connection);
  }

  private turnEnded(): void {
    this.turnAtMs = 0;
    const answered = this.answered;
    this.answered = this.answeredBefore;
    for (let i = 0; i < answered.length; i += 1) answered[i].turnEnded();
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

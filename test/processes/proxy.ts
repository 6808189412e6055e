/** The wires between the nodes: a proxy for each ordered pair, so that they can be cut, stalled and slowed. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./ports.js";

/**
 * `dropped`: bytes vanish, as behind a firewall's silent rule; connections that have lost some are reset when it ends.
 * `stalled`: bytes wait, as on a network that comes back before TCP gives up. `reset`: connections break and none is made.
 */
export type Flow = "open" | "dropped" | "stalled" | "reset";

/** All that goes from one node to another one, whoever has dialed. */
class Direction {
  flow: Flow = "open";
  delayMs = 0;
}

export class Links {
  private readonly directions = new Map<string, Direction>();
  private readonly ports = new Map<string, number>();
  private readonly servers: Server[] = [];
  private readonly relays = new Set<Relay>();

  private constructor(private readonly nodes: readonly number[]) {}

  static async open(peerPorts: ReadonlyMap<number, number>): Promise<Links> {
    const links = new Links([...peerPorts.keys()]);
    for (const from of peerPorts.keys()) {
      for (const [to, port] of peerPorts) if (from !== to) await links.listen(from, to, port);
    }
    return links;
  }

  private async listen(from: number, to: number, targetPort: number): Promise<void> {
    const there = new Direction();
    this.directions.set(`${from}>${to}`, there);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (dialer) => {
      const back = this.direction(to, from);
      if (there.flow === "reset" || back.flow === "reset") dialer.resetAndDestroy();
      else this.relays.add(new Relay(dialer, targetPort, there, back, (relay) => this.relays.delete(relay)));
    });
    const port = await freePort();
    await new Promise<void>((done, failed) => {
      server.once("error", failed);
      server.listen(port, "127.0.0.1", done);
    });
    this.servers.push(server);
    this.ports.set(`${from}>${to}`, port);
  }

  /** Where `from` finds `to`. */
  port(from: number, to: number): number {
    return this.ports.get(`${from}>${to}`)!;
  }

  /** Both ways. */
  set(a: number, b: number, flow: Flow): void {
    this.setOneWay(a, b, flow);
    this.setOneWay(b, a, flow);
  }

  setOneWay(from: number, to: number, flow: Flow): void {
    const direction = this.direction(from, to);
    direction.flow = flow;
    for (const relay of [...this.relays]) relay.flowChanged(direction);
  }

  /** Between this node and all others. */
  isolate(node: number, flow: Flow): void {
    for (const other of this.nodes) if (other !== node) this.set(node, other, flow);
  }

  delay(a: number, b: number, ms: number): void {
    this.direction(a, b).delayMs = ms;
    this.direction(b, a).delayMs = ms;
  }

  heal(): void {
    for (const from of this.nodes) {
      for (const to of this.nodes) {
        if (from === to) continue;
        this.direction(from, to).delayMs = 0;
        this.setOneWay(from, to, "open");
      }
    }
  }

  async close(): Promise<void> {
    for (const relay of [...this.relays]) relay.end();
    await Promise.all(this.servers.map((server) => new Promise<void>((done) => server.close(() => done()))));
  }

  private direction(from: number, to: number): Direction {
    return this.directions.get(`${from}>${to}`)!;
  }
}

/** One connection through a proxy. */
class Relay {
  private readonly target: Socket;
  private readonly pipes: readonly [Pipe, Pipe];

  constructor(
    private readonly dialer: Socket,
    targetPort: number,
    there: Direction,
    back: Direction,
    private readonly ended: (relay: Relay) => void,
  ) {
    this.target = connect({ host: "127.0.0.1", port: targetPort, allowHalfOpen: true, noDelay: true });
    this.pipes = [new Pipe(dialer, this.target, there), new Pipe(this.target, dialer, back)];
    for (const socket of [dialer, this.target]) {
      socket.on("error", () => this.end());
      socket.on("close", () => this.end());
    }
  }

  flowChanged(direction: Direction): void {
    for (const pipe of this.pipes) {
      if (pipe.direction !== direction) continue;
      if (direction.flow === "reset" || (direction.flow !== "dropped" && pipe.hasLost)) this.end();
      else pipe.flowChanged();
    }
  }

  end(): void {
    this.ended(this);
    for (const socket of [this.dialer, this.target]) if (!socket.destroyed) socket.resetAndDestroy();
  }
}

/** One way of a connection. */
class Pipe {
  hasLost = false;
  /** Bytes on their way; they arrive in order. */
  private arrival = 0;

  constructor(
    private readonly source: Socket,
    private readonly sink: Socket,
    readonly direction: Direction,
  ) {
    source.on("data", (chunk: Buffer) => this.take(chunk));
    source.on("end", () => this.later(() => sink.end()));
    sink.on("drain", () => this.flowChanged());
    if (direction.flow === "stalled") source.pause();
  }

  flowChanged(): void {
    if (this.direction.flow === "stalled") this.source.pause();
    else if (!this.sink.writableNeedDrain) this.source.resume();
  }

  private take(chunk: Buffer): void {
    if (this.direction.flow === "dropped") this.hasLost = true;
    else this.later(() => this.pass(chunk));
  }

  private pass(chunk: Buffer): void {
    if (this.sink.destroyed || this.sink.writableEnded) return;
    if (!this.sink.write(chunk)) this.source.pause();
  }

  private later(act: () => void): void {
    const now = performance.now();
    this.arrival = Math.max(this.arrival, now + this.direction.delayMs);
    if (this.arrival <= now) act();
    else setTimeout(act, this.arrival - now);
  }
}

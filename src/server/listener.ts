/** The one client port of a node: finds out which wire a connection speaks, and hands it over. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { allocate, EMPTY_BYTES, latin1Decode } from "../core/bytes.js";
import type { Backend } from "../kv/backend.js";
import { LISTEN_RETRY_MS, listenPatiently } from "../runtime/listen.js";
import { withSharedReads } from "../runtime/shared-reads.js";
import type { NodeFacts } from "./client-service.js";
import { lastWords, Problem } from "./http-problem.js";
import type { HttpService } from "./http-service.js";
import { LazyHttp } from "./lazy-http.js";
import { SERVER_LIMITS, type ServerLimits } from "./limits.js";
import { MemcachedService } from "./memcached-service.js";
import type { MetricSources } from "./metrics.js";
import { RespService } from "./resp-service.js";
import { sniffWire, Wire } from "./sniff.js";
import { ServerStats } from "./stats.js";

const SWEEP_MS = 1000;
/** When the node stops: time for what is under way. */
const CLOSE_MS = 2000;

export interface ListenerOptions {
  readonly backend: Backend;
  readonly host: string;
  /** 0: any free one; see {@link ClientListener.port}. */
  readonly port: number;
  readonly durability?: NodeFacts["durability"];
  readonly limits?: Partial<ServerLimits>;
}

/** A connection whose wire is not known yet. */
interface Newcomer {
  readonly socket: Socket;
  received: Uint8Array;
  /** 0: nothing has come. */
  sinceMs: number;
}

/** What those hear whose wire this node does not speak. */
const FAREWELLS: Readonly<Partial<Record<Wire, string>>> = {
  // A fatal alert: handshake_failure (RFC 8446, 6.2).
  [Wire.tls]: "\x15\x03\x01\x00\x02\x02\x28",
};

export class ClientListener {
  private readonly server: Server;
  private readonly limits: ServerLimits;
  private readonly sockets = new Set<Socket>();
  private readonly newcomers = new Set<Newcomer>();
  private readonly stats = new ServerStats();
  private sweeper: NodeJS.Timeout | null = null;
  private resp: RespService | null = null;
  private memcached: MemcachedService | null = null;
  private readonly http: LazyHttp;

  private constructor(options: ListenerOptions) {
    this.limits = { ...SERVER_LIMITS, ...options.limits };
    this.http = new LazyHttp(() => this.loadHttp(options.backend));
    // A client that has sent its last request still hears the answers.
    this.server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) =>
      this.accept(socket),
    );
  }

  /** Rejects if the port cannot be had. */
  static async listen(options: ListenerOptions): Promise<ClientListener> {
    const listener = new ClientListener(options);
    const { host, backend, durability = "sync" } = options;
    const target = { port: options.port, host, retryMs: LISTEN_RETRY_MS, isWanted: () => true };
    await new Promise<void>((resolve, reject) => {
      const done = (error: Error | null): void => (error === null ? resolve() : reject(error));
      listenPatiently(listener.server, target, done);
    });
    const facts = { durability, host, port: listener.port };
    listener.resp = new RespService(backend, listener.limits, facts, listener.stats);
    listener.memcached = new MemcachedService(backend, listener.limits, facts, listener.stats);
    listener.sweeper = setInterval(() => listener.sweep(), SWEEP_MS);
    listener.sweeper.unref();
    return listener;
  }

  private async loadHttp(backend: Backend): Promise<HttpService> {
    // One after the other, with turns of the node in between: each keeps the event loop for a while.
    const { Metrics } = await import("./metrics.js");
    await setImmediate();
    const { HttpService } = await import("./http-service.js");
    await setImmediate();
    const metrics = new Metrics(this.metricSources(backend));
    return HttpService.create(backend, this.limits, this.stats, metrics);
  }

  private metricSources(backend: Backend): MetricSources {
    return {
      stats: this.stats,
      status: () => backend.status(),
      connections: () => ({
        undecided: this.newcomers.size,
        resp: this.resp?.connections.size ?? 0,
        memcached: this.memcached?.connections.size ?? 0,
        http: this.http.connectionCount,
      }),
    };
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get connectionCount(): number {
    return this.sockets.size;
  }

  /** Takes nobody in any more, lets what is under way be answered, then hangs up. */
  async close(): Promise<void> {
    if (this.sweeper !== null) clearInterval(this.sweeper);
    const closed = once(this.server, "close");
    this.server.close();
    for (const { socket } of this.newcomers) socket.destroy();
    this.resp?.drain();
    this.memcached?.drain();
    this.http.drain();
    const cut = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, CLOSE_MS);
    await closed;
    // The server may be done before its sockets have told their sessions.
    await Promise.all([...this.sockets].map((socket) => once(socket, "close")));
    clearTimeout(cut);
    this.http.close();
  }

  private accept(socket: Socket): void {
    if (this.sockets.size >= this.limits.connectionsMax) {
      this.stats.rejected += 1;
      socket.on("error", () => {});
      socket.end("-ERR max number of clients reached\r\n", () => socket.destroySoon());
      return;
    }
    this.stats.connections += 1;
    this.own(socket);
    const newcomer: Newcomer = { socket, received: EMPTY_BYTES, sinceMs: 0 };
    this.newcomers.add(newcomer);
    const onData = (chunk: Buffer): void => {
      const wire = this.listenTo(newcomer, chunk);
      if (wire === Wire.undecided) return;
      socket.off("data", onData);
      socket.off("end", onEnd);
      this.newcomers.delete(newcomer);
      this.handOver(newcomer, wire);
    };
    const onEnd = (): void => {
      socket.end();
    };
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("close", () => this.newcomers.delete(newcomer));
  }

  private own(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    // "close" follows and does what there is to do.
    socket.on("error", () => {});
  }

  private listenTo(newcomer: Newcomer, chunk: Uint8Array): Wire {
    const before = newcomer.received;
    if (before.length === 0) newcomer.received = chunk;
    else {
      newcomer.received = allocate(before.length + chunk.length);
      newcomer.received.set(before, 0);
      newcomer.received.set(chunk, before.length);
    }
    if (newcomer.sinceMs === 0) newcomer.sinceMs = Date.now();
    const wire = sniffWire(newcomer.received, newcomer.received.length);
    if (wire !== Wire.undecided || newcomer.received.length <= this.limits.firstLineBytesMax) return wire;
    this.newcomers.delete(newcomer);
    dismiss(newcomer.socket, tooLongLine(newcomer.received, this.limits.firstLineBytesMax));
    return Wire.undecided;
  }

  private handOver(newcomer: Newcomer, wire: Wire): void {
    const { socket, received } = newcomer;
    if (wire === Wire.resp) this.resp?.open(this.readingFast(socket), received);
    else if (wire === Wire.memcached) this.memcached?.open(this.readingFast(socket), received);
    else if (wire === Wire.http) this.http.open(socket, received);
    else dismiss(socket, FAREWELLS[wire] ?? "");
  }

  private readingFast(socket: Socket): Socket {
    const fast = withSharedReads(socket);
    if (fast !== socket) {
      this.sockets.delete(socket);
      this.own(fast);
    }
    return fast;
  }

  private sweep(): void {
    const nowMs = Date.now();
    for (const newcomer of this.newcomers) {
      if (newcomer.sinceMs === 0 || nowMs - newcomer.sinceMs < this.limits.firstLineMsMax) continue;
      this.newcomers.delete(newcomer);
      dismiss(newcomer.socket, `ERROR the first line did not arrive within ${this.limits.firstLineMsMax} ms\r\n`);
    }
    this.stats.sample(nowMs);
    this.resp?.sweep(nowMs);
    this.memcached?.sweep(nowMs);
    this.http.sweep(nowMs);
  }
}

/** In the words of the wire that it looks like. */
function tooLongLine(received: Uint8Array, bytesMax: number): string {
  if (!/^[A-Z]+ \//.test(latin1Decode(received.subarray(0, 16)))) {
    return `ERROR the first line is longer than ${bytesMax} bytes\r\n`;
  }
  return lastWords(new Problem("uri_too_long", `a request line may have ${bytesMax} bytes`));
}

/** A last line, and the end. What still comes is not looked at. */
function dismiss(socket: Socket, line: string): void {
  socket.removeAllListeners("data");
  socket.end(Buffer.from(line, "latin1"));
  socket.resume();
  setTimeout(() => socket.destroy(), 1000).unref();
}

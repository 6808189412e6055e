/** The HTTP wire of a node: one node:http server that is given its connections, keys first, fastify for the rest. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Backend } from "../kv/backend.js";
import { COMMAND_LIMITS } from "../kv/limits.js";
import { HttpConnection } from "./http-connection.js";
import { refuseFields } from "./http-fields.js";
import { Problem } from "./http-problem.js";
import { HttpRoutes } from "./http-routes.js";
import { refuseStranger } from "./http-strangers.js";
import { badEncoding, parseQuery } from "./http-target.js";
import type { HttpWatch } from "./http-watch.js";
import type { ServerLimits } from "./limits.js";
import type { Metrics } from "./metrics.js";
import type { ServerStats } from "./stats.js";

/** How often Node looks for requests that take too long to arrive. */
const CHECK_MS = 1000;

export class HttpService {
  readonly routes: HttpRoutes;
  draining = false;
  private readonly connections = new Map<Socket, HttpConnection>();
  readonly watches = new Set<HttpWatch>();
  private readonly server: Server;

  private constructor(
    readonly backend: Backend,
    readonly limits: ServerLimits,
    readonly stats: ServerStats,
    metrics: Metrics,
  ) {
    this.server = createServer({
      maxHeaderSize: limits.httpHeaderBytesMax,
      headersTimeout: Math.min(limits.firstLineMsMax, limits.requestMsMax),
      requestTimeout: limits.requestMsMax,
      keepAliveTimeout: limits.httpIdleMsMax,
      connectionsCheckingInterval: Math.min(CHECK_MS, limits.firstLineMsMax),
      // The refusal of a request without it is a problem like the others.
      requireHostHeader: false,
    });
    // A client that has sent its last request still hears the answer. Node has no option for that.
    Object.assign(this.server, { httpAllowHalfOpen: true });
    this.server.on("request", (request, response) => this.connections.get(request.socket)!.take(request, response));
    this.server.on("checkContinue", (request, response) => this.takeExpecting(request, response));
    this.server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      if (!socket.writable || error.code === "ECONNRESET") socket.destroy();
      else this.connections.get(socket)?.fail(byteProblem(error, limits));
    });
    // By default Node drops fields past the 2,000th without a word; their bytes are limited already.
    this.server.maxHeadersCount = 0;
    this.routes = new HttpRoutes(this, metrics);
  }

  static async create(
    backend: Backend,
    limits: ServerLimits,
    stats: ServerStats,
    metrics: Metrics,
  ): Promise<HttpService> {
    const service = new HttpService(backend, limits, stats, metrics);
    await service.routes.ready();
    // The server never listens itself; this is how Node begins to look at its connections' times.
    service.server.emit("listening");
    return service;
  }

  get connectionCount(): number {
    return this.connections.size;
  }

  /** `received`: what the connection has sent so far. */
  open(socket: Socket, received: Uint8Array): void {
    this.connections.set(socket, new HttpConnection(socket, this));
    socket.on("close", () => this.connections.delete(socket));
    socket.pause();
    socket.unshift(received);
    this.server.emit("connection", socket);
    socket.resume();
  }

  /** Why this request is answered with nothing but a problem; null: it is served. */
  refusal(request: IncomingMessage): Problem | null {
    const { url = "" } = request;
    if (url.length > this.limits.firstLineBytesMax) {
      return new Problem(
        "uri_too_long",
        `the target has ${url.length} bytes, ${this.limits.firstLineBytesMax} are allowed`,
      );
    }
    if (!url.startsWith("/")) {
      return new Problem("bad_request", `the target must be a path that begins with /; found ${url.slice(0, 40)}`);
    }
    const mark = url.indexOf("?");
    if (mark >= 0 && parseQuery(url.slice(mark + 1)) === null) return badEncoding("the query");
    return refuseStranger(request, this.backend) ?? refuseFields(request.headers);
  }

  /**
   * With `Expect: 100-continue` a client asks before it sends a body. One that would be refused for its length is not
   * asked for, and as nobody can tell whether it will be sent all the same, the connection ends with the refusal.
   */
  private takeExpecting(request: IncomingMessage, response: ServerResponse): void {
    const declared = Number(request.headers["content-length"] ?? 0);
    const bytesMax = request.method === "PUT" ? COMMAND_LIMITS.valueBytesMax : this.limits.httpBodyBytesMax;
    if (declared > bytesMax) response.shouldKeepAlive = false;
    else response.writeContinue();
    this.connections.get(request.socket)!.take(request, response);
  }

  sweep(nowMs: number): void {
    for (const connection of this.connections.values()) connection.sweep(nowMs);
    for (const watch of this.watches) watch.sweep(nowMs);
  }

  /** Stops taking requests; each connection ends when what it has under way is answered. */
  drain(): void {
    this.draining = true;
    for (const connection of this.connections.values()) connection.drain();
    for (const watch of this.watches) watch.stop();
  }

  /** When all connections are closed: the server never listened, and only stops to look at their times. */
  close(): void {
    this.server.close();
  }
}

/** What Node's parser has given up on. */
function byteProblem(error: NodeJS.ErrnoException, limits: ServerLimits): Problem {
  if (error.code === "HPE_HEADER_OVERFLOW") {
    return new Problem("headers_too_large", `a request's header section may have ${limits.httpHeaderBytesMax} bytes`);
  }
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") {
    const { firstLineMsMax, requestMsMax } = limits;
    const detail = `a header section must be whole after ${firstLineMsMax} ms, a request after ${requestMsMax} ms`;
    return new Problem("request_timeout", detail);
  }
  return new Problem("not_http", `the bytes sent are no HTTP/1.1 request: ${error.message}`);
}

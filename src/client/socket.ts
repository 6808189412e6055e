/** The one file of the client that knows Node.js: a TCP connection. Bun and Deno have node:net as well. */
import { connect, type Socket as NodeSocket } from "node:net";
import type { Address } from "../codec/address.js";

export interface SocketEvents {
  opened(): void;
  /** The bytes are the listener's only until it returns. */
  received(chunk: Uint8Array): void;
  /** Called once, whoever has ended it. */
  closed(problem: string): void;
}

export class Socket {
  private readonly socket: NodeSocket;
  private chunks: Uint8Array[] = [];
  private problem = "the connection was closed";

  constructor(
    { host, port }: Address,
    private readonly events: SocketEvents,
  ) {
    this.socket = connect({ host, port, noDelay: true, keepAlive: true });
    this.socket.on("connect", () => events.opened());
    this.socket.on("data", (chunk: Uint8Array) => events.received(chunk));
    this.socket.on("error", (error) => {
      this.problem = error.message;
    });
    this.socket.on("end", () => this.socket.destroy());
    this.socket.on("close", () => {
      this.chunks = [];
      this.events.closed(this.problem);
    });
  }

  /** What a turn of the event loop writes leaves with one call of the system. The bytes belong to the socket from now on. */
  write(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    if (this.chunks.length === 1) setImmediate(() => this.flush());
  }

  private flush(): void {
    const { chunks } = this;
    if (chunks.length === 0) return;
    this.chunks = [];
    if (chunks.length === 1) this.socket.write(chunks[0]);
    else this.socket.write(Buffer.concat(chunks));
  }

  /** Nothing more is received until {@link resume}; the node has to wait. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  close(problem: string): void {
    this.problem = problem;
    this.socket.destroy();
  }
}

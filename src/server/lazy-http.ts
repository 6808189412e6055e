/** The HTTP wire, loaded with the first connection that speaks it: who never asks pays neither its start nor its memory. */
import type { Socket } from "node:net";
import { EMPTY_BYTES } from "../core/bytes.js";
import { lastWords, Problem } from "./http-problem.js";
import type { HttpService } from "./http-service.js";

/** Imports what HTTP needs, which takes some tenths of a second, and makes the service. */
export type LoadHttp = () => Promise<HttpService>;

export class LazyHttp {
  private service: HttpService | null = null;
  private loading = false;
  private draining = false;
  /** Connections that wait for the service, paused, with all that they have sent. */
  private readonly waiting = new Set<Socket>();

  constructor(private readonly load: LoadHttp) {}

  get connectionCount(): number {
    return this.waiting.size + (this.service?.connectionCount ?? 0);
  }

  /** `received`: what the connection has sent so far. */
  open(socket: Socket, received: Uint8Array): void {
    if (this.service !== null) {
      this.service.open(socket, received);
      return;
    }
    // Its bytes go back at once: a socket that holds none tells its end, and takes none back after that.
    socket.pause();
    socket.unshift(received);
    this.waiting.add(socket);
    socket.once("close", () => this.waiting.delete(socket));
    if (this.loading) return;
    this.loading = true;
    this.load().then(
      (service) => this.loaded(service),
      (error: Error) => this.failed(error),
    );
  }

  private loaded(service: HttpService): void {
    this.loading = false;
    this.service = service;
    if (this.draining) service.close();
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const socket of waiting) service.open(socket, EMPTY_BYTES);
  }

  /** The next connection tries again. */
  private failed({ message }: Error): void {
    this.loading = false;
    const words = lastWords(new Problem("not_ready", `this node cannot load what HTTP needs: ${message}`));
    for (const socket of this.waiting) {
      socket.end(words, "latin1");
      socket.resume();
    }
    this.waiting.clear();
  }

  sweep(nowMs: number): void {
    this.service?.sweep(nowMs);
  }

  /** Takes no more requests. Those that wait for the service have begun none. */
  drain(): void {
    this.draining = true;
    for (const socket of this.waiting) socket.destroy();
    this.service?.drain();
  }

  /** When all connections are closed. */
  close(): void {
    this.service?.close();
  }
}

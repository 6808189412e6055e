/** Server-sent events as they come, each held against the OpenAPI document. */
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
} from "node:http";
import type { HttpClient } from "./http-client.js";

export interface StreamEvent {
  readonly id: string | undefined;
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of it
  readonly data: any;
}

export class EventStream {
  readonly events: StreamEvent[] = [];
  /** Whole blocks that have come, comments included. */
  readonly blocks: string[] = [];
  lastEventId = "";
  ended = false;
  private text = "";

  private constructor(
    readonly outgoing: ClientRequest,
    readonly incoming: IncomingMessage,
    private readonly http: HttpClient,
  ) {
    incoming.setEncoding("utf8");
    incoming.on("data", (chunk: string) => this.take(chunk));
    incoming.on("error", () => {});
    incoming.on("close", () => {
      this.ended = true;
    });
  }

  static open(http: HttpClient, path: string, headers: OutgoingHttpHeaders = {}): Promise<EventStream> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ host: "127.0.0.1", port: http.port, path, headers, agent: false }, (incoming) =>
        resolve(new EventStream(outgoing, incoming, http)),
      );
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  get status(): number {
    return this.incoming.statusCode!;
  }

  get headers(): IncomingHttpHeaders {
    return this.incoming.headers;
  }

  private take(chunk: string): void {
    this.text += chunk;
    const blocks = this.text.split("\n\n");
    this.text = blocks.pop()!;
    for (const block of blocks) {
      this.blocks.push(block);
      const fields = new Map(
        block.split("\n").map((line) => /^(\w*): ?(.*)$/.exec(line)!.slice(1) as [string, string]),
      );
      const data = fields.get("data");
      if (data === undefined) continue;
      const event = { id: fields.get("id"), kind: fields.get("event")!, data: JSON.parse(data) };
      this.http.checkEvent(event.kind, event.data);
      this.lastEventId = event.id ?? this.lastEventId;
      this.events.push(event);
    }
  }

  /** The next events, which are taken out. @throws Error if they do not come */
  async next(count: number, timeoutMs = 10_000): Promise<StreamEvent[]> {
    const deadline = Date.now() + timeoutMs;
    while (this.events.length < count) {
      if (this.ended || Date.now() > deadline) {
        throw new Error(`${count} events were expected, there are ${JSON.stringify(this.events)}${this.text}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.events.splice(0, count);
  }

  async untilEnd(timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!this.ended) {
      if (Date.now() > deadline) throw new Error("the stream does not end");
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  close(): void {
    this.outgoing.destroy();
  }
}

import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A client that sees bytes. */
export class RawClient {
  received: Buffer = Buffer.alloc(0);
  ended = false;
  closed = false;

  private constructor(readonly socket: Socket) {
    socket.on("data", (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("error", () => {});
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new RawClient(socket);
  }

  send(...requests: string[][]): void {
    this.sendBytes(Buffer.concat(requests.map(encodeRequest)));
  }

  sendBytes(bytes: Uint8Array | string): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** The next `count` whole replies, as they came (latin1). */
  async replies(count: number, timeoutMs = 10_000): Promise<string[]> {
    const replies: string[] = [];
    const deadline = Date.now() + timeoutMs;
    while (replies.length < count) {
      const end = replyEnd(this.received, 0);
      if (end >= 0) {
        replies.push(this.received.subarray(0, end).toString("latin1"));
        this.received = this.received.subarray(end);
        continue;
      }
      if (Date.now() > deadline || this.closed) {
        throw new Error(
          `${replies.length} of ${count} replies; ${this.closed ? "closed" : "timeout"}; ` +
            `rest: ${JSON.stringify(this.received.subarray(0, 200).toString("latin1"))}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return replies;
  }

  /** Sends and returns one reply a request. */
  async ask(...requests: string[][]): Promise<string[]> {
    this.send(...requests);
    return this.replies(requests.length);
  }

  /** The next of what comes, through the first `end` (latin1). */
  through(end: string, timeoutMs = 10_000): Promise<string> {
    return this.upTo(JSON.stringify(end), timeoutMs, (received) => {
      const at = received.indexOf(end, 0, "latin1");
      return at < 0 ? -1 : at + end.length;
    });
  }

  /** The next `count` bytes of what comes (latin1). */
  take(count: number, timeoutMs = 10_000): Promise<string> {
    return this.upTo(`${count} bytes`, timeoutMs, ({ length }) => (length < count ? -1 : count));
  }

  /** `endIn`: where what is wanted ends; -1: not yet. */
  private async upTo(what: string, timeoutMs: number, endIn: (received: Buffer) => number): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const end = endIn(this.received);
      if (end >= 0) {
        const text = this.received.subarray(0, end).toString("latin1");
        this.received = this.received.subarray(end);
        return text;
      }
      if (Date.now() > deadline || this.closed) {
        const rest = JSON.stringify(this.received.subarray(0, 200).toString("latin1"));
        throw new Error(`no ${what}; ${this.closed ? "closed" : "timeout"}; rest: ${rest}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** What a memcached answers to these bytes: all that comes before the answer to an `mn` after them. */
  async tell(bytes: string): Promise<string> {
    this.sendBytes(`${bytes}mn\r\n`);
    return (await this.through("MN\r\n")).slice(0, -4);
  }

  /** All that came until the other side hung up. */
  async untilEnd(timeoutMs = 10_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    while (!this.ended && !this.closed) {
      if (Date.now() > deadline) throw new Error("the connection did not end");
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.received.toString("latin1");
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Words are latin1: one char a byte. */
export function encodeRequest(words: readonly string[]): Buffer {
  return Buffer.from(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`, "latin1");
}

/** Offset after the reply that begins at `at`; -1: it is not whole. */
export function replyEnd(bytes: Buffer, at: number): number {
  const newline = bytes.indexOf("\r\n", at, "latin1");
  if (newline < 0) return -1;
  const marker = String.fromCharCode(bytes[at]);
  const count = Number(bytes.toString("latin1", at + 1, newline));
  const after = newline + 2;
  if ("+-:_#,(".includes(marker)) return after;
  if ("$=".includes(marker)) {
    if (count < 0) return after;
    return after + count + 2 <= bytes.length ? after + count + 2 : -1;
  }
  if (!"*%~>|".includes(marker)) throw new Error(`not a reply: ${bytes.toString("latin1", at, at + 80)}`);
  let end = after;
  // An attribute is followed by the reply that it is about.
  const children = marker === "%" ? count * 2 : marker === "|" ? count * 2 + 1 : count;
  for (let i = 0; i < children; i += 1) {
    end = replyEnd(bytes, end);
    if (end < 0) return -1;
  }
  return end;
}

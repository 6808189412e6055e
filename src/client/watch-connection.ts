import { type Address, showAddress } from "../codec/address.js";
import { parseErrorLine } from "../codec/resp/error-line.js";
import { CodecError, latin1Decode, latin1Encode } from "../core/bytes.js";
import { type NodeStatus, readStatus, STATUS_REQUEST } from "./link.js";
import type { Settings } from "./options.js";
import { callError, GamutError } from "./outcome.js";
import { ReplyError, WatchReader, type WatchReply } from "./reply-reader.js";
import { Socket } from "./socket.js";

/** What has come and was not taken: past this the socket is not read, and the changes wait in the node's history. */
const UNREAD_BYTES_MAX = 262_144;
/** Looks for silence in a `silenceMs`. */
const LOOKS = 4;
const PING = latin1Encode("*1\r\n$4\r\nPING\r\n");

export type Push = readonly (Uint8Array | number | null)[];

/** What a watch asks of its node, besides where to begin. */
export interface WatchRequest {
  readonly keyspace: string;
  /** Words of GAMUT WATCH from the prefix on. */
  readonly words: readonly string[];
  /** undefined: the keyspace's own. */
  readonly level: string | undefined;
  /** What the node must have seen, as text; "" for nothing. */
  readonly token: string;
}

interface Waiting {
  readonly done: (reply: WatchReply) => void;
  readonly failed: (error: GamutError) => void;
}

/** A connection of its own, for one watch: in RESP2 such a connection does nothing else. Its errors are GamutErrors. */
export class WatchConnection {
  private readonly socket: Socket;
  private readonly reader = new WatchReader();
  private waiting: Waiting | null = null;
  private problem: GamutError | null = null;
  private isPaused = false;
  private heardAtMs = performance.now();
  private isConnected = false;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(
    readonly address: Address,
    private readonly settings: Settings,
  ) {
    this.socket = new Socket(address, {
      opened: () => {
        this.isConnected = true;
        this.heardAtMs = performance.now();
      },
      received: (chunk) => this.received(chunk),
      closed: (problem) => this.fail(this.unavailable(problem)),
    });
    this.timer = setInterval(() => this.look(), Math.max(1, Math.floor(settings.silenceMs / LOOKS)));
  }

  /** Answers the position at which the watch begins. `accept`: "" if this is a node that was meant, or why not. */
  async begin(request: WatchRequest, accept: (status: NodeStatus) => string): Promise<string> {
    const { keyspace, words, level, token } = request;
    const settings = [["SELECT", keyspace]];
    if (level !== undefined) settings.push(["GAMUT", "LEVEL", level]);
    if (token !== "") settings.push(["GAMUT", "TOKEN", token]);
    this.socket.write(STATUS_REQUEST);
    for (const each of settings) this.send(each);
    this.send(["GAMUT", "WATCH", ...words]);
    const refusal = accept(this.status(await this.bulk()));
    if (refusal !== "") throw this.unavailable(refusal);
    for (const _ of settings) await this.reply();
    return latin1Decode(await this.bulk());
  }

  private status(reply: Uint8Array): NodeStatus {
    try {
      return readStatus(reply);
    } catch (error) {
      if (error instanceof CodecError) throw this.unavailable(error.message);
      throw error;
    }
  }

  private send(words: readonly string[]): void {
    let text = `*${words.length}\r\n`;
    for (const word of words) text += `$${word.length}\r\n${word}\r\n`;
    this.socket.write(latin1Encode(text));
  }

  private async bulk(): Promise<Uint8Array> {
    const reply = await this.reply();
    if (reply instanceof Uint8Array) return reply;
    throw this.unavailable("it answers what was not asked");
  }

  /** What the node has told next. */
  async next(): Promise<Push> {
    for (;;) {
      const push = pushOf(await this.reply());
      if (push !== null) return push;
    }
  }

  /** The same, if it is there already; else null. */
  poll(): Push | null {
    for (let reply = this.take(); reply !== null; reply = this.take()) {
      const push = pushOf(reply);
      if (push !== null) return push;
    }
    return null;
  }

  private reply(): Promise<WatchReply> {
    const reply = this.take();
    if (reply instanceof ReplyError) return Promise.reject(new GamutError(parseErrorLine(reply.line)));
    if (reply !== null) return Promise.resolve(reply);
    if (this.problem !== null) return Promise.reject(this.problem);
    this.readOn();
    return new Promise((done, failed) => {
      this.waiting = { done, failed };
    });
  }

  private take(): WatchReply | null {
    try {
      return this.reader.next();
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.close(error.message);
      return null;
    }
  }

  private received(chunk: Uint8Array): void {
    if (this.problem !== null) return;
    this.heardAtMs = performance.now();
    this.reader.feed(chunk);
    const { waiting } = this;
    if (waiting !== null) {
      const reply = this.take();
      if (reply === null) return;
      this.waiting = null;
      if (reply instanceof ReplyError) waiting.failed(new GamutError(parseErrorLine(reply.line)));
      else waiting.done(reply);
    }
    if (this.reader.buffered <= UNREAD_BYTES_MAX) return;
    this.isPaused = true;
    this.socket.pause();
  }

  private readOn(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    // It was not the node that said nothing.
    this.heardAtMs = performance.now();
    this.socket.resume();
  }

  /** A node that takes no connection, or has died without a word. */
  private look(): void {
    if (this.isPaused) return;
    const { connectMs, silenceMs } = this.settings;
    const silentMs = performance.now() - this.heardAtMs;
    if (!this.isConnected) {
      if (silentMs > connectMs) this.close(`it did not answer within ${connectMs} ms`);
    } else if (silentMs > silenceMs) this.close(`it has said nothing for ${silenceMs} ms`);
    else if (silentMs > silenceMs / 2) this.socket.write(PING);
  }

  close(problem: string): void {
    this.fail(this.unavailable(problem));
    this.socket.close(problem);
  }

  private unavailable(problem: string): GamutError {
    return new GamutError(callError("unavailable", `${showAddress(this.address)}: ${problem}`));
  }

  private fail(problem: GamutError): void {
    if (this.problem !== null) return;
    this.problem = problem;
    clearInterval(this.timer);
    const { waiting } = this;
    this.waiting = null;
    waiting?.failed(problem);
  }
}

/** Null: it is the answer to a PING. */
function pushOf(reply: WatchReply): Push | null {
  return typeof reply === "object" && "push" in reply ? reply.push : null;
}

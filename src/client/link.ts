import { type Address, showAddress } from "../codec/address.js";
import { type CallAnswer, decodeAnswer } from "../codec/call.js";
import { CodecError, latin1Encode, utf8Decode } from "../core/bytes.js";
import { KvError } from "../kv/errors.js";
import { decodeToken } from "../kv/token.js";
import type { Settings } from "./options.js";
import { ReplyError, ReplyReader } from "./reply-reader.js";
import { Socket } from "./socket.js";

/** No argument of a request may be longer than the node reads. */
const PART_BYTES_MAX = 1_048_576;
export const STATUS_REQUEST = latin1Encode("*2\r\n$5\r\nGAMUT\r\n$6\r\nSTATUS\r\n");
const CRLF = latin1Encode("\r\n");

/** One sending of a call. Exactly one of the two is called, once. */
export interface Attempt {
  answered(link: Link, answer: CallAnswer): void;
  /** The connection is gone: whether the node has done it is not known. */
  lost(link: Link): void;
}

/** What a node says of itself and of the others. */
export interface NodeStatus {
  readonly node: number;
  readonly clusterId: string;
  readonly members: readonly { readonly node: number; readonly clientAddress: string }[];
}

export interface LinkHost {
  readonly settings: Settings;
  /** "" if the node may serve, or why it is not the one that was meant. */
  linkOpened(link: Link, status: NodeStatus): string;
  linkClosed(link: Link): void;
}

/** The way to one node: a connection, made anew as often as needed, with calls in a pipeline. */
export class Link {
  /** The node at the other end; 0 until it has told. */
  node = 0;
  clusterId = "";
  /** Why it last closed. */
  problem = "";
  state: "closed" | "opening" | "open" = "closed";
  /** Not dialled before. */
  retryAtMs = 0;
  private socket: Socket | null = null;
  private reader = new ReplyReader();
  private attempts: Attempt[] = [];
  private head = 0;
  /** Since when something is due and nothing has come. */
  private silentSinceMs = 0;
  private failures = 0;

  constructor(
    readonly address: Address,
    private readonly host: LinkHost,
  ) {}

  get pending(): number {
    return this.attempts.length - this.head;
  }

  open(nowMs: number): void {
    this.state = "opening";
    this.silentSinceMs = nowMs;
    this.reader = new ReplyReader();
    const socket = new Socket(this.address, {
      opened: () => socket.write(STATUS_REQUEST),
      received: (chunk) => {
        if (this.socket === socket) this.received(chunk);
      },
      closed: (problem) => {
        if (this.socket === socket) this.closed(problem);
      },
    });
    this.socket = socket;
  }

  /** Sends a call. `bytes` are the link's from now on. */
  send(bytes: Uint8Array, attempt: Attempt): void {
    if (this.pending === 0) this.silentSinceMs = performance.now();
    this.attempts.push(attempt);
    const parts = Math.max(1, Math.ceil(bytes.length / PART_BYTES_MAX));
    let header = `*${2 + parts}\r\n$5\r\nGAMUT\r\n$4\r\nCALL\r\n`;
    for (let i = 0; i < parts; i += 1) {
      const part = bytes.subarray(i * PART_BYTES_MAX, (i + 1) * PART_BYTES_MAX);
      header += `$${part.length}\r\n`;
      this.socket!.write(latin1Encode(header));
      this.socket!.write(part);
      this.socket!.write(CRLF);
      header = "";
    }
  }

  private received(chunk: Uint8Array): void {
    this.silentSinceMs = performance.now();
    try {
      this.reader.feed(chunk);
      for (let reply = this.reader.next(); reply !== null; reply = this.reader.next()) {
        if (reply instanceof ReplyError) {
          this.close(`the node refuses: ${reply.line}`);
          return;
        }
        if (this.state === "opening") this.greeted(reply);
        else this.take(reply);
        if (this.state !== "open") return;
      }
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.close(error.message);
    }
  }

  private greeted(reply: Uint8Array): void {
    const status = readStatus(reply);
    const refusal = this.host.linkOpened(this, status);
    if (refusal !== "") {
      this.close(refusal);
      return;
    }
    this.node = status.node;
    this.clusterId = status.clusterId;
    this.state = "open";
  }

  private take(reply: Uint8Array): void {
    if (this.pending === 0) throw new CodecError("the node has answered what was not asked");
    const answer = decodeAnswer(reply);
    const token = answer.token === null ? null : decodeToken(answer.token, this.clusterId);
    if (token instanceof KvError) throw new CodecError(token.message);
    const attempt = this.attempts[this.head];
    this.head += 1;
    if (this.head === this.attempts.length || this.head === 1_024) {
      this.attempts = this.attempts.slice(this.head);
      this.head = 0;
    }
    // Only now does the node prove its worth: one that closes after each greeting must not be dialled at full speed.
    this.failures = 0;
    attempt.answered(this, answer);
  }

  /** A node that takes no connection, or says nothing although something is due. */
  tick(nowMs: number): void {
    const { connectMs, silenceMs } = this.host.settings;
    const silentMs = nowMs - this.silentSinceMs;
    if (this.state === "opening" && silentMs > connectMs) this.close(`it did not answer within ${connectMs} ms`);
    else if (this.state === "open" && this.pending > 0 && silentMs > silenceMs) {
      this.close(`it has said nothing for ${silenceMs} ms`);
    }
  }

  close(problem: string): void {
    if (this.state === "closed") return;
    const { socket } = this;
    this.closed(problem);
    socket?.close(problem);
  }

  private closed(problem: string): void {
    const attempts = this.attempts.slice(this.head);
    this.attempts = [];
    this.head = 0;
    this.socket = null;
    this.state = "closed";
    this.problem = `${showAddress(this.address)}: ${problem}`;
    this.failures += 1;
    this.retryAtMs = performance.now() + backoff(this.failures, this.host.settings);
    for (const attempt of attempts) attempt.lost(this);
    this.host.linkClosed(this);
  }
}

/** Doubled with each failure; from half of it to the whole, so that many clients do not come at once. */
export function backoff(failures: number, settings: Settings): number {
  const ms = Math.min(settings.backoffMsMax, settings.backoffMs * 2 ** Math.min(failures - 1, 20));
  return ms * (0.5 + Math.random() / 2);
}

/** @throws CodecError */
export function readStatus(reply: Uint8Array): NodeStatus {
  let status: Partial<NodeStatus> | null;
  try {
    status = JSON.parse(utf8Decode(reply) ?? "") as Partial<NodeStatus> | null;
  } catch {
    status = null;
  }
  const { node, clusterId, members } = status ?? {};
  if (typeof node !== "number" || typeof clusterId !== "string" || !Array.isArray(members)) {
    throw new CodecError("what it says of itself is not what a node of Gamut says");
  }
  return { node, clusterId, members };
}

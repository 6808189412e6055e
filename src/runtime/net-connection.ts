/** One TCP connection to another node: frames in, frames out, and whether the other side still lives. */
import type { Socket } from "node:net";
import { FRAME_PAYLOAD_BYTES_MAX, FrameDecoder, writeFrame } from "../codec/frame.js";
import {
  HANDSHAKE_PAYLOAD_BYTES_MAX,
  type Hello,
  Refusal,
  readControl,
  writeHello,
  writeKeepalive,
  writeRefusal,
} from "../codec/handshake.js";
import { assert } from "../core/assert.js";
import { ByteWriter, CodecError } from "../core/bytes.js";
import type { NodeId } from "../core/machine.js";
import type { NetCounters, NetLimits } from "./net-options.js";
import { socketProblem } from "./net-trouble.js";

/** What a connection tells the net that owns it. */
export interface ConnectionOwner {
  readonly limits: NetLimits;
  readonly counters: NetCounters;
  helloReceived(connection: Connection, hello: Hello): void;
  refusalReceived(connection: Connection, refusal: Refusal): void;
  frameReceived(connection: Connection, payload: Uint8Array): void;
  /** Once for each connection; it is of no use from now on. `reason` is for a person, "" when there is nothing to tell. */
  connectionEnded(connection: Connection, reason: string): void;
  /** The socket is gone as well: nothing of the connection is left. */
  socketClosed(connection: Connection): void;
}

/** An output buffer that had to grow beyond this is given back to the memory after its use. */
const OUTPUT_KEEP_BYTES = 1024 * 1024;
const OUTPUT_FIRST_BYTES = 16 * 1024;
/** How long a refusal may take to leave before the socket is destroyed. */
const FAREWELL_MS = 500;

const KEEPALIVE = new ByteWriter(16);
writeKeepalive(KEEPALIVE);

export class Connection {
  /** The other side's newest Hello; null until the handshake has passed. */
  hello: Hello | null = null;
  /** What this side has last said of itself. */
  said: Hello | null = null;
  /** Frames pass: the net has judged the Hello and taken the connection. */
  open = false;
  /** Whether this connection waits for the net's next flush. */
  dirty = false;
  /** Number of the dial that made this connection, counted by the side that dialed. */
  dial = 0;
  /** It was open for the time between two sweeps, at least. */
  lasted = false;

  private ended = false;
  /** Sends no more, but what the other side had sent before it knew is still taken. */
  private retired = false;
  /** What the socket told before it closed. */
  private lastError = "";
  private readonly decoder = new FrameDecoder(HANDSHAKE_PAYLOAD_BYTES_MAX);
  /** Frames of this turn; while a write is under way, of all turns since. */
  private output = new ByteWriter(OUTPUT_FIRST_BYTES);
  /** The bytes are the socket's until its write is done; null when no write is under way. */
  private underWay: ByteWriter | null = null;
  private spare: ByteWriter | null = null;
  /**
   * Sweeps are counted instead of reading a clock: a process that was paused for a minute sweeps once when it wakes,
   * and reads what came meanwhile, instead of finding everybody silent.
   */
  private silentSweeps = 0;
  private greetingSweeps = 0;
  private openSweeps = 0;
  private sentSinceSweep = false;
  private readonly written = () => this.writeDone();

  constructor(
    readonly socket: Socket,
    /** The node that was dialed, 0 when the other side dialed. */
    readonly dialed: NodeId,
    /** For the log: host and port of the other side. */
    readonly address: string,
    private readonly owner: ConnectionOwner,
  ) {
    socket.on("data", (chunk: Uint8Array) => this.received(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.lastError = error.code ?? error.message;
    });
    socket.on("close", () => {
      this.finish(this.lastError === "" ? "the other side closed the connection" : socketProblem(this.lastError));
      owner.socketClosed(this);
    });
  }

  get dialedBySelf(): boolean {
    return this.dialed !== 0;
  }

  /** Bytes that have not been handed to the operating system. */
  get unsentBytes(): number {
    return this.output.length + this.socket.writableLength;
  }

  /** Queues a frame for the next flush. False: no room, the frame is dropped. */
  send(payload: Uint8Array): boolean {
    assert(payload.length <= FRAME_PAYLOAD_BYTES_MAX, "net: the frame is larger than a peer takes");
    if (this.ended || this.unsentBytes + payload.length > this.owner.limits.unsentBytesMax) return false;
    writeFrame(this.output, payload, false);
    return true;
  }

  sendHello(hello: Hello): void {
    this.said = hello;
    const body = new ByteWriter(256);
    writeHello(body, hello);
    this.sendControl(body.written());
  }

  private sendControl(payload: Uint8Array): void {
    if (this.ended) return;
    writeFrame(this.output, payload, true);
    this.flush();
  }

  /** One write for all that has collected. While the socket is busy with an earlier one, frames go on collecting. */
  flush(): void {
    if (this.output.length === 0 || this.underWay !== null || this.ended) return;
    const output = this.output;
    this.sentSinceSweep = true;
    this.owner.counters.writes += 1;
    this.owner.counters.bytesSent += output.length;
    this.socket.write(output.written(), this.written);
    // Mostly the kernel takes it all at once, and the buffer is free again.
    if (this.socket.writableLength === 0) {
      output.reset();
      return;
    }
    this.underWay = output;
    this.output = this.spare ?? new ByteWriter(OUTPUT_FIRST_BYTES);
    this.spare = null;
  }

  private writeDone(): void {
    if (this.underWay === null || this.socket.writableLength > 0) return;
    if (this.underWay.bytes.length <= OUTPUT_KEEP_BYTES) {
      this.underWay.reset();
      this.spare = this.underWay;
    }
    this.underWay = null;
    this.flush();
  }

  private received(chunk: Uint8Array): void {
    this.silentSweeps = 0;
    if (this.ended && !this.retired) return;
    this.owner.counters.bytesReceived += chunk.length;
    this.decoder.push(chunk);
    try {
      while (this.nextFrame(chunk));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.owner.counters.codecErrors += 1;
      this.end(this.open ? error.message : strangerReason(error, chunk));
    }
  }

  private nextFrame(chunk: Uint8Array): boolean {
    if (this.ended && !this.retired) return false;
    const payload = this.decoder.next();
    if (payload === null) return false;
    if (this.decoder.control) this.controlReceived(payload);
    else if (this.open || this.retired) this.owner.frameReceived(this, payload);
    else throw new CodecError(`a frame before the handshake, in ${chunk.length} bytes`);
    return true;
  }

  private controlReceived(payload: Uint8Array): void {
    const control = readControl(payload);
    if (control === null || (this.retired && control instanceof Refusal)) return;
    // Also on a retired one: frames that come after it are those of who the peer is now.
    if (!(control instanceof Refusal)) this.owner.helloReceived(this, control);
    else if (this.dialedBySelf || this.open) this.owner.refusalReceived(this, control);
    // A dialer whose versions we do not speak: it came as the refusal to answer.
    else this.refuse(control, `refused: ${control.reason}`);
  }

  /** The handshake has passed. */
  accept(hello: Hello): void {
    this.hello = hello;
    this.open = true;
    this.decoder.payloadBytesMax = FRAME_PAYLOAD_BYTES_MAX;
  }

  /** Tells the other side why, and closes. `reason` is what our own log tells. */
  refuse(refusal: Refusal, reason: string): void {
    if (this.ended) return;
    if (reason !== "") this.owner.counters.refusals += 1;
    const body = new ByteWriter(256);
    writeRefusal(body, refusal);
    this.output.reset();
    writeFrame(this.output, body.written(), true);
    this.socket.end(this.output.written());
    setTimeout(() => this.socket.destroy(), FAREWELL_MS).unref();
    this.finish(reason);
  }

  /** Closes at once. */
  end(reason: string): void {
    this.retired = false;
    this.finish(reason);
    this.socket.destroy();
  }

  /** Sends what has collected, takes what is on its way, then closes. */
  retire(): void {
    this.flush();
    if (this.ended) return;
    this.retired = true;
    this.socket.end();
    setTimeout(() => this.end(""), FAREWELL_MS).unref();
    this.finish("");
  }

  private finish(reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.open = false;
    this.owner.connectionEnded(this, reason);
  }

  /** Every `sweepMs`: ends what is silent or does not greet, and shows the other side that we live. */
  sweep(): void {
    if (this.ended) return;
    const limits = this.owner.limits;
    this.silentSweeps += 1;
    if (!this.open) {
      this.greetingSweeps += 1;
      if (this.greetingSweeps * limits.sweepMs > limits.handshakeMs) {
        this.end(`no handshake within ${limits.handshakeMs} ms`);
      }
      return;
    }
    if (this.silentSweeps * limits.sweepMs > limits.silenceMs) {
      this.end(`no byte for ${limits.silenceMs} ms`);
      return;
    }
    this.lasted = this.openSweeps > 0;
    this.openSweeps += 1;
    if (!this.sentSinceSweep && this.underWay === null) this.sendControl(KEEPALIVE.written());
    this.sentSinceSweep = false;
  }
}

/** For the log: what came first from somebody who is not a node. */
function strangerReason(error: CodecError, chunk: Uint8Array): string {
  const start = Buffer.from(chunk.subarray(0, 16)).toString("latin1");
  return `not a Gamut node (${error.message}; its bytes begin with ${JSON.stringify(start)})`;
}

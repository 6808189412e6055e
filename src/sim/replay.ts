import { ByteReader, ByteWriter, CodecError, copyBytes, latin1Decode } from "../core/bytes.js";
import { decodeCommand } from "../kv/command-codec.js";
import type { KvError } from "../kv/errors.js";
import type { Protocol } from "../kv/grants.js";
import type { Level } from "../kv/level.js";
import type { Request, RequestId } from "../kv/request.js";
import type { Result } from "../kv/result.js";
import { encodeResult } from "../kv/result-codec.js";
import { GamutNode } from "../node/node.js";
import type { NodeOptions } from "../node/options.js";
import { DiskError, type DiskErrorCode } from "../node/ports.js";
import { EventKind, RECORD_MAGIC, RECORD_VERSION } from "../node/record/format.js";
import { OutputHash } from "../node/record/recorder.js";
import type { NodeSession } from "../node/session.js";
import { ReplayPorts } from "./replay-ports.js";

export interface ReplayReport {
  readonly events: number;
  readonly outputs: number;
  /** Of all outputs, as hex. */
  readonly hash: string;
  /** Null, or where and how the replay left the recording. */
  readonly divergence: string | null;
}

class Diverged extends Error {}

/** Drives a node with a recording: the same inputs in the same order must make the same outputs. */
export class Replay {
  private readonly reader: ByteReader;
  private readonly hash = new OutputHash();
  private readonly ports: ReplayPorts;
  private readonly node: GamutNode;
  private readonly sessions = new Map<number, NodeSession>();
  private readonly requests = new Map<number, Request>();
  private readonly scratch = new ByteWriter(256);
  private requestCount = 0;
  private events = 0;

  /** Throws {@link CodecError} if `recording` does not begin as one. */
  constructor(recording: Uint8Array) {
    this.reader = new ByteReader(recording);
    if (this.reader.u32() !== RECORD_MAGIC) throw new CodecError("this is not a recording");
    const version = this.reader.u16();
    if (version !== RECORD_VERSION) {
      throw new CodecError(`the recording has version ${version}; this build reads ${RECORD_VERSION}`);
    }
    const options = JSON.parse(latin1Decode(this.reader.blob())) as NodeOptions;
    this.ports = new ReplayPorts(this.hash, {
      monotonic: () => this.expect(EventKind.monotonic).f64(),
      wall: () => this.expect(EventKind.wall).f64(),
      entropy: () => this.expect(EventKind.entropy).u53(),
    });
    // What a function decides is not part of a recording: the options' own rules apply again.
    this.node = new GamutNode(
      { ...options, log: { ...options.log, verdict: (durable) => (durable ? "damaged" : "tail") } },
      this.ports,
      {
        identityChanged: () => {},
        notice: () => {},
        fatal: () => {},
      },
    );
    this.node.afterTurn(() => {
      this.expect(EventKind.listeners);
      this.runUntil(EventKind.listenersEnd);
    });
  }

  run(): ReplayReport {
    let divergence: string | null = null;
    try {
      this.runUntil(0);
    } catch (error) {
      // A process that was killed leaves a recording that ends in the middle of an event.
      const cut = error instanceof CodecError && error.message === "ends too early";
      if (!cut && !(error instanceof Diverged)) throw error;
      if (!cut) divergence = error.message;
    }
    return {
      events: this.events,
      outputs: this.hash.count,
      hash: this.hash.value.toString(16).padStart(8, "0"),
      divergence,
    };
  }

  private expect(kind: EventKind): ByteReader {
    let found = this.next();
    while (found === EventKind.mark) {
      this.checkMark(this.reader.u32(), this.reader.u53());
      found = this.next();
    }
    if (found !== kind) {
      throw new Diverged(
        `at event ${this.events} the node does what event kind ${kind} stands for, the recording has ${found}`,
      );
    }
    return this.reader;
  }

  private next(): number {
    this.events += 1;
    return this.reader.u8();
  }

  /** Plays events up to the one that ends this level; 0: to the recording's end. */
  private runUntil(end: number): void {
    while (this.reader.remaining > 0) {
      const kind = this.next();
      if (kind === end) return;
      this.play(kind as EventKind);
    }
    if (end !== 0) throw new CodecError("ends too early");
  }

  private play(kind: EventKind): void {
    const { reader, node } = this;
    switch (kind) {
      case EventKind.start:
        node.start(() => {});
        break;
      case EventKind.turn:
        node.turn();
        this.expect(EventKind.turnEnd);
        break;
      case EventKind.frame: {
        const peer = reader.u16();
        const incarnation = reader.u53();
        node.frameReceived(peer, incarnation, reader.blob());
        break;
      }
      case EventKind.connected: {
        const peer = reader.u16();
        node.peerConnected(peer, reader.u53());
        break;
      }
      case EventKind.disconnected:
        node.peerDisconnected(reader.u16());
        break;
      case EventKind.callDone:
        this.ports.complete(reader.u53(), this.readError(), reader);
        break;
      case EventKind.stateVerified:
        node.stateVerified(reader.u8() === 1);
        break;
      case EventKind.stop:
        node.stop(() => {});
        break;
      case EventKind.createKeyspace: {
        const name = reader.latin1();
        const protocol = reader.latin1() as Protocol;
        node.createKeyspace(name, protocol, reader.u8() as Level, this.adminSink());
        break;
      }
      case EventKind.dropKeyspace:
        node.dropKeyspace(reader.latin1(), this.adminSink());
        break;
      case EventKind.mark:
        this.checkMark(reader.u32(), reader.u53());
        break;
      default:
        this.playSession(kind);
    }
  }

  private playSession(kind: EventKind): void {
    const { reader } = this;
    switch (kind) {
      case EventKind.sessionOpened: {
        const number = reader.u32();
        this.sessions.set(number, this.node.openSession({ name: "default" }) as NodeSession);
        break;
      }
      case EventKind.submit:
        this.submit();
        break;
      case EventKind.cancel: {
        const request = this.requests.get(reader.u53());
        if (request !== undefined) request.cancelled = true;
        break;
      }
      case EventKind.sessionClosed: {
        const number = reader.u32();
        this.sessions.get(number)?.close();
        this.sessions.delete(number);
        break;
      }
      case EventKind.tokenTaken: {
        const session = this.sessions.get(reader.u32());
        session?.acceptToken(copyBytes(reader.blob()));
        break;
      }
      default:
        throw new Diverged(
          `at event ${this.events} the recording has kind ${kind}, which the node did not bring about`,
        );
    }
  }

  private submit(): void {
    const { reader } = this;
    const session = this.sessions.get(reader.u32());
    if (session === undefined) throw new Diverged("a request of a session that was not opened");
    session.keyspace = reader.latin1();
    session.keyspaceLife = reader.u32();
    const level = reader.u8();
    session.level = level === 0 ? null : (level as Level);
    session.explains = reader.u8() === 1;
    session.timeoutMs = reader.u32();
    const id = reader.u8() === 1 ? this.readId() : null;
    const command = decodeCommand(new ByteReader(copyBytes(reader.blob())));
    this.requestCount += 1;
    const number = this.requestCount;
    const sink = {
      reply: (_request: Request, result: Result) => {
        this.requests.delete(number);
        this.replied(number, "", result);
      },
    };
    this.requests.set(number, session.submitWithId(command, id, sink, 0));
  }

  private readId(): RequestId {
    const client = this.reader.latin1();
    const sequence = this.reader.u53();
    const acknowledgedThrough = this.reader.u53();
    return { client, sequence, acknowledgedThrough, openedMs: this.reader.u53() };
  }

  private adminSink(): (error: KvError | null) => void {
    this.requestCount += 1;
    const number = this.requestCount;
    return (error) => this.replied(number, error === null ? "done" : error.code, null);
  }

  private replied(number: number, what: string, result: Result | null): void {
    this.scratch.reset();
    if (result !== null) encodeResult(result, this.scratch);
    this.hash.add("reply", `${number} ${what}`, this.scratch.written());
    const recorded = this.expect(EventKind.reply).u53();
    if (recorded !== number)
      throw new Diverged(`request ${number} is answered where the recording answers ${recorded}`);
    this.runUntil(EventKind.replyEnd);
  }

  private readError(): DiskError | null {
    const code = this.reader.latin1();
    const message = this.reader.latin1();
    return code === "" ? null : new DiskError(code as DiskErrorCode, message);
  }

  private checkMark(hash: number, outputs: number): void {
    if (hash === this.hash.value && outputs === this.hash.count) return;
    throw new Diverged(
      `at event ${this.events} the output hash is ${this.hash.value.toString(16)} after ${this.hash.count} outputs, ` +
        `the recording has ${hash.toString(16)} after ${outputs}`,
    );
  }
}

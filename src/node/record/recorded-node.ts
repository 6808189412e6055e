import { ByteWriter } from "../../core/bytes.js";
import type { GroupId, Incarnation, NodeId } from "../../core/machine.js";
import type { BackendStatus, Principal, Session } from "../../kv/backend.js";
import type { Command } from "../../kv/command.js";
import { encodeCommand } from "../../kv/command-codec.js";
import type { KvError } from "../../kv/errors.js";
import type { Protocol } from "../../kv/grants.js";
import type { Level } from "../../kv/level.js";
import type { ReplySink, Request, RequestId } from "../../kv/request.js";
import type { Result } from "../../kv/result.js";
import { encodeResult } from "../../kv/result-codec.js";
import type { WatchHandle, WatchOptions, WatchSink } from "../../kv/watch.js";
import type { GamutNode } from "../node.js";
import type { NodeSession } from "../session.js";
import { EventKind } from "./format.js";
import type { Recorder } from "./recorder.js";

/** All that the world may call on a node. */
export type NodeFacade = Pick<
  GamutNode,
  | "start"
  | "turn"
  | "stop"
  | "stateVerified"
  | "openSession"
  | "afterTurn"
  | "status"
  | "createKeyspace"
  | "dropKeyspace"
  | "frameReceived"
  | "peerConnected"
  | "peerDisconnected"
  | "waitingFor"
>;

/** The one door of a node, with somebody who writes down all that passes. */
export class RecordedNode implements NodeFacade {
  private sessions = 0;
  private requests = 0;
  private readonly turnListeners: (() => void)[] = [];
  readonly numbers = new Map<Request, number>();
  private readonly scratch = new ByteWriter(256);

  constructor(
    private readonly node: GamutNode,
    readonly recorder: Recorder,
  ) {}

  start(done: (problem: string | null, again: boolean) => void): void {
    this.recorder.event(EventKind.start);
    this.node.start(done);
  }

  turn(): void {
    this.recorder.event(EventKind.turn);
    this.node.turn();
    this.recorder.turnEnded();
  }

  stop(done: () => void): void {
    this.recorder.event(EventKind.stop);
    this.node.stop(() => {
      this.recorder.mark();
      this.recorder.flush();
      done();
    });
  }

  stateVerified(verified: boolean): void {
    this.recorder.event(EventKind.stateVerified).u8(verified ? 1 : 0);
    this.node.stateVerified(verified);
  }

  frameReceived(peer: NodeId, incarnation: Incarnation, frame: Uint8Array): void {
    const writer = this.recorder.event(EventKind.frame);
    writer.u16(peer);
    writer.u53(incarnation);
    writer.blob(frame);
    this.node.frameReceived(peer, incarnation, frame);
  }

  peerConnected(peer: NodeId, incarnation: Incarnation): void {
    const writer = this.recorder.event(EventKind.connected);
    writer.u16(peer);
    writer.u53(incarnation);
    this.node.peerConnected(peer, incarnation);
  }

  peerDisconnected(peer: NodeId): void {
    this.recorder.event(EventKind.disconnected).u16(peer);
    this.node.peerDisconnected(peer);
  }

  openSession(principal: Principal): Session {
    this.sessions += 1;
    this.recorder.event(EventKind.sessionOpened).u32(this.sessions);
    return new RecordedSession(this.sessions, this.node.openSession(principal) as NodeSession, this);
  }

  afterTurn(listener: () => void): void {
    this.turnListeners.push(listener);
    if (this.turnListeners.length > 1) return;
    // However many there are, they run as one: what they ask of the node comes in one stretch of the recording.
    this.node.afterTurn(() => {
      this.recorder.event(EventKind.listeners);
      for (const each of this.turnListeners) each();
      this.recorder.event(EventKind.listenersEnd);
    });
  }

  status(): BackendStatus {
    return this.node.status();
  }

  get waitingFor(): readonly NodeId[] {
    return this.node.waitingFor;
  }

  createKeyspace(name: string, protocol: Protocol, defaultLevel: Level, done: (error: KvError | null) => void): void {
    const writer = this.recorder.event(EventKind.createKeyspace);
    writer.latin1(name);
    writer.latin1(protocol);
    writer.u8(defaultLevel);
    this.node.createKeyspace(name, protocol, defaultLevel, this.bracketed(done));
  }

  dropKeyspace(name: string, done: (error: KvError | null) => void): void {
    this.recorder.event(EventKind.dropKeyspace).latin1(name);
    this.node.dropKeyspace(name, this.bracketed(done));
  }

  private bracketed(done: (error: KvError | null) => void): (error: KvError | null) => void {
    const number = this.nextRequest();
    return (error) => {
      this.replyBegins(number, error === null ? "done" : error.code, null);
      done(error);
      this.recorder.event(EventKind.replyEnd);
    };
  }

  nextRequest(): number {
    this.requests += 1;
    return this.requests;
  }

  replyBegins(number: number, what: string, result: Result | null): void {
    this.scratch.reset();
    if (result !== null) encodeResult(result, this.scratch);
    this.recorder.hash.add("reply", `${number} ${what}`, this.scratch.written());
    this.recorder.event(EventKind.reply).u53(number);
  }
}

class RecordedSession implements Session {
  keyspace: string;
  keyspaceLife: GroupId = 0;
  level: Level | null = null;
  explains = false;
  timeoutMs = 0;

  constructor(
    private readonly number: number,
    private readonly session: NodeSession,
    private readonly owner: RecordedNode,
  ) {
    this.keyspace = session.keyspace;
  }

  submit(command: Command, sink: ReplySink, tag: number): Request {
    return this.submitWithId(command, null, sink, tag);
  }

  submitWithId(command: Command, id: RequestId | null, sink: ReplySink, tag: number): Request {
    const { owner } = this;
    const number = owner.nextRequest();
    const writer = owner.recorder.event(EventKind.submit);
    writer.u32(this.number);
    writer.latin1(this.keyspace);
    writer.u32(this.keyspaceLife);
    writer.u8(this.level ?? 0);
    writer.u8(this.explains ? 1 : 0);
    writer.u32(this.timeoutMs);
    writer.u8(id === null ? 0 : 1);
    if (id !== null) {
      writer.latin1(id.client);
      writer.u53(id.sequence);
      writer.u53(id.acknowledgedThrough);
      writer.u53(id.openedMs);
    }
    const lengthAt = writer.length;
    writer.u32(0);
    encodeCommand(command, writer);
    writer.patchU32(lengthAt, writer.length - lengthAt - 4);
    this.session.keyspace = this.keyspace;
    this.session.keyspaceLife = this.keyspaceLife;
    this.session.level = this.level;
    this.session.explains = this.explains;
    this.session.timeoutMs = this.timeoutMs;
    const request = this.session.submitWithId(command, id, new RecordedSink(number, sink, owner), tag);
    owner.numbers.set(request, number);
    return request;
  }

  cancel(request: Request): void {
    const number = this.owner.numbers.get(request);
    if (number === undefined) return;
    this.owner.numbers.delete(request);
    this.owner.recorder.event(EventKind.cancel).u53(number);
    this.session.cancel(request);
  }

  leader(request: Request): NodeId {
    return this.session.leader(request);
  }

  lifeOf(request: Request): GroupId {
    return this.session.lifeOf(request);
  }

  /** Not recorded: the read that it goes out from is, and the node does nothing else for having watchers. */
  watch(read: Request, options: WatchOptions, sink: WatchSink): WatchHandle | KvError {
    return this.session.watch(read, options, sink);
  }

  token(): Uint8Array {
    return this.session.token();
  }

  acceptToken(token: Uint8Array): KvError | null {
    const writer = this.owner.recorder.event(EventKind.tokenTaken);
    writer.u32(this.number);
    writer.blob(token);
    return this.session.acceptToken(token);
  }

  close(): void {
    this.owner.recorder.event(EventKind.sessionClosed).u32(this.number);
    this.session.close();
  }
}

class RecordedSink implements ReplySink {
  constructor(
    private readonly number: number,
    private readonly sink: ReplySink,
    private readonly owner: RecordedNode,
  ) {}

  reply(request: Request, result: Result): void {
    this.owner.numbers.delete(request);
    this.owner.replyBegins(this.number, "", result);
    this.sink.reply(request, result);
    this.owner.recorder.event(EventKind.replyEnd);
  }
}

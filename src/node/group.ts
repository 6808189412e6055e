import { assert } from "../core/assert.js";
import type { ByteReader } from "../core/bytes.js";
import type { GroupId, LogRecord, Machine, NodeId, StartState } from "../core/machine.js";
import type { Envelope } from "../core/outbox.js";
import { KvError } from "../kv/errors.js";
import type { Protocol } from "../kv/grants.js";
import type { Request } from "../kv/request.js";
import { errorResult, type Result } from "../kv/result.js";
import type { NodeContext } from "./context.js";
import { PartKind } from "./frame.js";
import { HeldSends } from "./held-sends.js";
import { RECORD_OVERHEAD_BYTES } from "./log/format.js";
import type { GroupStore } from "./ports.js";
import { receiptOf } from "./receipt.js";
import type { NodeRequest } from "./session.js";
import { SnapshotReceiver } from "./snapshot-receiver.js";
import { SnapshotSender } from "./snapshot-sender.js";
import { BufferedState } from "./state/buffered-state.js";
import type { KeptChanges } from "./state/kept-changes.js";
import type { Watches } from "./watches.js";

/** All that waits is packed, read up and refused again at each try. */
const FULL_DISK_PAUSE_TICKS = 50;

/** How the node makes the machine of a group. */
export type MachineFactory<Message> = (group: GroupId, state: BufferedState) => Machine<Message, Request, Result>;

/**
 * One group on this node: its machine, its state, and the way from the machine's outbox to log, peers and sessions.
 */
export class Group<Message = unknown> {
  readonly state: BufferedState;
  readonly machine: Machine<Message, Request, Result>;
  watches: Watches | null = null;
  private readonly held = new HeldSends<Message>();
  private incoming: NodeRequest[] = [];
  private received: { peer: NodeId; message: Message }[] = [];
  /** Highest write sequence that the log reports as durable, and the one that the machine has been told of. */
  private durableSeq = 0;
  private toldSeq = 0;
  /** Records handed to the log. */
  private loggedSeq = 0;
  /** Since the last checkpoint began. */
  private loggedBytes = 0;
  /** Since the log last took something. */
  private quietTicks = 0;
  private cutDone = 0;
  private readonly senders = new Map<NodeId, SnapshotSender>();
  private receiver: SnapshotReceiver | null = null;
  private checkpointAsked = false;
  private holdsLog = false;
  /** Ticks until a checkpoint is tried again that has found the disk full. */
  private checkpointPause = 0;
  private stopped = false;

  constructor(
    readonly id: GroupId,
    readonly protocol: Protocol,
    private readonly context: NodeContext,
    readonly store: GroupStore,
    kept: KeptChanges,
    createMachine: MachineFactory<Message>,
  ) {
    this.state = new BufferedState(id, store, kept);
    this.machine = createMachine(id, this.state);
  }

  get checkpointPosition(): number {
    return this.state.lastCheckpoint?.position ?? 0;
  }

  start(from: Omit<StartState, "position" | "epoch">, tail: readonly LogRecord[]): void {
    const checkpoint = this.state.lastCheckpoint;
    const at =
      checkpoint === null ? { position: 0, epoch: 0 } : { position: checkpoint.position, epoch: checkpoint.epoch };
    for (const record of tail) if (record.position > at.position) this.loggedBytes += record.payload.length;
    this.machine.start({ ...at, ...from }, tail);
    this.watches?.restart();
  }

  // Inputs, collected until the turn

  enqueue(request: NodeRequest): void {
    request.group = this as unknown as Group;
    this.incoming.push(request);
  }

  /** Decodes at once: the frame's bytes are gone when the call returns. */
  take(peer: NodeId, kind: PartKind, part: ByteReader): void {
    if (kind === PartKind.message) this.received.push({ peer, message: this.machine.codec.decode(part) });
    // Its replicas have states of their own: there is nothing that one could take over whole.
    else if (this.protocol === "gossip") return;
    else if (kind === PartKind.snapshotStatus) this.takeSnapshotStatus(peer, part);
    else if (kind === PartKind.snapshotChunk) this.takeSnapshotChunk(peer, part);
  }

  logDurable(seq: number): void {
    this.durableSeq = seq;
  }

  // The turn

  /** Clocks, mail, completions and requests. While a snapshot takes the place of the state, the machine rests. */
  step(monotonicMs: number, wallMs: number, tick: boolean): void {
    if (this.receiver?.finishing) return;
    const { machine } = this;
    machine.now(monotonicMs, wallMs);
    this.watches?.now(monotonicMs);
    if (this.received.length > 0) {
      const received = this.received;
      this.received = [];
      for (const { peer, message } of received) machine.receive(peer, message);
    }
    if (this.durableSeq > this.toldSeq) {
      this.toldSeq = this.durableSeq;
      machine.stored(this.durableSeq);
    }
    if (this.incoming.length > 0) {
      const incoming = this.incoming;
      this.incoming = [];
      for (const request of incoming) this.give(request);
    }
    if (tick) this.tick();
    machine.flush();
  }

  private give(request: NodeRequest): void {
    if (request.cancelled) {
      request.session.finished(request, errorResult(new KvError("cancelled")));
      return;
    }
    const position = request.session.positionIn(this.id);
    if (position > request.minimumPosition) request.minimumPosition = position;
    if (this.protocol === "gossip") request.seen = request.session.seenIn(this.id);
    this.machine.request(request);
  }

  private tick(): void {
    this.quietTicks += 1;
    if (this.checkpointPause > 0) this.checkpointPause -= 1;
    this.machine.tick();
    for (const sender of this.senders.values()) sender.tick();
    this.receiver?.tick();
  }

  /** Empties the outbox. Answers whether the machine should be stepped again at once. */
  drain(): void {
    const { outbox } = this.machine;
    if (outbox.records.length > 0) this.drainRecords();
    if (outbox.sends.length > 0) this.drainSends();
    this.releaseHeld();
    if (outbox.cutThrough > this.cutDone) {
      this.cutDone = outbox.cutThrough;
      this.context.log.cut(this.id, this.cutDone);
    }
    if (!this.receiver?.finishing) {
      if (outbox.hasMore) this.context.wake();
      else if (outbox.turnWithinMs > 0) this.context.wake(outbox.turnWithinMs);
    }
    if (outbox.snapshots.length > 0 && this.state.mayOpenSnapshot) this.drainSnapshots();
    if (outbox.replies.length > 0) this.drainReplies();
    this.maybeCheckpoint();
  }

  tellWatches(nowMs: number): void {
    if (!this.receiver?.finishing) this.watches?.deliver(nowMs);
  }

  private drainRecords(): void {
    const { outbox } = this.machine;
    const records = outbox.records;
    outbox.records = [];
    for (const record of records) {
      this.loggedSeq += 1;
      this.context.log.append(this.id, record, this.loggedSeq);
      this.loggedBytes += record.payload.length;
    }
    this.quietTicks = 0;
    assert(this.loggedSeq === outbox.issuedSeq, "group: a record without a write sequence");
  }

  private drainSends(): void {
    const { outbox } = this.machine;
    const sends = outbox.sends;
    outbox.sends = [];
    for (const envelope of sends) {
      if (envelope.afterSeq <= this.toldSeq) this.send(envelope);
      else this.held.hold(envelope);
    }
  }

  private releaseHeld(): void {
    for (;;) {
      const envelope = this.held.release(this.toldSeq);
      if (envelope === null) return;
      this.send(envelope);
    }
  }

  private send(envelope: Envelope<Message>): void {
    const frame = this.context.frameTo(envelope.peer);
    frame.begin(this.id, PartKind.message);
    this.machine.codec.encode(envelope.message, frame.writer);
    frame.end();
  }

  private drainReplies(): void {
    const { outbox } = this.machine;
    const replies = outbox.replies;
    outbox.replies = [];
    this.context.answered = true;
    for (const { request, result } of replies) {
      const own = request as NodeRequest;
      if (own.session.explains) own.receipt = receiptOf(own, result, this.machine, this.context.options);
      own.session.finished(own, result);
    }
  }

  // Checkpoints

  private maybeCheckpoint(): void {
    const { state } = this;
    // It would be the third part of as much as a checkpoint may have.
    if (2 * state.bytesPending >= this.context.options.checkpointBytes) state.dropKept();
    if (!state.mayCheckpoint || this.checkpointPause > 0) return;
    const { outbox } = this.machine;
    if (!this.checkpointIsDue || outbox.appliedPosition === this.checkpointPosition || this.receiver?.finishing) return;
    this.checkpointAsked = false;
    this.loggedBytes = 0;
    const { appliedPosition, appliedEpoch } = outbox;
    this.machine.checkpointing();
    state.beginCheckpoint(appliedPosition, appliedEpoch, new Uint8Array(0), (error) => {
      if (this.stopped) return;
      if (error === null) this.checkpointed(appliedPosition);
      else if (error.code === "damaged") this.context.damaged(error.message);
      else if (error.code !== "ENOSPC") this.context.fatal(`the state's checkpoint failed: ${error.message}`);
      else this.checkpointPause = FULL_DISK_PAUSE_TICKS;
      this.context.wake();
    });
  }

  private checkpointed(position: number): void {
    const { outbox } = this.machine;
    if (outbox.records.length > 0) this.drainRecords();
    this.machine.checkpointed(position, !this.holdsLog);
    this.holdsLog = false;
    if (outbox.records.length === 0) return;
    // What is logged again voids the old copies: half of it would be less than there was.
    let bytes = 0;
    for (const record of outbox.records) bytes += RECORD_OVERHEAD_BYTES + record.payload.length;
    this.context.log.keepTogether(bytes);
    this.drainRecords();
  }

  /** Nothing but this group's entries keeps the node from deleting a part of its log. */
  releaseLog(): void {
    if (!this.state.mayCheckpoint) return;
    this.holdsLog = true;
    if (this.machine.outbox.appliedPosition > this.checkpointPosition) this.askCheckpoint();
    else this.checkpointed(this.checkpointPosition);
  }

  /** Has logged so little since its last checkpoint that one is not due by itself for long. */
  get logsLittle(): boolean {
    return this.loggedBytes < this.context.options.quietCheckpointBytes;
  }

  private get checkpointIsDue(): boolean {
    const { checkpointBytes, checkpointLogBytes, quietCheckpointBytes, quietTicks } = this.context.options;
    if (this.checkpointAsked || this.state.bytesPending >= checkpointBytes) return true;
    if (this.loggedBytes >= checkpointLogBytes) return true;
    // While there is nothing else to do: the next start has less to apply.
    return this.quietTicks >= quietTicks && this.loggedBytes >= quietCheckpointBytes;
  }

  /** Soon, whatever has collected. */
  askCheckpoint(): void {
    this.checkpointAsked = true;
  }

  // Snapshots

  private drainSnapshots(): void {
    const { outbox } = this.machine;
    const peers = outbox.snapshots;
    outbox.snapshots = [];
    for (const peer of peers) {
      this.senders.get(peer)?.close();
      this.senders.set(peer, new SnapshotSender(this.id, peer, this.state.openSnapshot(), this.context));
    }
  }

  private takeSnapshotStatus(peer: NodeId, part: ByteReader): void {
    const sender = this.senders.get(peer);
    if (sender === undefined) return;
    const outcome = sender.takeStatus(part);
    if (outcome === "going") return;
    this.senders.delete(peer);
    if (outcome === "failed") this.machine.snapshotFailed(peer);
    else this.machine.snapshotSent(peer, sender.position);
  }

  private takeSnapshotChunk(peer: NodeId, part: ByteReader): void {
    if (this.receiver?.finishing) return;
    if (this.receiver === null || this.receiver.closed) {
      this.receiver = new SnapshotReceiver(this.id, this.state, this.context, {
        appliedPosition: () => this.machine.outbox.appliedPosition,
        installed: (epoch, position) => {
          this.machine.snapshotInstalled(epoch, position);
          this.watches?.restart();
        },
      });
    }
    this.receiver.takeChunk(peer, part);
  }

  /** Senders that have met silence for too long. */
  reapSenders(): void {
    for (const [peer, sender] of this.senders) {
      if (!sender.failed) continue;
      sender.close();
      this.senders.delete(peer);
      this.machine.snapshotFailed(peer);
    }
  }

  /** Whether a checkpoint, a snapshot or a reply is under way. */
  get isBusy(): boolean {
    return !this.state.mayCheckpoint || this.senders.size > 0 || this.incoming.length > 0;
  }

  /** The keyspace is gone: nothing more is answered by the machine. */
  drop(): void {
    this.stopped = true;
    this.state.close();
    for (const sender of this.senders.values()) sender.close();
    this.receiver?.close();
    for (const request of this.incoming) request.session.finished(request, errorResult(new KvError("keyspace_gone")));
    this.incoming = [];
    this.watches?.endAll(new KvError("keyspace_gone"));
    this.machine.abandon("keyspace_gone");
    this.drainReplies();
  }
}

import { AssertionError } from "../core/assert.js";
import { type LogRecord, type Machine, type NodeId, RecordKind } from "../core/machine.js";
import { MapState } from "../core/map-state.js";
import type { Envelope } from "../core/outbox.js";
import type { State } from "../core/state.js";
import { ScriptError } from "./script.js";
import type { ScriptNodeSetup, ScriptProtocol } from "./script-protocol.js";

interface Write {
  readonly seq: number;
  readonly record: LogRecord;
}

interface Checkpoint {
  readonly epoch: number;
  readonly position: number;
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

const NO_CHECKPOINT: Checkpoint = { epoch: 0, position: 0, entries: new Map() };

/** Keys are latin1, so this is above them all. */
const AFTER_ALL_KEYS = "\u0100";

/**
 * The host of one machine in a trace: a disk whose writes complete when the trace says so, and the held messages that
 * wait for them. It tells what happens in lines; `send` takes what leaves.
 */
export class ScriptNode<Message, Request, Result> {
  life = 0;
  machine: Machine<Message, Request, Result> | null = null;
  checkpoint: Checkpoint = NO_CHECKPOINT;
  /** The durable log, oldest first, as its recovery tells it: without what later records have made void. */
  durable: LogRecord[] = [];
  private state: State = new MapState();
  private writes: Write[] = [];
  private held: Envelope<Message>[] = [];
  private storedSeq = 0;
  private cutThrough = 0;
  private appliedPosition = 0;
  private recovering = false;
  private collecting = false;
  private clockMs = 1_000;
  /** Of the wall clock. */
  wallAheadMs = 0;

  constructor(
    readonly setup: ScriptNodeSetup,
    private readonly protocol: ScriptProtocol<Message, Request, Result>,
    private readonly send: (node: NodeId, peer: NodeId, message: Message, lines: string[]) => void,
  ) {}

  get node(): NodeId {
    return this.setup.node;
  }

  /** `recovering`: it stands in for a replica that has lost what it promised. */
  start(recovering: boolean, lines: string[]): void {
    if (this.machine !== null) throw new ScriptError(`node ${this.node} is running`);
    if (recovering) {
      this.durable = [];
      this.checkpoint = NO_CHECKPOINT;
      this.recovering = true;
    }
    this.life += 1;
    this.writes = [];
    this.held = [];
    this.storedSeq = 0;
    this.collecting = false;
    this.state = new MapState();
    this.fillState();
    const { position, epoch } = this.checkpoint;
    this.appliedPosition = position;
    const machine = this.protocol.create(this.setup, this.state, this.life);
    this.machine = machine;
    this.guard(lines, () => {
      machine.now(this.clockMs, this.clockMs + this.wallAheadMs);
      machine.start({ position, epoch, incarnation: this.life, recovering: this.recovering }, this.durable);
    });
    this.turn(lines, () => {});
  }

  /** Forgets all but the durable log and the checkpoint. */
  crash(lines: string[]): void {
    this.running();
    if (this.writes.length > 0) lines.push(`${this.node} loses ${this.writes.length} unsynced records`);
    this.machine = null;
  }

  /** Runs one input; drains at the end unless the trace collects inputs for one turn. */
  turn(lines: string[], input: (machine: Machine<Message, Request, Result>) => void): void {
    const machine = this.running();
    this.guard(lines, () => {
      if (!this.collecting) machine.now(this.clockMs, this.clockMs + this.wallAheadMs);
      input(machine);
      if (!this.collecting) this.finishTurn(machine, lines);
    });
  }

  /** All inputs from here to `drain` are one turn. */
  collect(): void {
    const machine = this.running();
    if (this.collecting) throw new ScriptError(`node ${this.node} collects already`);
    machine.now(this.clockMs, this.clockMs + this.wallAheadMs);
    this.collecting = true;
  }

  drain(lines: string[]): void {
    const machine = this.running();
    if (!this.collecting) throw new ScriptError(`node ${this.node} drains after each input; use collect before`);
    this.collecting = false;
    this.guard(lines, () => this.finishTurn(machine, lines));
  }

  tick(milliseconds: number, lines: string[]): void {
    this.clockMs += milliseconds;
    this.turn(lines, (machine) => machine.tick());
  }

  /** Completes the oldest `count` writes. */
  stored(count: number, lines: string[]): void {
    this.running();
    const done = this.writes.splice(0, count);
    if (done.length === 0) throw new ScriptError(`node ${this.node} has no write under way`);
    for (const write of done) this.keep(write.record);
    const { seq } = done[done.length - 1];
    this.turn(lines, (machine) => {
      this.storedSeq = seq;
      lines.push(`${this.node} stored through #${seq}`);
      machine.stored(seq);
    });
  }

  get writing(): number {
    return this.writes.length;
  }

  takeCheckpoint(lines: string[]): void {
    const machine = this.running();
    const { appliedPosition, appliedEpoch } = machine.outbox;
    machine.checkpointing();
    this.checkpoint = { position: appliedPosition, epoch: appliedEpoch, entries: this.copyState() };
    lines.push(`${this.node} checkpoints ${appliedEpoch}/${appliedPosition}`);
    this.turn(lines, () => machine.checkpointed(appliedPosition, true));
  }

  /** Replaces the state by a peer's checkpoint, unless it is there already. */
  install(checkpoint: Checkpoint, lines: string[]): void {
    if (this.running().outbox.appliedPosition >= checkpoint.position) {
      lines.push(`${this.node} needs no snapshot at ${checkpoint.epoch}/${checkpoint.position}`);
      return;
    }
    this.checkpoint = checkpoint;
    for (const key of this.copyState().keys()) this.state.delete(key);
    this.fillState();
    lines.push(`${this.node} installs ${checkpoint.epoch}/${checkpoint.position}`);
    this.turn(lines, (machine) => machine.snapshotInstalled(checkpoint.epoch, checkpoint.position));
  }

  show(): string[] {
    const machine = this.running();
    const d = machine.describe();
    const recovering = d.recovering ? " recovering" : "";
    const head =
      `${this.node} ${d.role}${recovering} epoch=${d.epoch} leader=${d.leader} last=${d.lastPosition} ` +
      `commit=${d.commitPosition} applied=${d.appliedPosition} writing=${this.writes.length} held=${this.held.length}`;
    return [head, ...this.protocol.show(machine).map((line) => `  ${line}`)];
  }

  running(): Machine<Message, Request, Result> {
    if (this.machine === null) throw new ScriptError(`node ${this.node} is not running`);
    return this.machine;
  }

  private guard(lines: string[], action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      lines.push(`${this.node} stops: assertion failed: ${error.message}`);
      this.machine = null;
    }
  }

  private finishTurn(machine: Machine<Message, Request, Result>, lines: string[]): void {
    machine.flush();
    const { outbox } = machine;
    const first = outbox.issuedSeq - outbox.records.length + 1;
    for (let i = 0; i < outbox.records.length; i += 1) {
      const record = outbox.records[i];
      lines.push(`${this.node} writes #${first + i} ${this.protocol.printRecord(record)}`);
      this.writes.push({ seq: first + i, record });
    }
    for (const envelope of outbox.sends) {
      if (envelope.afterSeq <= this.storedSeq) this.leave(envelope, lines);
      else {
        const text = this.protocol.printMessage(envelope.message);
        lines.push(`${this.node} holds for ${envelope.peer} until #${envelope.afterSeq}: ${text}`);
        this.held.push(envelope);
      }
    }
    this.release(lines);
    for (const { request, result } of outbox.replies) {
      const answer = this.protocol.printResult(request, result);
      lines.push(`${this.node} answers ${this.protocol.printRequest(request)}: ${answer}`);
    }
    for (const peer of outbox.snapshots) lines.push(`${this.node} wants a snapshot for ${peer}`);
    this.tellProgress(machine, lines);
    outbox.records = [];
    outbox.sends = [];
    outbox.replies = [];
    outbox.snapshots = [];
  }

  private tellProgress(machine: Machine<Message, Request, Result>, lines: string[]): void {
    const { outbox } = machine;
    if (outbox.appliedPosition !== this.appliedPosition) {
      this.appliedPosition = outbox.appliedPosition;
      lines.push(`${this.node} applied through ${outbox.appliedEpoch}/${outbox.appliedPosition}`);
    }
    if (outbox.cutThrough > this.cutThrough) {
      this.cutThrough = outbox.cutThrough;
      this.cutLog(this.cutThrough);
      lines.push(`${this.node} cuts its log through ${this.cutThrough}`);
    }
  }

  private release(lines: string[]): void {
    const waiting: Envelope<Message>[] = [];
    for (const envelope of this.held) {
      if (envelope.afterSeq <= this.storedSeq) this.leave(envelope, lines);
      else waiting.push(envelope);
    }
    this.held = waiting;
  }

  private leave(envelope: Envelope<Message>, lines: string[]): void {
    this.send(this.node, envelope.peer, envelope.message, lines);
  }

  private keep(record: LogRecord): void {
    if (record.kind === RecordKind.entry) {
      this.durable = this.durable.filter((r) => r.kind !== RecordKind.entry || r.position < record.position);
    } else if (record.kind === RecordKind.hardState) {
      this.durable = this.durable.filter((r) => r.kind !== RecordKind.hardState);
    } else {
      this.durable = this.durable.filter((r) => r.kind === RecordKind.hardState);
    }
    this.durable.push(record);
  }

  /** Drops the oldest records as a node drops whole segments: while nothing in them is needed; hard state is repeated. */
  private cutLog(through: number): void {
    let keep = 0;
    let hardState: LogRecord | null = null;
    for (const record of this.durable) {
      if (record.kind === RecordKind.hardState) hardState = record;
      else if (record.position > through) break;
      keep += 1;
    }
    this.durable = this.durable.slice(keep);
    if (hardState !== null) this.durable.unshift(hardState);
  }

  private fillState(): void {
    for (const [key, value] of this.checkpoint.entries) this.state.put(key, value.slice());
  }

  private copyState(): Map<string, Uint8Array> {
    const entries = new Map<string, Uint8Array>();
    this.state.range("", AFTER_ALL_KEYS, (key, value) => {
      entries.set(key, value.slice());
      return true;
    });
    return entries;
  }
}

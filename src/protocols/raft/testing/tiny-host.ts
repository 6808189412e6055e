import { ByteReader, ByteWriter } from "../../../core/bytes.js";
import { type LogRecord, type NodeId, RecordKind } from "../../../core/machine.js";
import { MapState } from "../../../core/map-state.js";
import type { Envelope } from "../../../core/outbox.js";
import type { State } from "../../../core/state.js";
import { incrementCommand } from "../../../kv/command.js";
import { Level } from "../../../kv/level.js";
import { Request } from "../../../kv/request.js";
import { type RaftMessage, raftCodec } from "../message.js";
import { RAFT_DEFAULTS, type RaftOptions } from "../options.js";
import type { Raft } from "../raft.js";

export type MakeRaft = (options: RaftOptions, state: State) => Raft;

/** What may happen to one node. `receive`: bytes of a message from `peer`. */
export type Input =
  | { readonly kind: "tick" | "stored" | "crash" | "write" }
  | { readonly kind: "receive"; readonly peer: NodeId; readonly bytes: Uint8Array };

export interface Sent {
  readonly to: NodeId;
  readonly bytes: Uint8Array;
}

/**
 * The least that a machine needs around it: a disk that completes all its writes at once or loses them in a crash, and
 * the messages that wait for it. A timeout is one tick.
 */
export class TinyHost {
  machine: Raft;
  private written: LogRecord[] = [];
  private held: Envelope<RaftMessage>[] = [];
  private storedSeq = 0;
  private life = 0;

  constructor(
    readonly node: NodeId,
    private readonly members: readonly NodeId[],
    private readonly make: MakeRaft,
    private durable: LogRecord[],
  ) {
    this.machine = this.start();
  }

  private start(): Raft {
    this.life += 1;
    const client = `node${this.node}.${this.life}`.padEnd(16, ".");
    const options: RaftOptions = {
      ...RAFT_DEFAULTS,
      node: this.node,
      configuration: { voters: this.members, outgoing: [], learners: [] },
      seed: this.node,
      newClientId: () => client,
      electionTicks: 1,
      heartbeatTicks: 1,
      resendTicks: 1_000,
      // One entry a message: what reaches a peer with what is to be explored.
      maxAppendBytes: 1,
      maxInflightBytes: 1,
      // No time passes here for which writes could wait.
      gatherBytes: 0,
    };
    const machine = this.make(options, new MapState());
    machine.now(0, 0);
    machine.start({ position: 0, epoch: 0, incarnation: 1, recovering: false }, this.durable);
    return machine;
  }

  /** One turn. Answers what has left. */
  step(input: Input): Sent[] {
    const { machine } = this;
    machine.now(0, 0);
    if (input.kind === "tick") machine.tick();
    else if (input.kind === "stored") this.completeWrites();
    else if (input.kind === "receive") machine.receive(input.peer, raftCodec.decode(new ByteReader(input.bytes)));
    else if (input.kind === "write")
      machine.request(new Request(incrementCommand("n", 1n), Level.linearizable, NOBODY));
    else this.restart();
    this.machine.flush();
    return this.drain();
  }

  private completeWrites(): void {
    for (const record of this.written) this.durable = [...this.durable, record];
    this.written = [];
    this.storedSeq = this.machine.outbox.issuedSeq;
    this.machine.stored(this.storedSeq);
  }

  private restart(): void {
    this.written = [];
    this.held = [];
    this.storedSeq = 0;
    this.machine = this.start();
  }

  private drain(): Sent[] {
    const { outbox } = this.machine;
    this.written.push(...outbox.records);
    outbox.records = [];
    outbox.replies = [];
    const waiting: Envelope<RaftMessage>[] = [];
    const sent: Sent[] = [];
    for (const envelope of this.held.concat(outbox.sends)) {
      if (envelope.afterSeq > this.storedSeq) waiting.push(envelope);
      else sent.push({ to: envelope.peer, bytes: encode(envelope.message) });
    }
    outbox.sends = [];
    this.held = waiting;
    return sent;
  }

  get hasWritesUnderWay(): boolean {
    return this.written.length > 0;
  }

  /** The log as a crash now would leave it: terms, the first at index 1. */
  durableTerms(): number[] {
    const terms: number[] = [];
    for (const { kind, position, epoch } of this.durable) {
      if (kind !== RecordKind.entry) continue;
      terms.length = Math.min(terms.length, position - 1);
      terms.push(epoch);
    }
    return terms;
  }
}

const NOBODY = { reply(): void {} };

function encode(message: RaftMessage): Uint8Array {
  const writer = new ByteWriter(256);
  raftCodec.encode(message, writer);
  return writer.copy();
}

/**
 * The machine contract: a replication protocol is a synchronous, deterministic object. It reads no clock, draws no
 * randomness but from its seed, and touches neither disk nor net: it fills an {@link Outbox}, which the host drains
 * once a turn of its event loop.
 */
import type { ByteReader, ByteWriter } from "./bytes.js";
import type { Outbox } from "./outbox.js";

/** Small integer from 1; indexes packed arrays. */
export type NodeId = number;
/** Unique in a cluster for ever; the catalog hands them out. 0 is the registry. */
export type GroupId = number;
/** Records of the node itself, of no group. */
export const NODE_RECORDS: GroupId = 0xffff_ffff;
/**
 * Names one life of a replica's memory: 48 random bits. A replica that has lost anything that it had promised returns
 * under a new one.
 */
export type Incarnation = number;

/** What a log record is to the host. Its payload is the machine's own. */
export const RecordKind = {
  /** One entry of the group's order. An entry at a position that the log already holds replaces it and all after it. */
  entry: 1,
  /** The newest one counts (raft: term, vote, known incarnations). Repeated by the host at each segment's start. */
  hardState: 2,
  /** The log before this record is void: a snapshot at (epoch, position) took its place. */
  reset: 3,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** A durable record of one group. `epoch` is raft's term, `position` its index. */
export class LogRecord {
  constructor(
    readonly kind: RecordKind,
    readonly epoch: number,
    readonly position: number,
    readonly payload: Uint8Array,
  ) {}
}

/** Thrown by `start`: log and state do not fit together. The replica has lost something that it had promised. */
export class MemoryLost extends Error {
  override readonly name = "MemoryLost";
}

/** Where the durable state stands when a machine starts: what its checkpoint has applied. */
export interface StartState {
  /** Position and epoch of the last applied entry in the checkpoint; 0 and 0 when there is none. */
  readonly position: number;
  readonly epoch: number;
  readonly incarnation: Incarnation;
  /**
   * This replica cannot tell whether it promised something that it has forgotten (it stands in for a lost one). It must not
   * vote nor count until the protocol has brought it up to date.
   */
  readonly recovering: boolean;
}

/** Durable position of one replica as the answering machine knows it. */
export interface ReplicaProgress {
  readonly node: NodeId;
  readonly durablePosition: number;
  readonly recovering: boolean;
}

/** What `gamut status` shows of one machine. Values are plain data. */
export interface MachineDescription {
  readonly role: string;
  readonly leader: NodeId;
  readonly epoch: number;
  readonly lastPosition: number;
  readonly commitPosition: number;
  readonly appliedPosition: number;
  readonly recovering: boolean;
  /** What this protocol alone counts, by name. */
  readonly counters?: Readonly<Record<string, number>>;
}

/** Turns a protocol's message class into bytes and back. `decode` throws {@link CodecError} on a peer's bad bytes. */
export interface MessageCodec<Message> {
  encode(message: Message, writer: ByteWriter): void;
  decode(reader: ByteReader): Message;
}

/**
 * One replica of one group. The host calls `start` once, then in every turn: `now`, the turn's receives, completions
 * and requests, at most one `tick`, `flush`, and drains the outbox.
 */
export interface Machine<Message, Request, Result> {
  readonly outbox: Outbox<Message, Request, Result>;
  readonly codec: MessageCodec<Message>;

  start(from: StartState, tail: readonly LogRecord[]): void;
  /** Clocks of this turn, before all else. Both in ms; the monotonic one never goes back. */
  now(monotonicMs: number, wallMs: number): void;
  /** One unit of protocol time. At most once a turn and after the receives: a process that wakes reads its mail first. */
  tick(): void;
  receive(peer: NodeId, message: Message): void;
  /** Takes the request over: it is answered through the outbox exactly once. */
  request(request: Request): void;
  /** Nobody waits for the answer any more. The request may still take effect, and is answered all the same. */
  cancel(request: Request): void;
  /** End of the turn's inputs: batches that collected during the turn go to the outbox. */
  flush(): void;

  /** Every record up to write sequence `seq` is durable. Called in ascending order. */
  stored(seq: number): void;
  /**
   * The disk is short of room: propose nothing, hand leadership over. What others have proposed is still taken until
   * `full`: the rest is for votes and the like. `diskRefused("", false)` takes it back.
   */
  diskRefused(reason: string, full: boolean): void;
  /** A checkpoint of the state as it is now begins: what the machine has kept out of it until now goes there. */
  checkpointing(): void;
  /**
   * The state through `position` is in a durable checkpoint; the log up to there is no longer needed for recovery.
   * `mayRetain`: some of it may be kept for peers that lag. Else this group's few old entries hold all of a node's log.
   */
  checkpointed(position: number, mayRetain: boolean): void;
  /** The host failed to stream, or the peer did not install, the snapshot asked for through the outbox. */
  snapshotFailed(peer: NodeId): void;
  /** The peer reports that it stands at `position` after installing. */
  snapshotSent(peer: NodeId, position: number): void;
  /** The host has replaced the state (durably) by a snapshot that ends at (epoch, position). */
  snapshotInstalled(epoch: number, position: number): void;
  /** Whether this replica may become leader; false while its state is still being verified. */
  mayLead(allowed: boolean): void;
  /** Hand leadership over before a stop, to the most advanced replica. Nothing happens on a replica that does not lead. */
  stepAside(): void;

  /** The group is going away: every request that waits is answered with this error code. */
  abandon(code: string): void;

  progress(): ReplicaProgress[];
  describe(): MachineDescription;
}

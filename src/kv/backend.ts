import type { GroupId, NodeId } from "../core/machine.js";
import type { Command } from "./command.js";
import type { KvError } from "./errors.js";
import type { Protocol } from "./grants.js";
import type { Level } from "./level.js";
import type { ReplySink, Request, RequestId } from "./request.js";
import type { WatchHandle, WatchOptions, WatchSink } from "./watch.js";

/** Who asks. Today every principal may do everything; the call that decides stands in one place. */
export interface Principal {
  readonly name: string;
}

/**
 * One connection's view: its operations take effect in the order submitted. A run of reads, or of writes, goes in
 * parallel; a change of kind waits for the run before it.
 */
export interface Session {
  /** The keyspace chosen; a definite error comes with the first request if there is none of that name. */
  keyspace: string;
  /** Which life of that name is meant: any other one is `keyspace_gone`. 0: whichever has the name. */
  keyspaceLife: GroupId;
  /** null: the keyspace's default. */
  level: Level | null;
  /** Whether answers come with a receipt. */
  explains: boolean;
  /** How long a request may take, in ms; 0, or more than the node allows: as long as the node allows. */
  timeoutMs: number;
  /** Answered through `sink.reply` exactly once. `tag` comes back in the request. */
  submit(command: Command, sink: ReplySink, tag: number): Request;
  /**
   * As `submit`, under an id of the caller's own (writes): a retry of it, here or on another node, is not done twice. Ids
   * of one client are submitted in the order of their sequences.
   */
  submitWithId(command: Command, id: RequestId | null, sink: ReplySink, tag: number): Request;
  cancel(request: Request): void;
  /** Who leads the group that an answered request went to, as far as this node knows; 0: not known. */
  leader(request: Request): NodeId;
  /** The life of the keyspace that an answered request went to; 0 if it got to none. */
  lifeOf(request: Request): GroupId;
  /** Portable position of what this session has read and written; see token.ts. */
  token(): Uint8Array;
  /** Raises what this session demands. Null, or the reason why that token is not accepted here. */
  acceptToken(token: Uint8Array): KvError | null;
  /**
   * Watches the keyspace of a read, from what it has read on: to be called from within its `reply`. So whoever begins a
   * watch at a level hears of all that the level would not have shown.
   */
  watch(read: Request, options: WatchOptions, sink: WatchSink): WatchHandle | KvError;
  close(): void;
}

/** All that a listener knows of the store. The hosted machines are one backend; another engine may be another. */
export interface Backend {
  openSession(principal: Principal): Session;
  /** Calls `listener` at the end of every turn that answered something: the moment to write what has collected. */
  afterTurn(listener: () => void): void;
  /** `done` gets null, or why not. */
  createKeyspace(name: string, protocol: Protocol, defaultLevel: Level, done: (error: KvError | null) => void): void;
  dropKeyspace(name: string, done: (error: KvError | null) => void): void;
  /** What the node tells about itself: INFO, `gamut status`. Plain data. */
  status(): BackendStatus;
}

export interface BackendStatus {
  readonly node: number;
  readonly clusterId: string;
  readonly version: string;
  readonly members: readonly MemberStatus[];
  readonly keyspaces: readonly KeyspaceStatus[];
}

export interface MemberStatus {
  readonly node: number;
  readonly peerAddress: string;
  readonly clientAddress: string;
  readonly connected: boolean;
}

export interface KeyspaceStatus {
  readonly name: string;
  readonly protocol: string;
  readonly defaultLevel: string;
  readonly group: number;
  readonly role: string;
  readonly leader: number;
  readonly epoch: number;
  readonly lastPosition: number;
  readonly commitPosition: number;
  readonly appliedPosition: number;
  /** Of the last durable checkpoint of this replica's state; 0 before the first. */
  readonly checkpointPosition: number;
  /** Records of this replica's state; null when this node cannot tell. */
  readonly keys: number | null;
  readonly recovering: boolean;
  /** What the protocol alone counts here, by name. */
  readonly counters?: Readonly<Record<string, number>>;
  readonly replicas: readonly number[];
  /** What the replicas hold durably as far as this one knows: a leader of all, another of itself. */
  readonly progress: readonly ReplicaStatus[];
}

export interface ReplicaStatus {
  readonly node: number;
  readonly durablePosition: number;
}

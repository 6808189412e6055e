/**
 * The four ports through which a node sees the world. Calls return at once; what takes time calls `done` later, never
 * from within the call. The runtime implements them on Node.js, the simulator on a seed, the browser in memory.
 */
import type { Incarnation, NodeId } from "../core/machine.js";
import type { Block } from "./state/change-blocks.js";
import type { CheckpointDraft } from "./state/seal-changes.js";

export interface Clock {
  /** Never goes back; ms from an arbitrary start. */
  monotonicMs(): number;
  /** Ms since 1970. May jump either way. */
  wallMs(): number;
  /**
   * Asks for a turn of this node, as soon as the inputs at hand have been taken in or after `withinMs` at the latest.
   * Several calls make one turn.
   */
  wake(withinMs?: number): void;
}

export interface Entropy {
  /** Uniform in 0 … 2^48 − 1. */
  u48(): number;
}

export interface Net {
  /**
   * Sends one frame if the peer is connected, else drops it. May be lost, doubled, reordered. The bytes are the
   * caller's again when the call returns.
   */
  send(peer: NodeId, frame: Uint8Array): void;
}

/** What the net tells the node. */
export interface NetListener {
  /** The bytes are valid during the call only. */
  frameReceived(peer: NodeId, incarnation: Incarnation, frame: Uint8Array): void;
  peerConnected(peer: NodeId, incarnation: Incarnation): void;
  peerDisconnected(peer: NodeId): void;
}

/** `damaged`: what is there is not what was written. */
export type DiskErrorCode = "ENOSPC" | "EIO" | "ENOENT" | "EACCES" | "EEXIST" | "damaged" | "other";

export class DiskError extends Error {
  override readonly name = "DiskError";
  constructor(
    readonly code: DiskErrorCode,
    message: string,
  ) {
    super(message);
  }
}

export type Done = (error: DiskError | null) => void;
export type DoneWith<T> = (error: DiskError | null, value: T) => void;

export interface FileInfo {
  readonly name: string;
  readonly size: number;
}

/** Files of one folder, flat. What a crash leaves of a write that was not synced is arbitrary, by sectors of 512 bytes. */
export interface Disk {
  list(done: DoneWith<FileInfo[]>): void;
  /** A new file of `size` zeros, written (not a hole), synced, and its name synced. EEXIST if there is one. */
  create(name: string, size: number, done: Done): void;
  /** Writes inside the file's size. With `sync` the bytes are durable when `done` is called without an error. */
  write(name: string, offset: number, bytes: Uint8Array, sync: boolean, done: Done): void;
  /** What had been written to the file, and answered, before this call is durable when `done` is called without an error. */
  sync(name: string, done: Done): void;
  /** At most `length` bytes; fewer at the file's end. */
  read(name: string, offset: number, length: number, done: DoneWith<Uint8Array>): void;
  /** Replaces (or makes) a small file in one step that a crash cannot halve: write aside, sync, rename, sync the folder. */
  replace(name: string, bytes: Uint8Array, done: Done): void;
  /** Durable when done. */
  rename(from: string, to: string, done: Done): void;
  /** Durable when done. */
  remove(name: string, done: Done): void;
}

/** Durable sorted maps of latin1 keys, one a group, in one environment a node. */
export interface StateStore {
  /** Opens a group's map, or makes an empty one. A half-finished replacement of it is thrown away. */
  open(group: number, done: DoneWith<GroupStore | null>): void;
  /** Groups that have a map. */
  groups(done: DoneWith<number[]>): void;
}

export interface GroupStore {
  /** Reads see the newest commit, flushed or not. The bytes are valid until the next call on this store. */
  get(key: string): Uint8Array | undefined;
  /** Visits `start <= key < end` in order until `visit` answers false. `visit` may call `get`; its bytes stay valid. */
  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void;
  /** As {@link range}, of the same bounds, in descending order. */
  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void;
  /** What the newest commit said of itself; null before the first. */
  meta(): Uint8Array | null;
  /**
   * Seals all changes and makes them durable, with the meta that follows from them and the draft, in one step as far as
   * a crash can tell. Until `done` is called, `get` and `range` may show some of the changes already, and no reader may
   * be opened. The blocks are the store's until then. Several commits take effect in the order of their calls.
   */
  commit(changes: readonly Block[], draft: CheckpointDraft, done: Done): void;
  /** A consistent view of the newest durable commit (there must be one), read in chunks while commits go on. Close it. */
  openReader(): StoreReader;
  /** Collects a whole new content aside; `finish` puts it in the place of the old in one step. */
  beginReplacement(): StoreReplacement;
  /** Removes the group's map. */
  drop(done: Done): void;
}

export interface StoreReader {
  readonly meta: Uint8Array;
  /** Looks a key up in this view. The bytes are valid until the next call. */
  get(key: string): Uint8Array | undefined;
  /** Calls `visit` with the next entries in key order until it answers false; false when there are no more. */
  next(visit: (key: string, value: Uint8Array) => boolean): boolean;
  close(): void;
}

export interface StoreReplacement {
  put(entries: ReadonlyMap<string, Uint8Array>, done: Done): void;
  finish(meta: Uint8Array, done: Done): void;
  abort(): void;
}

export interface Ports {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly net: Net;
  readonly disk: Disk;
  readonly store: StateStore;
}

import { assert } from "../../core/assert.js";
import type { GroupId } from "../../core/machine.js";
import type { State } from "../../core/state.js";
import type { DiskError, Done, GroupStore } from "../ports.js";
import { CheckpointMeta } from "./checkpoint-meta.js";
import { DeadStretches } from "./dead-stretches.js";
import { EntrySeal, KEY_BYTES_MAX } from "./entry-seal.js";
import { EntrySum } from "./entry-sum.js";
import { type Keeper, KeptChanges } from "./kept-changes.js";
import { MergedRange } from "./merged-range.js";
import { Overlay } from "./overlay.js";
import { SnapshotInstall } from "./snapshot-install.js";
import { SnapshotReader } from "./snapshot-reader.js";
import { type StateVerdict, verifyGroup } from "./verify-group.js";

const NO_ROOM = new KeptChanges(0);

/**
 * The state of one group's machine. Writes collect in memory; reads look there first, then in the changes of a
 * checkpoint under way or of the last one, then in the store. {@link beginCheckpoint} makes what was collected durable in
 * one step.
 *
 * Reads, and `advance`, throw {@link StateDamaged} when the store gives back something else than what was written.
 */
export class BufferedState implements State, Keeper {
  private readonly seal: EntrySeal;
  private readonly dead = new DeadStretches();
  /** Changes since the last `beginCheckpoint`. */
  private active = new Overlay();
  /** Changes of the checkpoint under way. */
  private frozen: Overlay | null = null;
  /** Changes of the last checkpoint, as long as there is room: the store has them, too. */
  private kept: Overlay | null = null;
  private checkpointDone: Done | null = null;
  private install: SnapshotInstall | null = null;
  /** An install's last step, while it waits for a checkpoint to end. */
  private afterCheckpoint: (() => void) | null = null;
  private durable: CheckpointMeta | null;
  private closed = false;

  /** Throws {@link StateDamaged} or {@link StateFormatUnknown} when the store's last checkpoint cannot be read. */
  constructor(
    readonly group: GroupId,
    private readonly store: GroupStore,
    private readonly room: KeptChanges = NO_ROOM,
  ) {
    this.seal = new EntrySeal(group);
    this.durable = this.readMeta();
  }

  private readMeta(): CheckpointMeta | null {
    const meta = this.store.meta();
    return meta === null ? null : CheckpointMeta.decode(this.group, meta);
  }

  /** The last durable checkpoint; null before the first. */
  get lastCheckpoint(): CheckpointMeta | null {
    return this.durable;
  }

  /** Memory that changes take which are not durable yet, those of a checkpoint under way included. */
  get bytesPending(): number {
    return this.active.byteCount + (this.frozen === null ? 0 : this.frozen.byteCount);
  }

  get entriesPending(): number {
    return this.active.entryCount + (this.frozen === null ? 0 : this.frozen.entryCount);
  }

  /** Neither a checkpoint nor the last step of an install is under way. */
  get mayCheckpoint(): boolean {
    return this.frozen === null && (this.install === null || !this.install.finishing);
  }

  /** The store holds one whole checkpoint, and not parts of the next. */
  get mayOpenSnapshot(): boolean {
    return this.frozen === null;
  }

  get(key: string): Uint8Array | undefined {
    let value = this.active.get(key);
    if (value === undefined && this.frozen !== null) value = this.frozen.get(key);
    if (value === undefined && this.kept !== null) value = this.kept.get(key);
    if (value !== undefined) return value === null ? undefined : value;
    const sealed = this.store.get(key);
    return sealed === undefined ? undefined : this.seal.open(key, sealed);
  }

  put(key: string, value: Uint8Array): void {
    assert(key.length > 0 && key.length <= KEY_BYTES_MAX, "a state's key has 1 to 2,100 bytes");
    this.active.set(key, value);
    this.dead.revive(key);
  }

  delete(key: string): void {
    assert(key.length > 0 && key.length <= KEY_BYTES_MAX, "a state's key has 1 to 2,100 bytes");
    this.active.set(key, null);
  }

  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    const from = this.dead.skip(start);
    if (from >= end) return;
    const walk = new MergedRange(this.store, this.seal, this.active, this.frozen, from, end, false, visit);
    walk.run();
    if (walk.deadCount > 0) this.dead.learn(start, walk.firstLiveKey ?? end);
  }

  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    const to = this.dead.skipBack(end);
    if (start >= to) return;
    const walk = new MergedRange(this.store, this.seal, this.active, this.frozen, start, to, true, visit);
    walk.run();
    if (walk.deadCount > 0) this.dead.learn(walk.firstLiveKey === null ? start : `${walk.firstLiveKey}\x00`, end);
  }

  /**
   * Freezes what was collected and begins to make it durable as the state at (position, epoch). Writes go on. `done` is
   * called once. After ENOSPC all changes are pending as before and a later checkpoint may succeed; any other error
   * leaves open what the store holds: stop the node.
   */
  beginCheckpoint(position: number, epoch: number, extra: Uint8Array, done: Done): void {
    assert(this.mayCheckpoint, "a checkpoint is under way");
    const sum = this.durable === null ? new EntrySum() : this.durable.sum;
    const { group, active } = this;
    this.room.drop(this);
    this.frozen = active;
    this.checkpointDone = done;
    this.active = new Overlay();
    const draft = { group, position, epoch, sum, extra };
    this.store.commit(active.changes.blocks, draft, (error) => this.committed(active, error));
  }

  private committed(frozen: Overlay, error: DiskError | null): void {
    if (error === null) {
      this.durable = this.readMeta();
      this.keep(frozen);
    } else {
      frozen.absorb(this.active);
      this.active.release();
      this.active = frozen;
    }
    const done = this.checkpointDone as Done;
    const next = this.afterCheckpoint;
    this.frozen = null;
    this.checkpointDone = null;
    this.afterCheckpoint = null;
    if (next !== null) next();
    done(error);
  }

  private keep(committed: Overlay): void {
    if (this.closed || !this.room.keep(this, committed.byteCount)) {
      committed.release();
      return;
    }
    committed.forgetOrder();
    this.kept = committed;
  }

  /** Gives back the memory of what is kept of the last checkpoint. */
  dropKept(): void {
    this.room.drop(this);
  }

  /** Nobody reads it any more; a checkpoint under way ends. */
  close(): void {
    this.closed = true;
    this.room.drop(this);
  }

  /** For {@link KeptChanges} alone. */
  letGo(): void {
    this.kept?.release();
    this.kept = null;
  }

  /** A stream of the last durable checkpoint, in chunks for a peer, while writes and checkpoints go on. Close it. */
  openSnapshot(): SnapshotReader {
    assert(this.durable !== null, "there is no checkpoint yet to make a snapshot of");
    assert(this.mayOpenSnapshot, "a checkpoint is under way");
    return new SnapshotReader(this.group, this.store.openReader());
  }

  /** Collects a peer's snapshot aside. This state stays as it is until the install has finished. */
  beginInstall(): SnapshotInstall {
    assert(this.install === null, "an install is under way");
    this.install = new SnapshotInstall(this.group, this.store.beginReplacement(), this);
    return this.install;
  }

  /** For the install alone: runs `step` when no checkpoint is under way any more. */
  whenCheckpointed(step: () => void): void {
    if (this.frozen === null) step();
    else this.afterCheckpoint = step;
  }

  /** For the install alone: its snapshot is the store's content now; null: it ended without that. */
  installEnded(meta: CheckpointMeta | null): void {
    this.install = null;
    if (meta === null) return;
    this.room.drop(this);
    this.durable = meta;
    this.active.release();
    this.active = new Overlay();
    this.dead.clear();
  }

  /** Compares everything in the store to what its last checkpoint says, `entriesPerStep` entries between two yields. */
  verify(entriesPerStep: number): Generator<number, StateVerdict> {
    return verifyGroup(this.group, this.store, entriesPerStep);
  }
}

import type { RootDatabase } from "lmdb";
import { assert } from "../core/assert.js";
import type { GroupId } from "../core/machine.js";
import type { DiskError, Done, DoneWith, GroupStore, StateStore } from "../node/ports.js";
import {
  type EnvironmentOptions,
  GROUPS_DATABASE,
  type LmdbDatabase,
  openEnvironment,
  openLatin1Database,
  type ReadTransaction,
  type Side,
  StateFolderDamaged,
  sideDatabase,
  tellsDamage,
} from "./state-store-environment.js";
import { type GroupReads, LmdbGroupStore, type Sides } from "./state-store-group.js";
import { StateStoreQueue } from "./state-store-queue.js";
import { GroupRecord } from "./state-store-record.js";

export interface StateStoreOptions {
  /** Address space for the file, in bytes: no memory, no disk. To be larger than the state will ever be. */
  readonly mapBytes?: number;
  readonly groupsMax?: number;
}

const DEFAULTS: EnvironmentOptions = { mapBytes: 2 ** 38, groupsMax: 256, readOnly: false };

/** The states of a node's groups in one LMDB environment. This thread reads; a worker thread writes. */
export class LmdbStateStore implements StateStore, GroupReads {
  private readonly queue: StateStoreQueue | null;
  /** null: read only, and there is no group yet. */
  private readonly records: LmdbDatabase<string> | null;
  private readonly sides = new Map<GroupId, Sides>();

  private constructor(
    private readonly root: RootDatabase,
    folder: string,
    options: EnvironmentOptions,
  ) {
    this.records = openGroups(root, folder);
    if (options.readOnly) {
      this.queue = null;
      return;
    }
    this.removeDropped();
    this.queue = new StateStoreQueue({ folder, options }, () => this.root.resetReadTxn());
  }

  /** Opens the environment in this folder, or makes it. Throws {@link DiskError} or {@link StateFolderDamaged}. */
  static open(folder: string, options: StateStoreOptions = {}): LmdbStateStore {
    const full = { ...DEFAULTS, ...options };
    return new LmdbStateStore(openEnvironment(folder, full), folder, full);
  }

  /** For a check beside or without the node: no writer, no change. Throws like {@link open}. */
  static openToRead(folder: string, options: StateStoreOptions = {}): LmdbStateStore {
    const full = { ...DEFAULTS, ...options, readOnly: true };
    return new LmdbStateStore(openEnvironment(folder, full), folder, full);
  }

  open(group: GroupId, done: DoneWith<GroupStore | null>): void {
    const queue = this.queue;
    assert(queue !== null, "the state was opened to be read only");
    queue.run({ kind: "open", group }, (error) => {
      if (error !== null) {
        done(error, null);
        return;
      }
      let store: GroupStore | null = null;
      // Opening a database takes LMDB's write lock for a moment: not while the writer holds it.
      queue.runHere(
        () => {
          store = new LmdbGroupStore(group, this.openSides(group), this, queue);
        },
        (failure) => done(failure, store),
      );
    });
  }

  /** A group of a store that was opened to be read only. */
  read(group: GroupId): GroupStore {
    return new LmdbGroupStore(group, this.openSides(group), this, null);
  }

  groups(done: DoneWith<GroupId[]>): void {
    setImmediate(() => done(null, this.listGroups()));
  }

  listGroups(): GroupId[] {
    const groups: GroupId[] = [];
    for (const group of this.recordedGroups()) {
      if (!this.record(group)?.dropped) groups.push(group);
    }
    return groups.sort((a, b) => a - b);
  }

  private recordedGroups(): GroupId[] {
    return this.records === null ? [] : [...this.records.getKeys({ start: "" })].map(Number);
  }

  /** Waits for what was begun, then gives everything back. */
  close(done: Done): void {
    const close = (error: DiskError | null): void => {
      void this.root.close().then(() => done(error));
    };
    if (this.queue === null) close(null);
    else this.queue.run({ kind: "close" }, close);
  }

  record(group: GroupId, transaction?: ReadTransaction): GroupRecord | null {
    const options = transaction === undefined ? {} : { transaction };
    const bytes = this.records?.getBinary(String(group), options);
    return bytes === undefined ? null : GroupRecord.decode(bytes);
  }

  /** Reads from here on see the newest commit. */
  refresh(): void {
    this.root.resetReadTxn();
  }

  /** Whether a checkpoint is under way of which a part is there already. */
  isHalfDone(group: GroupId): boolean {
    this.refresh();
    return this.record(group)?.halfDone ?? false;
  }

  beginRead(): ReadTransaction {
    return this.root.useReadTransaction();
  }

  private openSides(group: GroupId): Sides {
    const side = (index: Side): LmdbDatabase<string> => openLatin1Database(this.root, sideDatabase(group, index));
    const sides: Sides = this.sides.get(group) ?? [side(0), side(1)];
    this.sides.set(group, sides);
    return sides;
  }

  /** Takes the names of dropped groups out of the root database, before anybody has opened one. */
  private removeDropped(): void {
    for (const group of this.recordedGroups()) {
      if (!this.record(group)?.dropped) continue;
      for (const index of [0, 1] as const) openLatin1Database(this.root, sideDatabase(group, index)).dropSync();
      this.root.transactionSync(() => this.records?.remove(String(group)));
    }
  }
}

/** null: an environment that was opened to be read has none. Throws {@link StateFolderDamaged}. */
function openGroups(root: RootDatabase, folder: string): LmdbDatabase<string> | null {
  const databaseCount = (): number => (root.getStats() as { root: { entryCount: number } }).root.entryCount;
  try {
    const before = databaseCount();
    const groups = (openLatin1Database(root, GROUPS_DATABASE) as LmdbDatabase<string> | undefined) ?? null;
    const made = groups === null || databaseCount() > before;
    if (made && before > 0) throw new StateFolderDamaged(`the state in ${folder}: its list of groups is missing`);
    return groups;
  } catch (error) {
    if (!tellsDamage(error)) throw error;
    throw new StateFolderDamaged(`the state in ${folder}: ${(error as Error).message}`);
  }
}

import { assert } from "../core/assert.js";
import { EMPTY_BYTES } from "../core/bytes.js";
import type { GroupId } from "../core/machine.js";
import { DiskError, type Done, type GroupStore, type StoreReader, type StoreReplacement } from "../node/ports.js";
import { type Block, ChangeBlocks } from "../node/state/change-blocks.js";
import type { CheckpointDraft } from "../node/state/seal-changes.js";
import { StateDamaged } from "../node/state/state-damaged.js";
import {
  type LmdbDatabase,
  type RangeOptions,
  type ReadTransaction,
  type Side,
  tellsDamage,
} from "./state-store-environment.js";
import { HalfDone, type StateStoreQueue } from "./state-store-queue.js";
import type { GroupRecord } from "./state-store-record.js";

/** The two databases of a group; index is the side. */
export type Sides = readonly [LmdbDatabase<string>, LmdbDatabase<string>];

/** Whoever reads beside the node has met the middle of a checkpoint. */
export class StateHalfDone extends Error {
  override readonly name = "StateHalfDone";
}

/** What a group needs of the environment to read. */
export interface GroupReads {
  /** The newest record of the group, in the view of `transaction` if there is one; null when it is damaged. */
  record(group: GroupId, transaction?: ReadTransaction): GroupRecord | null;
  beginRead(): ReadTransaction;
}

export class LmdbGroupStore implements GroupStore {
  private side: Side;
  private newestMeta: Uint8Array | null;
  private database: LmdbDatabase<string>;

  constructor(
    private readonly group: GroupId,
    private readonly sides: Sides,
    private readonly reads: GroupReads,
    /** null: read only. */
    private readonly queue: StateStoreQueue | null,
  ) {
    const record = reads.record(group);
    this.side = record === null ? 0 : record.side;
    // No meta is that short: whoever decodes it finds the damage. A half done checkpoint is none without its redo file.
    this.newestMeta = record === null || record.halfDone ? EMPTY_BYTES : record.meta;
    this.database = sides[this.side];
  }

  get(key: string): Uint8Array | undefined {
    return read(this.group, this.database, key, undefined);
  }

  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    if (start >= end) return;
    this.visitEntries({ start, end }, visit);
  }

  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    if (start >= end) return;
    // LMDB begins where the range ends: what it leaves out at its beginning, and not at its end, is the range's end.
    this.visitEntries({ reverse: true, start: end, exclusiveStart: true, end: start, inclusiveEnd: true }, visit);
  }

  private visitEntries(options: RangeOptions<string>, visit: (key: string, value: Uint8Array) => boolean): void {
    const entries = scan(this.group, this.database.getRange(options)[Symbol.iterator]());
    for (const { key, value } of entries) if (!visit(key, value)) return;
  }

  meta(): Uint8Array | null {
    return this.newestMeta;
  }

  commit(blocks: readonly Block[], draft: CheckpointDraft, done: Done): void {
    const { group, side } = this;
    const queue = this.writes();
    const ended: Done = (error) => {
      if (error instanceof HalfDone) {
        queue.runLater({ kind: "resume", group }, ended);
        return;
      }
      const meta = error === null ? this.reads.record(group)?.meta : undefined;
      if (error === null && !meta) {
        done(new DiskError("damaged", `the record of group ${group}, just written, cannot be read`));
        return;
      }
      this.newestMeta = meta ?? this.newestMeta;
      done(error);
    };
    queue.run({ kind: "commit", group, side, blocks, draft }, ended);
  }

  openReader(): StoreReader {
    const transaction = this.reads.beginRead();
    const record = this.reads.record(this.group, transaction);
    if (record?.halfDone) {
      transaction.done();
      throw new StateHalfDone(`a checkpoint of group ${this.group} is half done: start the node, which ends it`);
    }
    const meta = record === null ? EMPTY_BYTES : record.meta;
    assert(meta !== null, "a store without a commit has nothing to read");
    return new LmdbReader(this.group, this.sides[record === null ? 0 : record.side], transaction, meta);
  }

  beginReplacement(): StoreReplacement {
    return new LmdbReplacement(this.group, (1 - this.side) as Side, this.writes(), (side, meta) => {
      this.side = side;
      this.newestMeta = meta;
      this.database = this.sides[side];
    });
  }

  drop(done: Done): void {
    this.writes().run({ kind: "drop", group: this.group }, done);
  }

  private writes(): StateStoreQueue {
    assert(this.queue !== null, "the state was opened to be read only");
    return this.queue;
  }
}

/** Reads through one read transaction: commits go on beside it, and the pages that it sees are not reused. */
class LmdbReader implements StoreReader {
  private entries: Iterator<Entry> | null = null;
  private closed = false;

  constructor(
    private readonly group: GroupId,
    private readonly database: LmdbDatabase<string>,
    private readonly transaction: ReadTransaction,
    readonly meta: Uint8Array,
  ) {}

  get(key: string): Uint8Array | undefined {
    assert(!this.closed, "the reader is closed");
    return read(this.group, this.database, key, this.transaction);
  }

  next(visit: (key: string, value: Uint8Array) => boolean): boolean {
    assert(!this.closed, "the reader is closed");
    const transaction = this.transaction;
    this.entries ??= scan(this.group, this.database.getRange({ start: "", transaction })[Symbol.iterator]());
    while (true) {
      const next = this.entries.next();
      if (next.done) return false;
      if (!visit(next.value.key, next.value.value)) return true;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    // The cursor must be gone before its transaction.
    this.entries?.return?.();
    this.transaction.done();
  }
}

/** Fills the side that is not active; the switch is one transaction, and the old side is emptied after it. */
class LmdbReplacement implements StoreReplacement {
  private ended = false;
  /** Why the side still holds what an earlier replacement has left there: nothing that is put beside it counts. */
  private notEmptied: DiskError | null = null;

  constructor(
    private readonly group: GroupId,
    private readonly side: Side,
    private readonly queue: StateStoreQueue,
    private readonly switched: (side: Side, meta: Uint8Array) => void,
  ) {
    queue.run({ kind: "clear", group, side }, (error) => {
      this.notEmptied = error;
    });
  }

  put(entries: ReadonlyMap<string, Uint8Array>, done: Done): void {
    assert(!this.ended, "the replacement has ended");
    const { group, side } = this;
    const changes = new ChangeBlocks();
    for (const [key, sealed] of entries) changes.addSealed(key, sealed);
    this.queue.run({ kind: "fill", group, side, blocks: changes.blocks }, (error) => done(this.notEmptied ?? error));
  }

  finish(meta: Uint8Array, done: Done): void {
    assert(!this.ended, "the replacement has ended");
    this.ended = true;
    const { group, side } = this;
    assert(this.notEmptied === null, "a replacement is finished though its puts have failed");
    this.queue.run({ kind: "switch", group, side, meta }, (error) => {
      if (error === null) {
        this.switched(side, meta);
        this.queue.run({ kind: "clear", group, side: (1 - side) as Side }, ignore);
      }
      done(error);
    });
  }

  abort(): void {
    if (this.ended) return;
    this.ended = true;
    this.queue.run({ kind: "clear", group: this.group, side: this.side }, ignore);
  }
}

/** A side that could not be emptied (disk full) is emptied when the group is opened, and the next to fill it sees to it. */
function ignore(): void {}

interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

function read(
  group: GroupId,
  database: LmdbDatabase<string>,
  key: string,
  transaction: ReadTransaction | undefined,
): Uint8Array | undefined {
  try {
    const bytes =
      transaction === undefined ? database.getBinaryFast(key) : database.getBinaryFast(key, { transaction });
    return bytes === undefined ? undefined : bytes.subarray(0, database.lastSize);
  } catch (error) {
    if (tellsDamage(error)) throw new StateDamaged(group, key, (error as Error).message);
    throw error;
  }
}

function* scan(group: GroupId, entries: Iterator<Entry>): Generator<Entry, void> {
  try {
    while (true) {
      let next: IteratorResult<Entry>;
      try {
        next = entries.next();
      } catch (error) {
        if (tellsDamage(error)) throw new StateDamaged(group, null, (error as Error).message);
        throw error;
      }
      if (next.done) return;
      yield next.value;
    }
  } finally {
    entries.return?.();
  }
}

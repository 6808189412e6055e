/**
 * Worker thread: makes the checkpoints of a node's states. One of 50,000 entries keeps LMDB busy for 100 ms and more;
 * given to lmdb's own asynchronous puts it still held the main thread for 15 to 40 ms, because one transaction must be
 * handed over in one turn.
 */
import { statfsSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { RootDatabase } from "lmdb";
import "./fast-bytes.js";
import { assert } from "../core/assert.js";
import { DiskError } from "../node/ports.js";
import type { Block, Change } from "../node/state/change-blocks.js";
import { EntrySum } from "../node/state/entry-sum.js";
import { sealChanges } from "../node/state/seal-changes.js";
import { StateDamaged } from "../node/state/state-damaged.js";
import { RedoFile } from "./redo-file.js";
import { SortedChanges } from "./sorted-changes.js";
import {
  commitErrorOf,
  GROUPS_DATABASE,
  type LmdbDatabase,
  openBinaryDatabase,
  openEnvironment,
  openLatin1Database,
  type Side,
  sideDatabase,
  tellsDamage,
} from "./state-store-environment.js";
import type { WriterAnswer, WriterData, WriterJob } from "./state-store-jobs.js";
import { GroupRecord } from "./state-store-record.js";

/**
 * LMDB keeps every page that a transaction changes in memory until its end, and an entry changes a page of 8 KiB, or as
 * many as its value takes.
 */
const TRANSACTION_CHANGES_MAX = 8_192;
const TRANSACTION_BYTES_MAX = 16 * 1024 * 1024;

/** LMDB's native code takes no shared memory: what it reads is copied here. */
class PlainCopies {
  private bytes = Buffer.allocUnsafeSlow(256 * 1024);
  private used = 0;

  of(shared: Uint8Array): Uint8Array {
    if (this.used + shared.length > this.bytes.length) {
      // The old ones stay with whoever has them.
      this.bytes = Buffer.allocUnsafeSlow(Math.max(this.bytes.length, shared.length));
      this.used = 0;
    }
    const copy = this.bytes.subarray(this.used, this.used + shared.length);
    copy.set(shared);
    this.used += shared.length;
    return copy;
  }

  /** Nobody has any of them any more. */
  reset(): void {
    this.used = 0;
  }
}

class StateStoreWriter {
  private readonly groups: LmdbDatabase<string>;
  private readonly databases = new Map<string, LmdbDatabase<Uint8Array>>();
  private readonly copies = new PlainCopies();
  /** The job at hand has done a part of what it must do to the end. */
  halfDone = false;

  constructor(
    private readonly root: RootDatabase,
    private readonly folder: string,
  ) {
    this.groups = openLatin1Database(root, GROUPS_DATABASE);
  }

  run(job: Exclude<WriterJob, { kind: "close" }>): void {
    this.halfDone = false;
    // A reader in a process that was killed (a check of the state) would keep every page from being reused.
    this.root.readerCheck();
    switch (job.kind) {
      case "open":
        this.open(job.group);
        return;
      case "commit":
        this.commit(job);
        return;
      case "resume":
        this.redo(job.group);
        if (this.record(job.group)?.halfDone) {
          throw new StateDamaged(job.group, null, "half of a checkpoint is there, and its redo file is not as written");
        }
        return;
      case "fill":
        this.applyAll(job.group, job.side, new SortedChanges(job.blocks), () => {});
        return;
      case "switch":
        this.root.transactionSync(() => this.putRecord(job.group, new GroupRecord(job.side, job.meta)));
        return;
      case "clear":
        this.database(job.group, job.side).clearSync();
        return;
      case "drop":
        this.drop(job.group);
        return;
    }
  }

  private commit({ group, side, blocks, draft }: Extract<WriterJob, { kind: "commit" }>): void {
    const changes = new SortedChanges(blocks);
    const { count, low, high } = draft.sum;
    const meta = this.seal(changes, side, { ...draft, sum: EntrySum.of(count, low, high) });
    const record = new GroupRecord(side, meta);
    const byteCount = bytesOf(blocks);
    if (changes.count <= TRANSACTION_CHANGES_MAX && byteCount <= TRANSACTION_BYTES_MAX) {
      this.applyAll(group, side, changes, () => this.putRecord(group, record));
      return;
    }
    const redo = new RedoFile(this.folder, group);
    this.expectRoom(byteCount);
    redo.during(
      { meta, blocks },
      () => this.applyHalfDone(group, changes, record),
      () => this.record(group)?.halfDone !== false,
    );
  }

  private seal(changes: SortedChanges, side: Side, draft: Parameters<typeof sealChanges>[1]): Uint8Array {
    const database = this.database(draft.group, side);
    this.root.resetReadTxn();
    const inOrder = (visit: (change: Change) => void): void => changes.visit(0, changes.count, visit);
    const meta = sealChanges(inOrder, draft, (key) => {
      this.copies.reset();
      return database.getBinaryFast(this.copies.of(key))?.subarray(0, database.lastSize);
    });
    // A view that is kept would keep the pages of its time from being reused.
    this.root.resetReadTxn();
    return meta.encode();
  }

  /** The redo file, and then as much again in the tree: a disk that is full is better found before than half-way. */
  private expectRoom(byteCount: number): void {
    const { bavail, bsize } = statfsSync(this.folder);
    if (bavail * bsize >= 2 * byteCount) return;
    throw new DiskError("ENOSPC", `the state in ${this.folder}: no room for a checkpoint of ${byteCount} bytes`);
  }

  /** Does all that the redo file says; from the first transaction to the last the record says that this is under way. */
  private applyHalfDone(group: number, changes: SortedChanges, record: GroupRecord): void {
    const before = this.record(group);
    const begun = new GroupRecord(record.side, before?.meta ?? null, false, true);
    this.root.transactionSync(() => this.putRecord(group, begun));
    this.halfDone = true;
    this.applyAll(group, record.side, changes, () => this.putRecord(group, record));
    this.halfDone = false;
  }

  /** In transactions of a bounded size; `last` is done in the last of them. */
  private applyAll(group: number, side: Side, changes: SortedChanges, last: () => void): void {
    const database = this.database(group, side);
    const { count } = changes;
    let from = 0;
    do {
      this.copies.reset();
      from = this.root.transactionSync(() => {
        const end = this.applySome(database, changes, from);
        if (end === count) last();
        return end;
      });
    } while (from < count);
  }

  private applySome(database: LmdbDatabase<Uint8Array>, changes: SortedChanges, from: number): number {
    const to = Math.min(changes.count, from + TRANSACTION_CHANGES_MAX);
    let byteCount = 0;
    let at = from;
    while (at < to && byteCount < TRANSACTION_BYTES_MAX) {
      changes.visit(at, at + 1, (change) => {
        const key = this.copies.of(change.key);
        if (change.valueLength < 0) database.remove(key);
        else database.put(key, this.copies.of(change.sealed));
        byteCount += change.keyLength + Math.max(0, change.valueLength);
      });
      at += 1;
    }
    return at;
  }

  /** Ends a checkpoint that a crash or a full disk has cut short. */
  private redo(group: number): void {
    const file = new RedoFile(this.folder, group);
    const record = this.record(group);
    if (record?.halfDone) {
      const redo = file.read();
      // Without it the record stays as it is: the group's reader will say so.
      if (redo === null) return;
      this.halfDone = true;
      this.applyHalfDone(group, new SortedChanges(redo.blocks), new GroupRecord(record.side, redo.meta));
    }
    file.remove();
  }

  private putRecord(group: number, record: GroupRecord): void {
    this.groups.put(String(group), record.encode());
  }

  private record(group: number): GroupRecord | null {
    this.root.resetReadTxn();
    const bytes = this.groups.getBinary(String(group));
    return bytes === undefined ? null : GroupRecord.decode(bytes);
  }

  private open(group: number): void {
    const sides = this.sides(group);
    const isKnown = this.groups.getBinary(String(group)) !== undefined;
    const record = this.record(group);
    if (!isKnown || record?.dropped) {
      new RedoFile(this.folder, group).remove();
      this.root.transactionSync(() => this.putRecord(group, new GroupRecord(0, null)));
    } else if (record !== null) {
      sides[1 - record.side].clearSync();
      this.redo(group);
    }
    // A damaged record stays as it is: the group's reader will say so.
  }

  private drop(group: number): void {
    const sides = this.sides(group);
    this.root.transactionSync(() => {
      for (const database of sides) database.clearSync();
      this.putRecord(group, new GroupRecord(0, null, true));
    });
    new RedoFile(this.folder, group).remove();
  }

  private sides(group: number): [LmdbDatabase<Uint8Array>, LmdbDatabase<Uint8Array>] {
    return [this.database(group, 0), this.database(group, 1)];
  }

  private database(group: number, side: Side): LmdbDatabase<Uint8Array> {
    const name = sideDatabase(group, side);
    const known = this.databases.get(name);
    if (known !== undefined) return known;
    const made = openBinaryDatabase(this.root, name);
    this.databases.set(name, made);
    return made;
  }
}

function bytesOf(blocks: readonly Block[]): number {
  let count = 0;
  for (const { length } of blocks) count += length;
  return count;
}

function main(): void {
  const port = parentPort;
  assert(port !== null, "the state store's writer runs in a worker thread");
  const { folder, options } = workerData as WriterData;
  const root = openEnvironment(folder, options);
  const writer = new StateStoreWriter(root, folder);
  port.on("message", (job: WriterJob) => {
    if (job.kind === "close") {
      void root.close().then(() => {
        port.postMessage({ error: null, halfDone: false } satisfies WriterAnswer);
        port.close();
      });
      return;
    }
    try {
      writer.run(job);
      port.postMessage({ error: null, halfDone: false } satisfies WriterAnswer);
    } catch (error) {
      port.postMessage(answerTo(error, `cannot write the state of group ${job.group}`, folder, writer.halfDone));
    }
  });
}

function answerTo(error: unknown, context: string, folder: string, halfDone: boolean): WriterAnswer {
  if (error instanceof StateDamaged || tellsDamage(error)) {
    return { error: { code: "damaged", message: (error as Error).message }, halfDone: false };
  }
  const { code, message } = commitErrorOf(error, folder, context);
  return { error: { code, message }, halfDone: halfDone && code === "ENOSPC" };
}

main();

/**
 * Worker thread: makes the commits of a node's states. A checkpoint of 50,000 entries keeps LMDB busy for 100 ms and
 * more; given to lmdb's own asynchronous puts it still held the main thread for 15 to 40 ms, because one transaction must
 * be handed over in one turn.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { RootDatabase } from "lmdb";
import { assert } from "../core/assert.js";
import {
  commitErrorOf,
  GROUPS_DATABASE,
  type LmdbDatabase,
  openBinaryDatabase,
  openEnvironment,
  openLatin1Database,
  type Side,
  sideDatabase,
} from "./state-store-environment.js";
import { type Block, unpackChanges, type WriterAnswer, type WriterData, type WriterJob } from "./state-store-jobs.js";
import { GroupRecord } from "./state-store-record.js";

class StateStoreWriter {
  private readonly groups: LmdbDatabase<string>;
  private readonly databases = new Map<string, LmdbDatabase<Uint8Array>>();

  constructor(private readonly root: RootDatabase) {
    this.groups = openLatin1Database(root, GROUPS_DATABASE);
  }

  run(job: WriterJob): void {
    if (job.kind === "open") this.open(job.group);
    else if (job.kind === "clear") this.database(job.group, job.side).clearSync();
    else if (job.kind !== "close") this.transact(job);
  }

  private transact(job: Exclude<WriterJob, { kind: "open" | "clear" | "close" }>): void {
    if (job.kind === "drop") this.sides(job.group);
    else this.database(job.group, job.side);
    // A reader in a process that was killed (a check of the state) would keep every page from being reused.
    this.root.readerCheck();
    this.root.transactionSync(() => {
      if (job.kind === "commit" || job.kind === "fill") this.apply(job.group, job.side, job.blocks);
      if (job.kind === "commit" || job.kind === "switch") {
        this.putRecord(job.group, new GroupRecord(job.side, job.meta));
      }
      if (job.kind === "drop") this.drop(job.group);
    });
  }

  private apply(group: number, side: Side, blocks: readonly Block[]): void {
    const database = this.database(group, side);
    const apply = (key: Uint8Array, value: Uint8Array | null): void => {
      if (value === null) database.remove(key);
      else database.put(key, value);
    };
    for (const block of blocks) unpackChanges(block, apply);
  }

  private putRecord(group: number, record: GroupRecord): void {
    this.groups.put(String(group), record.encode());
  }

  private open(group: number): void {
    const sides = this.sides(group);
    const bytes = this.groups.getBinary(String(group));
    const record = bytes === undefined ? null : GroupRecord.decode(bytes);
    if (bytes === undefined || record?.dropped) {
      this.root.transactionSync(() => this.putRecord(group, new GroupRecord(0, null)));
    } else if (record !== null) {
      sides[1 - record.side].clearSync();
    }
    // A damaged record stays as it is: the group's reader will say so.
  }

  private drop(group: number): void {
    for (const database of this.sides(group)) database.clearSync();
    this.putRecord(group, new GroupRecord(0, null, true));
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

function main(): void {
  const port = parentPort;
  assert(port !== null, "the state store's writer runs in a worker thread");
  const { folder, options } = workerData as WriterData;
  const root = openEnvironment(folder, options);
  const writer = new StateStoreWriter(root);
  port.on("message", (job: WriterJob) => {
    let answer: WriterAnswer = { error: null };
    try {
      writer.run(job);
    } catch (error) {
      const context = `cannot write the state of ${job.kind === "close" ? folder : `group ${job.group}`}`;
      const { code, message } = commitErrorOf(error, folder, context);
      answer = { error: { code, message } };
    }
    if (job.kind !== "close") {
      port.postMessage(answer);
      return;
    }
    void root.close().then(() => {
      port.postMessage(answer);
      port.close();
    });
  });
}

main();

/** The data folder of a node that does not run, read and not changed. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CATALOG_GROUP, Catalog, type KeyspaceEntry, scanCommand } from "../cluster/catalog.js";
import type { GroupId } from "../core/machine.js";
import { Command, Op } from "../kv/command.js";
import { IDENTITY_FILE, Identity } from "../node/identity.js";
import { runDiskTask } from "../node/log/disk-task.js";
import type { RecoveredGroup, RecoveryOutcome } from "../node/log/outcome.js";
import { DAMAGE_MEANS, recoverLog } from "../node/log/recovery.js";
import { type OfflineGroup, readGossipGroup, readRaftGroup } from "../node/offline/offline-group.js";
import { NODE_DEFAULTS } from "../node/options.js";
import type { DiskError } from "../node/ports.js";
import { releaseFolder, takeFolder } from "./folder-lock.js";
import { ReadingDisk } from "./reading-disk.js";
import { LmdbStateStore } from "./state-store.js";

/** What the last checkpoints hold can be had without the log. */
export class LogUnreadable extends Error {
  override readonly name = "LogUnreadable";
}

export class OfflineFolder {
  readonly catalog: Catalog;

  private constructor(
    readonly identity: Identity,
    private readonly store: LmdbStateStore,
    /** null: what the log holds is not wanted. */
    private readonly log: RecoveryOutcome | null,
    private readonly lock: string,
  ) {
    this.catalog = this.readCatalog();
  }

  /** `withLog`: what the log says came after the checkpoints counts, too. Rejects with an error that tells what to do. */
  static async open(folder: string, withLog: boolean): Promise<OfflineFolder> {
    const identityFile = join(folder, "log", IDENTITY_FILE);
    const stateFolder = join(folder, "state");
    if (!existsSync(identityFile) || !existsSync(stateFolder)) {
      throw new Error(
        `${folder} is no data folder of a node: it has no log/${IDENTITY_FILE}, or no state. Name the folder of one node, such as gamut-data/node-1`,
      );
    }
    const lock = takeFolder(folder);
    let store: LmdbStateStore | null = null;
    try {
      const identity = Identity.decode(readFileSync(identityFile));
      const log = withLog ? await readLog(join(folder, "log")) : null;
      store = LmdbStateStore.openToRead(stateFolder);
      return new OfflineFolder(identity, store, log, lock);
    } catch (error) {
      await (store === null ? null : closed(store));
      releaseFolder(lock);
      throw error;
    }
  }

  /** Throws StateDamaged, StateFormatUnknown, MemoryLost or another error that tells what is wrong. */
  keyspace({ group, protocol }: KeyspaceEntry): OfflineGroup {
    const store = this.storeOf(group);
    const recovered = this.recovered(group);
    if (protocol === "gossip") return readGossipGroup(group, store, recovered, this.identity, Date.now());
    return readRaftGroup(group, store, recovered);
  }

  private storeOf(group: GroupId): ReturnType<LmdbStateStore["read"]> {
    if (!this.store.listGroups().includes(group)) throw new Error(`there is nothing of group ${group} in this folder`);
    if (this.store.isHalfDone(group)) {
      throw new Error(
        "a checkpoint is half done. Start the node and stop it again: that ends the checkpoint, and needs no other node",
      );
    }
    return this.store.read(group);
  }

  private recovered(group: GroupId): RecoveredGroup | null {
    return this.log?.groups.get(group) ?? null;
  }

  private readCatalog(): Catalog {
    const group = readRaftGroup(CATALOG_GROUP, this.storeOf(CATALOG_GROUP), this.recovered(CATALOG_GROUP));
    const catalog = new Catalog();
    let from = "";
    do {
      const part = group.read(scanCommand(from));
      for (const { key } of part.items ?? []) catalog.take(key, group.read(new Command(Op.get, key)));
      from = part.key;
    } while (from !== "");
    return catalog;
  }

  async close(): Promise<void> {
    await closed(this.store);
    releaseFolder(this.lock);
  }
}

function readLog(folder: string): Promise<RecoveryOutcome> {
  return new Promise((resolve, reject) => {
    const options = { ...NODE_DEFAULTS.log, freshIdentity: 1 };
    runDiskTask(recoverLog(new ReadingDisk(folder), options), ({ outcome }) => {
      if (outcome.kind === "ok" || outcome.kind === "empty") resolve(outcome);
      else reject(new LogUnreadable(outcome.reason.replace(DAMAGE_MEANS, "").trim()));
    });
  });
}

function closed(store: LmdbStateStore): Promise<DiskError | null> {
  return new Promise((resolve) => store.close(resolve));
}

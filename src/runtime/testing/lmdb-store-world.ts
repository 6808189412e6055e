import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoreWorld } from "../../node/testing/store-world.js";
import { told } from "../../node/testing/store-world.js";
import { LmdbStateStore } from "../state-store.js";
import { buildScripts } from "./built-scripts.js";

export class LmdbStoreWorld implements StoreWorld {
  readonly folder: string;
  store: LmdbStateStore;

  constructor(parent = tmpdir()) {
    this.folder = mkdtempSync(join(parent, "gamut-state-"));
    this.store = LmdbStateStore.open(this.folder);
  }

  static async make(): Promise<LmdbStoreWorld> {
    await buildScripts();
    return new LmdbStoreWorld();
  }

  async reopen(): Promise<void> {
    await this.close();
    await buildScripts();
    this.store = LmdbStateStore.open(this.folder);
  }

  close(): Promise<void> {
    return told((done) => this.store.close(done));
  }

  setDiskFull(_full: boolean): void {
    throw new Error("the disk of this world cannot be filled");
  }

  async end(): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** On a file system of its own, in memory, of 16 MB. */
class TightWorld extends LmdbStoreWorld {
  constructor(private readonly disk: string) {
    super(disk);
  }

  override setDiskFull(full: boolean): void {
    const ballast = join(this.disk, "ballast");
    const { bavail, bsize } = statfsSync(this.disk);
    if (full) writeFileSync(ballast, new Uint8Array(bavail * bsize - 1_000_000));
    else rmSync(ballast);
  }

  override async end(): Promise<void> {
    await super.end();
    unmount(this.disk);
  }
}

function mount(): string {
  const disk = mkdtempSync(join(tmpdir(), "gamut-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], { stdio: "ignore" });
  return disk;
}

function unmount(disk: string): void {
  execFileSync("umount", [disk], { stdio: "ignore" });
  rmSync(disk, { recursive: true });
}

/** A world whose disk can be filled, where this process may mount one. */
export function tightWorld(): (() => Promise<StoreWorld>) | string {
  try {
    unmount(mount());
  } catch {
    return "skipped: only root can mount a small file system to fill";
  }
  return async () => {
    await buildScripts();
    return new TightWorld(mount());
  };
}

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
export class TightWorld extends LmdbStoreWorld {
  constructor(private readonly disk: string) {
    super(disk);
  }

  override setDiskFull(full: boolean): void {
    if (full) this.leaveFree(1_000_000);
    else rmSync(join(this.disk, "ballast"));
  }

  /** Fills the disk up to so many bytes. */
  leaveFree(byteCount: number): void {
    const { bavail, bsize } = statfsSync(this.disk);
    writeFileSync(join(this.disk, "ballast"), new Uint8Array(bavail * bsize - byteCount));
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

/** A world whose disk can be filled, where this process may mount one; else why not. */
export function tightWorld(): (() => Promise<TightWorld>) | string {
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

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoreWorld } from "../../node/testing/store-world.js";
import { told } from "../../node/testing/store-world.js";
import { LmdbStateStore, type StateStoreOptions } from "../state-store.js";

export class LmdbStoreWorld implements StoreWorld {
  readonly folder: string;
  store: LmdbStateStore;

  constructor(
    private readonly options: StateStoreOptions = {},
    parent = tmpdir(),
  ) {
    this.folder = mkdtempSync(join(parent, "gamut-state-"));
    this.store = LmdbStateStore.open(this.folder, options);
  }

  async reopen(): Promise<void> {
    await this.close();
    this.store = LmdbStateStore.open(this.folder, this.options);
  }

  close(): Promise<void> {
    return told((done) => this.store.close(done));
  }

  /** Nothing to do: the tight world's map has no room for 4 MB at any time. */
  setDiskFull(): void {}

  async end(): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true });
  }
}

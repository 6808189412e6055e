import type { GroupStore } from "../ports.js";
import type { CheckpointMeta } from "./checkpoint-meta.js";
import type { EntrySeal } from "./entry-seal.js";
import type { Overlay } from "./overlay.js";

/**
 * A checkpoint being made ready: each change is sealed, and the entry that it replaces is taken out of the sum. That is
 * a look into the store and a checksum for each, so it goes in steps; the store stands still until the commit.
 */
export class Checkpoint {
  /** What the store shall commit. */
  readonly changes = new Map<string, Uint8Array | null>();
  private readonly entries: Iterator<[string, Uint8Array | null], void>;
  prepared = false;

  constructor(
    readonly overlay: Overlay,
    /** Its sum is the last checkpoint's at first, and this one's when all is prepared. */
    readonly meta: CheckpointMeta,
    private readonly seal: EntrySeal,
    private readonly store: GroupStore,
  ) {
    this.entries = overlay.entries();
  }

  /** Makes at most `entriesMax` more changes ready. */
  prepare(entriesMax: number): void {
    for (let i = 0; i < entriesMax; i += 1) {
      const next = this.entries.next();
      if (next.done) {
        this.prepared = true;
        return;
      }
      this.prepareEntry(next.value[0], next.value[1]);
    }
  }

  private prepareEntry(key: string, value: Uint8Array | null): void {
    const old = this.store.get(key);
    if (old !== undefined) this.meta.sum.remove(this.seal.claimed(key, old));
    if (value !== null) {
      const sealed = this.seal.seal(key, value);
      this.meta.sum.add(sealed);
      this.changes.set(key, sealed);
    } else if (old !== undefined) {
      this.changes.set(key, null);
    }
  }
}

import type { GroupStore } from "../ports.js";
import type { EntrySeal } from "./entry-seal.js";
import type { Overlay } from "./overlay.js";
import { OverlayCursor } from "./overlay-cursor.js";

/**
 * One walk, ascending or descending, over the newest changes, older changes (a checkpoint under way; may be null) and
 * the store. The store pushes its entries; the changes are pulled along.
 */
export class MergedRange {
  private readonly newer: OverlayCursor;
  private readonly older: OverlayCursor | null;
  private wanted = true;
  /** Deleted keys that the walk met before the first live one. */
  deadCount = 0;
  /** null while none was met. */
  firstLiveKey: string | null = null;

  constructor(
    private readonly store: GroupStore,
    private readonly seal: EntrySeal,
    newer: Overlay,
    older: Overlay | null,
    private readonly start: string,
    private readonly end: string,
    private readonly reverse: boolean,
    private readonly visit: (key: string, value: Uint8Array) => boolean,
  ) {
    this.newer = new OverlayCursor(newer, start, end, reverse);
    this.older = older === null ? null : new OverlayCursor(older, start, end, reverse);
  }

  run(): void {
    const { store, start, end } = this;
    const stored = (key: string, sealed: Uint8Array): boolean => {
      this.changesBefore(key);
      if (!this.wanted) return false;
      if (!this.changeAt(key)) this.live(key, this.seal.open(key, sealed));
      return this.wanted;
    };
    if (this.reverse) store.reverseRange(start, end, stored);
    else store.range(start, end, stored);
    this.changesBefore(null);
  }

  private live(key: string, value: Uint8Array): void {
    this.firstLiveKey ??= key;
    this.wanted = this.visit(key, value);
  }

  /** Visits the changes that the walk meets before this key; null: all that are left. */
  private changesBefore(bound: string | null): void {
    while (this.wanted) {
      const key = this.nextChangedKey();
      if (key === null || (bound !== null && !this.isBefore(key, bound))) return;
      this.changeAt(key);
    }
  }

  private isBefore(key: string, other: string): boolean {
    return this.reverse ? key > other : key < other;
  }

  private nextChangedKey(): string | null {
    const newer = this.newer.key;
    const older = this.older === null ? null : this.older.key;
    if (newer === null) return older;
    return older === null || this.isBefore(newer, older) ? newer : older;
  }

  /** Visits the changed entry of this key, unless it is a deletion. False when nothing changed it. */
  private changeAt(key: string): boolean {
    const newer = this.newer.key === key;
    const older = this.older !== null && this.older.key === key;
    if (!newer && !older) return false;
    const value = newer ? this.newer.value : (this.older as OverlayCursor).value;
    if (newer) this.newer.next();
    if (older) (this.older as OverlayCursor).next();
    if (value !== null) this.live(key, value);
    else if (this.firstLiveKey === null) this.deadCount += 1;
    return true;
  }
}

import { IDENTITY_FILE, type Identity, type IdentityChanges } from "./identity.js";
import type { Disk, DiskError } from "./ports.js";

interface Change {
  readonly changes: IdentityChanges;
  readonly done: (error: DiskError | null) => void;
}

/** Who this node is, as its disk has it. Changes are written one after the other: the file has one name to be replaced. */
export class IdentityFile {
  private readonly waiting: Change[] = [];
  private busy = false;

  constructor(
    private readonly disk: Disk,
    /** Durable. */
    public current: Identity,
  ) {}

  /** `done`: the change is durable and in `current`, or the file is what it was. */
  change(changes: IdentityChanges, done: (error: DiskError | null) => void): void {
    this.waiting.push({ changes, done });
    if (!this.busy) this.writeNext();
  }

  private writeNext(): void {
    const change = this.waiting.shift();
    if (change === undefined) return;
    this.busy = true;
    const next = this.current.with(change.changes);
    this.disk.replace(IDENTITY_FILE, next.encode(), (error) => {
      this.busy = false;
      if (error === null) this.current = next;
      change.done(error);
      if (!this.busy) this.writeNext();
    });
  }
}

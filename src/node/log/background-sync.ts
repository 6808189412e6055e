import type { Disk, DiskError } from "../ports.js";
import { segmentName } from "./format.js";

export interface SyncListener {
  /** More of the log is on the disk than before. */
  logSynced(): void;
  syncFailed(error: DiskError): void;
}

/**
 * Brings to the disk what the log has written without a sync, one segment after the other, and knows how far that has
 * come: a sync counts for what had been written before it began.
 */
export class BackgroundSync {
  private writtenThrough: number;
  /** Segments that have unsynced bytes, oldest first. */
  private dirty: number[] = [];
  private underWay: number[] = [];
  private willReach = 0;
  busy = false;

  constructor(
    private readonly disk: Disk,
    /** Every record up to here is on the disk. */
    public syncedThrough: number,
    private readonly listener: SyncListener,
  ) {
    this.writtenThrough = syncedThrough;
  }

  get isDone(): boolean {
    return this.syncedThrough === this.writtenThrough;
  }

  /** The next batch has been written to the segment, `synced` with its own bytes or not. */
  wrote(segment: number, recordCount: number, synced: boolean): void {
    const inRow = this.isDone;
    this.writtenThrough += recordCount;
    if (synced) {
      if (inRow) this.syncedThrough = this.writtenThrough;
    } else if (this.dirty.length === 0 || this.dirty[this.dirty.length - 1] !== segment) {
      this.dirty.push(segment);
    }
  }

  /** Nothing happens while one is under way. */
  begin(): void {
    if (this.busy || this.isDone) return;
    this.busy = true;
    this.willReach = this.writtenThrough;
    this.underWay = this.dirty;
    this.dirty = [];
    this.syncNext();
  }

  /** The segment is about to be removed; no sync is under way. */
  forget(segment: number): void {
    this.dirty = this.dirty.filter((other) => other !== segment);
  }

  private syncNext(): void {
    const segment = this.underWay.shift();
    if (segment !== undefined) {
      this.disk.sync(segmentName(segment), this.segmentSynced);
      return;
    }
    this.busy = false;
    this.syncedThrough = this.willReach;
    this.listener.logSynced();
  }

  private readonly segmentSynced = (error: DiskError | null): void => {
    if (error === null) this.syncNext();
    else this.listener.syncFailed(error);
  };
}

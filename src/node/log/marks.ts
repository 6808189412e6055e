import { ByteWriter } from "../../core/bytes.js";
import type { Disk, DiskError } from "../ports.js";
import { MARKS_NAME, Mark, markOffset, writeMark } from "./format.js";

export interface MarkListener {
  /** A mark that says so is durable. */
  oldestSegmentMarked(oldestSegment: number): void;
  markFailed(error: DiskError): void;
}

/** Writes "durable through n" into two slots by turns, one write at a time; what comes meanwhile is merged. */
export class MarkFile {
  private readonly writer = new ByteWriter(512);
  private durableThrough = 0;
  private oldestSegment = 0;
  private busy = false;
  private wanted = false;
  private syncWanted = false;
  private writingSync = false;
  private writingOldest = 0;

  constructor(
    private readonly disk: Disk,
    private readonly identity: number,
    private readonly generation: number,
    private slot: number,
    private readonly listener: MarkListener,
  ) {}

  /** Without `sync` the mark outlives the process but perhaps not the power: it costs next to nothing. */
  write(durableThrough: number, oldestSegment: number, sync: boolean): void {
    this.durableThrough = durableThrough;
    this.oldestSegment = oldestSegment;
    this.wanted = true;
    if (sync) this.syncWanted = true;
    if (!this.busy) this.start();
  }

  private start(): void {
    this.busy = true;
    this.wanted = false;
    this.writingSync = this.syncWanted;
    this.syncWanted = false;
    this.writingOldest = this.oldestSegment;
    writeMark(this.writer, new Mark(this.identity, this.generation, this.durableThrough, this.oldestSegment));
    this.disk.write(MARKS_NAME, markOffset(this.slot), this.writer.written(), this.writingSync, this.written);
    this.slot = 1 - this.slot;
  }

  private readonly written = (error: DiskError | null): void => {
    this.busy = false;
    if (error !== null) {
      this.listener.markFailed(error);
      return;
    }
    if (this.writingSync) this.listener.oldestSegmentMarked(this.writingOldest);
    if (this.wanted && !this.busy) this.start();
  };
}

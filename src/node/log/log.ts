import { assert } from "../../core/assert.js";
import type { GroupId, LogRecord } from "../../core/machine.js";
import type { Disk, DiskError } from "../ports.js";
import { BackgroundSync, type SyncListener } from "./background-sync.js";
import { Batch } from "./batch.js";
import { type DiskTask, runDiskTask } from "./disk-task.js";
import { RECORD_OVERHEAD_BYTES, segmentName } from "./format.js";
import { MarkFile, type MarkListener } from "./marks.js";
import { checkLogOptions, type LogOptions } from "./options.js";
import type { LogPosition, Recovery, RecoveryOutcome } from "./outcome.js";
import { recoverLog, startLogOver } from "./recovery.js";
import { Segment, type SegmentList } from "./segments.js";

/** What the log tells the node. Called out of a disk callback, never out of a call to the log. */
export interface LogListener {
  /** Every record of `group` up to write sequence `seq` is durable; with {@link Log.syncLater}, with the operating system. */
  logDurable(group: GroupId, seq: number): void;
  /** A write or a sync failed: what it left on the disk is unknown, so the log takes nothing more. The node stops. */
  logFailed(error: DiskError): void;
  /**
   * No room for the next segment and little in this one: propose nothing more, and once it is `full`, log no entries at
   * all. "": there is room again.
   */
  diskRefused(reason: string, full: boolean): void;
}

export interface LogStatus {
  /** Every record of the log up to here is on the disk. */
  readonly durableThrough: number;
  readonly segments: number;
  /** Bytes that wait for the disk or are on their way to it. */
  readonly pendingBytes: number;
  /** Groups whose entries keep the oldest segment from being deleted: a checkpoint of theirs would free it. */
  readonly oldestHeldBy: GroupId[];
}

const SpareState = { none: 0, creating: 1, ready: 2, failed: 3 } as const;
type SpareState = (typeof SpareState)[keyof typeof SpareState];

/** Batches are kept for reuse up to this number; more than two are needed only while the disk falls behind. */
const FREE_BATCHES_MAX = 2;

/**
 * The write-ahead log of a node, shared by all of its groups. A turn's records make one batch, written and synced at
 * once; the next one is not begun before that sync has returned, so that at most one batch is ever in doubt. With
 * {@link syncLater} that is so for the death of the process alone: a batch counts once it is written.
 */
export class Log implements MarkListener, SyncListener {
  private marks!: MarkFile;
  private background!: BackgroundSync;
  private syncsLater = false;
  private ticksToSync = 0;
  private segments!: SegmentList;
  private identity = 0;
  private generation = 0;
  /** Of the log's own count of records, all groups together. */
  private nextSequence = 0;
  /** Newest durable one of each group: repeated at each segment's start, so that older segments can go. */
  private hardStates = new Map<GroupId, LogRecord>();

  /** Wait to be written, oldest first; the last one takes what is appended. */
  private readonly queue: Batch[] = [];
  private queuedBytes = 0;
  private readonly free: Batch[] = [];
  private inFlight: Batch | null = null;
  private inFlightSynced = true;
  private submitted = false;

  private spare: SpareState = SpareState.none;
  private spareProblem = "";
  private ticksToRetry = 0;
  private refused = false;
  private full = false;

  /** Off the list, to be removed once a durable mark says that they are not needed. */
  private readonly doomed: Segment[] = [];
  private oldestMarked = 0;
  private removing = false;
  private state: "closed" | "opening" | "open" | "failed" = "closed";

  constructor(
    private readonly disk: Disk,
    private readonly options: LogOptions,
    private readonly listener: LogListener,
  ) {
    checkLogOptions(options);
  }

  /** Reads the log, or creates it where there is none. Takes records afterwards if the outcome is `ok` or `empty`. */
  recover(done: (outcome: RecoveryOutcome) => void): void {
    this.open(recoverLog(this.disk, this.options), done);
  }

  /** After `damaged`: keeps the damaged files under other names and begins an empty log. */
  startOver(done: (outcome: RecoveryOutcome) => void): void {
    this.open(startLogOver(this.disk, this.options), done);
  }

  private open(task: DiskTask<Recovery>, done: (outcome: RecoveryOutcome) => void): void {
    assert(this.state === "closed", "log: opened twice");
    this.state = "opening";
    runDiskTask(task, (recovery) => {
      this.state = "closed";
      if (recovery.position !== null) this.goOn(recovery.position);
      done(recovery.outcome);
    });
  }

  private goOn(position: LogPosition): void {
    this.state = "open";
    this.identity = position.identity;
    this.generation = position.generation;
    this.nextSequence = position.nextSequence;
    this.segments = position.segments;
    this.hardStates = position.hardStates;
    this.marks = new MarkFile(this.disk, position.identity, position.generation, position.markSlot, this);
    this.background = new BackgroundSync(this.disk, position.nextSequence - 1, this);
    this.oldestMarked = this.segments.oldest.number;
    if (position.spareReady) this.spare = SpareState.ready;
    else if (this.segments.current.opened) this.createSpare();
  }

  /** Copies the record. It is written with the batch of the next `submit`. `seq` is the machine's write sequence. */
  append(group: GroupId, record: LogRecord, seq: number): void {
    if (this.state === "failed") return;
    assert(this.state === "open", "log: a record before recovery is done");
    const bytes = RECORD_OVERHEAD_BYTES + record.payload.length;
    assert(bytes <= this.options.batchBytesMax, "log: a record is larger than a batch may be");
    let batch = this.queue.length === 0 ? undefined : this.queue[this.queue.length - 1];
    if (batch === undefined || batch.payloadBytes + bytes > this.options.batchBytesMax) {
      batch = this.free.pop() ?? new Batch();
      this.queue.push(batch);
    }
    batch.add(group, record, seq);
    this.queuedBytes += bytes;
  }

  /** The next records, of so many bytes with their overhead, become durable in one step as far as a crash can tell. */
  keepTogether(bytes: number): void {
    assert(bytes <= this.options.batchBytesMax, "log: what is to become durable at once is larger than a batch may be");
    const last = this.queue[this.queue.length - 1];
    if (last !== undefined && last.payloadBytes + bytes > this.options.batchBytesMax) {
      this.queue.push(this.free.pop() ?? new Batch());
    }
  }

  /** The end of a turn: writes what was appended, or lets it go with the next batch if one is on its way. */
  submit(): void {
    if (this.queue.length === 0 || this.state !== "open") return;
    this.submitted = true;
    if (this.inFlight === null) this.writeNext();
  }

  /** The group needs its entries through `position` no longer (they are in a durable checkpoint). */
  cut(group: GroupId, position: number): void {
    if (this.state !== "open") return;
    this.segments.cut(group, position);
    this.reclaim();
  }

  /** The group is gone from this node: nothing of it is needed. Its number never comes back. */
  forget(group: GroupId): void {
    if (this.state !== "open") return;
    this.hardStates.delete(group);
    this.segments.forget(group);
    for (const batch of this.queue) batch.forget(group);
    if (this.inFlight !== null) this.inFlight.forget(group);
    this.reclaim();
  }

  /**
   * From now on a batch is stored once it is written, and synced within {@link LogOptions.syncTicks}; or, with `false`,
   * when it is synced, as at first. Who switches it on has made durable that a crash of the machine may take what was
   * stored; and takes that back only once, switched off, the log {@link isSynced}.
   */
  syncLater(later: boolean): void {
    if (this.state !== "open") return;
    this.syncsLater = later;
    if (!later) this.background.begin();
  }

  /** Nothing that was stored, or will be by what is on its way to the disk, waits for a sync. */
  get isSynced(): boolean {
    return this.background.isDone && (this.inFlight === null || this.inFlightSynced);
  }

  /** Records written so far, in this life of the log and before. */
  get recordCount(): number {
    return this.nextSequence - 1;
  }

  /** Once a tick of the node. */
  tick(): void {
    if (this.state !== "open") return;
    this.retrySpace();
    this.ticksToSync -= 1;
    if (this.ticksToSync > 0) return;
    this.ticksToSync = this.options.syncTicks;
    this.background.begin();
  }

  /** Looks now and then whether a full disk has room again. */
  private retrySpace(): void {
    if (this.spare !== SpareState.failed && this.doomed.length === 0) return;
    this.ticksToRetry -= 1;
    if (this.ticksToRetry > 0) return;
    this.ticksToRetry = this.options.spaceRetryTicks;
    if (this.spare === SpareState.failed) this.createSpare();
    this.removeDoomed();
  }

  status(): LogStatus {
    assert(this.state === "open" || this.state === "failed", "log: status before recovery is done");
    return {
      durableThrough: this.durableThrough,
      segments: this.segments.count,
      pendingBytes: this.pendingBytes,
      oldestHeldBy: this.segments.groupsHolding(this.segments.oldest),
    };
  }

  private get pendingBytes(): number {
    return this.queuedBytes + (this.inFlight === null ? 0 : this.inFlight.payloadBytes);
  }

  private get durableThrough(): number {
    return this.background.syncedThrough;
  }

  private writeNext(): void {
    const batch = this.queue[0];
    const queuedBytes = batch.payloadBytes;
    if (batch.diskBytes > this.segments.current.room && !this.roll(batch)) return;
    this.queue.shift();
    if (this.queue.length === 0) this.submitted = false;
    this.queuedBytes -= queuedBytes;
    this.inFlight = batch;
    const segment = this.segments.current;
    const first = this.nextSequence;
    const oldest = this.segments.oldest.number;
    const { number, used } = segment;
    const bytes = batch.seal(this.identity, this.generation, number, used, first, this.durableThrough, oldest);
    this.inFlightSynced = !this.syncsLater;
    this.disk.write(segmentName(number), used, bytes, this.inFlightSynced, this.batchWritten);
  }

  /** Goes over to the spare segment. False if there is none yet: the batch then waits for it. */
  private roll(batch: Batch): boolean {
    if (this.spare !== SpareState.ready) return false;
    this.spare = SpareState.none;
    this.segments.push(new Segment(this.segments.current.number + 1, this.options.segmentBytes));
    for (const [group, hardState] of this.hardStates) batch.repeat(group, hardState);
    assert(batch.diskBytes <= this.options.segmentBytes, "log: the groups' hard states do not fit a segment");
    return true;
  }

  private readonly batchWritten = (error: DiskError | null): void => {
    const batch = this.inFlight;
    if (batch === null || this.state !== "open") return;
    if (error !== null) {
      this.fail(error);
      return;
    }
    const segment = this.segments.current;
    segment.used += batch.diskBytes;
    this.nextSequence += batch.recordCount;
    const synced = this.inFlightSynced;
    this.background.wrote(segment.number, batch.recordCount, synced);
    this.inFlight = null;
    const hasVoided = this.settle(batch);
    if (this.submitted) this.writeNext();
    if (!segment.opened) this.segmentOpened(segment);
    else {
      // What was logged again may have freed what held it.
      if (hasVoided) this.reclaim();
      if (synced && this.inFlight === null) this.mark(false);
    }
    this.checkRoom();
    this.report(batch);
  };

  /** Answers whether earlier entries are void now. */
  private settle(batch: Batch): boolean {
    let hasVoided = false;
    for (const span of batch.groupSpans()) {
      if (this.segments.settle(span)) hasVoided = true;
      if (span.hardState !== null) this.hardStates.set(span.group, span.hardState);
    }
    return hasVoided;
  }

  private report(batch: Batch): void {
    for (const span of batch.groupSpans()) this.listener.logDurable(span.group, span.seq);
    batch.clear();
    if (this.free.length < FREE_BATCHES_MAX) this.free.push(batch);
  }

  /** The new segment's first batch is stored. */
  private segmentOpened(segment: Segment): void {
    segment.opened = true;
    // Synced, so that the loss of this whole file would be noticed even after a power failure.
    this.mark(true);
    this.createSpare();
    this.reclaim();
  }

  private mark(sync: boolean): void {
    this.marks.write(this.durableThrough, this.segments.oldest.number, sync);
  }

  logSynced(): void {
    if (this.state !== "open") return;
    this.mark(false);
    this.removeDoomed();
    // What was written meanwhile, too, if that is what somebody waits for.
    if (!this.syncsLater) this.background.begin();
  }

  syncFailed(error: DiskError): void {
    if (this.state === "open") this.fail(error);
  }

  private createSpare(): void {
    const segment = this.segments.current.number + 1;
    this.spare = SpareState.creating;
    this.disk.create(segmentName(segment), this.options.segmentBytes, this.spareCreated);
  }

  private readonly spareCreated = (error: DiskError | null): void => {
    if (this.state !== "open") return;
    if (error === null) {
      this.spare = SpareState.ready;
      this.spareProblem = "";
      if (this.submitted && this.inFlight === null) this.writeNext();
    } else {
      this.spare = SpareState.failed;
      this.spareProblem = error.message;
      this.ticksToRetry = this.options.spaceRetryTicks;
    }
    this.checkRoom();
  };

  /** Refuses, or stops refusing, further records. */
  private checkRoom(): void {
    const room = this.segments.current.room - this.pendingBytes;
    if (this.spare === SpareState.failed && room < this.options.reserveBytes) {
      const reason =
        `The disk gives no room for the next ${this.options.segmentBytes} bytes of the log: ${this.spareProblem}. ` +
        "Writes go on by themselves once it does.";
      if (!this.refused) this.listener.diskRefused(reason, false);
      this.refused = true;
      if (this.full || room >= this.options.reserveBytes / 4) return;
      this.full = true;
      this.listener.diskRefused(reason, true);
    } else if (this.refused && this.spare === SpareState.ready) {
      this.refused = false;
      this.full = false;
      this.listener.diskRefused("", false);
    }
  }

  private reclaim(): void {
    const unneeded = this.segments.takeUnneeded();
    if (unneeded.length === 0) return;
    for (const segment of unneeded) this.doomed.push(segment);
    // The mark comes first: without it, recovery would take the deleted segments for lost ones.
    this.mark(true);
  }

  oldestSegmentMarked(oldestSegment: number): void {
    this.oldestMarked = oldestSegment;
    this.removeDoomed();
  }

  private removeDoomed(): void {
    if (this.removing || this.state !== "open" || this.doomed.length === 0) return;
    if (this.doomed[0].number >= this.oldestMarked) return;
    // Not from under a sync: it goes when that has returned.
    if (this.background.busy) return;
    this.removing = true;
    this.background.forget(this.doomed[0].number);
    this.disk.remove(segmentName(this.doomed[0].number), this.segmentRemoved);
  }

  /** A segment that cannot be removed harms nothing: it is tried again at a later tick. */
  private readonly segmentRemoved = (error: DiskError | null): void => {
    this.removing = false;
    if (error !== null && error.code !== "ENOENT") {
      this.ticksToRetry = this.options.spaceRetryTicks;
      return;
    }
    this.doomed.shift();
    if (this.state === "open" && this.spare === SpareState.failed) this.createSpare();
    this.removeDoomed();
  };

  markFailed(error: DiskError): void {
    if (this.state === "open") this.fail(error);
  }

  private fail(error: DiskError): void {
    this.state = "failed";
    this.listener.logFailed(error);
  }
}

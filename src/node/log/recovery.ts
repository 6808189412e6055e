/**
 * Reads a log back and decides what the bytes behind its last sound batch are: the unsynced rest of a write that nobody
 * was told of, which is cut, or damage to something that was acknowledged, which costs the replica its memory.
 */
import { ByteReader } from "../../core/bytes.js";
import { type Disk, DiskError, type FileInfo } from "../ports.js";
import { type DiskTask, listFiles, readFile, removeFile, writeSynced } from "./disk-task.js";
import {
  type BatchHeader,
  LOG_FORMAT_VERSION,
  LOST_NAME,
  MARKS_NAME,
  Mark,
  readMark,
  segmentName,
  segmentOfName,
  UnsupportedFormat,
} from "./format.js";
import { createLog, isLostNote, setLogAside, writeMarkSynced } from "./fresh-log.js";
import { LogDamage, LogMemory } from "./log-memory.js";
import type { LogOptions } from "./options.js";
import { type CutTail, type Recovery, RecoveryOutcome } from "./outcome.js";
import { SegmentScan } from "./segment-scan.js";

/** Ends the reason of the outcome `damaged`. */
export const DAMAGE_MEANS =
  "Something that this node had promised is gone with it: it can come back only as a new incarnation that recovers " +
  "from its peers. The damaged files are kept under lost-….";

export function recoverLog(disk: Disk, options: LogOptions): DiskTask<Recovery> {
  return orRefusal(new LogRecovery(disk, options).run());
}

/** Sets a damaged log aside and begins an empty one. */
export function startLogOver(disk: Disk, options: LogOptions): DiskTask<Recovery> {
  return orRefusal(setAsideAndRecover(disk, options));
}

function* setAsideAndRecover(disk: Disk, options: LogOptions): DiskTask<Recovery> {
  yield* setLogAside(disk);
  return yield* new LogRecovery(disk, options).run();
}

function* orRefusal(task: DiskTask<Recovery>): DiskTask<Recovery> {
  try {
    return yield* task;
  } catch (error) {
    if (error instanceof LogDamage) return refusal("damaged", `The log is damaged: ${error.message}. ${DAMAGE_MEANS}`);
    if (error instanceof UnsupportedFormat) {
      return refusal(
        "unsupported",
        `${error.message}; this build reads log format ${LOG_FORMAT_VERSION}. Start the build that wrote it, or a newer one.`,
      );
    }
    if (error instanceof Unsecured) return refusal("unsecured", `The log cannot be opened: ${error.message}`);
    if (error instanceof DiskError) return refusal("failed", `The log cannot be opened: ${error.message}`);
    throw error;
  }
}

/** What a killed process had written could not be written again. */
class Unsecured extends Error {}

function refusal(kind: "damaged" | "unsupported" | "failed" | "unsecured", reason: string): Recovery {
  return { outcome: new RecoveryOutcome(kind, reason, new Map(), null), position: null };
}

/** The two marks as found. */
interface FoundMarks {
  readonly newest: Mark;
  readonly newestSlot: number;
}

interface SegmentInDoubt {
  readonly file: FileInfo;
  readonly lastSequence: number;
}

class LogRecovery {
  private readonly memory = new LogMemory();

  /** The segment in which the sound batches end, and where. */
  private endScan: SegmentScan | null = null;
  private endOffset = 0;
  private lastBatchOffset = -1;
  /** Everything through this record is on the disk: the newest mark or batch that says so. */
  private durableThrough = 0;
  /** Segments before the end one that had more than that when they were read. */
  private readonly inDoubt: SegmentInDoubt[] = [];
  private problem = "";
  /** Why what should follow the end was once durable; "" if nothing says so. */
  private proof = "";
  /** Segments behind the end that are not clean spares. */
  private readonly unclean: SegmentScan[] = [];
  private spareReady = false;

  constructor(
    private readonly disk: Disk,
    private readonly options: LogOptions,
  ) {}

  *run(): DiskTask<Recovery> {
    const files = yield* listFiles(this.disk);
    if (files.some(isLostNote)) throw new LogDamage(`${LOST_NAME} says that it was being set aside`);
    const segmentFiles = files.filter((file) => segmentOfName(file.name) !== 0);
    segmentFiles.sort((a, b) => segmentOfName(a.name) - segmentOfName(b.name));
    const marksFile = files.find((file) => file.name === MARKS_NAME);
    const marks = marksFile === undefined ? null : yield* this.readMarks(marksFile);

    if (segmentFiles.length === 0 && (marks === null || marks.newest.durableThrough === 0)) {
      return yield* this.createAnew(files, null);
    }
    if (marksFile === undefined) throw new LogDamage(`${MARKS_NAME} is missing`);
    if (marks === null) throw new LogDamage(`both marks in ${MARKS_NAME} are unreadable`);
    yield* this.readSegments(segmentFiles, marks.newest);
    return yield* this.conclude(files, marks);
  }

  /** The log never had a record. A crash may have left half of an earlier attempt to create it, or of its first batch. */
  private *createAnew(files: FileInfo[], cutTail: CutTail | null): DiskTask<Recovery> {
    // The marks go last: a segment without them would pass for damage.
    for (const file of files) if (segmentOfName(file.name) !== 0) yield* removeFile(this.disk, file.name);
    if (files.some((file) => file.name === MARKS_NAME)) yield* removeFile(this.disk, MARKS_NAME);
    const position = yield* createLog(this.disk, this.options.freshIdentity, this.options.segmentBytes);
    return { outcome: new RecoveryOutcome("empty", "", new Map(), cutTail), position };
  }

  private *readMarks(file: FileInfo): DiskTask<FoundMarks | null> {
    const reader = new ByteReader(yield* this.readAll(file));
    let found: FoundMarks | null = null;
    for (let slot = 0; slot < 2; slot += 1) {
      const mark = readMark(reader, slot);
      if (mark !== null && (found === null || mark.isNewerThan(found.newest)))
        found = { newest: mark, newestSlot: slot };
    }
    return found;
  }

  private *readAll(file: FileInfo): DiskTask<Uint8Array> {
    try {
      return yield* readFile(this.disk, file);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== "EIO") throw error;
      throw new LogDamage(`${file.name} cannot be read: ${error.message}`);
    }
  }

  /** Ascending, from the oldest segment that the marks call needed, until the log ends for good. */
  private *readSegments(files: FileInfo[], mark: Mark): DiskTask<void> {
    this.memory.oldestSegment = mark.oldestSegment;
    this.durableThrough = mark.durableThrough;
    let first = 0;
    let expected = 0;
    for (const file of files) {
      const number = segmentOfName(file.name);
      if (number < mark.oldestSegment) continue;
      if (first === 0) first = number;
      else if (number !== expected) throw new LogDamage(`${segmentName(expected)} is missing`);
      expected = number + 1;
      this.readSegment(new SegmentScan(yield* this.readAll(file), number, mark.identity), file);
    }
    // A batch may know of deletions that a damaged mark has forgotten.
    if (first === 0 || first > this.memory.oldestSegment) {
      throw new LogDamage(`${segmentName(this.memory.oldestSegment)} is missing`);
    }
    this.memory.segments.dropBefore(this.memory.oldestSegment);
    if (this.proof === "" && mark.durableThrough >= this.memory.nextSequence) {
      this.proof = `a mark in ${MARKS_NAME} says that record ${mark.durableThrough} was durable`;
    }
    this.memory.generation = Math.max(this.memory.generation, mark.generation);
  }

  private readSegment(scan: SegmentScan, file: FileInfo): void {
    const isFirst = this.endScan === null;
    // A log that continues here has nothing of worth behind the end that was found in the segment before.
    const offset = this.proof === "" ? this.takeBatches(scan, isFirst) : 0;
    if (isFirst || offset > 0) {
      this.inDoubt.push({ file, lastSequence: this.memory.nextSequence - 1 });
      while (this.inDoubt.length > 0 && this.inDoubt[0].lastSequence <= this.durableThrough) this.inDoubt.shift();
      this.endScan = scan;
      this.endOffset = offset;
      this.unclean.length = 0;
      this.spareReady = false;
    } else {
      this.judgeBeyond(scan);
    }
    const later = this.proof === "" ? scan.laterProof(offset, this.memory.nextSequence) : null;
    if (later !== null) {
      this.proof = `the batch in ${scan.name} at ${later.offset} says that record ${later.firstSequence - 1} was stored`;
    }
  }

  /** Takes sound batches from the segment's start on; answers the offset behind them. */
  private takeBatches(scan: SegmentScan, isFirst: boolean): number {
    let offset = 0;
    let last = -1;
    for (;;) {
      const batch = scan.batchAt(offset);
      const problem = typeof batch === "string" ? batch : this.sequenceProblem(batch, isFirst && offset === 0);
      if (typeof batch === "string" || problem !== "") {
        if (isFirst || offset > 0) this.problem = problem;
        break;
      }
      this.memory.takeBatch(scan, batch);
      this.durableThrough = Math.max(this.durableThrough, batch.durableThrough);
      last = offset;
      offset += batch.diskBytes;
    }
    if (isFirst || offset > 0) this.lastBatchOffset = last;
    if (isFirst && offset === 0 && scan.number > 1) {
      this.proof = "the segments before it were deleted only when it was in use";
    }
    return offset;
  }

  private sequenceProblem(batch: BatchHeader, isLogStart: boolean): string {
    if (isLogStart && batch.segment > 1) return "";
    if (batch.firstSequence !== this.memory.nextSequence) {
      return `the batch begins with record ${batch.firstSequence} where ${this.memory.nextSequence} is next`;
    }
    if (batch.generation < this.memory.generation)
      return `generation ${batch.generation} follows ${this.memory.generation}`;
    return "";
  }

  /** A segment behind the log's end: a clean spare, the torn beginning of the next one, or proof of damage. */
  private judgeBeyond(scan: SegmentScan): void {
    const end = this.endScan as SegmentScan;
    const inUseThrough = this.lastBatchOffset < 0 ? end.number - 1 : end.number;
    if (scan.number > inUseThrough + 1 && this.proof === "") {
      this.proof = `${scan.name} exists, which is created only when ${segmentName(scan.number - 1)} is in use`;
    }
    if (scan.endOfUse(0) === 0 && scan.bytes.length === this.options.segmentBytes && scan.number === end.number + 1) {
      this.spareReady = true;
    } else {
      this.unclean.push(scan);
    }
  }

  private *conclude(files: FileInfo[], marks: FoundMarks): DiskTask<Recovery> {
    const end = this.endScan as SegmentScan;
    const cutTail = this.findTail(end);
    if ((this.proof !== "" || cutTail !== null) && this.options.verdict(this.proof !== "") === "damaged") {
      const where = `${end.name} at ${this.endOffset}: ${this.problem}`;
      throw new LogDamage(this.proof === "" ? where : `${where}, although ${this.proof}`);
    }
    if (this.memory.nextSequence === 1) return yield* this.createAnew(files, cutTail);
    for (const { file } of this.inDoubt) if (file.name !== end.name) yield* this.secure(file, marks.newest.identity);
    yield* this.secureEnd(end);
    const generation = this.memory.generation + 1;
    const slot = 1 - marks.newestSlot;
    const identity = marks.newest.identity;
    const mark = new Mark(identity, generation, this.memory.nextSequence - 1, this.memory.oldestSegment);
    yield* writeMarkSynced(this.disk, slot, mark);
    for (const scan of this.unclean.reverse()) yield* removeFile(this.disk, scan.name);
    for (const file of files) {
      const number = segmentOfName(file.name);
      if (number !== 0 && number < this.memory.oldestSegment) yield* removeFile(this.disk, file.name);
    }
    const outcome = new RecoveryOutcome("ok", "", this.memory.groups, cutTail);
    return { outcome, position: this.memory.position(identity, generation, 1 - slot, this.spareReady) };
  }

  private findTail(end: SegmentScan): CutTail | null {
    const bytes = end.endOfUse(this.endOffset) - this.endOffset;
    if (bytes > 0) return { name: end.name, offset: this.endOffset, bytes, problem: this.problem };
    for (const scan of this.unclean) {
      const beyond = scan.endOfUse(0);
      const problem = scan.batchAt(0);
      if (beyond > 0 && typeof problem === "string") return { name: scan.name, offset: 0, bytes: beyond, problem };
    }
    return null;
  }

  /**
   * Makes the end of the log what this recovery takes it for, whatever happens next. Batches may have been read from
   * memory that never reached the disk (a killed process), so they are written again unless something vouches for them:
   * equal bytes, so that a crash meanwhile cannot harm them. (A sync alone would not do: that of a process that found
   * its disk failing may have left pages that pass for written.) Behind them come zeros up to the end of the torn rest.
   */
  private *secureEnd(end: SegmentScan): DiskTask<void> {
    const from = end.firstBeyond(this.durableThrough, this.endOffset);
    const to = end.endOfUse(this.endOffset);
    if (from === to) return;
    const bytes = end.bytes.slice(from, to);
    bytes.fill(0, this.endOffset - from);
    yield* this.writeAgain(end.name, from, bytes);
  }

  private *writeAgain(name: string, offset: number, bytes: Uint8Array): DiskTask<void> {
    try {
      yield* writeSynced(this.disk, name, offset, bytes);
    } catch (error) {
      throw error instanceof DiskError ? new Unsecured(error.message) : error;
    }
  }

  private *secure(file: FileInfo, identity: number): DiskTask<void> {
    const scan = new SegmentScan(yield* this.readAll(file), segmentOfName(file.name), identity);
    const end = scan.endOfUse(0);
    const from = scan.firstBeyond(this.durableThrough, end);
    if (from < end) yield* this.writeAgain(file.name, from, scan.bytes.slice(from, end));
  }
}

/** The first files of a log, and setting a damaged one aside. */
import { ByteWriter, latin1Decode, utf8Encode } from "../../core/bytes.js";
import { type Disk, DiskError, type FileInfo } from "../ports.js";
import {
  createFile,
  type DiskTask,
  listFiles,
  readFile,
  removeFile,
  renameFile,
  replaceFile,
  writeSynced,
} from "./disk-task.js";
import {
  LOST_NAME,
  MARKS_FILE_BYTES,
  MARKS_NAME,
  Mark,
  markOffset,
  SET_ASIDE_NAME,
  SET_ASIDE_PREFIX,
  segmentName,
  segmentOfName,
  writeMark,
} from "./format.js";
import type { LogPosition } from "./outcome.js";
import { Segment, SegmentList } from "./segments.js";

const FIRST_SEGMENT = 1;
const FIRST_GENERATION = 1;

/** The marks come first, so that a segment without marks is known to have lost them. */
export function* createLog(disk: Disk, identity: number, segmentBytes: number): DiskTask<LogPosition> {
  yield* createFile(disk, MARKS_NAME, MARKS_FILE_BYTES);
  yield* writeMarkSynced(disk, 0, new Mark(identity, FIRST_GENERATION, 0, FIRST_SEGMENT));
  yield* createFile(disk, segmentName(FIRST_SEGMENT), segmentBytes);
  const segments = new SegmentList();
  segments.push(new Segment(FIRST_SEGMENT, segmentBytes));
  return {
    identity,
    generation: FIRST_GENERATION,
    markSlot: 1,
    nextSequence: 1,
    segments,
    spareReady: false,
    hardStates: new Map(),
  };
}

export function* writeMarkSynced(disk: Disk, slot: number, mark: Mark): DiskTask<void> {
  const writer = new ByteWriter();
  writeMark(writer, mark);
  yield* writeSynced(disk, MARKS_NAME, markOffset(slot), writer.written());
}

/**
 * Renames every file of a damaged log, for whoever wants to find out why; those of earlier ones stay, under numbers of
 * their own. What a crash in between leaves could pass for a sound log that is missing only its end: therefore the file
 * that says "lost" is there from before the first rename until after the last. It tells the number, too, so that what
 * was begun is ended under the same one.
 */
export function* setLogAside(disk: Disk): DiskTask<void> {
  const files = yield* listFiles(disk);
  const note = files.find(isLostNote);
  const prefix = (note === undefined ? null : yield* notedPrefix(disk, note)) ?? freePrefix(files);
  if (note === undefined) {
    const text = `The log in this folder is damaged and is being set aside as ${prefix}log-…\n`;
    yield* replaceFile(disk, LOST_NAME, utf8Encode(text));
  }
  for (const file of files) {
    if (isLogFile(file)) yield* renameFile(disk, file.name, prefix + file.name);
  }
  yield* removeFile(disk, LOST_NAME);
}

/** As the note says; null if it cannot be read. */
function* notedPrefix(disk: Disk, note: FileInfo): DiskTask<string | null> {
  try {
    const text = latin1Decode(yield* readFile(disk, note));
    return /\bas (lost-(?:\d+-)?)log-/.exec(text)?.[1] ?? null;
  } catch (error) {
    if (error instanceof DiskError) return null;
    throw error;
  }
}

/** `lost-`, and then `lost-2-`, `lost-3-` …: the first one behind all that are there. */
function freePrefix(files: readonly FileInfo[]): string {
  let last = 0;
  for (const { name } of files) {
    const found = SET_ASIDE_NAME.exec(name);
    if (found !== null) last = Math.max(last, Number(found[1] ?? 1));
  }
  return last === 0 ? SET_ASIDE_PREFIX : `${SET_ASIDE_PREFIX}${last + 1}-`;
}

function isLogFile(file: FileInfo): boolean {
  return file.name === MARKS_NAME || segmentOfName(file.name) !== 0;
}

export function isLostNote(file: FileInfo): boolean {
  return file.name === LOST_NAME;
}

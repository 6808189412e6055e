/** The first files of a log, and setting a damaged one aside. */
import { ByteWriter, latin1Encode } from "../../core/bytes.js";
import type { Disk, FileInfo } from "../ports.js";
import { createFile, type DiskTask, listFiles, removeFile, renameFile, replaceFile, writeSynced } from "./disk-task.js";
import {
  LOST_NAME,
  MARKS_FILE_BYTES,
  MARKS_NAME,
  Mark,
  markOffset,
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
 * Renames every file of a damaged log, for whoever wants to find out why; an earlier one that was kept is deleted. What a
 * crash in between leaves could pass for a sound log that is missing only its end: therefore the file that says
 * "lost" is there from before the first rename until after the last.
 */
export function* setLogAside(disk: Disk): DiskTask<void> {
  const files = yield* listFiles(disk);
  if (!files.some(isLostNote)) {
    for (const file of files) if (file.name.startsWith(SET_ASIDE_PREFIX)) yield* removeFile(disk, file.name);
    yield* replaceFile(disk, LOST_NAME, latin1Encode("The log in this folder is damaged and is being set aside.\n"));
  }
  for (const file of files) {
    if (isLogFile(file)) yield* renameFile(disk, file.name, SET_ASIDE_PREFIX + file.name);
  }
  yield* removeFile(disk, LOST_NAME);
}

function isLogFile(file: FileInfo): boolean {
  return file.name === MARKS_NAME || segmentOfName(file.name) !== 0;
}

export function isLostNote(file: FileInfo): boolean {
  return file.name === LOST_NAME;
}

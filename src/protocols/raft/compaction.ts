import { RecordKind } from "../../core/machine.js";
import { ENTRY_OVERHEAD_BYTES, type EntryLog } from "./entry-log.js";
import type { RaftOptions } from "./options.js";
import type { PendingEntry, Raft } from "./raft.js";

/**
 * Through where the log may be cut when the state through `position` is durable. Peers that lag a little are served from
 * what is kept; while one is being sent a snapshot that ends at `snapshotFloor`, what follows that is kept for it, within
 * bounds, or it would need the next snapshot at once.
 */
export function compactionPoint(
  log: EntryLog,
  position: number,
  snapshotFloor: number | null,
  options: Pick<RaftOptions, "retainedBytes" | "retainedBytesWhileSending">,
): number {
  if (snapshotFloor !== null && snapshotFloor < position && log.byteLength < options.retainedBytesWhileSending) {
    return Math.max(snapshotFloor, log.baseIndex);
  }
  let cut = position;
  let bytes = 0;
  while (cut > log.baseIndex) {
    bytes += log.at(cut).payload.length + ENTRY_OVERHEAD_BYTES;
    if (bytes > options.retainedBytes) break;
    cut -= 1;
  }
  return cut;
}

const SHORT_OF_ROOM_DIVISOR = 16;

/**
 * Writes all entries that are kept to the end of the host's log: without a majority they can be neither applied nor cut, and
 * where they stand they would hold all that other groups have written since. All are durable already, and the host makes the
 * copies so at once, for the first of them voids the old ones. With too many entries nothing is done: on a disk that is short
 * of room few are, for what does not fit would stand in the way of votes. Answers what is on its way to the disk.
 */
export function logAgain({ log, options, outbox, refusal, diskFull }: Raft): PendingEntry[] {
  const pending: PendingEntry[] = [];
  const bytes = log.byteLength + (log.lastIndex - log.baseIndex) * ENTRY_OVERHEAD_BYTES;
  const bytesMax = refusal === "" ? options.maxBytesLoggedAgain : options.maxBytesLoggedAgain / SHORT_OF_ROOM_DIVISOR;
  if (diskFull || bytes > bytesMax) return pending;
  for (let index = log.firstIndex; index <= log.lastIndex; index += 1) {
    const { term, payload } = log.at(index);
    pending.push({ seq: outbox.append(RecordKind.entry, term, index, payload), index });
  }
  return pending;
}

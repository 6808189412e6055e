import { ENTRY_OVERHEAD_BYTES, type EntryLog } from "./entry-log.js";
import type { RaftOptions } from "./options.js";

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

import { type LogRecord, MemoryLost, RecordKind, type StartState } from "../../core/machine.js";
import { Entry, type EntryLog } from "./entry-log.js";
import { HardState } from "./hard-state.js";

/**
 * Rebuilds log and hard state from what the host has recovered: records in the order in which they were written.
 * Answers the hard state, null for a replica that never had one. Throws {@link MemoryLost}.
 */
export function restore(log: EntryLog, from: StartState, tail: readonly LogRecord[]): HardState | null {
  log.reset(from.position, from.epoch);
  let hard: HardState | null = null;
  for (const record of tail) {
    if (record.kind === RecordKind.hardState) hard = HardState.decode(record.payload);
    else if (record.kind === RecordKind.entry) restoreEntry(log, record);
    else if (record.position >= log.baseIndex) log.reset(record.position, record.epoch);
    else log.truncateFrom(log.firstIndex);
  }
  if (hard !== null && from.position < hard.compactedIndex) {
    throw new MemoryLost(`the state ends at ${from.position}, the log begins after ${hard.compactedIndex}`);
  }
  return hard;
}

function restoreEntry(log: EntryLog, record: LogRecord): void {
  const { position, epoch } = record;
  if (position <= log.baseIndex) {
    // In the checkpoint. But what the log held above it before this record was written is void.
    log.truncateFrom(log.firstIndex);
    return;
  }
  // The checkpoint became durable before the records of the entries that it has applied: these are the ones they replaced.
  if (epoch < log.baseTerm) return;
  if (position <= log.lastIndex) log.truncateFrom(position);
  if (position !== log.lastIndex + 1) {
    throw new MemoryLost(`the log goes from entry ${log.lastIndex} to ${position}: what is between is lost`);
  }
  log.append(new Entry(epoch, position, record.payload));
}

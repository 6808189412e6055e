import { latin1Decode } from "../core/bytes.js";
import { END_OF_VERSION } from "../kv/change-history.js";
import { NO_DEADLINE, Op } from "../kv/command.js";
import { recordDeadlineMs, recordValue } from "../kv/record.js";

/** One change of one key, as the entries made it. */
export interface StoryChange {
  readonly position: number;
  readonly key: string;
  readonly version: number;
  /** From 1 within its version. */
  readonly ordinal: number;
  readonly cause: Op;
  /** null: the key has none any more. */
  readonly value: string | null;
  /** Of what was put; {@link NO_DEADLINE} for none. */
  readonly deadlineMs: number;
}

/** Every change of a keyspace in the order of its entries: what its watchers must be told, whichever replica they ask. */
export class Story {
  readonly changes: StoryChange[] = [];

  add(position: number, key: string, version: number, record: Uint8Array | null, cause: Op): void {
    const last = this.changes.at(-1);
    const ordinal = last?.version === version ? last.ordinal + 1 : 1;
    const value = record === null ? null : latin1Decode(recordValue(record));
    const deadlineMs = record === null ? NO_DEADLINE : recordDeadlineMs(record);
    this.changes.push({ position, key, version, ordinal, cause, value, deadlineMs });
  }

  /** Whether a change at this place or behind it is one of the key. */
  changesAgain(key: string, from: number): boolean {
    return this.changes.some((change, at) => at >= from && change.key === key);
  }

  /** Where the changes behind this place begin. */
  after(version: number, ordinal: number): number {
    let low = 0;
    let high = this.changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const change = this.changes[middle];
      if (change.version > version || (change.version === version && change.ordinal > ordinal)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Version of the newest change that a replica at this position has applied; 0: it has none. */
  versionAt(position: number): number {
    return this.changes.findLast((change) => change.position <= position)?.version ?? 0;
  }

  /** What there is at the end of this version, of the keys that are wanted. */
  stateAt(version: number, wants: (key: string) => boolean): Map<string, StoryChange> {
    const state = new Map<string, StoryChange>();
    for (const change of this.changes.slice(0, this.after(version, END_OF_VERSION))) {
      if (!wants(change.key)) continue;
      if (change.value === null) state.delete(change.key);
      else state.set(change.key, change);
    }
    return state;
  }
}

export function describeChange({
  key,
  version,
  ordinal,
  cause,
  value,
}: Omit<StoryChange, "position" | "deadlineMs">): string {
  const what = value !== null ? `put of ${value}` : cause === Op.advance ? "expiry" : "delete";
  return `${what} to ${key} at version ${version}.${ordinal === END_OF_VERSION ? "end" : ordinal}`;
}

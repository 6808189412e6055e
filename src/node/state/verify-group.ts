import type { GroupId } from "../../core/machine.js";
import type { GroupStore } from "../ports.js";
import { CheckpointMeta } from "./checkpoint-meta.js";
import { EntrySeal } from "./entry-seal.js";
import { EntrySum } from "./entry-sum.js";
import { escapeKey, StateDamaged } from "./state-damaged.js";

export interface StateVerdict {
  readonly group: GroupId;
  /** What is wrong, in one sentence; null: everything is as it was written. */
  readonly damage: string | null;
  /** Entries looked at. */
  readonly entryCount: number;
  /** Of the checkpoint looked at; 0 when there is none. */
  readonly position: number;
}

/**
 * Reads every entry of the newest checkpoint, checks its checksum, looks it up by its key as well (a damaged inner page
 * can hide an entry from one way and not from the other), and compares count and sum with what the checkpoint says.
 * Yields the number of entries seen after each `entriesPerStep`, so that a scrub can go as slowly as it likes.
 *
 * Throws {@link StateFormatUnknown} for a format of another build: that is no damage.
 */
export function* verifyGroup(
  group: GroupId,
  store: GroupStore,
  entriesPerStep: number,
): Generator<number, StateVerdict> {
  if (store.meta() === null) return verifyEmpty(group, store);
  const reader = store.openReader();
  const seal = new EntrySeal(group);
  const seen = new EntrySum();
  let position = 0;
  try {
    const meta = CheckpointMeta.decode(group, reader.meta);
    position = meta.position;
    let previous = "";
    let left = entriesPerStep;
    let more = true;
    while (more) {
      left = entriesPerStep;
      more = reader.next((key, sealed) => {
        if (key <= previous) throw new StateDamaged(group, key, `it comes after "${escapeKey(previous)}"`);
        seal.check(key, sealed);
        const found = reader.get(key);
        if (found === undefined) throw new StateDamaged(group, key, "a scan finds it, a look-up does not");
        seal.check(key, found);
        seen.add(sealed);
        previous = key;
        left -= 1;
        return left > 0;
      });
      if (more) yield seen.count;
    }
    if (!seen.equals(meta.sum)) {
      const what = seen.count === meta.sum.count ? "the entries are not those" : `${seen.count} entries are there`;
      throw new StateDamaged(group, null, `${what} of its checkpoint, which has ${meta.sum.count}`);
    }
    return { group, damage: null, entryCount: seen.count, position };
  } catch (error) {
    if (!(error instanceof StateDamaged)) throw error;
    return { group, damage: error.message, entryCount: seen.count, position };
  } finally {
    reader.close();
  }
}

/** Before the first checkpoint a store has no entries. */
function verifyEmpty(group: GroupId, store: GroupStore): StateVerdict {
  let damage: string | null = null;
  store.range("\x00", "\xff".repeat(8), (key) => {
    damage = new StateDamaged(group, key, "there are entries, but no checkpoint that they belong to").message;
    return false;
  });
  return { group, damage, entryCount: 0, position: 0 };
}

import { latin1Decode } from "../../core/bytes.js";
import { type Change, SEAL_BYTES } from "./change-blocks.js";
import { CheckpointMeta } from "./checkpoint-meta.js";
import { crcOf, EntrySeal } from "./entry-seal.js";
import type { EntrySum } from "./entry-sum.js";
import { StateDamaged } from "./state-damaged.js";

/** What a checkpoint will say of itself, all but the sum of its entries. */
export interface CheckpointDraft {
  readonly group: number;
  readonly position: number;
  readonly epoch: number;
  /** Of the checkpoint before. */
  readonly sum: EntrySum;
  readonly extra: Uint8Array;
}

/**
 * Seals changes in place, and carries the sum of the checkpoint before on to the one that they make: `lookUp` answers what
 * the store holds under a key until then, as it is stored. Stores call it when a checkpoint's turn has come; it takes a
 * look-up and a checksum for each change. Throws {@link StateDamaged}.
 */
export function sealChanges(
  forEachChange: (visit: (change: Change) => void) => void,
  draft: CheckpointDraft,
  lookUp: (key: Uint8Array) => Uint8Array | undefined,
): CheckpointMeta {
  const { group, position, epoch, extra } = draft;
  const sum = draft.sum.copy();
  const seal = new EntrySeal(group);
  forEachChange((change) => {
    const old = lookUp(change.key);
    if (old !== undefined) {
      if (old.length < SEAL_BYTES) {
        throw new StateDamaged(group, latin1Decode(change.key), "the stored value is cut short");
      }
      // Else the sum would be that of nothing that ever was here.
      if (crcOf(old) !== seal.checksum(change.keyHead, old.subarray(SEAL_BYTES))) {
        throw new StateDamaged(group, latin1Decode(change.key), "the checksum of the stored value is wrong");
      }
      sum.remove(old);
    }
    if (change.valueLength >= 0) sum.addEntry(seal.sealChange(change), change.sealed.length);
  });
  return new CheckpointMeta(group, position, epoch, sum, extra);
}

import { copyBytes } from "../../core/bytes.js";
import { Change, ChangeBlocks } from "../state/change-blocks.js";
import { EntrySeal } from "../state/entry-seal.js";

/** A value as a store of this group holds it under this key. */
export function sealedValue(group: number, key: string, value: Uint8Array): Uint8Array {
  const changes = new ChangeBlocks();
  changes.add(key, value);
  const change = new Change();
  change.open(changes.blocks[0]);
  change.advance();
  new EntrySeal(group).sealChange(change);
  return copyBytes(change.sealed);
}

/**
 * `node committing-child.js FOLDER KEYS`: makes checkpoints until it is killed. In that of position n, each of so many
 * keys k0, k1, … has the value n. Prints n once it was told that it is durable. Leaves half-filled replacements about.
 */
import "../fast-bytes.js";
import { latin1Encode } from "../../core/bytes.js";
import type { GroupStore } from "../../node/ports.js";
import { BufferedState } from "../../node/state/buffered-state.js";
import { LmdbStateStore } from "../state-store.js";

const KEYS = Number(process.argv[3]);

function fillHalf(store: GroupStore, position: number): void {
  const replacement = store.beginReplacement();
  const junk = new Map<string, Uint8Array>();
  for (let i = 0; i < 500; i += 1) junk.set(`junk${i}`, latin1Encode(String(position)));
  replacement.put(junk, () => {});
}

function checkpoint(state: BufferedState, store: GroupStore): void {
  const position = (state.lastCheckpoint?.position ?? 0) + 1;
  for (let i = 0; i < KEYS; i += 1) state.put(`k${i}`, latin1Encode(String(position)));
  state.beginCheckpoint(position, 1, new Uint8Array(0), (error) => {
    if (error !== null) throw error;
    process.stdout.write(`${position}\n`);
    checkpoint(state, store);
  });
  if (position % 10 === 3) fillHalf(store, position);
}

LmdbStateStore.open(process.argv[2]).open(1, (error, store) => {
  if (store === null) throw error;
  checkpoint(new BufferedState(1, store), store);
});

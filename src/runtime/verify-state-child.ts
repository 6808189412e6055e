/** `node verify-state-child.js FOLDER`: checks every state in the folder and prints a {@link ChildReport} as JSON. */
import "./fast-bytes.js";
import { StateDamaged } from "../node/state/state-damaged.js";
import { type StateVerdict, verifyGroup } from "../node/state/verify-group.js";
import { LmdbStateStore } from "./state-store.js";
import { StateFolderDamaged, tellsDamage } from "./state-store-environment.js";
import { StateHalfDone } from "./state-store-group.js";
import { verifyPages } from "./verify-pages.js";
import type { ChildReport } from "./verify-state.js";

const ENTRIES_PER_STEP = 10_000;
/** A checkpoint that goes in several transactions takes a second or two; with a full disk it waits. */
const WHOLE_WAIT_MS = 30_000;
const WHOLE_POLL_MS = 20;

function verifyFolder(folder: string): ChildReport {
  const verdicts: StateVerdict[] = [];
  try {
    const store = LmdbStateStore.openToRead(folder);
    for (const group of store.listGroups()) verdicts.push(verifyOne(folder, group, store));
    return { verdicts, damage: null, problem: null };
  } catch (error) {
    const { message } = error as Error;
    if (tellsDamage(error) || error instanceof StateFolderDamaged) return { verdicts, damage: message, problem: null };
    return { verdicts, damage: null, problem: message };
  }
}

function verifyOne(folder: string, group: number, store: LmdbStateStore): StateVerdict {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; ; waitedMs += WHOLE_POLL_MS) {
    try {
      return verifyPages(folder, store, group) ?? verifyThroughLmdb(group, store);
    } catch (error) {
      // The node is in the middle of a checkpoint.
      if (!(error instanceof StateHalfDone) || waitedMs > WHOLE_WAIT_MS) throw error;
      Atomics.wait(pause, 0, 0, WHOLE_POLL_MS);
      store.refresh();
    }
  }
}

function verifyThroughLmdb(group: number, store: LmdbStateStore): StateVerdict {
  try {
    const steps = verifyGroup(group, store.read(group), ENTRIES_PER_STEP);
    let step = steps.next();
    while (!step.done) step = steps.next();
    return step.value;
  } catch (error) {
    if (!(error instanceof StateDamaged) && !tellsDamage(error)) throw error;
    return { group, damage: (error as Error).message, entryCount: 0, position: 0 };
  }
}

process.stdout.write(`${JSON.stringify(verifyFolder(process.argv[2]))}\n`);

/** One group as the folder of a stopped node holds it: its checkpoint, and what its log says came after. Nothing is written. */
import type { GroupId, StartState } from "../../core/machine.js";
import type { Command } from "../../kv/command.js";
import { executeRead } from "../../kv/execute.js";
import type { Result } from "../../kv/result.js";
import { Store } from "../../kv/store.js";
import { Gossip } from "../../protocols/gossip/gossip.js";
import { EntryLog } from "../../protocols/raft/entry-log.js";
import { restore } from "../../protocols/raft/restore.js";
import type { Identity } from "../identity.js";
import type { RecoveredGroup } from "../log/outcome.js";
import { NODE_DEFAULTS } from "../options.js";
import type { GroupStore } from "../ports.js";
import { BufferedState } from "../state/buffered-state.js";

export interface OfflineGroup {
  /** Log position of the checkpoint; 0: there is none. */
  readonly checkpointPosition: number;
  /** Position of the last entry that was found, in the checkpoint or behind it. */
  readonly position: number;
  read(command: Command): Result;
}

/** Ours is a reader alone: nobody waits for results, nobody watches. */
const NOBODY = { wants: () => false, applied: () => {}, changed: () => {} };

/**
 * `recovered`: the group's part of the log; null: only the checkpoint is wanted. All entries of a log count, for whether
 * an entry was committed the folder of one node cannot tell: who was told of a write finds it, if this node had it.
 *
 * Throws StateDamaged, StateFormatUnknown or MemoryLost.
 */
export function readRaftGroup(group: GroupId, store: GroupStore, recovered: RecoveredGroup | null): OfflineGroup {
  const state = new BufferedState(group, store);
  const from = startOf(state, 0);
  const log = new EntryLog();
  restore(log, from, tailOf(recovered));
  const records = new Store(state);
  for (let index = log.firstIndex; index <= log.lastIndex; index += 1) {
    records.applyBatch(log.at(index).payload, NOBODY);
  }
  return {
    checkpointPosition: from.position,
    position: log.lastIndex,
    read: (command) => records.read(command),
  };
}

/** As {@link readRaftGroup}. Deadlines are compared with `wallMs`. */
export function readGossipGroup(
  group: GroupId,
  store: GroupStore,
  recovered: RecoveredGroup | null,
  { node, members, incarnation }: Identity,
  wallMs: number,
): OfflineGroup {
  const state = new BufferedState(group, store);
  const from = startOf(state, incarnation);
  const gossip = new Gossip({ ...NODE_DEFAULTS.gossip, node, members, seed: 1 }, state);
  gossip.now(0, wallMs);
  gossip.start(from, tailOf(recovered));
  gossip.replica.meta.timeMs = gossip.nowMs;
  return {
    checkpointPosition: from.position,
    position: gossip.outbox.appliedPosition,
    read: (command) => executeRead(gossip.replica.entries.records, command),
  };
}

function startOf(state: BufferedState, incarnation: number): StartState {
  const checkpoint = state.lastCheckpoint;
  return { position: checkpoint?.position ?? 0, epoch: checkpoint?.epoch ?? 0, incarnation, recovering: false };
}

function tailOf(recovered: RecoveredGroup | null): RecoveredGroup["records"] {
  if (recovered === null) return [];
  return recovered.hardState === null ? recovered.records : [...recovered.records, recovered.hardState];
}

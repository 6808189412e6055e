import type { Raft } from "./raft.js";

/** A turn's worth of what is committed: after a restart there may be seconds of it, and others wait for a sign of life. */
export function applyCommitted(raft: Raft): void {
  const { outbox, options } = raft;
  let bytes = 0;
  while (raft.appliedIndex < raft.commitIndex && bytes < options.maxApplyBytes) {
    const entry = raft.log.at(raft.appliedIndex + 1);
    bytes += entry.payload.length;
    raft.appliedIndex = entry.index;
    options.onApply?.(entry.index, entry.term, entry.payload);
    raft.store.applyBatch(entry.payload, raft.gateway.observer);
    if (raft.leader !== null) {
      raft.uncommittedBytes -= entry.payload.length;
      raft.leader.entryApplied(entry.payload);
    }
    outbox.appliedPosition = entry.index;
    outbox.appliedEpoch = entry.term;
  }
  outbox.hasMore = raft.appliedIndex < raft.commitIndex;
}

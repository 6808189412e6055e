import type { MachineDescription, ReplicaProgress } from "../../core/machine.js";
import type { Raft } from "./raft.js";

/** What each replica holds durably, as far as this one knows: a leader of all, the others of themselves. */
export function replicaProgress(raft: Raft): ReplicaProgress[] {
  const replicas = [{ node: raft.node, durablePosition: raft.durableIndex, recovering: raft.recovering }];
  if (raft.leader === null) return replicas;
  for (const peer of raft.leader.progress.values()) {
    replicas.push({ node: peer.node, durablePosition: peer.match, recovering: peer.recovering });
  }
  return replicas;
}

export function describe(raft: Raft): MachineDescription {
  return {
    role: raft.recovering ? "recovering" : raft.role,
    leader: raft.leaderId,
    epoch: raft.term,
    lastPosition: raft.log.lastIndex,
    commitPosition: raft.commitIndex,
    appliedPosition: raft.appliedIndex,
    recovering: raft.recovering,
  };
}

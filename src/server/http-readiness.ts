import type { BackendStatus } from "../kv/backend.js";
import { hasLeader } from "../kv/grants.js";

/** Why this node should be sent no requests now; empty when it can serve all of its keyspaces. */
export function unreadiness(status: BackendStatus, isDraining: boolean): string[] {
  const reasons: string[] = [];
  if (isDraining) reasons.push("this node is stopping");
  if (status.keyspaces.length === 0) reasons.push("this node knows no keyspace yet: it has not joined its cluster");
  for (const { name, protocol, leader, recovering, role } of status.keyspaces) {
    if (recovering) reasons.push(`${name}: this replica rebuilds what it has lost`);
    else if (role === "opening") reasons.push(`${name}: this replica is being opened`);
    else if (leader === 0 && hasLeader(protocol)) reasons.push(`${name}: no leader is known`);
  }
  return reasons;
}

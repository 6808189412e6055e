import { CATALOG_GROUP, type Catalog, type KeyspaceEntry } from "../cluster/catalog.js";
import { CodecError } from "../core/bytes.js";
import type { BackendStatus, KeyspaceStatus } from "../kv/backend.js";
import { LEVEL_NAMES } from "../kv/level.js";
import { Meta } from "../kv/meta.js";
import type { Group } from "./group.js";
import type { HostedGroups } from "./hosted-groups.js";
import type { NodeOptions } from "./options.js";
import type { Peers } from "./peers.js";
import { StateDamaged } from "./state/state-damaged.js";

/** What a node tells of itself. */
export function nodeStatus(options: NodeOptions, catalog: Catalog, peers: Peers, groups: HostedGroups): BackendStatus {
  return {
    node: options.node,
    clusterId: catalog.cluster?.id ?? "",
    version: options.buildVersion,
    members: options.members.map((member) => ({
      node: member.node,
      peerAddress: member.peerAddress,
      clientAddress: member.clientAddress,
      connected: member.node === options.node || peers.isConnected(member.node),
    })),
    keyspaces: [...catalog.keyspaces.values()].map((keyspace) => keyspaceStatus(keyspace, groups)),
  };
}

function keyspaceStatus(keyspace: KeyspaceEntry, groups: HostedGroups): KeyspaceStatus {
  const group = groups.get(keyspace.group);
  const described = group?.machine.describe();
  const catalog = groups.get(CATALOG_GROUP)?.machine.describe();
  return {
    name: keyspace.name,
    protocol: keyspace.protocol,
    defaultLevel: LEVEL_NAMES[keyspace.defaultLevel],
    group: keyspace.group,
    role: described?.role ?? "opening",
    leader: described?.leader ?? 0,
    epoch: described?.epoch ?? 0,
    lastPosition: described?.lastPosition ?? 0,
    commitPosition: described?.commitPosition ?? 0,
    appliedPosition: described?.appliedPosition ?? 0,
    checkpointPosition: group?.checkpointPosition ?? 0,
    keys: group === undefined ? null : keysOf(group),
    // Also while its replica of the catalog recovers: no other node may lose its memory until that counts again.
    recovering: (described?.recovering ?? false) || (catalog?.recovering ?? true),
    counters: described?.counters ?? {},
    replicas: [...keyspace.voters, ...keyspace.learners],
    progress: (group?.machine.progress() ?? []).map(({ node, durablePosition }) => ({ node, durablePosition })),
  };
}

/** One look-up. Damage is for those to judge who work with the state; here it means that nothing can be told. */
function keysOf(group: Group): number | null {
  try {
    return new Meta(group.state).recordCount;
  } catch (error) {
    if (!(error instanceof StateDamaged || error instanceof CodecError)) throw error;
    return null;
  }
}

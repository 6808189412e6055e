/** What all nodes of a cluster say about it, put together. */
import type { BackendStatus, KeyspaceStatus, MemberStatus } from "../kv/backend.js";
import { type Address, showAddress, splitAddress } from "./address.js";
import { Client } from "./client.js";
import { textOf } from "./reply-reader.js";

/** One address asked: its node's own view, or why there is none. */
export interface Asked {
  readonly address: string;
  readonly status: BackendStatus | null;
  readonly problem: string;
}

/** Asks these, and all that they name as members. */
export async function askEverybody(addresses: readonly Address[], timeoutMs: number): Promise<Asked[]> {
  const asked = new Map<string, Asked>();
  let next = addresses.map(showAddress);
  while (next.length > 0) {
    for (const answer of await Promise.all(next.map((address) => ask(address, timeoutMs)))) {
      asked.set(answer.address, answer);
    }
    const members = [...asked.values()].flatMap(({ status }) => status?.members ?? []);
    next = [...new Set(members.map((member) => member.clientAddress))].filter((address) => !asked.has(address));
  }
  return [...asked.values()];
}

async function ask(address: string, timeoutMs: number): Promise<Asked> {
  let client: Client | null = null;
  try {
    client = await Client.connectTo(splitAddress(address)!, timeoutMs);
    const status = JSON.parse(textOf(await client.demand(["GAMUT", "STATUS"]))) as BackendStatus;
    return { address, status, problem: "" };
  } catch (error) {
    return { address, status: null, problem: (error as Error).message };
  } finally {
    client?.close();
  }
}

export interface NodeView {
  readonly node: number;
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** "" when it answers. */
  readonly problem: string;
  readonly version: string;
  /** Members that it has no connection with. */
  readonly cutOffFrom: readonly number[];
}

export interface ReplicaView {
  readonly node: number;
  /** "silent": its node does not answer; "absent": it does, and knows nothing of the keyspace. */
  readonly role: string;
  readonly appliedPosition: number | null;
}

export interface KeyspaceView {
  readonly name: string;
  readonly protocol: string;
  readonly level: string;
  /** 0: nobody that answers leads. */
  readonly leader: number;
  readonly epoch: number;
  readonly commitPosition: number;
  readonly replicas: readonly ReplicaView[];
}

export interface ClusterView {
  readonly clusterId: string;
  readonly nodes: readonly NodeView[];
  readonly keyspaces: readonly KeyspaceView[];
}

/** One view for each cluster that has answered: the addresses may belong to several. */
export function clusterViews(asked: readonly Asked[]): ClusterView[] {
  const clusters = new Map<string, BackendStatus[]>();
  for (const { status } of asked) {
    if (status === null) continue;
    const known = clusters.get(status.clusterId);
    if (known === undefined) clusters.set(status.clusterId, [status]);
    else known.push(status);
  }
  const problems = new Map(asked.map(({ address, problem }) => [address, problem]));
  return [...clusters].map(([clusterId, statuses]) => ({
    clusterId,
    nodes: nodeViews(statuses, problems),
    keyspaces: keyspaceViews(statuses),
  }));
}

function nodeViews(statuses: readonly BackendStatus[], problems: ReadonlyMap<string, string>): NodeView[] {
  const members = new Map<number, MemberStatus>();
  for (const status of statuses) for (const member of status.members) members.set(member.node, member);
  const views = [...members.values()].map(({ node, clientAddress, peerAddress }) => {
    const own = statuses.find((status) => status.node === node);
    const cutOff = own?.members.filter((member) => !member.connected) ?? [];
    const problem = own === undefined ? (problems.get(clientAddress) ?? "") || "another node answers there" : "";
    const cutOffFrom = cutOff.map((member) => member.node);
    return { node, clientAddress, peerAddress, problem, version: own?.version ?? "", cutOffFrom };
  });
  return views.sort((a, b) => a.node - b.node);
}

function keyspaceViews(statuses: readonly BackendStatus[]): KeyspaceView[] {
  const byName = new Map<string, { node: number; keyspace: KeyspaceStatus }[]>();
  for (const { node, keyspaces } of statuses) {
    for (const keyspace of keyspaces) {
      const told = byName.get(keyspace.name);
      if (told === undefined) byName.set(keyspace.name, [{ node, keyspace }]);
      else told.push({ node, keyspace });
    }
  }
  const views = [...byName.values()].map((told) => {
    const { name, protocol, defaultLevel, replicas } = newest(told);
    const leader = newest(told.filter(({ keyspace }) => keyspace.role === "leader"));
    const answering = new Set(statuses.map((status) => status.node));
    return {
      name,
      protocol,
      level: defaultLevel,
      leader: leader?.leader ?? 0,
      epoch: Math.max(...told.map(({ keyspace }) => keyspace.epoch)),
      commitPosition: Math.max(...told.map(({ keyspace }) => keyspace.commitPosition)),
      replicas: replicas.map((node) => replicaView(node, told, answering)),
    };
  });
  return views.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A deposed leader may not know it yet: the highest epoch is right. */
function newest(told: readonly { keyspace: KeyspaceStatus }[]): KeyspaceStatus {
  return told.map(({ keyspace }) => keyspace).sort((a, b) => b.epoch - a.epoch)[0];
}

function replicaView(
  node: number,
  told: readonly { node: number; keyspace: KeyspaceStatus }[],
  answering: ReadonlySet<number>,
): ReplicaView {
  const own = told.find((each) => each.node === node)?.keyspace;
  if (own !== undefined) return { node, role: own.role, appliedPosition: own.appliedPosition };
  return { node, role: answering.has(node) ? "absent" : "silent", appliedPosition: null };
}

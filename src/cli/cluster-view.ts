/** What all nodes of a cluster say about it, put together. */
import type { BackendStatus, KeyspaceStatus, MemberStatus } from "../kv/backend.js";
import { type Address, showAddress, splitAddress } from "./address.js";
import { Client } from "./client.js";
import { textOf } from "./reply-reader.js";

const KEYSPACES_NAMED_MAX = 3;

/** One address asked: its node's own view, or why there is none. */
export interface Asked {
  readonly address: string;
  readonly status: BackendStatus | null;
  /** 0: it does not tell. */
  readonly processId: number;
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
    const info = textOf(await client.demand(["INFO", "server"]));
    const processId = Number(/^process_id:(\d+)/m.exec(info)?.[1] ?? 0);
    return { address, status, processId, problem: "" };
  } catch (error) {
    return { address, status: null, processId: 0, problem: (error as Error).message };
  } finally {
    client?.close();
  }
}

export interface NodeView {
  readonly node: number;
  /** "leader" (of all keyspaces, or of which), "follower", "recovering"; "" when it does not answer. */
  readonly role: string;
  /** 0: not known. */
  readonly processId: number;
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** "" when it answers. */
  readonly problem: string;
  /** It has the cluster's data, or did not answer. False: it waits until it is rebuilt from the others. */
  readonly hasData: boolean;
  readonly version: string;
  /** Members that it has no connection with. */
  readonly cutOffFrom: readonly number[];
}

export interface ReplicaView {
  readonly node: number;
  /** "silent": its node does not answer; "absent": it does, and knows nothing of the keyspace. */
  readonly role: string;
  readonly appliedPosition: number | null;
  /** What the protocol alone counts there, by name. */
  readonly counters: Readonly<Record<string, number>>;
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
  const statuses = asked.flatMap(({ status }) => (status === null ? [] : [status]));
  const idOfMembers = new Map(
    statuses.flatMap((status) => (status.clusterId === "" ? [] : [[membersOf(status), status.clusterId]])),
  );
  for (const status of statuses) {
    // A node without data does not know its cluster's name, but its configuration names the same members.
    const id = status.clusterId || (idOfMembers.get(membersOf(status)) ?? "");
    const known = clusters.get(id);
    if (known === undefined) clusters.set(id, [status]);
    else known.push(status);
  }
  const byAddress = new Map(asked.map((each) => [each.address, each]));
  return [...clusters].map(([clusterId, told]) => ({
    clusterId,
    nodes: nodeViews(clusterId, told, byAddress),
    keyspaces: keyspaceViews(told),
  }));
}

function membersOf({ members }: BackendStatus): string {
  const lines = members.map(({ node, clientAddress }) => `${node}=${clientAddress}`);
  return lines.sort().join(" ");
}

function nodeViews(
  clusterId: string,
  statuses: readonly BackendStatus[],
  asked: ReadonlyMap<string, Asked>,
): NodeView[] {
  const members = new Map<number, MemberStatus>();
  for (const status of statuses) for (const member of status.members) members.set(member.node, member);
  const views = [...members.values()].map(({ node, clientAddress, peerAddress }) => {
    const own = statuses.find((status) => status.node === node);
    const there = asked.get(clientAddress);
    const cutOff = own?.members.filter((member) => !member.connected) ?? [];
    return {
      node,
      role: own === undefined ? "" : roleOf(own),
      processId: own === undefined ? 0 : (there?.processId ?? 0),
      clientAddress,
      peerAddress,
      problem: own === undefined ? there?.problem || "another node answers there" : "",
      hasData: clusterId === "" || own === undefined || hasData(own),
      version: own?.version ?? "",
      cutOffFrom: cutOff.map((member) => member.node),
    };
  });
  return views.sort((a, b) => a.node - b.node);
}

function hasData({ clusterId, keyspaces }: BackendStatus): boolean {
  return clusterId !== "" && !keyspaces.some(({ recovering }) => recovering);
}

/** Each keyspace has a leader of its own, or needs none; as a rule one node leads them all. */
function roleOf(status: BackendStatus): string {
  const keyspaces = status.keyspaces.filter(({ protocol }) => protocol !== "gossip");
  if (!hasData(status)) return status.clusterId === "" ? "" : "recovering";
  const led = keyspaces.filter(({ role }) => role === "leader").map(({ name }) => name);
  if (led.length === 0) return "follower";
  if (led.length === keyspaces.length) return "leader";
  return led.length <= KEYSPACES_NAMED_MAX
    ? `leader of ${led.join(", ")}`
    : `leader of ${led.length} of ${keyspaces.length} keyspaces`;
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
  if (own !== undefined)
    return { node, role: own.role, appliedPosition: own.appliedPosition, counters: own.counters ?? {} };
  return { node, role: answering.has(node) ? "absent" : "silent", appliedPosition: null, counters: {} };
}

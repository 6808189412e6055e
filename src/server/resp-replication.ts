/** ROLE and INFO replication: leader and replicas of the connection's keyspace in Redis' words, master and slaves. */
import type { Arguments, RespWriter } from "../codec/resp/index.js";
import type { BackendStatus, KeyspaceStatus, MemberStatus } from "../kv/backend.js";
import { hasLeader } from "../kv/grants.js";
import type { RespConnection } from "./resp-connection.js";

interface Place {
  readonly host: string;
  readonly port: string;
}

/** Another replica, seen from the leader. */
interface Slave extends Place {
  /** Up to here it holds the log durably, as far as the leader knows. */
  readonly position: number;
}

export function keyspaceOf(connection: RespConnection, status: BackendStatus): KeyspaceStatus | undefined {
  return status.keyspaces.find(({ name }) => name === connection.session.keyspace);
}

/** A master: its position and its slaves. A slave: its master, the state of the link, its own position. */
export function answerRole(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  const status = connection.service.backend.status();
  const keyspace = keyspaceOf(connection, status);
  if (keyspace !== undefined && (!hasLeader(keyspace.protocol) || keyspace.leader === status.node)) {
    const slaves = slavesOf(keyspace, status);
    writer.array(3);
    writer.bulkText("master");
    writer.integer(keyspace.appliedPosition);
    writer.array(slaves.length);
    for (const { host, port, position } of slaves) {
      writer.array(3);
      for (const text of [host, port, String(position)]) writer.bulkText(text);
    }
    return;
  }
  const leader = leaderOf(keyspace, status);
  const { host, port } = placeOf(leader);
  writer.array(5);
  writer.bulkText("slave");
  writer.bulkText(host);
  writer.integer(Number(port));
  writer.bulkText(leader?.connected ? "connected" : "connect");
  writer.integer(keyspace?.appliedPosition ?? -1);
}

export function replicationLines(connection: RespConnection, status: BackendStatus): string[] {
  const keyspace = keyspaceOf(connection, status);
  if (keyspace === undefined) return ["role:slave", "master_link_status:down"];
  if (!hasLeader(keyspace.protocol)) return orderlessLines(keyspace);
  const leader = leaderOf(keyspace, status);
  const own = keyspace.leader === status.node ? masterLines(slavesOf(keyspace, status)) : slaveLines(keyspace, leader);
  return [
    ...own,
    `gamut_leader:${keyspace.leader}`,
    `gamut_leader_address:${leader?.clientAddress ?? ""}`,
    `master_repl_offset:${keyspace.appliedPosition}`,
  ];
}

function masterLines(slaves: readonly Slave[]): string[] {
  const lines = slaves.map(
    ({ host, port, position }, index) => `slave${index}:ip=${host},port=${port},state=online,offset=${position}`,
  );
  return ["role:master", `connected_slaves:${slaves.length}`, ...lines];
}

/** Every node takes every command: none is read-only. */
function slaveLines(keyspace: KeyspaceStatus, leader: MemberStatus | undefined): string[] {
  const { host, port } = placeOf(leader);
  return [
    "role:slave",
    `master_host:${host}`,
    `master_port:${leader === undefined ? "" : port}`,
    `master_link_status:${leader?.connected ? "up" : "down"}`,
    `slave_repl_offset:${keyspace.appliedPosition}`,
    "slave_read_only:0",
    "connected_slaves:0",
  ];
}

/**
 * Without an order of writes every replica is a master and none is a slave. Each counts the writes of its own log, so no
 * two offsets can be compared: what tells of a lag is how many writes this replica knows of and lacks.
 */
function orderlessLines({ counters = {}, appliedPosition }: KeyspaceStatus): string[] {
  return [
    ...masterLines([]),
    `gamut_missing_writes:${counters.missing ?? 0}`,
    `gamut_peers_heard:${counters.reachable ?? 0}`,
    `gamut_peers:${counters.peers ?? 0}`,
    `master_repl_offset:${appliedPosition}`,
  ];
}

function leaderOf(keyspace: KeyspaceStatus | undefined, status: BackendStatus): MemberStatus | undefined {
  return status.members.find(({ node }) => node === keyspace?.leader);
}

/** The other replicas that the leader is connected with. */
function slavesOf(keyspace: KeyspaceStatus, status: BackendStatus): Slave[] {
  if (!hasLeader(keyspace.protocol)) return [];
  return status.members
    .filter(({ node, connected }) => connected && node !== status.node && keyspace.replicas.includes(node))
    .map((member) => ({
      ...placeOf(member),
      position: keyspace.progress.find(({ node }) => node === member.node)?.durablePosition ?? 0,
    }));
}

/** Where clients reach a member; host "" and port 0 for nobody. Clients want an IPv6 address without its brackets. */
function placeOf(member: MemberStatus | undefined): Place {
  if (member === undefined) return { host: "", port: "0" };
  const { clientAddress } = member;
  const colon = clientAddress.lastIndexOf(":");
  return {
    host: clientAddress.slice(0, Math.max(0, colon)).replace(/^\[(.*)\]$/, "$1"),
    port: clientAddress.slice(colon + 1),
  };
}

/** INFO [section …]: the node's state as Redis' lines of `name:value`. */
import { arch, platform, release } from "node:os";
import type { Arguments, RespWriter } from "../codec/resp/index.js";
import type { BackendStatus, KeyspaceStatus } from "../kv/backend.js";
import type { RespConnection } from "./resp-connection.js";

/** The version of Redis whose answers this wire is held against. */
const REDIS_VERSION = "7.0.15";

type Section = (connection: RespConnection, status: BackendStatus) => string[];

const SECTIONS: Readonly<Record<string, Section>> = {
  server: serverLines,
  clients: clientsLines,
  replication: replicationLines,
  keyspace: keyspaceLines,
};
const ALL = ["all", "default", "everything"];

export function answerInfo(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const asked: string[] = [];
  for (let i = 1; i < request.count; i += 1) asked.push(request.text(i).toLowerCase());
  const isAll = asked.length === 0 || asked.some((name) => ALL.includes(name));
  const status = connection.service.backend.status();
  const parts: string[] = [];
  for (const [name, section] of Object.entries(SECTIONS)) {
    if (!isAll && !asked.includes(name)) continue;
    const title = `# ${name[0].toUpperCase()}${name.slice(1)}`;
    parts.push([title, ...section(connection, status), ""].join("\r\n"));
  }
  writer.verbatim(parts.join("\r\n"));
}

function serverLines(connection: RespConnection, status: BackendStatus): string[] {
  const { facts, startedMs } = connection.service;
  const uptimeSeconds = Math.max(0, Math.floor((connection.wallMs() - startedMs) / 1000));
  return [
    `redis_version:${REDIS_VERSION}`,
    "redis_mode:standalone",
    `gamut_version:${status.version}`,
    `gamut_node:${status.node}`,
    `gamut_cluster_id:${status.clusterId}`,
    `os:${platform()} ${release()} ${arch()}`,
    `process_id:${process.pid}`,
    `tcp_port:${facts.port}`,
    `uptime_in_seconds:${uptimeSeconds}`,
    `uptime_in_days:${Math.floor(uptimeSeconds / 86_400)}`,
    "loading:0",
  ];
}

function clientsLines(connection: RespConnection): string[] {
  const { connections, limits } = connection.service;
  return [`connected_clients:${connections.size}`, `maxclients:${limits.connectionsMax}`];
}

/** As seen from the connection's keyspace. */
function replicationLines(connection: RespConnection, status: BackendStatus): string[] {
  const keyspace = status.keyspaces.find(({ name }) => name === connection.session.keyspace);
  if (keyspace === undefined) return ["role:slave", "master_link_status:down"];
  const leader = status.members.find(({ node }) => node === keyspace.leader);
  const address = leader === undefined ? "" : leader.clientAddress;
  const lines = [`gamut_leader:${keyspace.leader}`, `gamut_leader_address:${address}`];
  if (keyspace.leader === status.node) {
    const others = status.members.filter(({ node }) => node !== status.node && keyspace.replicas.includes(node));
    lines.unshift("role:master", `connected_slaves:${others.filter(({ connected }) => connected).length}`);
  } else {
    const colon = address.lastIndexOf(":");
    lines.unshift(
      "role:slave",
      `master_host:${address.slice(0, Math.max(0, colon))}`,
      `master_port:${address.slice(colon + 1)}`,
      `master_link_status:${leader?.connected ? "up" : "down"}`,
    );
  }
  lines.push(`master_repl_offset:${keyspace.appliedPosition}`);
  return lines;
}

function keyspaceLines(_connection: RespConnection, status: BackendStatus): string[] {
  return status.keyspaces.map(keyspaceLine);
}

function keyspaceLine(keyspace: KeyspaceStatus, index: number): string {
  const fields = [
    `name=${keyspace.name}`,
    `protocol=${keyspace.protocol}`,
    `level=${keyspace.defaultLevel}`,
    `role=${keyspace.role}`,
    `leader=${keyspace.leader}`,
    `epoch=${keyspace.epoch}`,
    `last=${keyspace.lastPosition}`,
    `committed=${keyspace.commitPosition}`,
    `applied=${keyspace.appliedPosition}`,
    `recovering=${keyspace.recovering ? 1 : 0}`,
  ];
  return `gamut_keyspace_${index}:${fields.join(",")}`;
}

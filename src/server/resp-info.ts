/** INFO [section …]: the node's state as Redis' lines of `name:value`. A value that is not known has no line. */
import { arch, platform, release } from "node:os";
import type { Arguments, RespWriter } from "../codec/resp/index.js";
import type { BackendStatus, KeyspaceStatus } from "../kv/backend.js";
import type { RespConnection } from "./resp-connection.js";
import { keyspaceOf, replicationLines } from "./resp-replication.js";

/** The version of Redis whose answers this wire is held against. */
const REDIS_VERSION = "7.0.15";

type Section = (connection: RespConnection, status: BackendStatus) => string[];

const SECTIONS: Readonly<Record<string, Section>> = {
  server: serverLines,
  clients: clientsLines,
  memory: memoryLines,
  persistence: persistenceLines,
  stats: statsLines,
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
  ];
}

function clientsLines(connection: RespConnection): string[] {
  const { connections, limits } = connection.service;
  let blocked = 0;
  for (const other of connections.values()) if (other.isBlocked) blocked += 1;
  return [`connected_clients:${connections.size}`, `maxclients:${limits.connectionsMax}`, `blocked_clients:${blocked}`];
}

/** All of the process: the store is not told apart from what is around it. */
function memoryLines(): string[] {
  const residentBytes = process.memoryUsage.rss();
  const peakBytes = Math.max(residentBytes, process.resourceUsage().maxRSS * 1024);
  return [
    `used_memory:${residentBytes}`,
    `used_memory_human:${humanBytes(residentBytes)}`,
    `used_memory_rss:${residentBytes}`,
    `used_memory_rss_human:${humanBytes(residentBytes)}`,
    `used_memory_peak:${peakBytes}`,
    `used_memory_peak_human:${humanBytes(peakBytes)}`,
    "maxmemory:0",
    "maxmemory_human:0B",
    "maxmemory_policy:noeviction",
  ];
}

/** As Redis writes sizes: binary units, two decimals. */
export function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`;
  let value = bytes / 1024;
  for (const unit of ["K", "M", "G"]) {
    if (value < 1024) return `${value.toFixed(2)}${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(2)}T`;
}

/** The log is what Redis calls its append-only file; it is never rewritten, and there are no snapshots on a timer. */
function persistenceLines(connection: RespConnection, status: BackendStatus): string[] {
  const { durability } = connection.service.facts;
  const enabled = durability === "memory" ? 0 : 1;
  const lines = ["loading:0", "rdb_bgsave_in_progress:0", `aof_enabled:${enabled}`, "aof_rewrite_in_progress:0"];
  lines.push(`gamut_durability:${durability}`);
  const keyspace = keyspaceOf(connection, status);
  if (keyspace !== undefined) {
    lines.push(
      `gamut_checkpoint_position:${keyspace.checkpointPosition}`,
      `gamut_applied_position:${keyspace.appliedPosition}`,
    );
  }
  return lines;
}

function statsLines(connection: RespConnection): string[] {
  const { stats } = connection.service;
  return [
    `total_connections_received:${stats.connections}`,
    `total_commands_processed:${stats.commands}`,
    `instantaneous_ops_per_sec:${Math.round(stats.commandRate)}`,
    `total_net_input_bytes:${stats.inputBytes}`,
    `total_net_output_bytes:${stats.outputBytes}`,
    `instantaneous_input_kbps:${(stats.inputByteRate / 1024).toFixed(2)}`,
    `instantaneous_output_kbps:${(stats.outputByteRate / 1024).toFixed(2)}`,
    `rejected_connections:${stats.rejected}`,
  ];
}

/** `db0` is the connection's keyspace, and has no line while it is empty, as in Redis. */
function keyspaceLines(connection: RespConnection, status: BackendStatus): string[] {
  const keys = keyspaceOf(connection, status)?.keys ?? 0;
  // How many of them expire is not counted. An average of 0 is Redis' word for one that it has not taken.
  const own = keys === 0 ? [] : [`db0:keys=${keys},avg_ttl=0`];
  return [...own, ...status.keyspaces.map(keyspaceLine)];
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

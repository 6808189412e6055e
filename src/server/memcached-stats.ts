/** stats [settings | items | slabs | sizes | conns | cachedump | reset]: a line for what is known, none for what is not. */
import { ERROR, type MemcachedWriter } from "../codec/memcached/index.js";
import { COMMAND_LIMITS } from "../kv/limits.js";
import type { MemcachedConnection } from "./memcached-connection.js";
import { answerCachedump, ONLY_CLASS } from "./memcached-dump.js";

/** The version of memcached whose answers this wire is held against. */
export const MEMCACHED_VERSION = "1.6.18";

type Lines = Readonly<Record<string, string | number>>;

const SECTIONS: Readonly<Record<string, (connection: MemcachedConnection) => Lines>> = {
  "": generalLines,
  settings: settingsLines,
  items: itemsLines,
  slabs: slabsLines,
  sizes: () => ({ sizes_status: "disabled" }),
  conns: connectionsLines,
};

export function answerStats(connection: MemcachedConnection, writer: MemcachedWriter): void {
  const { request, words } = connection.parser;
  const section = words > 1 ? request.text(1) : "";
  if (section === "reset") {
    connection.counts.reset();
    connection.service.stats.reset();
    writer.word("RESET");
  } else if (section === "cachedump") answerCachedump(connection, writer);
  // What memcached says where its options forbid it.
  else if (section === "detail") writer.word("CLIENT_ERROR stats detail not allowed");
  else if (!Object.hasOwn(SECTIONS, section)) writer.word(ERROR);
  else {
    for (const [name, value] of Object.entries(SECTIONS[section](connection))) writer.stat(name, value);
    writer.end();
  }
}

function generalLines(connection: MemcachedConnection): Lines {
  const { service, session, counts } = connection;
  const { stats, limits } = service;
  const status = service.backend.status();
  const usage = process.resourceUsage();
  const nowMs = connection.wallMs();
  const items = itemsOf(connection, status);
  return {
    pid: process.pid,
    uptime: Math.max(0, Math.floor((nowMs - service.startedMs) / 1000)),
    time: Math.floor(nowMs / 1000),
    version: MEMCACHED_VERSION,
    gamut_version: status.version,
    gamut_node: status.node,
    gamut_cluster_id: status.clusterId,
    gamut_keyspace: session.keyspace,
    pointer_size: 64,
    rusage_user: (usage.userCPUTime / 1e6).toFixed(6),
    rusage_system: (usage.systemCPUTime / 1e6).toFixed(6),
    max_connections: limits.connectionsMax,
    curr_connections: service.connections.size,
    total_connections: stats.connections,
    rejected_connections: stats.rejected,
    cmd_get: counts.getHits + counts.getMisses,
    cmd_set: counts.sets,
    cmd_flush: counts.flushes,
    cmd_touch: counts.touchHits + counts.touchMisses,
    cmd_meta: counts.metas,
    get_hits: counts.getHits,
    get_misses: counts.getMisses,
    delete_misses: counts.deleteMisses,
    delete_hits: counts.deleteHits,
    incr_misses: counts.incrMisses,
    incr_hits: counts.incrHits,
    decr_misses: counts.decrMisses,
    decr_hits: counts.decrHits,
    cas_misses: counts.casMisses,
    cas_hits: counts.casHits,
    cas_badval: counts.casBadval,
    touch_hits: counts.touchHits,
    touch_misses: counts.touchMisses,
    bytes_read: stats.inputBytes,
    bytes_written: stats.outputBytes,
    threads: 1,
    ...(items === null ? {} : { curr_items: items }),
    evictions: 0,
  };
}

/** Keys of the connection's keyspace, those included that memcached's text cannot carry; null: this node cannot tell. */
function itemsOf({ service, session }: MemcachedConnection, status = service.backend.status()): number | null {
  return status.keyspaces.find(({ name }) => name === session.keyspace)?.keys ?? null;
}

/** There are no slabs. Clients that look for keys ask here for the classes to dump: there is one, if there are keys. */
function itemsLines(connection: MemcachedConnection): Lines {
  const items = itemsOf(connection) ?? 0;
  return items === 0 ? {} : ofClass("items:", { number: items, evicted: 0, evicted_time: 0, outofmemory: 0 });
}

/** A chunk takes the largest value, and there is always one more. */
function slabsLines(connection: MemcachedConnection): Lines {
  const items = itemsOf(connection) ?? 0;
  if (items === 0) return { active_slabs: 0, total_malloced: 0 };
  const lines = ofClass("", { chunk_size: COMMAND_LIMITS.valueBytesMax, total_pages: 1, used_chunks: items });
  return { ...lines, active_slabs: 1, total_malloced: 0 };
}

function ofClass(prefix: string, lines: Lines): Lines {
  return Object.fromEntries(Object.entries(lines).map(([name, value]) => [`${prefix}${ONLY_CLASS}:${name}`, value]));
}

/** The memcached connections of this node, by their numbers here. */
function connectionsLines(connection: MemcachedConnection): Lines {
  const nowMs = connection.wallMs();
  const lines: Record<string, string | number> = {};
  for (const each of connection.service.connections.values()) {
    const { id, socket, activeMs } = each;
    lines[`${id}:addr`] = endpoint(socket.remoteAddress, socket.remotePort);
    lines[`${id}:listen_addr`] = endpoint(socket.localAddress, socket.localPort);
    lines[`${id}:state`] = stateOf(each, connection);
    lines[`${id}:secs_since_last_cmd`] = Math.max(0, Math.floor((nowMs - activeMs) / 1000));
  }
  return lines;
}

function endpoint(address = "", port = 0): string {
  return address.includes(":") ? `tcp6:[${address}]:${port}` : `tcp:${address}:${port}`;
}

/** In memcached's words. */
function stateOf(each: MemcachedConnection, asking: MemcachedConnection): string {
  if (each === asking) return "conn_parse_cmd";
  if (each.watch !== null) return "conn_watch";
  return each.socket.writableLength > 0 ? "conn_mwrite" : "conn_read";
}

function settingsLines({ service }: MemcachedConnection): Lines {
  const { facts, limits } = service;
  return {
    maxconns: limits.connectionsMax,
    tcpport: facts.port,
    udpport: 0,
    inter: facts.host,
    evictions: "off",
    num_threads: 1,
    cas_enabled: "yes",
    auth_enabled_ascii: "no",
    item_size_max: COMMAND_LIMITS.valueBytesMax,
    flush_enabled: "yes",
    dump_enabled: "yes",
    shutdown_command: "no",
    binding_protocol: "ascii",
  };
}

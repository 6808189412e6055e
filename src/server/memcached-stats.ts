/** stats [general | settings | items | slabs | sizes | reset]: a line for what is known, and none for what is not. */
import { ERROR, type MemcachedWriter } from "../codec/memcached/index.js";
import { COMMAND_LIMITS } from "../kv/limits.js";
import type { MemcachedConnection } from "./memcached-connection.js";

/** The version of memcached whose answers this wire is held against. */
export const MEMCACHED_VERSION = "1.6.18";

type Lines = Readonly<Record<string, string | number>>;

const SECTIONS: Readonly<Record<string, (connection: MemcachedConnection) => Lines>> = {
  "": generalLines,
  settings: settingsLines,
  // There are no slabs, and so none with items.
  items: () => ({}),
  slabs: () => ({ active_slabs: 0, total_malloced: 0 }),
  sizes: () => ({ sizes_status: "disabled" }),
};

/** What a memcached without its debugging options says. */
const REFUSALS: Readonly<Record<string, string>> = {
  detail: "CLIENT_ERROR stats detail not allowed",
  cachedump: "CLIENT_ERROR stats cachedump not allowed",
};

export function answerStats(connection: MemcachedConnection, writer: MemcachedWriter): void {
  const { request, words } = connection.parser;
  const section = words > 1 ? request.text(1) : "";
  if (section === "reset") {
    connection.counts.reset();
    connection.service.stats.reset();
    writer.word("RESET");
  } else if (Object.hasOwn(REFUSALS, section)) writer.word(REFUSALS[section]);
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
  const items = status.keyspaces.find((keyspace) => keyspace.name === session.keyspace)?.keys ?? null;
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
    dump_enabled: "no",
    shutdown_command: "no",
    binding_protocol: "ascii",
  };
}

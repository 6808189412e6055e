/** CONFIG GET: what clients and benchmarks ask a Redis about, answered as it is here. CONFIG RESETSTAT: counts anew. */
import { type Arguments, type RespWriter, writeSubcommands } from "../codec/resp/index.js";
import { Glob } from "../kv/glob.js";
import { COMMAND_LIMITS } from "../kv/limits.js";
import { canonicalFlags, NOTIFY_ERROR } from "./notify-flags.js";
import type { RespConnection } from "./resp-connection.js";

const NOTIFY = "notify-keyspace-events";

export function answerConfig(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.is(1, "GET")) writeMatching(connection, request, writer);
  else if (request.is(1, "HELP")) writeSubcommands("config", writer);
  else if (request.is(1, "RESETSTAT")) {
    connection.service.stats.reset();
    connection.service.times.resetCounts();
    writer.ok();
  } else if (request.is(1, "SET") && request.count === 4 && request.text(2).toLowerCase() === NOTIFY) {
    const flags = canonicalFlags(request.text(3));
    if (flags === null) {
      writer.error(NOTIFY_ERROR);
      return;
    }
    connection.service.notifyFlags = flags;
    writer.ok();
  } else {
    writer.error(`ERR CONFIG ${request.text(1).toUpperCase()} is not supported: a node is configured when it starts`);
  }
}

function writeMatching(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const globs: Glob[] = [];
  for (let i = 2; i < request.count; i += 1) globs.push(new Glob(request.text(i).toLowerCase()));
  const parameters = configuration(connection).filter(([name]) => globs.some((glob) => glob.matches(name)));
  writer.map(parameters.length);
  for (const [name, value] of parameters) {
    writer.bulkText(name);
    writer.bulkText(value);
  }
}

/** Keyspaces that SELECT takes by number, from 0 without a gap: the default one, and those that have such a name. */
function numbered(connection: RespConnection): number {
  const names = new Set(connection.service.backend.status().keyspaces.map(({ name }) => name));
  let count = 1;
  while (names.has(String(count))) count += 1;
  return count;
}

/** `save` is empty: there are no snapshots on a timer. The log is what Redis calls its append-only file. */
function configuration(connection: RespConnection): [name: string, value: string][] {
  const { facts, limits } = connection.service;
  const logs = facts.durability !== "memory";
  const syncs = { sync: "always", os: "everysec", memory: "no" } as const;
  return [
    ["save", ""],
    ["appendonly", logs ? "yes" : "no"],
    ["appendfsync", syncs[facts.durability]],
    ["bind", facts.host],
    ["port", String(facts.port)],
    ["databases", String(numbered(connection))],
    ["maxclients", String(limits.connectionsMax)],
    ["maxmemory", "0"],
    ["maxmemory-policy", "noeviction"],
    ["proto-max-bulk-len", String(COMMAND_LIMITS.valueBytesMax)],
    ["timeout", "0"],
    ["slowlog-log-slower-than", String(limits.slowCommandMs * 1000)],
    ["slowlog-max-len", String(limits.slowCommandsMax)],
    ["latency-monitor-threshold", String(limits.slowCommandMs)],
    [NOTIFY, connection.service.notifyFlags],
  ];
}

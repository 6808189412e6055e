/** Every command of the RESP wire, with its road to and from the store. */
import { assert } from "../../core/assert.js";
import type { Arguments } from "./arguments.js";
import { type Build, CommandSpec, type Render } from "./command-spec.js";
import { COMMAND_TABLE } from "./command-table.js";
import * as keys from "./key-commands.js";
import * as renderers from "./renderers.js";
import * as strings from "./string-commands.js";
import { subcommandArity } from "./subcommands.js";

/** Commands that the store answers. All others concern the connection or the node: the server answers them. */
const ROADS: Readonly<Record<string, readonly [Build, Render]>> = {
  get: [strings.buildGet, renderers.renderValue],
  set: [strings.buildSet, renderers.renderSet],
  setex: [strings.buildSetWithTtl("setex", "EX"), renderers.renderSet],
  psetex: [strings.buildSetWithTtl("psetex", "PX"), renderers.renderSet],
  setnx: [strings.buildSetnx, renderers.renderDone],
  getset: [strings.buildGetset, renderers.renderSet],
  mget: [strings.buildMget, renderers.renderValues],
  mset: [strings.buildMset, renderers.renderOk],
  msetnx: [strings.buildMsetnx, renderers.renderDone],
  getdel: [strings.buildGetdel, renderers.renderValue],
  getex: [strings.buildGetex, renderers.renderValue],
  getrange: [strings.buildGetrange, renderers.renderRange],
  substr: [strings.buildGetrange, renderers.renderRange],
  setrange: [strings.buildSetrange, renderers.renderInteger],
  incrbyfloat: [strings.buildIncrbyfloat, renderers.renderValue],
  incr: [strings.buildIncr, renderers.renderInteger],
  decr: [strings.buildDecr, renderers.renderInteger],
  incrby: [strings.buildIncrby, renderers.renderInteger],
  decrby: [strings.buildDecrby, renderers.renderInteger],
  append: [strings.buildAppend, renderers.renderInteger],
  strlen: [strings.buildStrlen, renderers.renderInteger],
  del: [keys.buildDelete, renderers.renderInteger],
  unlink: [keys.buildDelete, renderers.renderInteger],
  exists: [keys.buildExists, renderers.renderInteger],
  touch: [keys.buildExists, renderers.renderInteger],
  type: [keys.buildExists, renderers.renderType],
  ttl: [keys.buildDeadline, renderers.renderTtlSeconds],
  pttl: [keys.buildDeadline, renderers.renderTtlMs],
  expiretime: [keys.buildDeadline, renderers.renderDeadlineSeconds],
  pexpiretime: [keys.buildDeadline, renderers.renderDeadlineMs],
  expire: [keys.buildExpire("expire", true, true), renderers.renderDone],
  pexpire: [keys.buildExpire("pexpire", false, true), renderers.renderDone],
  expireat: [keys.buildExpire("expireat", true, false), renderers.renderDone],
  pexpireat: [keys.buildExpire("pexpireat", false, false), renderers.renderDone],
  persist: [keys.buildPersist, renderers.renderDone],
  rename: [keys.buildRename, renderers.renderRename],
  renamenx: [keys.buildRenamenx, renderers.renderRenamenx],
  copy: [keys.buildCopy, renderers.renderDone],
  scan: [keys.buildScan, renderers.renderScan],
  dbsize: [keys.buildCount, renderers.renderInteger],
  flushdb: [keys.buildFlush, renderers.renderOk],
  flushall: [keys.buildFlushAll, renderers.renderOk],
};

/** The same of subcommands, each with one key. */
const SUBROADS: Readonly<Record<string, Readonly<Record<string, readonly [Build, Render]>>>> = {
  object: {
    ENCODING: [keys.buildSubcommandGet, renderers.renderEncoding],
    FREQ: [keys.buildSubcommandGet, renderers.renderFrequency],
    IDLETIME: [keys.buildSubcommandGet, renderers.renderIdleTime],
    REFCOUNT: [keys.buildSubcommandGet, renderers.renderReferenceCount],
  },
  memory: { USAGE: [keys.buildMemoryUsage, renderers.renderMemoryUsage] },
};

const ROW = /^(\S+) +(-?\d+) +(\S+) +(\S+) +(\d+),(-?\d+),(\d+) +(\S+) +(.+)$/;

export const COMMANDS: readonly CommandSpec[] = COMMAND_TABLE.trim().split("\n").map(readRow);

function readRow(row: string, index: number): CommandSpec {
  const fields = ROW.exec(row);
  assert(fields !== null, "command table: a row is not well formed");
  const [, name, arity, group, flags, first, last, step, since, summary] = fields;
  return new CommandSpec(
    index,
    name,
    Number(arity),
    group,
    flags === "-" ? [] : flags.split(","),
    [Number(first), Number(last), Number(step)],
    since,
    summary,
    ROADS[name]?.[0] ?? null,
    ROADS[name]?.[1] ?? null,
  );
}

const storedSubcommands = new Map<string, readonly CommandSpec[]>();

for (const spec of COMMANDS) {
  const roads = Object.entries(SUBROADS[spec.name] ?? {});
  if (roads.length > 0) {
    storedSubcommands.set(
      spec.name,
      roads.map(([word, road]) => subcommandSpec(spec, word, road)),
    );
  }
}

function subcommandSpec(container: CommandSpec, word: string, [build, render]: readonly [Build, Render]): CommandSpec {
  const { index, name, group, since, summary } = container;
  const arity = subcommandArity(name, word);
  return new CommandSpec(
    index,
    `${name}|${word.toLowerCase()}`,
    arity,
    group,
    [],
    [2, 2, 1],
    since,
    summary,
    build,
    render,
  );
}

/** The subcommand that a request names if it has a road to the store of its own; else the command. */
export function withSubcommand(spec: CommandSpec, request: Arguments, index = 0): CommandSpec {
  if (!spec.isContainer || index + 1 >= request.count) return spec;
  const found = storedSubcommands.get(spec.name)?.find((sub) => request.is(index + 1, sub.upperWord));
  return found ?? spec;
}

const SLOTS = 256;
const NAME_LENGTH_MAX = 16;
const slots: (CommandSpec | null)[] = new Array(SLOTS).fill(null);

for (const spec of COMMANDS) {
  let slot = hash(spec.upperName, 0, spec.upperName.length);
  while (slots[slot] !== null) slot = (slot + 1) % SLOTS;
  slots[slot] = spec;
}

/** Masking bit 5 folds the case of letters; what else it folds, the comparison tells apart. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let sum = end - start;
  for (let at = start; at < end; at += 1) sum = (Math.imul(sum, 31) + (bytes[at] & 0xdf)) | 0;
  return (sum ^ (sum >>> 8)) & (SLOTS - 1);
}

/** The command that argument `index` names, in whatever case. */
export function findCommand(request: Arguments, index = 0): CommandSpec | null {
  return findCommandIn(request.bytes, request.start(index), request.end(index));
}

/** The command named by `bytes[start, end)`, in whatever case. */
export function findCommandIn(bytes: Uint8Array, start: number, end: number): CommandSpec | null {
  if (end - start > NAME_LENGTH_MAX) return null;
  let slot = hash(bytes, start, end);
  for (;;) {
    const spec = slots[slot];
    if (spec === null) return null;
    if (isNamed(spec.upperName, bytes, start, end)) return spec;
    slot = (slot + 1) % SLOTS;
  }
}

function isNamed(upperName: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (upperName.length !== end - start) return false;
  for (let i = 0; i < upperName.length; i += 1) {
    const byte = bytes[start + i];
    if ((byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte) !== upperName[i]) return false;
  }
  return true;
}

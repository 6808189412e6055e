/** Commands on keys whatever their value: from arguments to kv commands. */
import { latin1Encode } from "../../core/bytes.js";
import { Command, CommandFlag, deleteCommand, getCommand, Op } from "../../kv/command.js";
import { SCAN_KEYS_MAX } from "../../kv/limits.js";
import type { Arguments } from "./arguments.js";
import type { Build, CommandContext } from "./command-spec.js";
import { expireTimeOrPast, isDeadline } from "./deadlines.js";
import { INVALID_CURSOR, NOT_AN_INTEGER, SYNTAX_ERROR } from "./errors.js";
import { keysFrom } from "./string-commands.js";

const SCAN_COUNT_DEFAULT = 10;
/** A glob that matches no key at all: to the store an empty one is none. */
export const MATCHES_NOTHING = latin1Encode("[]");

export function buildDelete(request: Arguments): Command {
  return deleteCommand(keysFrom(request, 1));
}

export function buildExists(request: Arguments): Command {
  const command = new Command(Op.exists);
  command.keys = keysFrom(request, 1);
  return command;
}

export function buildDeadline(request: Arguments): Command {
  return new Command(Op.deadline, request.text(1));
}

export function buildPersist(request: Arguments): Command {
  return new Command(Op.persist, request.text(1));
}

export function buildExpire(name: string, inSeconds: boolean, relative: boolean): Build {
  return (request) => {
    const flags = expireFlags(request);
    if (typeof flags === "string") return flags;
    const deadlineMs = expireTimeOrPast(request, 2, inSeconds, name);
    if (!isDeadline(deadlineMs)) return deadlineMs;
    const command = new Command(Op.expire, request.text(1));
    command.deadlineMs = deadlineMs;
    command.flags = relative ? flags | CommandFlag.deadlineRelative : flags;
    return command;
  };
}

function expireFlags(request: Arguments): number | string {
  let flags = 0;
  for (let i = 3; i < request.count; i += 1) {
    if (request.is(i, "NX")) flags |= CommandFlag.ifNoDeadline;
    else if (request.is(i, "XX")) flags |= CommandFlag.ifHasDeadline;
    else if (request.is(i, "GT")) flags |= CommandFlag.ifDeadlineGreater;
    else if (request.is(i, "LT")) flags |= CommandFlag.ifDeadlineLess;
    else return `ERR Unsupported option ${request.text(i)}`;
  }
  if ((flags & CommandFlag.ifNoDeadline) !== 0 && flags !== CommandFlag.ifNoDeadline) {
    return "ERR NX and XX, GT or LT options at the same time are not compatible";
  }
  const both = CommandFlag.ifDeadlineGreater | CommandFlag.ifDeadlineLess;
  if ((flags & both) === both) return "ERR GT and LT options at the same time are not compatible";
  return flags;
}

export function buildRename(request: Arguments): Command {
  return moveCommand(Op.rename, request);
}

export function buildRenamenx(request: Arguments): Command {
  const command = moveCommand(Op.rename, request);
  command.flags = CommandFlag.ifAbsent;
  return command;
}

/** COPY source target [DB keyspace] [REPLACE]. Nothing is atomic over keyspaces: it can only be the one chosen. */
export function buildCopy(request: Arguments, context: CommandContext): Command | string {
  const command = moveCommand(Op.copy, request);
  command.flags = CommandFlag.ifAbsent;
  for (let i = 3; i < request.count; i += 1) {
    if (request.is(i, "REPLACE")) command.flags = 0;
    else if (request.is(i, "DB") && i + 1 < request.count) {
      i += 1;
      if (!context.isKeyspace(request.text(i))) {
        return request.integer(i) === null ? NOT_AN_INTEGER : "ERR DB index is out of range";
      }
    } else return SYNTAX_ERROR;
  }
  return request.text(1) === request.text(2) ? "ERR source and destination objects are the same" : command;
}

function moveCommand(op: Op, request: Arguments): Command {
  const command = new Command(op, request.text(1));
  command.keys = [request.text(2)];
  return command;
}

/** OBJECT and MEMORY: the key is the first argument of the subcommand. */
export function buildSubcommandGet(request: Arguments): Command {
  return getCommand(request.text(2));
}

/** MEMORY USAGE key [SAMPLES count]: a value has no elements to take samples of. */
export function buildMemoryUsage(request: Arguments): Command | string {
  for (let i = 3; i < request.count; i += 2) {
    if (!request.is(i, "SAMPLES") || i + 1 === request.count) return SYNTAX_ERROR;
    const samples = request.integer(i + 1);
    if (samples === null) return NOT_AN_INTEGER;
    if (samples < 0n) return SYNTAX_ERROR;
  }
  return getCommand(request.text(2));
}

/** SCAN cursor [MATCH pattern] [COUNT n] [TYPE name]. */
export function buildScan(request: Arguments, context: CommandContext): Command | string {
  // To Redis no digits at all are a 0.
  const cursor = request.length(1) === 0 ? "0" : request.text(1);
  if (!/^\d{1,20}$/.test(cursor)) return INVALID_CURSOR;
  const command = new Command(Op.scan);
  command.limit = SCAN_COUNT_DEFAULT;
  let otherType = false;
  for (let i = 2; i < request.count; i += 2) {
    if (i + 1 === request.count) return SYNTAX_ERROR;
    if (request.is(i, "COUNT")) {
      const count = request.integer(i + 1);
      if (count === null) return NOT_AN_INTEGER;
      if (count < 1n) return SYNTAX_ERROR;
      command.limit = count > SCAN_KEYS_MAX ? SCAN_KEYS_MAX : Number(count);
    } else if (request.is(i, "MATCH")) {
      // To the store no pattern means all keys.
      command.value = request.length(i + 1) === 0 ? MATCHES_NOTHING : request.copy(i + 1);
    } else if (request.is(i, "TYPE")) {
      otherType = !request.is(i + 1, "STRING");
    } else return SYNTAX_ERROR;
  }
  if (otherType) command.value = MATCHES_NOTHING;
  const key = context.scanKey(cursor);
  if (key === null) return `${INVALID_CURSOR}: this node has forgotten it or never gave it out; begin again with 0`;
  command.key = key;
  return command;
}

export function buildCount(): Command {
  return new Command(Op.count);
}

export function buildFlush(request: Arguments): Command | string {
  if (request.count > 2) return SYNTAX_ERROR;
  if (request.count === 2 && !request.is(1, "ASYNC") && !request.is(1, "SYNC")) return SYNTAX_ERROR;
  return new Command(Op.flush);
}

/** Nothing is atomic over keyspaces, so where there are several the client has to flush each. */
export function buildFlushAll(request: Arguments, context: CommandContext): Command | string {
  const count = context.keyspaceCount();
  if (count > 1) return `ERR FLUSHALL is not possible with ${count} keyspaces: SELECT and FLUSHDB each of them`;
  return buildFlush(request);
}

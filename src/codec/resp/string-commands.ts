/** GET, SET and their kin: from arguments to kv commands. */
import { Command, CommandFlag, getCommand, incrementCommand, Op, setCommand } from "../../kv/command.js";
import { isInt64 } from "../../kv/integer-text.js";
import type { Arguments } from "./arguments.js";
import type { Build } from "./command-spec.js";
import { expireTime, isDeadline } from "./deadlines.js";
import { NOT_AN_INTEGER, SYNTAX_ERROR, wrongArity } from "./errors.js";

export function buildGet(request: Arguments): Command {
  return getCommand(request.text(1));
}

export function buildMget(request: Arguments): Command {
  const command = new Command(Op.getMany);
  command.keys = keysFrom(request, 1);
  return command;
}

export function keysFrom(request: Arguments, first: number): string[] {
  const keys: string[] = [];
  for (let i = first; i < request.count; i += 1) keys.push(request.text(i));
  return keys;
}

export function buildStrlen(request: Arguments): Command {
  return new Command(Op.length, request.text(1));
}

export function buildSet(request: Arguments): Command | string {
  const command = setCommand(request.text(1), request.copy(2));
  if (request.count === 3) return command;
  return setOptions(request, command);
}

/** SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL], in any order, as Redis 7. */
function setOptions(request: Arguments, command: Command): Command | string {
  let deadlineOption = "";
  let deadlineIndex = 0;
  for (let i = 3; i < request.count; i += 1) {
    const flag = setFlag(request, i);
    if (flag !== 0) {
      if ((flag & CommandFlag.keepDeadline) !== 0 && deadlineOption !== "") return SYNTAX_ERROR;
      command.flags |= flag;
      continue;
    }
    const option = deadlineOptionAt(request, i);
    if (option === "" || i + 1 === request.count) return SYNTAX_ERROR;
    // The same one twice is fine with Redis: the last counts.
    if (deadlineOption !== "" && deadlineOption !== option) return SYNTAX_ERROR;
    if ((command.flags & CommandFlag.keepDeadline) !== 0) return SYNTAX_ERROR;
    deadlineOption = option;
    i += 1;
    deadlineIndex = i;
  }
  const both = CommandFlag.ifAbsent | CommandFlag.ifPresent;
  if ((command.flags & both) === both) return SYNTAX_ERROR;
  if (deadlineOption === "") return command;
  return withDeadline(request, command, deadlineIndex, deadlineOption, "set");
}

function setFlag(request: Arguments, index: number): number {
  if (request.is(index, "NX")) return CommandFlag.ifAbsent;
  if (request.is(index, "XX")) return CommandFlag.ifPresent;
  if (request.is(index, "GET")) return CommandFlag.returnPrevious;
  if (request.is(index, "KEEPTTL")) return CommandFlag.keepDeadline;
  return 0;
}

function deadlineOptionAt(request: Arguments, index: number): string {
  for (const option of ["EX", "PX", "EXAT", "PXAT"]) if (request.is(index, option)) return option;
  return "";
}

function withDeadline(
  request: Arguments,
  command: Command,
  index: number,
  option: string,
  name: string,
): Command | string {
  const relative = option === "EX" || option === "PX";
  const deadlineMs = expireTime(request, index, option === "EX" || option === "EXAT", name);
  if (!isDeadline(deadlineMs)) return deadlineMs;
  command.deadlineMs = deadlineMs;
  if (relative) command.flags |= CommandFlag.deadlineRelative;
  return command;
}

/** SETEX and PSETEX: key, time, value. */
export function buildSetWithTtl(name: string, option: "EX" | "PX"): Build {
  return (request) => withDeadline(request, setCommand(request.text(1), request.copy(3)), 2, option, name);
}

export function buildSetnx(request: Arguments): Command {
  const command = setCommand(request.text(1), request.copy(2));
  command.flags = CommandFlag.ifAbsent;
  return command;
}

export function buildGetset(request: Arguments): Command {
  const command = setCommand(request.text(1), request.copy(2));
  command.flags = CommandFlag.returnPrevious;
  return command;
}

export function buildMset(request: Arguments): Command | string {
  if (request.count % 2 === 0) return wrongArity("mset");
  const command = new Command(Op.setMany);
  const keys: string[] = [];
  const values: Uint8Array[] = [];
  for (let i = 1; i < request.count; i += 2) {
    keys.push(request.text(i));
    values.push(request.copy(i + 1));
  }
  command.keys = keys;
  command.values = values;
  return command;
}

export function buildIncr(request: Arguments): Command {
  return incrementCommand(request.text(1), 1n);
}

export function buildDecr(request: Arguments): Command {
  return incrementCommand(request.text(1), -1n);
}

export function buildIncrby(request: Arguments): Command | string {
  const delta = request.integer(2);
  return delta === null ? NOT_AN_INTEGER : incrementCommand(request.text(1), delta);
}

export function buildDecrby(request: Arguments): Command | string {
  const amount = request.integer(2);
  if (amount === null) return NOT_AN_INTEGER;
  return isInt64(-amount) ? incrementCommand(request.text(1), -amount) : "ERR decrement would overflow";
}

export function buildAppend(request: Arguments): Command {
  const command = new Command(Op.append, request.text(1));
  command.value = request.copy(2);
  return command;
}

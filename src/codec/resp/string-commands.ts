/** GET, SET and their kin: from arguments to kv commands. */
import { Command, CommandFlag, deleteCommand, getCommand, incrementCommand, Op, setCommand } from "../../kv/command.js";
import { isInt64 } from "../../kv/integer-text.js";
import { COMMAND_LIMITS } from "../../kv/limits.js";
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
  const deadline = readOptions(request, 3, (index) => {
    const flag = setFlag(request, index);
    command.flags |= flag;
    if (flag === 0) return "none";
    return flag === CommandFlag.keepDeadline ? "deadline" : "other";
  });
  if (deadline === null) return SYNTAX_ERROR;
  const both = CommandFlag.ifAbsent | CommandFlag.ifPresent;
  if ((command.flags & both) === both) return SYNTAX_ERROR;
  return deadline.index === 0 ? command : withDeadline(request, command, deadline.index, deadline.option, "set");
}

function setFlag(request: Arguments, index: number): number {
  if (request.is(index, "NX")) return CommandFlag.ifAbsent;
  if (request.is(index, "XX")) return CommandFlag.ifPresent;
  if (request.is(index, "GET")) return CommandFlag.returnPrevious;
  if (request.is(index, "KEEPTTL")) return CommandFlag.keepDeadline;
  return 0;
}

/**
 * Options from `first` on: at most one of EX, PX, EXAT, PXAT (with its place; 0 without) and of the words that `word` calls
 * a word about the deadline. Null: a syntax error.
 */
function readOptions(
  request: Arguments,
  first: number,
  word: (index: number) => "none" | "other" | "deadline",
): { option: string; index: number } | null {
  let option = "";
  let index = 0;
  for (let i = first; i < request.count; i += 1) {
    const kind = word(i);
    if (kind === "other") continue;
    const found = kind === "deadline" ? "word" : deadlineOptionAt(request, i);
    // The same one twice is fine with Redis: the last counts.
    if (found === "" || (option !== "" && option !== found)) return null;
    option = found;
    if (found === "word") continue;
    i += 1;
    if (i === request.count) return null;
    index = i;
  }
  return { option, index };
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

/** GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]. */
export function buildGetex(request: Arguments): Command | string {
  const key = request.text(1);
  const deadline = readOptions(request, 2, (index) => (request.is(index, "PERSIST") ? "deadline" : "none"));
  if (deadline === null) return SYNTAX_ERROR;
  if (deadline.option === "") return getCommand(key);
  const command = new Command(deadline.index === 0 ? Op.persist : Op.expire, key);
  command.flags = CommandFlag.returnValue;
  return deadline.index === 0 ? command : withDeadline(request, command, deadline.index, deadline.option, "getex");
}

export function buildGetdel(request: Arguments): Command {
  const command = deleteCommand([request.text(1)]);
  command.flags = CommandFlag.returnValue;
  return command;
}

/** GETRANGE key start end: any 64-bit integers; what is beyond 2^53 is beyond every value. */
export function buildGetrange(request: Arguments): Command | string {
  const first = request.integer(2);
  const last = request.integer(3);
  if (first === null || last === null) return NOT_AN_INTEGER;
  const command = new Command(Op.getRange, request.text(1));
  // Two places counted from the end in the wrong order are an empty range, however far out they are.
  const isEmpty = first < 0n && last < 0n && first > last;
  command.offset = isEmpty ? 1 : safeInteger(first);
  command.limit = isEmpty ? 0 : safeInteger(last);
  return command;
}

function safeInteger(value: bigint): number {
  const max = Number.MAX_SAFE_INTEGER;
  return Math.min(Math.max(Number(value), -max), max);
}

export function buildSetrange(request: Arguments): Command | string {
  const offset = request.integer(2);
  if (offset === null) return NOT_AN_INTEGER;
  if (offset < 0n) return "ERR offset is out of range";
  const command = new Command(Op.setRange, request.text(1));
  command.offset = safeInteger(offset);
  command.value = request.copy(3);
  const tooLong = command.value.length > 0 && command.offset + command.value.length > COMMAND_LIMITS.valueBytesMax;
  return tooLong ? "ERR string exceeds maximum allowed size (proto-max-bulk-len)" : command;
}

export function buildIncrbyfloat(request: Arguments): Command {
  const command = new Command(Op.incrementDecimal, request.text(1));
  command.value = request.copy(2);
  return command;
}

export function buildMsetnx(request: Arguments): Command | string {
  const command = buildPairs(request, "msetnx");
  if (typeof command !== "string") command.flags = CommandFlag.ifAbsent;
  return command;
}

export function buildMset(request: Arguments): Command | string {
  return buildPairs(request, "mset");
}

function buildPairs(request: Arguments, name: string): Command | string {
  if (request.count % 2 === 0) return wrongArity(name);
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

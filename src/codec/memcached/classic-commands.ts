/** The classic commands: from a line and its data to kv commands. */
import { Command, CommandFlag, deleteCommand, getCommand, Op, setCommand } from "../../kv/command.js";
import { Block } from "./block.js";
import type { Build, ReplyShape } from "./command-spec.js";
import { BAD_CHUNK, BAD_FORMAT, DELETE_USAGE, INVALID_DELTA, INVALID_EXPTIME, TOO_LARGE } from "./errors.js";
import { applyExptime } from "./exptime.js";
import { exptime, u32, u64 } from "./numbers.js";
import type { MemcachedParser } from "./parser.js";

export const KEY_BYTES_MAX = 250;
/** No record has this version: what a cas unique beyond all versions is compared as. */
const NO_VERSION = Number.MAX_SAFE_INTEGER;

/** Whether argument `index` is exactly this word. */
export function isWord({ request }: MemcachedParser, index: number, word: string): boolean {
  if (request.length(index) !== word.length) return false;
  const start = request.start(index);
  for (let i = 0; i < word.length; i += 1) if (request.bytes[start + i] !== word.charCodeAt(i)) return false;
  return true;
}

export function isNoreply(parser: MemcachedParser): boolean {
  return isWord(parser, parser.words - 1, "noreply");
}

function keysFrom({ request, words }: MemcachedParser, first: number): string[] | null {
  const keys: string[] = [];
  for (let i = first; i < words; i += 1) {
    if (request.length(i) > KEY_BYTES_MAX) return null;
    keys.push(request.text(i));
  }
  return keys;
}

/** get, gets. */
export function buildGet(parser: MemcachedParser): Command | string {
  const keys = keysFrom(parser, 1);
  if (keys === null) return BAD_FORMAT;
  if (keys.length === 1) return getCommand(keys[0]);
  const command = new Command(Op.getMany);
  command.keys = keys;
  return command;
}

/** gat, gats: each key by a child of its own where there are several, so that all take effect at once. */
export function buildGetAndTouch(parser: MemcachedParser): Command | string {
  const seconds = exptime(parser.request, 1);
  if (seconds === null) return INVALID_EXPTIME;
  const keys = keysFrom(parser, 2);
  if (keys === null) return BAD_FORMAT;
  if (keys.length === 1) return touch(keys[0], seconds, true);
  const command = new Command(Op.atomic);
  command.children = [];
  for (const key of keys) command.children.push(touch(key, seconds, true));
  return command;
}

/** A new deadline; the record is answered where it is asked for, and where there shall be no deadline any more. */
export function touch(key: string, seconds: number, returnsValue: boolean): Command {
  const command = new Command(seconds === 0 ? Op.persist : Op.expire, key);
  applyExptime(command, seconds);
  if (returnsValue || seconds === 0) command.flags |= CommandFlag.returnValue;
  return command;
}

/** touch key exptime [noreply]. */
export function buildTouch(parser: MemcachedParser, shape: ReplyShape): Command | string {
  shape.isSilent = parser.words === 4 && isNoreply(parser);
  const { request } = parser;
  if (request.length(1) > KEY_BYTES_MAX) return BAD_FORMAT;
  const seconds = exptime(request, 2);
  if (seconds === null) return INVALID_EXPTIME;
  return touch(request.text(1), seconds, false);
}

/** set, add, replace: key flags exptime bytes [noreply]. */
export function buildStore(condition: number): Build {
  return (parser, shape) => {
    const refusal = dataRefusal(parser, shape);
    if (refusal !== "") return refusal;
    return store(parser, condition);
  };
}

function store(parser: MemcachedParser, condition: number): Command | string {
  const { request } = parser;
  const recordFlags = u32(request, 2);
  const seconds = exptime(request, 3);
  if (recordFlags === null || seconds === null) return BAD_FORMAT;
  const command = setCommand(request.text(1), request.copy(parser.words));
  command.flags = condition;
  command.recordFlags = recordFlags;
  applyExptime(command, seconds);
  return command;
}

/** cas key flags exptime bytes unique [noreply]. */
export function buildCas(parser: MemcachedParser, shape: ReplyShape): Command | string {
  const refusal = dataRefusal(parser, shape);
  if (refusal !== "") return refusal;
  const unique = u64(parser.request, 5);
  if (unique === null) return BAD_FORMAT;
  const command = store(parser, 0);
  if (typeof command !== "string") demandVersion(command, unique);
  return command;
}

/** append, prepend: flags and exptime are read and not used. */
export function buildAppend(atFront: boolean): Build {
  return (parser, shape) => {
    const refusal = dataRefusal(parser, shape);
    if (refusal !== "") return refusal;
    const { request } = parser;
    if (u32(request, 2) === null || exptime(request, 3) === null) return BAD_FORMAT;
    return appendCommand(request.text(1), request.copy(parser.words), atFront);
  };
}

/** `notDone` where there is no such key. */
export function appendCommand(key: string, data: Uint8Array, atFront: boolean): Command {
  const command = new Command(Op.append, key);
  command.value = data;
  command.flags = CommandFlag.ifPresent | (atFront ? CommandFlag.atFront : 0);
  return command;
}

/** The line that refuses a command with data; "" if its key and data are well. */
function dataRefusal(parser: MemcachedParser, shape: ReplyShape): string {
  shape.isSilent = parser.words === parser.spec!.wordsMax && isNoreply(parser);
  if (parser.request.length(1) > KEY_BYTES_MAX) return BAD_FORMAT;
  return blockRefusal(parser);
}

export function blockRefusal(parser: MemcachedParser): string {
  switch (parser.block) {
    case Block.whole:
      return "";
    case Block.bad:
      return BAD_CHUNK;
    case Block.tooLarge:
      return TOO_LARGE;
    case Block.none:
      // No length that could be read.
      return BAD_FORMAT;
  }
}

/** The command is done if the record has this cas unique. */
export function demandVersion(command: Command, unique: bigint): void {
  command.flags |= CommandFlag.ifVersion;
  command.versions = [unique === 0n || unique > BigInt(NO_VERSION) ? NO_VERSION : Number(unique)];
}

/** delete key [0] [noreply]: the 0 is an old client's. */
export function buildDelete(parser: MemcachedParser, shape: ReplyShape): Command | string {
  const { request, words } = parser;
  const silent = words > 2 && isNoreply(parser);
  const zeros = words - 2 - (silent ? 1 : 0);
  shape.isSilent = silent;
  if (zeros > 1 || (zeros === 1 && !isWord(parser, 2, "0"))) return DELETE_USAGE;
  if (request.length(1) > KEY_BYTES_MAX) return BAD_FORMAT;
  return deleteCommand([request.text(1)]);
}

/** incr, decr: key delta [noreply]. */
export function buildCount(isDown: boolean): Build {
  return (parser, shape) => {
    shape.isSilent = parser.words === 4 && isNoreply(parser);
    const { request } = parser;
    if (request.length(1) > KEY_BYTES_MAX) return BAD_FORMAT;
    const delta = u64(request, 2);
    return delta === null ? INVALID_DELTA : countCommand(request.text(1), delta, isDown);
  };
}

/** `absent` where there is no such key. */
export function countCommand(key: string, delta: bigint, isDown: boolean): Command {
  const command = new Command(isDown ? Op.countDown : Op.countUp, key);
  command.integer = delta;
  return command;
}

/**
 * flush_all [delay] [noreply]. A delay would have to be remembered by every node, through their deaths: nothing does that,
 * so one that lies ahead is refused.
 */
export function buildFlush(parser: MemcachedParser, shape: ReplyShape): Command | string {
  shape.isSilent = parser.words > 1 && isNoreply(parser);
  const isBare = parser.words === (shape.isSilent ? 2 : 1);
  const seconds = isBare ? 0 : exptime(parser.request, 1);
  if (seconds === null) return INVALID_EXPTIME;
  if (seconds > 0) return "CLIENT_ERROR flush_all with a delay is not possible here: send it when it is time";
  return new Command(Op.flush);
}

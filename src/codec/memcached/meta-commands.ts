/** The meta commands: from a line and its data to kv commands. */
import { latin1Encode } from "../../core/bytes.js";
import { type Command, CommandFlag, deleteCommand, getCommand, setCommand } from "../../kv/command.js";
import { decodeBase64 } from "./base64.js";
import { appendCommand, blockRefusal, countCommand, demandVersion, KEY_BYTES_MAX, touch } from "./classic-commands.js";
import type { ReplyShape } from "./command-spec.js";
import { BAD_FORMAT } from "./errors.js";
import { applyExptime } from "./exptime.js";
import { type MetaRequest, parseMeta } from "./meta-request.js";
import type { MemcachedParser } from "./parser.js";

function refused(flag: string, why: string): string {
  return `CLIENT_ERROR flag ${flag} is not possible here: ${why}`;
}

/** mg key flag…: T makes it a write. */
export function buildMetaGet(parser: MemcachedParser, shape: ReplyShape): Command | string {
  const meta = parseMeta(parser, 2);
  if (typeof meta === "string") return meta;
  shape.meta = meta;
  if (meta.vivify !== null) return refused("N", "nobody can be told that he alone is to write the key: use add");
  if (meta.exptime === null) return getCommand(meta.key);
  if (meta.compare !== null) return refused("C", "with T the record has a new version each time");
  return touch(meta.key, meta.exptime, true);
}

/** me key [b]. */
export function buildMetaDebug(parser: MemcachedParser, shape: ReplyShape): Command | string {
  const { request, words } = parser;
  const isBinary = words > 2 && request.text(2) === "b";
  const key = isBinary ? decodeBase64(request.text(1)) : request.text(1);
  if (key === null || request.length(1) > KEY_BYTES_MAX) return BAD_FORMAT;
  const meta = parseMeta(parser, words);
  if (typeof meta === "string") return meta;
  shape.meta = meta;
  return getCommand(key);
}

/** ms key datalen flag… */
export function buildMetaSet(parser: MemcachedParser, shape: ReplyShape): Command | string {
  const meta = parseMeta(parser, 3);
  if (typeof meta === "string") return meta;
  shape.meta = meta;
  const refusal = blockRefusal(parser);
  if (refusal !== "") return refusal;
  const data = parser.request.copy(parser.words);
  switch (meta.mode) {
    case "":
    case "S":
      return metaStore(meta, data, 0);
    case "E":
      // An add that demands a version is an add: what is absent has none.
      return metaStore(meta, data, CommandFlag.ifAbsent);
    case "R":
      return metaStore(meta, data, CommandFlag.ifPresent);
    case "A":
      return metaAppend(meta, data, false);
    case "P":
      return metaAppend(meta, data, true);
    default:
      return "CLIENT_ERROR invalid mode for ms M token";
  }
}

function metaStore(meta: MetaRequest, data: Uint8Array, condition: number): Command {
  const command = setCommand(meta.key, data);
  command.recordFlags = meta.clientFlags;
  applyExptime(command, meta.exptime ?? 0);
  // A demanded version is a demanded presence.
  if (meta.compare !== null && condition !== CommandFlag.ifAbsent) demandVersion(command, meta.compare);
  else command.flags |= condition;
  return command;
}

function metaAppend(meta: MetaRequest, data: Uint8Array, atFront: boolean): Command {
  const command = appendCommand(meta.key, data, atFront);
  if (meta.compare !== null) demandVersion(command, meta.compare);
  else if (meta.vivify !== null) {
    command.flags &= ~CommandFlag.ifPresent;
    command.recordFlags = meta.clientFlags;
    applyExptime(command, meta.vivify);
  }
  return command;
}

/** md key flag…: x leaves the record, without value, flags and deadline. */
export function buildMetaDelete(parser: MemcachedParser, shape: ReplyShape): Command | string {
  const meta = parseMeta(parser, 2);
  if (typeof meta === "string") return meta;
  shape.meta = meta;
  let command: Command;
  if (meta.removesValue) {
    command = setCommand(meta.key, new Uint8Array(0));
    command.flags = CommandFlag.ifPresent;
    command.recordFlags = meta.clientFlags;
    applyExptime(command, meta.exptime ?? 0);
  } else command = deleteCommand([meta.key]);
  if (meta.compare !== null) demandVersion(command, meta.compare);
  return command;
}

/** ma key flag… */
export function buildMetaArithmetic(parser: MemcachedParser, shape: ReplyShape): Command | string {
  const meta = parseMeta(parser, 2);
  if (typeof meta === "string") return meta;
  shape.meta = meta;
  const isUp = meta.mode === "" || meta.mode === "I" || meta.mode === "+";
  if (!isUp && meta.mode !== "D" && meta.mode !== "-") return "CLIENT_ERROR invalid mode for ma M token";
  if (meta.exptime !== null) return refused("T", "number and deadline cannot change at once: send mg with T after it");
  const command = countCommand(meta.key, meta.delta ?? 1n, !isUp);
  // As in memcached, where a version of 0 demands nothing.
  if (meta.compare !== null && meta.compare !== 0n) demandVersion(command, meta.compare);
  if (meta.vivify !== null) {
    command.flags |= CommandFlag.orCreate;
    command.value = latin1Encode((meta.initial ?? 0n).toString());
    applyExptime(command, meta.vivify);
  }
  return command;
}

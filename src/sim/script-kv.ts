/** Requests and results of the key-value store as the words of a golden trace. */
import { latin1Decode, latin1Encode } from "../core/bytes.js";
import {
  Command,
  CommandFlag,
  deleteCommand,
  getCommand,
  incrementCommand,
  isWrite,
  Op,
  setCommand,
} from "../kv/command.js";
import { LEVEL_NAMES, Level, levelByName } from "../kv/level.js";
import { type ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { ScriptError, splitArguments, wholeNumber } from "./script.js";

/** In a trace the answer comes out of the outbox; nobody waits behind the request. */
const NOBODY: ReplySink = { reply() {} };

/**
 * `set x 1`, `get x`, `delete x y`, `increment x 5`, `advance`, `wait 2`; then `level=sequential`, `client=c sequence=2
 * acknowledged=1` for a request that may be retried, `minimum=7` for the position that a local read must have seen (or
 * that replicas are waited to hold), `ttlMs=100` for what is set, and `deadlineMs=1500` for the time by which an answer
 * is due: clocks begin at 1,000.
 */
export function makeKvRequest(words: readonly string[]): Request {
  const { plain, named } = splitArguments(words);
  const level = levelByName(named.get("level") ?? "linearizable");
  if (level === null) throw new ScriptError(`there is no level ${named.get("level")}`);
  const request = new Request(makeCommand(plain), level, NOBODY);
  if (named.has("minimum")) request.minimumPosition = wholeNumber(named.get("minimum"), "minimum");
  if (named.has("deadlineMs")) request.deadlineMs = wholeNumber(named.get("deadlineMs"), "deadlineMs");
  if (named.has("ttlMs")) {
    request.command.flags |= CommandFlag.deadlineRelative;
    request.command.deadlineMs = wholeNumber(named.get("ttlMs"), "ttlMs", 1);
  }
  if (named.has("client")) {
    request.id = {
      client: (named.get("client") ?? "").padEnd(16, "."),
      sequence: wholeNumber(named.get("sequence"), "sequence", 1),
      acknowledgedThrough: wholeNumber(named.get("acknowledged") ?? "0", "acknowledged"),
      openedMs: wholeNumber(named.get("opened") ?? "0", "opened"),
    };
  }
  return request;
}

function makeCommand(words: readonly string[]): Command {
  const [name, key = "", value = ""] = words;
  switch (name) {
    case "get":
      return getCommand(key);
    case "set":
      return setCommand(key, latin1Encode(value));
    case "delete":
      return deleteCommand(words.slice(1));
    case "increment":
      return incrementCommand(key, BigInt(wholeNumber(value === "" ? "1" : value, "the increment")));
    case "advance":
      return new Command(Op.advance);
    case "wait": {
      const command = new Command(Op.progress);
      command.limit = wholeNumber(key, "how many replicas to wait for", 1);
      return command;
    }
    default:
      throw new ScriptError(`a request is set, get, delete, increment, advance or wait, not ${name ?? "nothing"}`);
  }
}

export function printKvRequest(request: Request): string {
  const id = request.id === null ? "" : ` (${request.id.client.replaceAll(".", "")} #${request.id.sequence})`;
  const level =
    isWrite(request.command.op) || request.level === Level.linearizable ? "" : ` ${LEVEL_NAMES[request.level]}`;
  return printKvCommand(request.command) + level + id;
}

export function printKvCommand(command: Command): string {
  switch (command.op) {
    case Op.get:
      return `get ${command.key}`;
    case Op.set:
      return `set ${command.key} ${latin1Decode(command.value)}`;
    case Op.delete:
      return `delete ${(command.keys ?? [command.key]).join(" ")}`;
    case Op.increment:
      return `increment ${command.key} ${command.integer}`;
    case Op.progress:
      return `wait ${command.limit}`;
    default:
      return `${opName(command.op)} ${command.key}`.trim();
  }
}

function opName(op: Op): string {
  return Object.entries(Op).find(([, value]) => value === op)?.[0] ?? `op ${op}`;
}

export function printKvResult(request: Request, result: Result): string {
  const position = request.position === 0 ? "" : ` at ${request.position}`;
  switch (result.kind) {
    case ResultKind.ok:
      return `ok${position}`;
    case ResultKind.value:
      return latin1Decode(result.value) + position;
    case ResultKind.absent:
      return `absent${position}`;
    case ResultKind.integer:
      return `${result.integer}${position}`;
    case ResultKind.notDone:
      return `not done${position}`;
    case ResultKind.error:
      return `${result.error?.code ?? "error"}: ${result.error?.message ?? ""}`;
    default:
      return `${result.items?.length ?? 0} items${position}`;
  }
}

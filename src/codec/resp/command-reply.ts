/** COMMAND [COUNT | LIST | INFO | DOCS | GETKEYS]: what the wire tells about its own commands. */
import { Glob } from "../../kv/glob.js";
import type { Arguments } from "./arguments.js";
import type { CommandSpec } from "./command-spec.js";
import { COMMANDS, findCommand, withSubcommand } from "./commands.js";
import { SYNTAX_ERROR } from "./errors.js";
import type { RespWriter } from "./reply.js";
import { knowsSubcommand, writeSubcommands } from "./subcommands.js";

export function answerCommand(request: Arguments, writer: RespWriter): void {
  if (request.count === 1) writeInfos(COMMANDS, writer);
  else if (request.is(1, "COUNT")) writer.integer(COMMANDS.length);
  else if (request.is(1, "LIST")) writeNames(request, writer);
  else if (request.is(1, "INFO")) writeInfos(request.count === 2 ? COMMANDS : namedFrom(request, 2), writer);
  else if (request.is(1, "DOCS")) writeDocs(request.count === 2 ? COMMANDS : namedFrom(request, 2), writer);
  else if (request.is(1, "GETKEYS")) writeKeys(request, writer);
  else writeSubcommands("command", writer);
}

function namedFrom(request: Arguments, first: number): (CommandSpec | null)[] {
  const specs: (CommandSpec | null)[] = [];
  for (let i = first; i < request.count; i += 1) specs.push(findCommand(request, i));
  return specs;
}

/** COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob]. There are no modules. */
function writeNames(request: Arguments, writer: RespWriter): void {
  const accepts = request.count === 2 ? () => true : commandFilter(request);
  if (accepts === null) {
    writer.error(SYNTAX_ERROR);
    return;
  }
  const listed = COMMANDS.filter(accepts);
  writer.array(listed.length);
  for (const spec of listed) writer.bulkText(spec.name);
}

function commandFilter(request: Arguments): ((spec: CommandSpec) => boolean) | null {
  if (request.count !== 5 || !request.is(2, "FILTERBY")) return null;
  if (request.is(3, "MODULE")) return () => false;
  if (request.is(3, "ACLCAT")) {
    const category = `@${request.text(4).toLowerCase()}`;
    return (spec) => categories(spec).includes(category);
  }
  if (!request.is(3, "PATTERN")) return null;
  const pattern = new Glob(request.text(4).toLowerCase());
  return (spec) => pattern.matches(spec.name);
}

/** Name, arity, flags, first key, last key, step, ACL categories; hints, key specifications and subcommands are empty. */
function writeInfos(specs: readonly (CommandSpec | null)[], writer: RespWriter): void {
  writer.array(specs.length);
  for (const spec of specs) {
    if (spec === null) {
      writer.nullArray();
      continue;
    }
    writer.array(10);
    writer.bulkText(spec.name);
    writer.integer(spec.arity);
    writeStatuses(spec.flags, writer);
    for (const position of spec.keys) writer.integer(position);
    writeStatuses(categories(spec), writer);
    writer.array(0);
    writer.array(0);
    writer.array(0);
  }
}

function writeStatuses(words: readonly string[], writer: RespWriter): void {
  writer.set(words.length);
  for (const word of words) writer.simple(word);
}

/** ACL categories follow from flags and group by Redis' own rules (setImplicitACLCategories), but for ROLE's. */
function categories(spec: CommandSpec): string[] {
  const names: string[] = [];
  if (spec.group === "string") names.push("@string");
  else if (spec.group === "transactions") names.push("@transaction");
  else if (spec.group === "pubsub") names.push("@pubsub");
  else if (spec.group === "connection" || spec.name === "wait" || spec.name === "command") names.push("@connection");
  else if (spec.flags.includes("write") || spec.flags.includes("readonly")) names.push("@keyspace");
  if (spec.name === "role" || spec.flags.includes("admin")) names.push("@admin");
  if (spec.flags.includes("write")) names.push("@write");
  if (spec.flags.includes("readonly")) names.push("@read");
  if (spec.flags.includes("fast")) names.push("@fast");
  else names.push("@slow");
  return names;
}

function writeDocs(specs: readonly (CommandSpec | null)[], writer: RespWriter): void {
  const known = specs.filter((spec) => spec !== null);
  writer.map(known.length);
  for (const spec of known) {
    writer.bulkText(spec.name);
    writer.map(3);
    writer.bulkText("summary");
    writer.bulkText(spec.summary);
    writer.bulkText("since");
    writer.bulkText(spec.since);
    writer.bulkText("group");
    writer.bulkText(spec.group);
  }
}

function writeKeys(request: Arguments, writer: RespWriter): void {
  const spec = commandAt(request, 2);
  const error = keysError(request, spec);
  if (spec === null || error !== "") {
    writer.error(error);
    return;
  }
  const [first, last, step] = spec.keys;
  const end = last < 0 ? request.count + last : 2 + last;
  const keys: string[] = [];
  for (let i = 2 + first; i <= end; i += step) keys.push(request.text(i));
  writer.array(keys.length);
  for (const key of keys) writer.bulkText(key);
}

/** Null also for a subcommand that there is not. */
function commandAt(request: Arguments, index: number): CommandSpec | null {
  const spec = findCommand(request, index);
  if (spec === null || !spec.isContainer || index + 1 === request.count) return spec;
  return knowsSubcommand(spec.name, request, index + 1) ? withSubcommand(spec, request, index) : null;
}

function keysError(request: Arguments, spec: CommandSpec | null): string {
  if (spec === null) return "ERR Invalid command specified";
  if (spec.keys[0] === 0) return "ERR The command has no key arguments";
  return spec.accepts(request.count - 2) ? "" : "ERR Invalid number of arguments specified for command";
}

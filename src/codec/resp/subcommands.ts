/** Commands that hold others, and what is refused before one of them is begun. */
import type { Arguments } from "./arguments.js";
import { unknownSubcommand, wrongArity } from "./errors.js";
import type { RespWriter } from "./reply.js";

/** By container: arity of the whole request; negative: at least. */
const SUBCOMMANDS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  client: {
    CACHING: 3,
    GETNAME: 2,
    GETREDIR: 2,
    HELP: 2,
    ID: 2,
    INFO: 2,
    LIST: -2,
    "NO-EVICT": 3,
    "NO-TOUCH": 3,
    REPLY: 3,
    SETINFO: 4,
    SETNAME: 3,
    TRACKING: -3,
    TRACKINGINFO: 2,
    UNPAUSE: 2,
  },
  command: { COUNT: 2, DOCS: -2, GETKEYS: -4, HELP: 2, INFO: -2, LIST: -2 },
  config: { GET: -3, HELP: 2, RESETSTAT: 2, REWRITE: 2, SET: -4 },
  latency: { HELP: 2, HISTOGRAM: -2, HISTORY: 3, LATEST: 2, RESET: -2 },
  memory: { HELP: 2, USAGE: -3 },
  object: { ENCODING: 3, FREQ: 3, HELP: 2, IDLETIME: 3, REFCOUNT: 3 },
  slowlog: { GET: -2, HELP: 2, LEN: 2, RESET: 2 },
  gamut: { CALL: -3, EXPLAIN: -2, HELP: 2, KEYSPACE: -3, LEVEL: -2, STATUS: 2, TOKEN: -2, UNWATCH: 2, WATCH: -2 },
};

export function hasSubcommands(container: string): boolean {
  return Object.hasOwn(SUBCOMMANDS, container);
}

export function subcommandArity(container: string, word: string): number {
  return SUBCOMMANDS[container][word];
}

/** Whether argument `index` names a subcommand of this container. */
export function knowsSubcommand(container: string, request: Arguments, index: number): boolean {
  return Object.keys(SUBCOMMANDS[container]).some((name) => request.is(index, name));
}

/** The error line for a subcommand that there is not, or not with so many arguments; "" if all is well. */
export function subcommandError(container: string, request: Arguments): string {
  if (request.count < 2) return "";
  const subcommands = SUBCOMMANDS[container];
  for (const name in subcommands) {
    const arity = subcommands[name];
    if (!request.is(1, name)) continue;
    const fits = arity >= 0 ? request.count === arity : request.count >= -arity;
    return fits ? "" : wrongArity(`${container}|${name.toLowerCase()}`);
  }
  return unknownSubcommand(container, request);
}

export function writeSubcommands(container: string, writer: RespWriter): void {
  const names = Object.keys(SUBCOMMANDS[container]);
  writer.array(1 + names.length);
  writer.simple(`${container.toUpperCase()} <subcommand> [<arg> ...]. Subcommands are:`);
  for (const name of names) writer.simple(name);
}

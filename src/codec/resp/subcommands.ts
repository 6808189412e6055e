/** Commands that hold others, and what is refused before one of them is begun. */
import type { Arguments } from "./arguments.js";
import { unknownSubcommand, wrongArity } from "./errors.js";
import type { RespWriter } from "./reply.js";

/** By container: arity of the whole request; negative: at least. */
const SUBCOMMANDS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  client: {
    GETNAME: 2,
    HELP: 2,
    ID: 2,
    INFO: 2,
    LIST: -2,
    "NO-EVICT": 3,
    "NO-TOUCH": 3,
    SETINFO: 4,
    SETNAME: 3,
  },
  command: { COUNT: 2, DOCS: -2, GETKEYS: -4, HELP: 2, INFO: -2, LIST: -2 },
  config: { GET: -3, HELP: 2, RESETSTAT: 2, REWRITE: 2, SET: -4 },
  gamut: { EXPLAIN: -2, HELP: 2, KEYSPACE: -3, LEVEL: -2, STATUS: 2, TOKEN: -2 },
};

export function hasSubcommands(container: string): boolean {
  return Object.hasOwn(SUBCOMMANDS, container);
}

/** The error line for a subcommand that there is not, or not with so many arguments; "" if all is well. */
export function subcommandError(container: string, request: Arguments): string {
  if (request.count < 2) return "";
  for (const [name, arity] of Object.entries(SUBCOMMANDS[container])) {
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

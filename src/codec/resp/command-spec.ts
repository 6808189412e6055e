import { latin1Encode } from "../../core/bytes.js";
import type { Command } from "../../kv/command.js";
import type { Result } from "../../kv/result.js";
import type { Arguments } from "./arguments.js";
import { wrongArity } from "./errors.js";
import type { RespWriter } from "./reply.js";
import { hasSubcommands, subcommandError } from "./subcommands.js";

/** What building a command or writing its answer needs beyond its arguments. */
export interface CommandContext {
  /** Wall clock of this node: how long a deadline is away. */
  wallMs(): number;
  /** Key at which the scan behind a cursor goes on; null: no such cursor here. */
  scanKey(cursor: string): string | null;
  /** A cursor for a scan that goes on at `key`. */
  scanCursor(key: string): string;
  /** As far as this node knows. */
  keyspaceCount(): number;
  /** Whether a client would call the keyspace that it has chosen by this name. */
  isKeyspace(name: string): boolean;
}

/** The kv command of a request, or the error line that answers it without troubling the store. */
export type Build = (request: Arguments, context: CommandContext) => Command | string;
/** Never called with an error: those look the same for all commands. */
export type Render = (writer: RespWriter, result: Result, context: CommandContext, command: Command) => void;

/** Which arguments are keys: first, last (negative: from the end), step; 0, 0, 0 for none. */
export type KeyPositions = readonly [first: number, last: number, step: number];

/** One command as clients see it. */
export class CommandSpec {
  readonly upperName: Uint8Array;
  /** Of a subcommand ("container|word") the word, else the name. */
  readonly upperWord: string;
  readonly isContainer: boolean;

  constructor(
    /** Place in the table. */
    readonly index: number,
    readonly name: string,
    /** Counts the name; negative: at least so many. */
    readonly arity: number,
    readonly group: string,
    readonly flags: readonly string[],
    readonly keys: KeyPositions,
    readonly since: string,
    readonly summary: string,
    /** Null: the server answers it. */
    readonly build: Build | null,
    readonly render: Render | null,
  ) {
    this.upperName = latin1Encode(name.toUpperCase());
    this.upperWord = name.slice(name.indexOf("|") + 1).toUpperCase();
    this.isContainer = hasSubcommands(name);
  }

  /** The error line for a request that is refused before it is begun; "" if it may begin. */
  refusal(request: Arguments): string {
    if (!this.accepts(request.count)) return wrongArity(this.name);
    return this.isContainer ? subcommandError(this.name, request) : "";
  }

  accepts(count: number): boolean {
    return this.arity >= 0 ? count === this.arity : count >= -this.arity;
  }
}

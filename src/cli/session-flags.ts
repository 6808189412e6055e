/** What every command that asks a cluster has in common: its flags, the connection, and what an error comes to. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../kv/duration.js";
import { KvError } from "../kv/errors.js";
import { grantedLevels, grantsInWords, unknownLevel } from "../kv/grants.js";
import { levelByName } from "../kv/level.js";
import { tokenFromText } from "../kv/token.js";
import { type Address, defaultAddresses, showAddress, splitAddress } from "./address.js";
import { Client, NoAnswer } from "./client.js";
import { CliError, Exit, exitCodesHelp } from "./exit.js";
import { writeLine } from "./output.js";
import { ReplyError, textOf } from "./reply-reader.js";

const TIMEOUT_MS = 10_000;

export interface AddressFlags {
  readonly address: readonly Address[];
  /** In ms. */
  readonly timeout: number;
  readonly json: boolean;
}

export interface SessionFlags extends AddressFlags {
  readonly keyspace?: string;
  readonly level?: string;
  readonly token?: string;
  readonly printToken: boolean;
  readonly explain: boolean;
}

/** `no`: when the command ends with exit code 1; "" if it never does. */
export function addAddressFlags(command: Command, no = ""): Command {
  return command
    .option("-a, --address <host:port>", "a node; repeat it for more, which are tried in turn", gatherAddress)
    .addOption(
      new Option("--timeout <time>", "how long to wait for an answer, e.g. 500ms, 1m")
        .argParser(duration)
        .default(TIMEOUT_MS, "10s"),
    )
    .option("--json", "print JSON", false)
    .addHelpText("after", exitCodesHelp(no))
    .addHelpText("after", "\nAddresses also come from GAMUT_ADDRESS=host:port,host:port; else 127.0.0.1:7001 to 7003.");
}

export function addSessionFlags(command: Command, no = ""): Command {
  return addAddressFlags(command, no)
    .option("-k, --keyspace <name>", "the keyspace")
    .addOption(levelOption("the level to ask for; else the keyspace's own"))
    .option("--token <token>", "see at least what the session that gave this token has seen", token)
    .option("--print-token", "write what this session has seen to stderr, for --token", false)
    .option("--explain", "write to stderr the receipt (the level given, and on what evidence) and the version", false);
}

/** Offers what is granted somewhere; another level that there is, is for the keyspace to refuse, with what would grant it. */
export function levelOption(description: string): Option {
  return new Option("-l, --level <level>", `${description}. ${grantsInWords()}; what is not granted is refused`)
    .choices(grantedLevels())
    .argParser(levelName);
}

function levelName(text: string): string {
  if (levelByName(text) === null) throw new InvalidArgumentError(unknownLevel(text, ""));
  return text;
}

function token(text: string): string {
  if (tokenFromText(text) instanceof KvError) {
    throw new InvalidArgumentError("it is no token, or not a whole one: pass on what --print-token wrote");
  }
  return text;
}

export function gatherAddress(text: string, before: readonly Address[] = []): Address[] {
  return [...before, address(text)];
}

function address(text: string): Address {
  const split = splitAddress(text);
  if (split === null) throw new InvalidArgumentError("write host:port, for example 127.0.0.1:7001");
  return split;
}

export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError("write a time such as 500ms, 30s, 5m, 12h or 7d");
  return ms;
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("it must be a whole number");
  return Number(text);
}

export function atLeastOne(text: string): number {
  const number = wholeNumber(text);
  if (number < 1) throw new InvalidArgumentError("it must be at least 1");
  return number;
}

/** From the flags, else from the environment, else those of `gamut up`. */
export function addressesOf(flags: Pick<AddressFlags, "address">): readonly Address[] {
  if (flags.address !== undefined) return flags.address;
  const listed = process.env.GAMUT_ADDRESS ?? "";
  if (listed.trim() === "") return defaultAddresses();
  return listed.split(",").map((text) => {
    const split = splitAddress(text.trim());
    if (split === null) {
      throw new CliError(
        Exit.usage,
        `GAMUT_ADDRESS: "${text.trim()}" is not host:port; write for example 127.0.0.1:7001`,
      );
    }
    return split;
  });
}

/** Whether the request changes something: then silence means that nobody knows whether it did. */
export type Effect = "reads" | "writes";

/**
 * Connects, asks, tells receipt and token, hangs up. What `ask` returns is what `--json` prints; null for nothing.
 * @throws CliError
 */
export async function withClient(
  flags: SessionFlags,
  effect: Effect,
  ask: (client: Client) => Promise<Record<string, unknown> | null>,
): Promise<void> {
  const client = await Client.connect(addressesOf(flags), flags.timeout);
  let asked = false;
  try {
    await client.choose(flags);
    asked = true;
    const found = await ask(client);
    const { receipt, version } = client;
    const token = flags.printToken ? await tokenOf(client) : "";
    if (flags.json && found !== null) {
      const evidence = flags.explain && receipt !== "" ? { receipt: receiptFields(receipt) } : {};
      await writeLine(JSON.stringify({ ...found, ...(token !== "" && { token }), ...evidence }));
    } else {
      if (flags.explain && receipt !== "") console.error(`receipt: ${receipt}`);
      if (flags.explain && version !== 0) console.error(`version: ${version}`);
      if (token !== "") console.error(token);
    }
  } catch (error) {
    throw asCliError(error, client.address, effect === "writes" && asked);
  } finally {
    client.close();
  }
}

/** Calls bring their own; else it is the connection's. */
async function tokenOf(client: Client): Promise<string> {
  return client.callToken === "" ? textOf(await client.demand(["GAMUT", "TOKEN"])) : client.callToken;
}

export function asCliError(error: unknown, from: Address, mayHaveHappened: boolean): unknown {
  if (error instanceof ReplyError) {
    return new CliError(error.definite ? Exit.failed : Exit.unknown, error.message, error.code);
  }
  if (!(error instanceof NoAnswer)) return error;
  const what = `${showAddress(from)}: ${error.message}`;
  if (!mayHaveHappened) return new CliError(Exit.failed, `${what}; nothing was changed`, "unavailable");
  const outcome = "the outcome is unknown: it may have taken effect, may still, or never will";
  return new CliError(Exit.unknown, `${what}; ${outcome}`, "unknown");
}

/** `level=linearizable node=2 durable-on=1,2` as fields. */
function receiptFields(receipt: string): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of receipt.split(" ")) {
    const at = field.indexOf("=");
    const [name, value] = [field.slice(0, at), field.slice(at + 1)];
    if (name === "durable-on") fields.durableOn = value.split(",").map(Number);
    else
      fields[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())] = /^\d+$/.test(value)
        ? Number(value)
        : value;
  }
  return fields;
}

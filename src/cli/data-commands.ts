/** `gamut get set del incr scan`: records from the shell. */
import { Command, InvalidArgumentError } from "commander";
import { MATCHES_NOTHING } from "../codec/resp/key-commands.js";
import { CommandFlag, Op, Command as Operation } from "../kv/command.js";
import { casCommand } from "./cas-command.js";
import type { Client } from "./client.js";
import { withExamples } from "./examples.js";
import { CliError, Exit } from "./exit.js";
import { jsonValue, printable, readStdin, utf8Text, writeLine, writeOut, writeValue } from "./output.js";
import type { Reply } from "./reply-reader.js";
import { addSessionFlags, atLeastOne, duration, type SessionFlags, wholeNumber, withClient } from "./session-flags.js";

/** Keys asked for at a time. */
const SCAN_COUNT = 500;
const NEWLINE = Buffer.from("\n");

export function dataCommands(): Command[] {
  return [getCommand(), setCommand(), casCommand(), deleteCommand(), incrementCommand(), scanCommand()];
}

function getCommand(): Command {
  const command = new Command("get")
    .description("read a value; to a pipe or a file it is written byte by byte, nothing added")
    .argument("<key>")
    .action((key: string, flags: SessionFlags) =>
      withClient(flags, "reads", async (client) => {
        // The version comes with the explanation.
        if (flags.json && !flags.explain) await client.demand(["GAMUT", "EXPLAIN", "ON"]);
        const value = await client.demand(["GET", key]);
        if (!(value instanceof Uint8Array)) return absent(key, flags);
        if (!flags.json) await writeValue(value);
        return { key, found: true, ...jsonValue(value), version: client.version };
      }),
    );
  return withExamples(addSessionFlags(command, "there is no such key"), [
    "gamut get greeting",
    "gamut get photo > photo.jpg",
    "gamut get greeting --level sequential --explain",
    "gamut get stock --json     # with its version, for gamut cas",
  ]);
}

function absent(key: string, flags: SessionFlags): Record<string, unknown> {
  process.exitCode = Exit.no;
  if (!flags.json) console.error(`gamut: there is no key ${printable(Buffer.from(key))}`);
  return { key, found: false };
}

interface SetFlags extends SessionFlags {
  readonly nx: boolean;
  readonly xx: boolean;
  readonly get: boolean;
  readonly ttl?: number;
}

function setCommand(): Command {
  const command = new Command("set")
    .description("write a value")
    .argument("<key>")
    .argument("<value>", "the value; - reads it from stdin, byte by byte")
    .option("--nx", "only if the key is absent", false)
    .option("--xx", "only if the key is present", false)
    .option(
      "--ttl <time>",
      "let the key expire after this time: 500ms, 30s, 5m, 7d; a number alone counts seconds",
      duration,
    )
    .option("--get", "write the value before to stdout, as get does", false)
    .action(set);
  return withExamples(addSessionFlags(command, "the condition (--nx, --xx) did not hold"), [
    "gamut set greeting hello",
    "gamut set photo - < photo.jpg",
    "gamut set lock mine --nx --ttl 30s && echo 'the lock is mine'",
  ]);
}

async function set(key: string, value: string, flags: SetFlags): Promise<void> {
  if (flags.nx && flags.xx) throw new CliError(Exit.usage, "--nx and --xx exclude each other: leave one out");
  const bytes = value === "-" ? await readStdin() : Buffer.from(value);
  const request: (string | Uint8Array)[] = ["SET", key, bytes];
  if (flags.nx) request.push("NX");
  if (flags.xx) request.push("XX");
  if (flags.get) request.push("GET");
  if (flags.ttl !== undefined) request.push("PX", String(flags.ttl));
  await withClient(flags, "writes", async (client) => {
    const reply = await client.demand(request);
    const done = wasSet(reply, flags);
    if (!done) process.exitCode = Exit.no;
    const previous = flags.get && reply instanceof Uint8Array ? reply : null;
    if (!flags.json) {
      if (previous !== null) await writeValue(previous);
      if (!done) console.error(`gamut: not set: the key is ${flags.nx ? "there" : "absent"}`);
      else if (!flags.get) await writeLine("OK");
    }
    return { key, done, ...(previous !== null && jsonValue(previous, "previous")) };
  });
}

/** With GET the reply is the value before, which tells as much. */
function wasSet(reply: Reply, flags: SetFlags): boolean {
  if (!flags.get) return reply !== null;
  if (flags.nx) return reply === null;
  return !flags.xx || reply !== null;
}

function deleteCommand(): Command {
  const command = new Command("del")
    .description("delete keys and tell how many there were")
    .argument("<key...>")
    .action((keys: string[], flags: SessionFlags) =>
      withClient(flags, "writes", async (client) => {
        const deleted = (await client.demand(["DEL", ...keys])) as number;
        if (deleted === 0) process.exitCode = Exit.no;
        if (!flags.json) await writeLine(String(deleted));
        return { deleted };
      }),
    );
  return withExamples(addSessionFlags(command, "there was none of these keys"), [
    "gamut del greeting",
    "gamut del a b c --json",
  ]);
}

function incrementCommand(): Command {
  const command = new Command("incr")
    .description("add to a number and tell the sum; an absent key counts as 0")
    .argument("<key>")
    .argument("[by]", "what to add: a whole number of 64 bits, also negative", integer, "1")
    .action((key: string, by: string, flags: SessionFlags) =>
      withClient(flags, "writes", async (client) => {
        const sum = (await client.demand(["INCRBY", key, by])) as number | bigint;
        if (!flags.json) await writeLine(String(sum));
        // Beyond 2^53 a number of JSON would lose digits.
        return { key, value: typeof sum === "bigint" ? sum.toString() : sum };
      }),
    );
  return withExamples(addSessionFlags(command), ["gamut incr visits", "gamut incr stock -5"]);
}

function integer(text: string): string {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError("it must be a whole number");
  if (text.length > 64 || BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) {
    throw new InvalidArgumentError("it must fit into 64 bits: from -9223372036854775808 to 9223372036854775807");
  }
  return text;
}

interface ScanFlags extends SessionFlags {
  readonly match?: string;
  readonly count: number;
  readonly limit: number;
  readonly reverse: boolean;
}

function scanCommand(): Command {
  const command = new Command("scan")
    .description("write the keys in byte order, one a line, as they come")
    .option("-m, --match <glob>", "only keys that match: * ? [a-z] \\x")
    .option("--count <n>", "keys to look at for each request", atLeastOne, SCAN_COUNT)
    .option("--limit <n>", "stop after so many keys; 0 is no limit", wholeNumber, 0)
    .option("--reverse", "from the last key to the first", false)
    .action((flags: ScanFlags) =>
      withClient(flags, "reads", async (client) => {
        await scan(client, flags);
        return null;
      }),
    );
  return withExamples(addSessionFlags(command), [
    "gamut scan --match 'user:*' --limit 10",
    "gamut scan --reverse --limit 1     # the last key",
    "gamut scan --json     # a JSON string a line: keys may hold line breaks",
  ]);
}

async function scan(client: Client, flags: ScanFlags): Promise<void> {
  const limit = flags.limit === 0 ? Number.POSITIVE_INFINITY : flags.limit;
  let written = 0;
  let from: string | null = "";
  while (from !== null && written < limit) {
    const page = new Operation(Op.scan, from);
    page.value = flags.match === "" ? MATCHES_NOTHING : Buffer.from(flags.match ?? "");
    page.limit = flags.count;
    if (flags.reverse) page.flags = CommandFlag.reverse;
    const { items, key } = await client.operate(page);
    const shown = items!.slice(0, limit - written);
    written += shown.length;
    const lines = shown.map((item) => keyLine(Buffer.from(item.key, "latin1"), flags.json));
    if (shown.length > 0) await writeOut(Buffer.concat(lines));
    from = key === "" ? null : key;
  }
}

function keyLine(key: Uint8Array, json: boolean): Uint8Array {
  if (json) return Buffer.from(`${JSON.stringify(utf8Text(key) ?? jsonValue(key, "key"))}\n`);
  return process.stdout.isTTY ? Buffer.from(`${printable(key)}\n`) : Buffer.concat([key, NEWLINE]);
}

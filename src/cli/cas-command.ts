/** `gamut cas`: write a value, if the record is still as it was read. */
import { Command, InvalidArgumentError } from "commander";
import { latin1Decode } from "../core/bytes.js";
import { CommandFlag, setCommand } from "../kv/command.js";
import { type Result, ResultKind } from "../kv/result.js";
import { withExamples } from "./examples.js";
import { Exit } from "./exit.js";
import { readStdin, writeLine } from "./output.js";
import { addSessionFlags, duration, type SessionFlags, withClient } from "./session-flags.js";

interface CasFlags extends SessionFlags {
  readonly ttl?: number;
}

/** 0: the key must be absent. */
const ABSENT = 0;

export function casCommand(): Command {
  const command = new Command("cas")
    .description("compare and set: write a value if the key is still at this version, and tell the new version")
    .argument("<key>")
    .argument(
      "<version>",
      "what `gamut get --json` or --explain has told, or absent: there must be no such key",
      version,
    )
    .argument("<value>", "the value; - reads it from stdin, byte by byte")
    .option(
      "--ttl <time>",
      "let the key expire after this time: 500ms, 30s, 5m, 7d; a number alone counts seconds",
      duration,
    )
    .action(compareAndSet);
  return withExamples(addSessionFlags(command, "the key is at another version, or there, or gone: nothing was done"), [
    "gamut get stock --json     # tells the version, 42 say",
    "gamut cas stock 42 6; [ $? = 1 ] && echo 'somebody else was first: read again'",
    'gamut cas leader absent "$(hostname)" --ttl 30s',
  ]);
}

function version(text: string): number {
  if (text === "absent") return ABSENT;
  const number = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (number === 0 || !Number.isSafeInteger(number)) {
    throw new InvalidArgumentError("write the version that `gamut get --json` tells, or absent");
  }
  return number;
}

async function compareAndSet(key: string, expected: number, value: string, flags: CasFlags): Promise<void> {
  const command = setCommand(latin1Decode(Buffer.from(key)), value === "-" ? await readStdin() : Buffer.from(value));
  if (expected === ABSENT) command.flags |= CommandFlag.ifAbsent;
  else {
    command.flags |= CommandFlag.ifVersion;
    command.versions = [expected];
  }
  if (flags.ttl !== undefined) {
    command.deadlineMs = flags.ttl;
    command.flags |= CommandFlag.deadlineRelative;
  }
  await withClient(flags, "writes", async (client) => {
    const result = await client.operate(command);
    const done = result.kind === ResultKind.ok;
    if (!done) process.exitCode = Exit.no;
    if (!flags.json) {
      if (done) await writeLine(String(result.version));
      else console.error(`gamut: not set: ${whyNot(expected, result)}`);
    }
    return { key, done, ...(result.version !== 0 && { version: result.version }) };
  });
}

function whyNot(expected: number, { version }: Result): string {
  if (expected === ABSENT) return "the key is there";
  if (version === 0) return `the key is absent, not at version ${expected}`;
  return `the key is at version ${version}, not ${expected}: read it again`;
}

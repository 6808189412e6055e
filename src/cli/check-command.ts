/** `gamut check`: was what clients saw consistent? */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Operation, Value, Verdict } from "../check/index.js";
import { withExamples } from "./examples.js";
import { readStdin, unreadable, writeLine } from "./output.js";
import { atLeastOne } from "./session-flags.js";

const FORMATS = ["jsonl", "porcupine-etcd", "porcupine-kv", "knossos"] as const;
const EXIT_OF = { valid: 0, invalid: 1, unknown: 2 } as const;

interface CheckFlags {
  readonly model: "linearizable" | "sequential";
  readonly format: (typeof FORMATS)[number];
  readonly nilRead: "unconstrained" | "absent";
  readonly initial?: Value;
  readonly maxSteps?: number;
  readonly maxMemoEntries?: number;
  readonly json: boolean;
}

export function checkCommand(): Command {
  const command = new Command("check")
    .description("decide whether a recorded history is consistent, and show the few operations that are not")
    .argument("<file>", "the history; - reads stdin")
    .addOption(
      new Option("-m, --model <model>", "what it must be")
        .choices(["linearizable", "sequential"])
        .default("linearizable"),
    )
    .addOption(new Option("-f, --format <format>", "how it is written").choices(FORMATS).default("jsonl"))
    .addOption(
      new Option(
        "--nil-read <reading>",
        "knossos: what a completed read of nil says, nothing or that the key is absent",
      )
        .choices(["unconstrained", "absent"])
        .default("unconstrained"),
    )
    .option("--initial <json>", "knossos: what the register holds at first (default: absent)", scalar)
    .option("--max-steps <n>", "steps of search before the answer is unknown", atLeastOne)
    .option(
      "--max-memo-entries <n>",
      "configurations to remember for each key before the answer is unknown",
      atLeastOne,
    )
    .option("--json", "print JSON", false)
    .addHelpText(
      "after",
      "\nExit codes:\n  0  valid\n  1  invalid\n  2  unknown (budget spent), or the file cannot be read, or holds no operation",
    )
    .action(check);
  return withExamples(command, [
    "gamut check history.jsonl",
    "gamut check --model sequential --json - < history.jsonl",
    "gamut check --format porcupine-etcd etcd_000.log",
  ]);
}

function scalar(text: string): Value {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('write it as JSON: 0, true, "text" or null');
  }
  if (typeof value === "object" && value !== null)
    throw new InvalidArgumentError("it must be a number, text, true or false");
  return value as Value;
}

async function check(file: string, flags: CheckFlags): Promise<void> {
  const checker = await import("../check/index.js");
  let operations: Operation[];
  try {
    operations = readOperations(checker, await readText(file), flags);
    // A recorder that has written nothing must not pass for a history in which nothing is wrong.
    if (operations.length === 0) throw new Error("there is no operation in it: nothing is shown by that");
  } catch (error) {
    const problem = `${file === "-" ? "stdin" : file}: ${(error as Error).message}`;
    if (flags.json) await writeLine(JSON.stringify({ verdict: "unreadable", problem }));
    else console.error(`gamut check: cannot be read as ${flags.format}: ${problem}`);
    process.exitCode = EXIT_OF.unknown;
    return;
  }
  const { maxSteps, maxMemoEntries } = flags;
  const budget = {
    ...(maxSteps !== undefined && { maxSteps }),
    ...(maxMemoEntries !== undefined && { maxMemoEntries }),
  };
  const decide = flags.model === "sequential" ? checker.checkSequential : checker.checkLinearizable;
  const verdict = decide(operations, { budget });
  process.exitCode = EXIT_OF[verdict.kind];
  await writeLine(flags.json ? JSON.stringify(verdictFields(verdict)) : checker.renderVerdict(verdict));
}

async function readText(file: string): Promise<string> {
  if (file === "-") return Buffer.from(await readStdin()).toString("utf8");
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(unreadable(error as NodeJS.ErrnoException));
  }
}

function readOperations(checker: typeof import("../check/index.js"), text: string, flags: CheckFlags): Operation[] {
  switch (flags.format) {
    case "jsonl":
      return checker.parseHistory(text);
    case "porcupine-etcd":
      return checker.importPorcupineEtcd(text);
    case "porcupine-kv":
      return checker.importPorcupineKv(text);
    case "knossos":
      return checker.importKnossos(text, {
        nilRead: flags.nilRead,
        ...(flags.initial !== undefined && { initial: flags.initial }),
      });
  }
}

function verdictFields(verdict: Verdict): object {
  const { kind, model, sentence, stats } = verdict;
  if (kind === "valid") return { verdict: kind, model, sentence, stats };
  const key = verdict.key ?? null;
  return { verdict: kind, model, key, sentence, ...(kind === "invalid" && { witness: verdict.witness }), stats };
}

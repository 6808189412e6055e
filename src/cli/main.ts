/** The command line. What only one command needs is loaded when it runs: `gamut get` must be quick. */
import { Command, Help, Option } from "commander";
import type { Durability } from "../node/options.js";
import { DEFAULT_PORT_BASE } from "./address.js";
import { benchCommand } from "./bench/command.js";
import { checkCommand } from "./check-command.js";
import { completionCommand } from "./completion/command.js";
import type { ConfigOverrides } from "./config.js";
import { dataCommands } from "./data-commands.js";
import { dumpCommand } from "./dump-command.js";
import { DURABILITIES } from "./durabilities.js";
import { withExamples } from "./examples.js";
import { CliError, Exit, exitCodesHelp } from "./exit.js";
import { exportCommand } from "./export-command.js";
import { keyspaceCommand } from "./keyspace-command.js";
import { endWithReader } from "./output.js";
import { OWN_NAME, ownName } from "./own-name.js";
import { wholeNumber } from "./session-flags.js";
import { simCommand } from "./sim-command.js";
import { statusCommand } from "./status-command.js";
import { topCommand } from "./top/command.js";
import { BUILD_VERSION } from "./version.js";
import { watchCommand } from "./watch-command.js";

interface UpFlags {
  readonly nodes: number;
  readonly data: string;
  readonly portBase: number;
  readonly durability?: Durability;
  readonly memory: boolean;
  readonly restart: boolean;
}

function durabilityOption(): Option {
  const option = new Option(
    "--durability <kind>",
    "where an answered write is, at a majority: sync (the default): on the disk; os: with the operating system, and on " +
      "the disk a second later (survives kill -9, not a crash of the machine); memory: nothing survives a stop",
  );
  return option.choices(DURABILITIES);
}

function upCommand(): Command {
  const command = new Command("up")
    .description("start a cluster on this machine, one process a node; Ctrl-C stops it, the data stay")
    .option("-n, --nodes <n>", "how many nodes; a folder keeps its number", wholeNumber, 3)
    .option("-d, --data <dir>", "folder for the data; each node gets one in it", "gamut-data")
    .option(
      "-p, --port-base <port>",
      "client port of node 1; the others follow, peers use the port + 1000",
      wholeNumber,
      DEFAULT_PORT_BASE,
    )
    .addOption(durabilityOption())
    .addOption(
      new Option("--memory", "the same as --durability memory: nothing survives a stop")
        .default(false)
        .conflicts("durability"),
    )
    .option("--no-restart", "leave a node that dies dead, to be started by hand; up ends when all are dead")
    .allowExcessArguments()
    .action(async ({ nodes, data, portBase, durability, memory, restart }: UpFlags, command: Command) => {
      refuseArguments(command.args);
      const { up } = await import("./up.js");
      await up({ nodes, dataDir: data, portBase, durability: memory ? "memory" : (durability ?? "sync"), restart });
    });
  return withExamples(command, ["gamut up", "gamut up --nodes 5 --port-base 7101 --data /var/tmp/five"]);
}

/** Of `npm start --port-base 7101` npm keeps the flag, and hands its value on. */
function refuseArguments(words: readonly string[]): void {
  if (words.length === 0) return;
  const why =
    process.env.npm_lifecycle_event === "start"
      ? "npm takes flags for itself unless they stand behind --, as in npm start -- --port-base 7101"
      : "everything is chosen with flags: see gamut up --help";
  throw new CliError(Exit.usage, `gamut up does not take ${JSON.stringify(words.join(" "))}: ${why}`);
}

function nodeCommand(): Command {
  const command = new Command("node")
    .description("run one member alone, in the foreground")
    .requiredOption("-c, --config <file>", "its settings (YAML); the flags below override them")
    .option("--node <n>", "its number in members", wholeNumber)
    .option("--data-dir <dir>", "folder for its data")
    .option("--host <host>", "address to listen on")
    .option("--client-port <port>", "port for clients", wholeNumber)
    .option("--peer-port <port>", "port for the other nodes", wholeNumber)
    .addOption(durabilityOption())
    .option("--log-level <level>", "debug, info, warn or error")
    .option("--log-json", "log lines as JSON")
    .option(
      "--record <dir>",
      "write all that enters the node into this folder, for `gamut sim --replay <dir>`: a copy of its log, then 150 to 300 " +
        "bytes for each small write, without limit; never over another recording",
    )
    .action(async (flags: ConfigOverrides & { config: string; record?: string }) => {
      const [{ loadNodeConfig }, { runNode }] = await Promise.all([import("./config.js"), import("./node-process.js")]);
      await runNode(loadNodeConfig(flags.config, flags), flags.record);
    });
  return withExamples(command, ["gamut node --config node-1.yaml"]);
}

function programme(): Command {
  const program = new Command(OWN_NAME)
    .description(
      "A replicated key-value store that speaks Redis, survives being killed, and shows what its guarantees were worth",
    )
    .version(BUILD_VERSION)
    .addHelpText(
      "after",
      exitCodesHelp("no: there is no such key, the condition did not hold, or what was checked is not so"),
    )
    .addHelpText(
      "after",
      "\nBegin with `gamut up`, then `gamut set greeting hello` and `gamut get greeting` in another terminal.",
    );
  const commands = [upCommand(), ...dataCommands(), watchCommand(), dumpCommand(), keyspaceCommand(), statusCommand()];
  commands.push(
    exportCommand(),
    topCommand(),
    nodeCommand(),
    checkCommand(),
    simCommand(),
    benchCommand(),
    completionCommand(),
  );
  for (const command of commands) program.addCommand(command);
  prepare(program);
  return program;
}

/** Commands that are added, not made by their parent, inherit nothing. */
function prepare(command: Command, name = ownName()): void {
  command
    .exitOverride()
    .showHelpAfterError(`(see ${[name, ...path(command)].join(" ")} --help)`)
    .configureHelp({ optionDescription });
  if (name !== OWN_NAME) command.addHelpText("after", `\nYour shell finds no ${OWN_NAME} here: write ${name} instead.`);
  for (const child of command.commands) prepare(child, name);
}

/** A flag is off unless it is given: that needs no words. */
function optionDescription(option: Option): string {
  return option.defaultValue === false ? option.description : new Help().optionDescription(option);
}

/** Below the programme. */
function path(command: Command): string[] {
  return command.parent === null ? [] : [...path(command.parent), command.name()];
}

async function main(): Promise<void> {
  endWithReader();
  try {
    await programme().parseAsync(process.argv);
  } catch (error) {
    process.exitCode = exitCodeOf(error as Error);
  }
}

function exitCodeOf(error: Error): number {
  // Commander's own, which it has printed: a usage error, or help that was asked for.
  if ("exitCode" in error && "code" in error) return error.exitCode === 0 ? Exit.ok : Exit.usage;
  if (error.name === "ConfigError") {
    console.error(error.message);
    return Exit.usage;
  }
  const exit = error instanceof CliError ? error.exit : Exit.failed;
  if (process.argv.includes("--json")) {
    const code = error instanceof CliError ? error.code : "";
    console.log(JSON.stringify({ error: { code, message: error.message, definite: exit !== Exit.unknown } }));
  } else console.error(`gamut: ${error.message}`);
  return exit;
}

void main();

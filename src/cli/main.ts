/** The command line. */
import { Command, InvalidArgumentError } from "commander";
import { benchCommand } from "./bench/command.js";
import { type ConfigOverrides, DEFAULT_PORT_BASE, loadNodeConfig } from "./config.js";
import { ConfigError } from "./config-problems.js";
import { runNode } from "./node-process.js";
import { up } from "./up.js";
import { BUILD_VERSION } from "./version.js";

const program = new Command("gamut")
  .description("A replicated key-value store that offers every level of consistency, and shows what each one gave")
  .version(BUILD_VERSION)
  .showHelpAfterError("(see gamut --help)")
  .exitOverride();

program
  .command("up")
  .description("start a cluster on this machine, one process a node; Ctrl-C stops it, the data stay")
  .option("-n, --nodes <n>", "how many nodes", whole, 3)
  .option("-d, --data <dir>", "folder for the data; each node gets one in it", "gamut-data")
  .option("-p, --port-base <port>", "client port of node 1; the others follow, peers use the port + 1000", whole, DEFAULT_PORT_BASE)
  .option("--memory", "keep everything in memory: faster, and nothing survives a stop", false)
  .option("--no-restart", "leave a node that dies dead")
  .action((flags: { nodes: number; data: string; portBase: number; memory: boolean; restart: boolean }) =>
    up({ nodes: flags.nodes, dataDir: flags.data, portBase: flags.portBase, memory: flags.memory, restart: flags.restart }),
  );

program
  .command("node")
  .description("run one member alone, in the foreground")
  .requiredOption("-c, --config <file>", "its settings (YAML); the flags below override them")
  .option("--node <n>", "its number in members", whole)
  .option("--data-dir <dir>", "folder for its data")
  .option("--host <host>", "address to listen on")
  .option("--client-port <port>", "port for clients", whole)
  .option("--peer-port <port>", "port for the other nodes", whole)
  .option("--durability <kind>", "sync or memory")
  .option("--log-level <level>", "debug, info, warn or error")
  .option("--log-json", "log lines as JSON")
  .option("--record <dir>", "write all that enters the node into this folder, for `gamut sim --replay <dir>`")
  .action((flags: ConfigOverrides & { config: string; record?: string }) =>
    runNode(loadNodeConfig(flags.config, flags), flags.record),
  );

program.addCommand(benchCommand());

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("it must be a whole number");
  return Number(text);
}

async function main(): Promise<void> {
  try {
    await program.parseAsync(process.argv);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
}

/** Commander has printed its own; everything else is told in one line. */
function exitCodeOf(error: unknown): number {
  if (error instanceof Error && "exitCode" in error && "code" in error) {
    return (error as { exitCode: number }).exitCode === 0 ? 0 : 2;
  }
  if (error instanceof ConfigError) {
    console.error(error.message);
    return 2;
  }
  console.error(`gamut: ${(error as Error).message}`);
  return 1;
}

void main();

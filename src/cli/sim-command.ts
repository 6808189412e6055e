/** `gamut sim`: the cluster in a simulated world, seed after seed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import type { SwarmFailure, SwarmReport } from "../sim/swarm.js";
import { withExamples } from "./examples.js";
import { CliError, Exit } from "./exit.js";
import { unreadable, writeLine } from "./output.js";
import { wholeNumber } from "./session-flags.js";

const SEEDS = 100;

interface SimFlags {
  readonly protocol: string;
  readonly seeds?: number;
  readonly seed?: number;
  readonly canary?: string;
  readonly replay?: string;
  readonly keepGoing: boolean;
  readonly json: boolean;
  readonly progress: boolean;
}

export function simCommand(): Command {
  const command = new Command("sim")
    .description("run the cluster in simulated worlds full of faults and check every promise; a seed is a world")
    .option("--protocol <name>", "what to run", "raft")
    .option("--seeds <n>", `how many worlds (default: ${SEEDS}, or 1 with --seed)`, wholeNumber)
    .option("--seed <n>", "the first one (default: 1)", wholeNumber)
    .option("--canary <name>", "plant this bug, which must be caught; `list` names all of the protocol")
    .option("--replay <dir>", "do again what `gamut node --record <dir>` wrote, and compare all that the node put out")
    .option("--keep-going", "do not stop at the first violation", false)
    .option("--progress", "tell each seed on stderr", false)
    .option("--json", "print the report as JSON", false)
    .addHelpText(
      "after",
      "\nExit codes:\n  0  every promise was kept; the replay came to the same\n" +
        "  1  a violation, with the command that shows it again; the replay went another way\n  2  the command line is wrong",
    )
    .action((flags: SimFlags) => (flags.replay === undefined ? simulate(flags) : replay(flags.replay, flags)));
  return withExamples(command, [
    "gamut sim --protocol raft --seeds 1000 --progress",
    "gamut sim --seed 42",
    "gamut sim --protocol gossip --seeds 200",
    "gamut sim --canary stale-leader-read",
  ]);
}

async function simulate(flags: SimFlags): Promise<void> {
  const [{ runSwarm }, { SIMULATED_PROTOCOLS }] = await Promise.all([
    import("../sim/swarm.js"),
    import("../sim/simulate.js"),
  ]);
  const [{ CANARIES, canaryByName }, { GOSSIP_CANARIES }] = await Promise.all([
    import("../sim/canaries.js"),
    import("../sim/gossip-canaries.js"),
  ]);
  const canaries = flags.protocol === "gossip" ? GOSSIP_CANARIES : CANARIES;
  if (flags.canary === "list") {
    for (const { name, story } of canaries) await writeLine(`${name.padEnd(28)}${story}`);
    return;
  }
  const canary = flags.canary ?? "";
  if (!SIMULATED_PROTOCOLS.includes(flags.protocol)) {
    throw new CliError(
      Exit.usage,
      `the simulator knows no protocol ${flags.protocol}; it knows ${SIMULATED_PROTOCOLS.join(", ")}`,
    );
  }
  usage(() => canaryByName(canary, canaries));
  const seeds = flags.seeds ?? (flags.seed === undefined ? SEEDS : 1);
  if (seeds < 1) throw new CliError(Exit.usage, "--seeds must be at least 1");
  const report = runSwarm({
    protocol: flags.protocol,
    seeds,
    firstSeed: flags.seed ?? 1,
    canary,
    keepGoing: flags.keepGoing,
    onProgress: ({ seed, violation, simulatedMs, hash }) => {
      if (flags.progress) console.error(`seed ${seed}  ${simulatedMs} ms  ${hash}  ${violation ?? "ok"}`);
      return true;
    },
  });
  if (report.failures.length > 0) process.exitCode = Exit.no;
  await writeLine(flags.json ? JSON.stringify(report) : render(report));
}

async function replay(folder: string, { seeds, seed, canary, json }: SimFlags): Promise<void> {
  if (seeds !== undefined || seed !== undefined || canary !== undefined) {
    throw new CliError(Exit.usage, "--replay does again what was recorded: leave --seeds, --seed and --canary out");
  }
  const [{ Replay }, { RECORDING_FILE }] = await Promise.all([
    import("../sim/replay.js"),
    import("../runtime/recording.js"),
  ]);
  const file = join(folder, RECORDING_FILE);
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(file));
  } catch (error) {
    const why = unreadable(error as NodeJS.ErrnoException);
    throw new CliError(Exit.usage, `${file}: ${why}; name the folder that \`gamut node --record\` wrote`);
  }
  let recording: InstanceType<typeof Replay>;
  try {
    recording = new Replay(bytes);
  } catch (error) {
    throw new CliError(Exit.usage, `${file}: ${(error as Error).message}`);
  }
  const report = recording.run();
  if (report.divergence !== null) process.exitCode = Exit.no;
  const { events, outputs, hash, divergence } = report;
  const end = divergence === null ? "all as recorded" : `not as recorded: ${divergence}`;
  await writeLine(json ? JSON.stringify(report) : `${events} events, ${outputs} outputs, hash ${hash}: ${end}`);
}

/** What it throws is the user's mistake. */
function usage(check: () => unknown): void {
  try {
    check();
  } catch (error) {
    throw new CliError(Exit.usage, (error as Error).message);
  }
}

function render(report: SwarmReport): string {
  const { protocol, canary, seedsRun, simulatedMs, failures, coverage } = report;
  const planted = canary === "" ? "" : ` with the planted bug ${canary}`;
  const lines = [`${protocol}${planted}: ${worlds(seedsRun)}, ${Math.round(simulatedMs / 1_000)} s of simulated time`];
  for (const failure of failures) lines.push("", ...renderFailure(failure));
  lines.push(
    "",
    ...Object.entries(coverage).map(([name, times]) => `  ${String(times).padStart(10)}  ${inWords(name)}`),
  );
  lines.push(
    "",
    failures.length === 0 ? "every promise was kept" : `${failures.length} of ${worlds(seedsRun)} broke a promise`,
  );
  return lines.join("\n");
}

function worlds(count: number): string {
  return `${count} world${count === 1 ? "" : "s"}`;
}

/** `operations conditionsFailed` → `operations conditions failed` */
function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function renderFailure({ seed, violation, replay, shrunk }: SwarmFailure): string[] {
  return [
    `seed ${seed}: ${violation}`,
    `  again    ${replay}`,
    `  smallest plan found, in ${shrunk.runs} runs: ${shrunk.violation}`,
    `  ${JSON.stringify(shrunk.plan)}`,
  ];
}

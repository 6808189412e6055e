/** `gamut top`: a cluster at work, refreshed until it is left. */
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import { Command, Option } from "commander";
import type { Address } from "../address.js";
import { noNodeAnswers } from "../client.js";
import { withExamples } from "../examples.js";
import { CliError, Exit } from "../exit.js";
import { writeLine } from "../output.js";
import { type AddressFlags, addAddressFlags, addressesOf, duration } from "../session-flags.js";
import { type ClusterFigures, figuresOf } from "./figures.js";
import { frameLines, type Paint } from "./frame.js";
import { type Sample, takeSample } from "./sample.js";
import { Screen } from "./screen.js";

const INTERVAL_MS = 1_000;
const INTERVAL_MS_MIN = 50;
/** A node that is stopped must not keep the picture of the others waiting. */
const LOOK_MS_MAX = 2_000;

interface TopFlags extends AddressFlags {
  readonly interval: number;
  readonly once: boolean;
}

export function topCommand(): Command {
  const command = new Command("top")
    .description("watch a cluster at work: nodes, throughput, latency, lag; q or Ctrl-C leaves")
    .addOption(
      new Option("-i, --interval <time>", "how often to look; throughput and latency are of the time between")
        .argParser(duration)
        .default(INTERVAL_MS, "1s"),
    )
    .option("--once", "look twice, an interval apart, and print that: so it is, too, where no terminal is", false)
    .action(top);
  return withExamples(addAddressFlags(command, "--once: a member does not answer, or has no data yet"), [
    "gamut top",
    "gamut top --interval 5s --address 127.0.0.1:7001",
    "gamut top --once --json     # numbers for a script: rates in 1/s, times in ms",
  ]);
}

async function top(flags: TopFlags): Promise<void> {
  if (flags.interval < INTERVAL_MS_MIN)
    throw new CliError(Exit.usage, `--interval must be at least ${INTERVAL_MS_MIN}ms`);
  const addresses = addressesOf(flags);
  if (flags.once || flags.json || !process.stdout.isTTY) await printOnce(addresses, flags);
  else await watch(addresses, flags);
}

async function printOnce(addresses: readonly Address[], flags: TopFlags): Promise<void> {
  const timeoutMs = Math.min(flags.timeout, LOOK_MS_MAX);
  const first = await takeSample(addresses, null, timeoutMs);
  if (first.asked.some(({ status }) => status !== null)) await sleep(flags.interval);
  const second = await takeSample(addresses, first, timeoutMs);
  const clusters = figuresOf(first, second);
  if (clusters.length === 0) throw new CliError(Exit.failed, problemOf(second), "unavailable");
  const isWhole = clusters.every(({ nodes }) => nodes.every(({ problem, hasData }) => problem === "" && hasData));
  if (!isWhole) process.exitCode = Exit.no;
  if (flags.json) await writeLine(JSON.stringify(clusters.length === 1 ? clusters[0] : clusters));
  else for (const line of frameLines(clusters, "", painter())) await writeLine(line);
}

/** Nodes may go and come back, all of them: it looks again. */
async function watch(addresses: readonly Address[], flags: TopFlags): Promise<void> {
  const timeoutMs = Math.min(flags.timeout, LOOK_MS_MAX);
  const paint = painter();
  const screen = new Screen(process.stdout, process.stdin);
  let isLeft = false;
  const left = screen.left.then(() => {
    isLeft = true;
  });
  let before: Sample | null = null;
  while (!isLeft) {
    const sample = await Promise.race([takeSample(addresses, before, timeoutMs), left]);
    if (!sample) break;
    screen.show(liveLines(figuresOf(before, sample), sample, flags, paint));
    before = remembering(before, sample);
    await Promise.race([sleep(flags.interval), left]);
  }
  // What is still asked need not be waited for.
  process.exit(Exit.ok);
}

/** Whoever has gone is asked for again, also when nobody is left to name it. */
function remembering(before: Sample | null, sample: Sample): Sample {
  if (before === null || sample.asked.some(({ status }) => status !== null)) return sample;
  return { ...sample, asked: before.asked };
}

function liveLines(clusters: readonly ClusterFigures[], sample: Sample, flags: TopFlags, paint: Paint): string[] {
  const time = new Date().toTimeString().slice(0, 8);
  const title = `${time}  every ${flags.interval / 1000} s  ${paint("dim", "q leaves")}`;
  return [`gamut top  ${title}`, ...frameLines(clusters, problemOf(sample), paint)];
}

function problemOf({ asked }: Sample): string {
  return noNodeAnswers(asked.map(({ address, problem }) => `${address}: ${problem}`));
}

/** Colours where a terminal has them and nobody has said no (https://no-color.org). */
function painter(): Paint {
  const { stdout, env } = process;
  const isColoured = stdout.isTTY && stdout.hasColors() && (env.NO_COLOR ?? "") === "";
  return isColoured ? styleText : (_, text) => text;
}

// Gamut beside etcd and Redis: three replicas each, on this machine. See bench/README.md.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { describeMachine } from "./machine.mjs";
import { computeMedians, computePairedRatios, computeRatios, scenarios } from "./scenarios.mjs";
import { systems } from "./systems.mjs";

const built = new URL("../dist/cli/bench/", import.meta.url);
if (!existsSync(fileURLToPath(new URL("fork.js", built)))) {
  console.error("bench: dist/ is not built; run node scripts/build.mjs first");
  process.exit(2);
}
const { forkBench } = await import(new URL("fork.js", built).href);
const { formatCount, formatCpu, formatUs, OTHERS_SHARE_MAX, plainTable } = await import(
  new URL("report.js", built).href
);

const options = readOptions();
const folder = mkdtempSync(join(options.dir, "gamut-peers-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
process.exitCode = await main();

async function main() {
  const machine = describeMachine(folder);
  console.log(
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}; ` +
      `append and fdatasync ${machine.fdatasyncUs} µs`,
  );
  if (machine.inMemoryDisk) {
    console.log("WARNING: the data folder is in memory (tmpfs), where a sync costs nothing: choose a disk by --dir");
  }
  const chosen = chooseSystems();
  const versions = Object.fromEntries(chosen.map((system) => [system.name, system.version()]));
  for (const [name, version] of Object.entries(versions)) console.log(`${name}: ${version}`);

  const runs = [];
  const failures = [];
  await (options.together ? measureTogether : measureOneByOne)(chosen, runs, failures);
  const medians = computeMedians(runs);
  const ratios = options.together ? computePairedRatios(runs) : computeRatios(medians);
  printMedians(medians);
  if (medians.some((row) => row.system.startsWith("gamut"))) printRatios(ratios);
  if (options.json !== undefined) {
    const record = { takenAt: new Date().toISOString(), machine, versions, options, medians, ratios, failures, runs };
    writeFileSync(options.json, `${JSON.stringify(record, null, 2)}\n`);
    console.log(`\nrecorded in ${options.json}`);
  }
  return failures.length > 0 || (options.strict && ratios.some((ratio) => ratio.limit !== null && ratio.met !== true))
    ? 1
    : 0;
}

/** A B C, then B C A: nobody is always first after the pause, or last on a warm machine. */
function orderOf(list, round) {
  return list.map((_, i) => list[(i + round - 1) % list.length]);
}

/** Each round starts every system in its turn with empty data, and stops it: while one is measured, no other runs. */
async function measureOneByOne(chosen, runs, failures) {
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const system of orderOf(chosen, round)) {
      await noting(failures, system, round, async () => {
        const running = await startSystem(system, round);
        try {
          for (const scenario of scenariosOf(system)) await measure(running, scenario, round, runs);
        } finally {
          await running.stop();
        }
      });
    }
  }
}

/**
 * All run at once, but only one is under load: it is measured in the same minute as the one that it is compared to. On a
 * machine whose speed changes from minute to minute nothing else compares.
 */
async function measureTogether(chosen, runs, failures) {
  const started = [];
  try {
    for (const system of chosen) {
      await noting(failures, system, 0, async () => void started.push(await startSystem(system, 1)));
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const scenario of options.scenarios) {
        for (const running of orderOf(started, round)) {
          if (!scenario.systems.includes(running.system.name)) continue;
          await noting(failures, running.system, round, () => measure(running, scenario, round, runs));
        }
      }
    }
  } finally {
    await Promise.allSettled(started.map((running) => running.stop()));
  }
}

async function noting(failures, system, round, action) {
  try {
    await action();
  } catch (error) {
    failures.push({ system: system.name, round, error: error.message });
    console.error(`round ${round}, ${system.name}: ${error.message}`);
  }
}

function scenariosOf(system) {
  return options.scenarios.filter((scenario) => scenario.systems.includes(system.name));
}

/** A system with every key written. */
async function startSystem(system, seed) {
  const data = join(folder, `${system.name}-${seed}`);
  mkdirSync(data);
  const cluster = await system.start(data);
  const common = {
    driver: system.driver,
    keyspace: system.driver === "memcached" ? "" : (system.keyspace ?? ""),
    addresses: [cluster.address],
    pids: cluster.pids,
    keys: options.keys,
    valueSizeBytes: options.valueSize,
    seed,
  };
  const stop = async () => {
    await cluster.stop();
    rmSync(data, { recursive: true, force: true });
  };
  try {
    await forkBench({ ...common, operation: "get", fill: true, warmupSeconds: 0, requests: 1, durationSeconds: 1 });
  } catch (error) {
    await stop();
    throw error;
  }
  return { system, cluster, common, stop };
}

async function measure({ system, cluster, common }, scenario, round, runs) {
  await cluster.settle();
  const load = { warmupSeconds: options.warmup, durationSeconds: options.seconds, ...scenario.load };
  const report = await forkBench({ ...common, seed: round, ...load });
  runs.push({ round, system: system.name, scenario: scenario.name, report });
  console.error(
    `round ${round}  ${system.name.padEnd(15)} ${scenario.name.padEnd(12)}` +
      `${formatCount(report.throughputPerSecond).padStart(10)}/s  p99 ${formatUs(report.latencyUs.p99)}`,
  );
  for (const { reason, count } of report.errorReasons) console.error(`  error x${count}: ${reason}`);
}

function chooseSystems() {
  return systems.filter((system) => {
    if (options.without.includes(system.name) || scenariosOf(system).length === 0) return false;
    if (!options.only.includes(system.family) && !options.only.includes(system.name)) return false;
    const reason = system.missing();
    if (reason !== null) console.log(`${system.name} is left out: ${reason}`);
    return reason === null;
  });
}

function printMedians(medians) {
  const right = Array(9).fill("right");
  for (const scenario of options.scenarios) {
    const rows = medians.filter((row) => row.scenario === scenario.name);
    if (rows.length === 0) continue;
    const head = [
      "",
      "per second",
      "spread",
      "p50",
      "p99",
      "server CPU s/1000",
      "server cores",
      "generator",
      "others",
      "errors",
    ];
    const table = plainTable(head, ["left", ...right]);
    for (const row of rows) {
      table.push([
        row.system,
        formatCount(row.throughputPerSecond),
        `${Math.round(row.throughputSpread * 100)} %`,
        formatUs(row.p50),
        formatUs(row.p99),
        formatCpu(row.cpuSecondsPer1000),
        row.serverCores.toFixed(2),
        `${Math.round(row.generatorShare * 100)} %${row.generatorBound ? " bound" : ""}`,
        `${Math.round(row.othersShare * 100)} %${row.othersShare > OTHERS_SHARE_MAX ? " !" : ""}`,
        formatCount(row.errors),
      ]);
    }
    console.log(`\n${scenario.title}\n${table}`);
    const misses = rows.filter((row) => row.misses > 0).map((row) => `${row.system} ${formatCount(row.misses)}`);
    if (misses.length > 0) console.log(`reads that found nothing: ${misses.join(", ")}`);
  }
  if (medians.some((row) => row.generatorBound)) {
    console.log(
      "\nbound: the generator had no CPU left in at least one round; the server may be faster than the figure",
    );
  }
}

function printRatios(ratios) {
  const table = plainTable(["ratio", "measured", "target", ""], ["left", "right", "left", "left"]);
  for (const { title, value, limit, target, met } of ratios) {
    const wanted = limit === null ? "" : `${limit} ${Number(target.toFixed(2))}`;
    const verdict = value === null ? "not measured" : limit === null ? "to know" : met ? "met" : "MISSED";
    table.push([title, value === null ? "-" : value.toFixed(2), wanted, verdict]);
  }
  console.log(`\n${options.together ? "Medians of the rounds' ratios" : "Ratios of the medians"}\n${table}`);
}

function readOptions() {
  const names = (known) => (text) => {
    const chosen = text.split(",");
    const unknown = chosen.filter((name) => !known.includes(name));
    if (unknown.length > 0) throw new InvalidArgumentError(`unknown: ${unknown}; choose from ${known.join(",")}`);
    return chosen;
  };
  const number = (least, whole) => (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= least && (!whole || Number.isSafeInteger(value))) return value;
    throw new InvalidArgumentError(`it must be a ${whole ? "whole " : ""}number of at least ${least}`);
  };
  const families = ["gamut", "etcd", "redis"];
  // A family is all systems of its kind.
  const known = [...new Set([...families, ...systems.map((system) => system.name)])];
  const scenarioNames = scenarios.map((scenario) => scenario.name);
  const command = new Command("peers.mjs")
    .description("Measures Gamut beside etcd and Redis on this machine, three replicas each.")
    .option("--only <systems>", `of ${known.join(",")}`, names(known), families)
    .option("--without <systems>", "leave these out", names(systems.map((system) => system.name)), [])
    .option("--together", "start all systems at once and measure them in turns, scenario by scenario", false)
    .option("--scenarios <names>", `of ${scenarioNames.join(",")}`, names(scenarioNames), scenarioNames)
    .option("--seconds <n>", "measured time of a run", number(0.1, false), 5)
    .option("--warmup <n>", "seconds before it", number(0, false), 1)
    .option("--rounds <n>", "rounds, of which medians are shown", number(1, true), 3)
    .option("--keys <n>", "number of keys, all written before the first run", number(1, true), 100_000)
    .option("--value-size <bytes>", "size of values", number(0, true), 100)
    .option("--dir <folder>", "where the data folders go; it should be on a disk", tmpdir())
    .option("--json <file>", "record all runs, medians and ratios")
    .option("--strict", "exit code 1 unless every ratio was measured and met", false)
    .parse();
  const parsed = command.opts();
  const chosen = scenarios.filter((scenario) => parsed.scenarios.includes(scenario.name));
  return { ...parsed, scenarios: chosen, dir: resolve(parsed.dir) };
}

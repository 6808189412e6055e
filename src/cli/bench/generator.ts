// The load generator: one run, from options to report. It is made to have a process of its own (see fork.ts), so that
// neither its work nor its garbage is in the process that starts or measures servers.
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Address, splitAddress } from "../address.js";
import { type CpuSample, countCores, sampleCpu } from "./cpu.js";
import type { Driver } from "./driver.js";
import { EtcdDriver } from "./etcd.js";
import { HttpDriver } from "./http.js";
import { Load, readClockUs } from "./load.js";
import { MemcachedDriver } from "./memcached.js";
import { type BenchOptions, type BenchOptionsInput, parseBenchOptions } from "./options.js";
import { Recorder } from "./recorder.js";
import { type BenchReport, generatorCpu, type ServerCpu, summarize } from "./report.js";
import { RespDriver } from "./resp.js";
import { FillWorkload, makeValue, UniformWorkload } from "./workload.js";

/** How long the answers of the window's last operations may take after its end. */
const DRAIN_LIMIT_MS = 10_000;
/** A fill that writes nothing for so long has failed. */
const FILL_STALL_LIMIT_MS = 10_000;
const FILL_CONNECTIONS_MAX = 64;
const FILL_PIPELINE = 16;

/**
 * Runs one benchmark. Throws an Error when options are wrong, no server answers, the fill fails or all connections are
 * lost; errors of single operations are in the report.
 */
export async function runBench(input: BenchOptionsInput): Promise<BenchReport> {
  const options = parseBenchOptions(input);
  const all = options.addresses.map((text) => splitAddress(text)!);
  const addresses = options.firstAddressOnly ? all.slice(0, 1) : all;
  const value = makeValue(options.valueSizeBytes, options.seed);
  // Once before anything runs: a wrong pid is said at once, and the first reading costs more than the later ones.
  sampleCpu(options.pids);
  if (options.fill) await fill(options, addresses, value);

  const recorder = new Recorder();
  let wake = () => {};
  const load = new Load({
    driver: makeDriver(options, value, options.pipeline, options.waitReplicas),
    workload: new UniformWorkload(options),
    recorder,
    rate: options.rate,
    onProgress: () => {
      if ((options.requests > 0 && recorder.operations >= options.requests) || recorder.connectionsLost > 0) wake();
    },
  });
  await load.connect(addresses, options.connections);
  try {
    if (options.warmupSeconds > 0) {
      load.start();
      await sleep(options.warmupSeconds * 1000);
      requireConnections(load, recorder);
    }
    const before = sampleCpu(options.pids);
    const fromUs = readClockUs();
    recorder.open(fromUs);
    if (options.warmupSeconds === 0) load.start();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, options.durationSeconds * 1000);
      wake = () => {
        if (load.connected > 0 && (options.requests === 0 || recorder.operations < options.requests)) return;
        clearTimeout(timer);
        resolve();
      };
    });
    const toUs = readClockUs();
    recorder.close(toUs);
    load.stop(toUs);
    const after = sampleCpu(options.pids);
    requireConnections(load, recorder);
    await drain(load, DRAIN_LIMIT_MS);
    const unfinished = load.unfinished;
    if (unfinished > 0) recorder.fail(`no answer within ${DRAIN_LIMIT_MS} ms after the end of the run`, unfinished);
    return makeReport(options, recorder, unfinished, (toUs - fromUs) / 1_000_000, before, after);
  } finally {
    load.close();
  }
}

function makeDriver(options: BenchOptions, value: Uint8Array, pipeline: number, waitReplicas: number): Driver {
  if (options.driver === "etcd") return new EtcdDriver(value, pipeline, options.serializableReads);
  if (options.driver === "memcached") return new MemcachedDriver(value, pipeline);
  if (options.driver === "http") return new HttpDriver(value, pipeline, options.keyspace);
  return new RespDriver(value, pipeline, waitReplicas, options.keyspace);
}

/** Writes each key at least once. */
async function fill(options: BenchOptions, addresses: readonly Address[], value: Uint8Array): Promise<void> {
  const recorder = new Recorder();
  let filled = () => {};
  const load = new Load({
    driver: makeDriver(options, value, FILL_PIPELINE, 0),
    workload: new FillWorkload(options.keys),
    recorder,
    rate: 0,
    onProgress: () => {
      if (recorder.operations >= options.keys || hasFailed(recorder)) filled();
    },
  });
  await load.connect(addresses, Math.min(FILL_CONNECTIONS_MAX, options.keys));
  try {
    recorder.open(readClockUs());
    let last = -1;
    let watch: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      filled = resolve;
      watch = setInterval(() => {
        if (recorder.operations === last) reject(new Error(`the fill stalled after ${last} of ${options.keys} keys`));
        last = recorder.operations;
      }, FILL_STALL_LIMIT_MS);
      load.start();
    }).finally(() => clearInterval(watch));
    load.stop(readClockUs());
    await drain(load, DRAIN_LIMIT_MS);
    if (hasFailed(recorder)) throw new Error(`the fill failed: ${recorder.reasons()[0]?.reason}`);
  } finally {
    load.close();
  }
}

function hasFailed(recorder: Recorder): boolean {
  return recorder.failures > 0 || recorder.connectionsLost > 0;
}

/** Waits until all operations are answered, or the limit has passed. */
async function drain(load: Load, limitMs: number): Promise<void> {
  const limitUs = readClockUs() + limitMs * 1000;
  while (load.unfinished > 0 && readClockUs() < limitUs) await sleep(2);
}

function requireConnections(load: Load, recorder: Recorder): void {
  if (load.connected > 0) return;
  throw new Error(
    `all ${load.lanes.length} connections were lost: ${recorder.reasons()[0]?.reason ?? "during the warm-up"}`,
  );
}

function makeReport(
  options: BenchOptions,
  recorder: Recorder,
  unfinished: number,
  seconds: number,
  before: CpuSample,
  after: CpuSample,
): BenchReport {
  const open = options.rate > 0;
  return {
    options,
    loop: open ? "open" : "closed",
    latencyFrom: open ? "the intended send" : "the actual send",
    seconds,
    operations: recorder.operations,
    throughputPerSecond: recorder.operations / seconds,
    latencyUs: summarize(recorder.latenciesUs),
    sendDelayUs: open ? summarize(recorder.sendDelaysUs) : null,
    errors: recorder.failures,
    errorReasons: recorder.reasons(),
    misses: recorder.misses,
    unfinished,
    connectionsLost: recorder.connectionsLost,
    generator: generatorCpu(after.own - before.own, seconds, countCores()),
    server: options.pids.length === 0 ? null : serverCpu(options.pids, before, after, seconds, recorder.operations),
    othersShare: options.pids.length === 0 ? null : othersShare(before, after, seconds),
  };
}

function serverCpu(
  pids: readonly number[],
  before: CpuSample,
  after: CpuSample,
  seconds: number,
  operations: number,
): ServerCpu {
  const processes = pids.map((pid, i) => ({ pid, cpuSeconds: after.servers[i]! - before.servers[i]! }));
  const cpuSeconds = processes.reduce((sum, process) => sum + process.cpuSeconds, 0);
  const cpuSecondsPer1000 = operations === 0 ? null : (cpuSeconds / operations) * 1000;
  return { cpuSeconds, cores: cpuSeconds / seconds, cpuSecondsPer1000, processes };
}

function othersShare(before: CpuSample, after: CpuSample, seconds: number): number | null {
  if (before.machine === null || after.machine === null) return null;
  let others = after.machine - before.machine - (after.own - before.own);
  for (const [i, cpuSeconds] of after.servers.entries()) others -= cpuSeconds - before.servers[i]!;
  // The clocks of /proc tick every 10 ms, so that a quiet machine may come out a little below nothing.
  return Math.max(0, others / (seconds * countCores()));
}

/** What a forked generator answers to the options that it was sent. */
export type GeneratorAnswer = { readonly report: BenchReport } | { readonly error: string };

/** The forked process: takes options in one message, answers with a report or an error, and ends. */
export function main(): void {
  // Also when the parent has died: a generator that nobody waits for must not go on.
  process.once("disconnect", () => process.exit());
  process.once("message", (input) => {
    void runBench(input as BenchOptionsInput)
      .then(
        (report): GeneratorAnswer => ({ report }),
        (error: unknown): GeneratorAnswer => ({ error: error instanceof Error ? error.message : String(error) }),
      )
      .then((answer) => process.send!(answer, () => process.disconnect()));
  });
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) main();

// The result of a run, and how it looks in a terminal.
import Table from "cli-table3";
import type { Histogram } from "hdr-histogram-js";
import type { BenchOptions } from "./options.js";
import type { ErrorCount } from "./recorder.js";

/** Above this share of one core the generator's single thread may be what limits the throughput. */
export const GENERATOR_CORES_MAX = 0.95;
export const GENERATOR_MACHINE_SHARE_MAX = 0.5;

/** Above this share of the machine other processes disturb a run. */
export const OTHERS_SHARE_MAX = 0.1;

export interface LatencySummary {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface GeneratorCpu {
  readonly cpuSeconds: number;
  /** Cores that were busy with the generator, on average. */
  readonly cores: number;
  /** The same as a share of all cores of the machine. */
  readonly machineShare: number;
  /** The generator, not the server, may have set the limit: do not compare this run's throughput. */
  readonly bound: boolean;
}

export interface ServerCpu {
  readonly cpuSeconds: number;
  readonly cores: number;
  /** CPU seconds for 1,000 operations; null when there were none. */
  readonly cpuSecondsPer1000: number | null;
  readonly processes: readonly { readonly pid: number; readonly cpuSeconds: number }[];
}

export interface BenchReport {
  readonly options: BenchOptions;
  readonly loop: "closed" | "open";
  /** What latencies count from. */
  readonly latencyFrom: "the actual send" | "the intended send";
  /** Length of the measured window. */
  readonly seconds: number;
  /** Operations that succeeded inside the window. */
  readonly operations: number;
  readonly throughputPerSecond: number;
  readonly latencyUs: LatencySummary;
  /** Open loop: how long after its intended time an operation was sent; null in a closed loop. */
  readonly sendDelayUs: LatencySummary | null;
  readonly errors: number;
  readonly errorReasons: readonly ErrorCount[];
  /** Reads that found no value. */
  readonly misses: number;
  /** Operations of the window that had no answer when the run gave up waiting; they are counted in `errors` too. */
  readonly unfinished: number;
  readonly connectionsLost: number;
  readonly generator: GeneratorCpu;
  /** null when no pids were given. */
  readonly server: ServerCpu | null;
  /** Share of the machine's CPU time that went to neither generator nor servers; null when no pids were given. */
  readonly othersShare: number | null;
}

export function summarize(histogram: Histogram): LatencySummary {
  const at = (percentile: number) => (histogram.totalCount === 0 ? 0 : histogram.getValueAtPercentile(percentile));
  return {
    count: histogram.totalCount,
    mean: histogram.totalCount === 0 ? 0 : Math.round(histogram.mean),
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: histogram.maxValue,
  };
}

export function generatorCpu(cpuSeconds: number, seconds: number, machineCores: number): GeneratorCpu {
  const cores = cpuSeconds / seconds;
  const machineShare = cores / machineCores;
  const bound = machineShare > GENERATOR_MACHINE_SHARE_MAX || cores > GENERATOR_CORES_MAX;
  return { cpuSeconds, cores, machineShare, bound };
}

/** A report as text: a table, then whatever a reader should not overlook. */
export function renderReport(report: BenchReport): string {
  const table = plainTable([], ["left", "right"]);
  table.push(
    ["operations", formatCount(report.operations)],
    ["throughput /s", formatCount(report.throughputPerSecond)],
    ...latencyRows("", report.latencyUs),
    ...(report.sendDelayUs === null ? [] : [["send delay p99", formatUs(report.sendDelayUs.p99)]]),
    ["errors", formatCount(report.errors)],
    ["generator CPU", formatGenerator(report.generator)],
  );
  if (report.server !== null) {
    table.push(["server CPU s/1000", formatCpu(report.server.cpuSecondsPer1000)]);
    table.push(["server cores", report.server.cores.toFixed(2)]);
  }
  return [describeRun(report), table.toString(), ...remarks(report)].join("\n");
}

/** What the run did, in one line. */
export function describeRun(report: BenchReport): string {
  const { options } = report;
  const mix = options.operation === "mixed" ? ` (${Math.round(options.readRatio * 100)} % reads)` : "";
  const pace = report.loop === "open" ? `open loop at ${formatCount(options.rate)}/s` : "closed loop";
  const wait = options.waitReplicas > 0 ? `, WAIT ${options.waitReplicas}` : "";
  return (
    `${options.driver} ${options.operation}${mix}${wait}: ${options.connections} connections x ${options.pipeline}, ` +
    `${pace}, ${options.keys} keys, ${options.valueSizeBytes}-byte values, ${report.seconds.toFixed(1)} s, ` +
    `seed ${options.seed}; latency from ${report.latencyFrom}`
  );
}

function remarks(report: BenchReport): string[] {
  const lines: string[] = [];
  for (const { reason, count } of report.errorReasons) if (count > 0) lines.push(`error x${count}: ${reason}`);
  if (report.misses > 0) lines.push(`${formatCount(report.misses)} reads found no value: --fill writes all keys first`);
  if (report.connectionsLost > 0) lines.push(`${report.connectionsLost} connections were lost`);
  if (report.generator.bound) {
    lines.push("generator-bound: the generator used up its core, so the server may be faster than this");
  }
  if (report.othersShare !== null && report.othersShare > OTHERS_SHARE_MAX) {
    lines.push(`disturbed: other processes took ${Math.round(report.othersShare * 100)} % of the machine's CPU time`);
  }
  if (report.loop === "closed") {
    lines.push(
      "closed loop: a slow server is asked less often, so these latencies are raw; --rate R shows what users at R/s meet",
    );
  }
  return lines;
}

function latencyRows(name: string, latency: LatencySummary): string[][] {
  return [
    [`${name}p50`, formatUs(latency.p50)],
    [`${name}p90`, formatUs(latency.p90)],
    [`${name}p99`, formatUs(latency.p99)],
    [`${name}p99.9`, formatUs(latency.p999)],
    [`${name}max`, formatUs(latency.max)],
  ];
}

/** A table without colours and rules between rows, for logs as well as terminals. */
export function plainTable(head: string[], align: ("left" | "right")[]): Table.Table {
  return new Table({
    head,
    colAligns: align,
    style: { head: [], border: [], compact: true, "padding-left": 1, "padding-right": 1 },
  });
}

export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

/** µs as ms, with three significant digits. */
export function formatUs(us: number): string {
  return `${us >= 100_000 ? (us / 1000).toFixed(0) : us >= 10_000 ? (us / 1000).toFixed(1) : us >= 1000 ? (us / 1000).toFixed(2) : (us / 1000).toFixed(3)} ms`;
}

export function formatCpu(cpuSecondsPer1000: number | null): string {
  return cpuSecondsPer1000 === null ? "-" : cpuSecondsPer1000.toFixed(4);
}

export function formatGenerator(generator: GeneratorCpu): string {
  return `${Math.round(generator.machineShare * 100)} %${generator.bound ? " bound" : ""}`;
}

// `gamut bench`: the load generator from the command line.
import { Command, InvalidArgumentError, Option } from "commander";

interface Flags {
  readonly address: readonly string[];
  readonly first: boolean;
  readonly driver: "resp" | "etcd";
  readonly op: "set" | "get" | "incr" | "mixed";
  readonly reads: number;
  readonly connections: number;
  readonly pipeline: number;
  readonly rate: number;
  readonly keys: number;
  readonly valueSize: number;
  readonly seed: number;
  readonly wait: number;
  readonly serializable: boolean;
  readonly warmup: number;
  readonly duration: number;
  readonly requests: number;
  readonly fill: boolean;
  readonly pids: readonly number[];
  readonly json: boolean;
}

/** The subcommand `bench`. It prints a report; the exit code is 1 when the run failed or an operation did. */
export function benchCommand(): Command {
  return new Command("bench")
    .description("Put load on Gamut, Redis or etcd and report throughput, latency and CPU time")
    .option("-a, --address <host:port>", "a server; repeat it to spread connections over several", gather, [])
    .option("--first", "send everything to the first address", false)
    .addOption(new Option("--driver <wire>", "wire to speak").choices(["resp", "etcd"]).default("resp"))
    .addOption(new Option("--op <operation>", "what to do").choices(["set", "get", "incr", "mixed"]).default("set"))
    .option("--reads <share>", "share of reads in mixed, 0 to 1", number, 0.5)
    .option("-c, --connections <n>", "connections", number, 64)
    .option("-P, --pipeline <n>", "requests in flight on a connection", number, 1)
    .option("--rate <n>", "operations a second (open loop); 0 sends on each reply (closed loop)", number, 0)
    .option("--keys <n>", "number of keys, drawn uniformly", number, 100_000)
    .option("--value-size <bytes>", "size of values", number, 100)
    .option("--seed <n>", "seed of keys and values", number, 1)
    .option("--wait <n>", "Redis: WAIT for n replicas after each write", number, 0)
    .option("--serializable", "etcd: reads of the asked server alone instead of linearizable ones", false)
    .option("--warmup <seconds>", "time before measuring", number, 1)
    .option("--duration <seconds>", "time of measuring", number, 10)
    .option("--requests <n>", "stop after so many operations, if that is sooner; 0 is by time alone", number, 0)
    .option("--fill", "write every key before the warm-up", false)
    .option("--pids <a,b,c>", "server processes whose CPU time to read", pids, [])
    .option("--json", "print the report as JSON", false)
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const [{ forkBench }, { parseBenchOptions }, { renderReport }] = await Promise.all([
    import("./fork.js"),
    import("./options.js"),
    import("./report.js"),
  ]);
  try {
    const options = parseBenchOptions({
      driver: flags.driver,
      addresses: flags.address,
      firstAddressOnly: flags.first,
      connections: flags.connections,
      pipeline: flags.pipeline,
      rate: flags.rate,
      operation: flags.op,
      readRatio: flags.reads,
      keys: flags.keys,
      valueSizeBytes: flags.valueSize,
      seed: flags.seed,
      waitReplicas: flags.wait,
      serializableReads: flags.serializable,
      warmupSeconds: flags.warmup,
      durationSeconds: flags.duration,
      requests: flags.requests,
      fill: flags.fill,
      pids: flags.pids,
    });
    const report = await forkBench(options);
    console.log(flags.json ? JSON.stringify(report, null, 2) : renderReport(report));
    if (report.errors > 0) process.exitCode = 1;
  } catch (error) {
    console.error(`gamut bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}

function gather(address: string, before: readonly string[]): string[] {
  return [...before, address];
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("it must be a number");
  return value;
}

function pids(text: string): number[] {
  return text.split(",").map(number);
}

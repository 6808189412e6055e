// `gamut bench`: the load generator from the command line.
import { Command, InvalidArgumentError, Option } from "commander";
import { type Address, showAddress } from "../address.js";
import { withExamples } from "../examples.js";
import { CliError, Exit } from "../exit.js";
import { addressesOf, gatherAddress } from "../session-flags.js";
import { DRIVERS } from "./driver.js";

interface Flags {
  readonly address: readonly Address[];
  readonly first: boolean;
  readonly driver: (typeof DRIVERS)[number];
  readonly keyspace: string;
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
  readonly pids?: readonly number[];
  readonly json: boolean;
}

const EXIT_CODES = `
Exit codes:
  0  done
  1  an operation was answered with an error; the report tells how many
  2  the command line is wrong
  3  there is no report: nobody answers, or the run broke off`;

/** How a wrong option is named to the user. */
const FLAG_OF: Readonly<Record<string, string>> = {
  addresses: "--address",
  operation: "--op",
  readRatio: "--reads",
  valueSizeBytes: "--value-size",
  waitReplicas: "--wait",
  warmupSeconds: "--warmup",
  durationSeconds: "--duration",
};

/** The subcommand `bench`. It prints a report. */
export function benchCommand(): Command {
  const command = new Command("bench")
    .description("put load on Gamut, Redis or etcd and report throughput, latency and CPU time")
    .option("-a, --address <host:port>", "a server; repeat it to spread connections over several", gatherAddress)
    .option("--first", "send everything to the first address", false)
    .addOption(new Option("--driver <wire>", "wire to speak").choices(DRIVERS).default("resp"))
    .option("--keyspace <name>", "Gamut's keyspace, by resp or http", "")
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
    .option("--pids <a,b,c>", "server processes whose CPU time to read", pids)
    .option("--json", "print the report as JSON", false)
    .addHelpText("after", EXIT_CODES)
    .addHelpText(
      "after",
      "\nAddresses also come from GAMUT_ADDRESS=host:port,host:port; else 127.0.0.1:7001 to 7003. etcd's must be given.",
    )
    .action(run);
  return withExamples(command, [
    "gamut bench --duration 5",
    "gamut bench --op get --fill --connections 256",
    "gamut bench --rate 5000 --op mixed --reads 0.9 --json",
    "gamut bench --driver etcd --address 127.0.0.1:2379",
  ]);
}

async function run(flags: Flags): Promise<void> {
  const [{ forkBench }, { benchProblems }, { renderReport }] = await Promise.all([
    import("./fork.js"),
    import("./options.js"),
    import("./report.js"),
  ]);
  if (flags.driver === "etcd" && flags.address === undefined) {
    throw new CliError(Exit.usage, "--driver etcd needs --address host:port of an etcd, e.g. 127.0.0.1:2379");
  }
  const options = {
    driver: flags.driver,
    keyspace: flags.keyspace,
    addresses: addressesOf(flags).map(showAddress),
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
    pids: flags.pids ?? [],
  };
  const problems = benchProblems(options, (option) => FLAG_OF[option] ?? `--${option}`);
  if (problems.length > 0) throw new CliError(Exit.usage, problems.join("; "));
  const report = await forkBench(options);
  console.log(flags.json ? JSON.stringify(report, null, 2) : renderReport(report));
  if (report.errors > 0) process.exitCode = Exit.no;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("it must be a number");
  return value;
}

function pids(text: string): number[] {
  return text.split(",").map(number);
}

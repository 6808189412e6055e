// What one benchmark run does. One schema for the command line, the forked generator and the scripts in bench/.
import { z } from "zod";
import { splitAddress } from "../address.js";
import { DRIVERS } from "./driver.js";
import { REQUEST_BODY_BYTES_MAX } from "./etcd-requests.js";
import { KEYS_MAX } from "./workload.js";

const address = z.string().refine((text) => splitAddress(text) !== null, {
  error: (issue) => `address "${String(issue.input)}" is not host:port; write for example 127.0.0.1:6379`,
});
const whole = (least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error });
};
const between = (least: number, most: number) => {
  const error = `must be a number from ${least} to ${most}`;
  return z.number({ error }).min(least, { error }).max(most, { error });
};

const schema = z
  .strictObject({
    /** The wire: `resp` (Gamut, Redis, Valkey), `memcached`, `http` (Gamut's) or `etcd` (gRPC, v3 KV service). */
    driver: z.enum(DRIVERS).default("resp"),
    /** Gamut's keyspace, by RESP or HTTP; "" is the default one. */
    keyspace: z.string().default(""),
    /** host:port of the servers; connections are dealt round to them in this order. */
    addresses: z.array(address).min(1, "give at least one address, host:port").readonly(),
    /** Send everything to the first address: the leader of a cluster that is known by all its addresses. */
    firstAddressOnly: z.boolean().default(false),
    connections: whole(1, 10_000).default(64),
    /** Requests in flight on a connection. */
    pipeline: whole(1, 10_000).default(1),
    /** Operations a second of an open loop; 0 is a closed loop. */
    rate: between(0, 10_000_000).default(0),
    operation: z.enum(["set", "get", "incr", "mixed"]).default("set"),
    /** The share of reads in `mixed`. */
    readRatio: between(0, 1).default(0.5),
    keys: whole(1, KEYS_MAX).default(100_000),
    valueSizeBytes: whole(0, 1 << 20).default(100),
    seed: whole(-0x8000_0000, 0x7fff_ffff).default(1),
    /** Redis only: send `WAIT n` with each write and count an operation as done when n replicas have it; 0 is off. */
    waitReplicas: whole(0, 64).default(0),
    /** etcd only: reads answered by the asked server alone, which may be stale; else reads are linearizable. */
    serializableReads: z.boolean().default(false),
    warmupSeconds: between(0, 3_600).default(1),
    /** Length of the measured window; with `requests`, the longest it may take. */
    durationSeconds: between(0.001, 86_400).default(10),
    /** End the window after this many operations; 0 is by time alone. */
    requests: whole(0, 1e12).default(0),
    /** Write every key once before the warm-up, so that reads find values. */
    fill: z.boolean().default(false),
    /** Server processes whose CPU time is read from /proc. */
    pids: z.array(whole(1, 0x7fff_ffff)).readonly().default([]),
  })
  .superRefine((options, context) => {
    if (options.driver !== "etcd" && options.serializableReads) {
      context.addIssue(`serializable reads are etcd's: leave them out with the driver ${options.driver}`);
    }
    if (options.driver !== "resp" && options.driver !== "etcd") {
      if (options.operation === "incr") context.addIssue(`the ${options.driver} driver has no increment: choose resp`);
      if (options.waitReplicas > 0) context.addIssue("WAIT is a Redis command: leave it out with this driver");
    }
    if (options.keyspace !== "" && options.driver !== "resp" && options.driver !== "http") {
      context.addIssue(`the ${options.driver} driver chooses no keyspace: choose resp or http`);
    }
    if (options.driver === "etcd") {
      if (options.operation === "incr") context.addIssue("etcd has no increment: choose set, get or mixed");
      if (options.waitReplicas > 0) context.addIssue("WAIT is a Redis command: leave it out with the driver etcd");
      if (options.valueSizeBytes > REQUEST_BODY_BYTES_MAX - 64) {
        context.addIssue(`the etcd driver sends values of at most ${REQUEST_BODY_BYTES_MAX - 64} bytes`);
      }
    }
  });

export type BenchOptions = z.output<typeof schema>;
export type BenchOptionsInput = z.input<typeof schema>;

/** Checks options and fills in defaults. Throws an Error whose message names every option that is wrong and why. */
export function parseBenchOptions(input: unknown): BenchOptions {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new Error(`bench options: ${problemsOf(parsed.error).join("; ")}`);
}

/** What is wrong with the options; empty when nothing is. `nameOf`: what the user knows an option by. */
export function benchProblems(input: unknown, nameOf: (option: string) => string): string[] {
  const parsed = schema.safeParse(input);
  return parsed.success ? [] : problemsOf(parsed.error, nameOf);
}

function problemsOf({ issues }: z.ZodError, nameOf = (option: string) => `${option}:`): string[] {
  return issues.map(({ path, message }) => (path.length > 0 ? `${nameOf(String(path[0]))} ${message}` : message));
}

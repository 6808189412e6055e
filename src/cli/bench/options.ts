// What one benchmark run does. One schema for the command line, the forked generator and the scripts in bench/.
import { z } from "zod";
import { splitAddress } from "../address.js";
import { REQUEST_BODY_BYTES_MAX } from "./etcd-requests.js";
import { KEYS_MAX } from "./workload.js";

const address = z.string().refine((text) => splitAddress(text) !== null, {
  error: (issue) => `address "${String(issue.input)}" is not host:port; write for example 127.0.0.1:6379`,
});
const whole = (least: number, most: number) => z.number().int().min(least).max(most);

const schema = z
  .strictObject({
    /** The wire: `resp` (Gamut, Redis, Valkey) or `etcd` (gRPC, v3 KV service). */
    driver: z.enum(["resp", "etcd"]).default("resp"),
    /** host:port of the servers; connections are dealt round to them in this order. */
    addresses: z.array(address).min(1, "give at least one address, host:port").readonly(),
    /** Send everything to the first address: the leader of a cluster that is known by all its addresses. */
    firstAddressOnly: z.boolean().default(false),
    connections: whole(1, 10_000).default(64),
    /** Requests in flight on a connection. */
    pipeline: whole(1, 10_000).default(1),
    /** Operations a second of an open loop; 0 is a closed loop. */
    rate: z.number().min(0).max(10_000_000).default(0),
    operation: z.enum(["set", "get", "incr", "mixed"]).default("set"),
    /** The share of reads in `mixed`. */
    readRatio: z.number().min(0).max(1).default(0.5),
    keys: whole(1, KEYS_MAX).default(100_000),
    valueSizeBytes: whole(0, 1 << 20).default(100),
    seed: whole(-0x8000_0000, 0x7fff_ffff).default(1),
    /** Redis only: send `WAIT n` with each write and count an operation as done when n replicas have it; 0 is off. */
    waitReplicas: whole(0, 64).default(0),
    /** etcd only: reads answered by the asked server alone, which may be stale; else reads are linearizable. */
    serializableReads: z.boolean().default(false),
    warmupSeconds: z.number().min(0).max(3_600).default(1),
    /** Length of the measured window; with `requests`, the longest it may take. */
    durationSeconds: z.number().positive().max(86_400).default(10),
    /** End the window after this many operations; 0 is by time alone. */
    requests: whole(0, 1e12).default(0),
    /** Write every key once before the warm-up, so that reads find values. */
    fill: z.boolean().default(false),
    /** Server processes whose CPU time is read from /proc. */
    pids: z.array(whole(1, 0x7fff_ffff)).readonly().default([]),
  })
  .superRefine((options, context) => {
    if (options.driver !== "etcd" && options.serializableReads) {
      context.addIssue("serializable reads are etcd's: leave them out with the driver resp");
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
  const reasons = parsed.error.issues.map((issue) =>
    issue.path.length > 0 ? `${issue.path.join(".")}: ${issue.message}` : issue.message,
  );
  throw new Error(`bench options: ${reasons.join("; ")}`);
}

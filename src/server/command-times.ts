/** How long commands took, from being taken to being answered: for SLOWLOG and LATENCY. All of it is bounded. */
import { COMMANDS, type CommandSpec } from "../codec/resp/index.js";

/** Bucket k: at most 2^k µs; the last one holds all that took longer. */
const BUCKETS = 32;

export interface SlowCommand {
  readonly id: number;
  readonly endedMs: number;
  readonly tookMs: number;
  /** The command with its keys, without values. */
  readonly words: readonly string[];
  readonly client: string;
  readonly clientName: string;
}

interface Sample {
  readonly second: number;
  readonly tookMs: number;
}

export class CommandTimes {
  /** The newest last. */
  slow: SlowCommand[] = [];
  /** The slowest command of each second that had a slow one, the newest last. */
  samples: Sample[] = [];
  /** Of `samples`, since they were reset. */
  slowestMs = 0;
  private nextId = 0;
  private readonly counts = new Float64Array(COMMANDS.length * BUCKETS);

  constructor(
    private readonly slowMax: number,
    private readonly samplesMax: number,
  ) {}

  note(spec: CommandSpec, tookMs: number): void {
    const us = Math.min(tookMs * 1000, 2 ** 31);
    const bucket = us <= 1 ? 0 : 32 - Math.clz32(Math.ceil(us) - 1);
    this.counts[spec.index * BUCKETS + Math.min(bucket, BUCKETS - 1)] += 1;
  }

  noteSlow(endedMs: number, tookMs: number, words: readonly string[], client: string, clientName: string): void {
    this.slow.push({ id: this.nextId, endedMs, tookMs, words, client, clientName });
    this.nextId += 1;
    if (this.slow.length > this.slowMax) this.slow.shift();
    this.slowestMs = Math.max(this.slowestMs, tookMs);
    const second = Math.floor(endedMs / 1000);
    const last = this.samples.at(-1);
    if (last?.second === second) {
      if (tookMs > last.tookMs) this.samples[this.samples.length - 1] = { second, tookMs };
      return;
    }
    this.samples.push({ second, tookMs });
    if (this.samples.length > this.samplesMax) this.samples.shift();
  }

  /** Calls, and how many of them took at most so many µs: cumulative, only where the number grows. */
  histogram(spec: CommandSpec): { calls: number; buckets: [us: number, calls: number][] } {
    let calls = 0;
    const buckets: [us: number, calls: number][] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const count = this.counts[spec.index * BUCKETS + bucket];
      if (count === 0) continue;
      calls += count;
      buckets.push([2 ** bucket, calls]);
    }
    return { calls, buckets };
  }

  resetSlow(): void {
    this.slow = [];
  }

  resetSamples(): void {
    this.samples = [];
    this.slowestMs = 0;
  }

  resetCounts(): void {
    this.counts.fill(0);
  }
}

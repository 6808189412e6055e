import { expect } from "vitest";
import { type GroupId, LogRecord, RecordKind } from "../../core/machine.js";
import { Random } from "../../core/random.js";
import { Log, type LogListener } from "../../node/log/log.js";
import { LOG_DEFAULTS, type LogOptions } from "../../node/log/options.js";
import type { RecoveredGroup, RecoveryOutcome } from "../../node/log/outcome.js";
import type { DiskError } from "../../node/ports.js";
import { SimDisk } from "../disk.js";
import { Scheduler } from "../scheduler.js";

/** Small enough that a few batches fill a segment. */
export const SMALL_LOG: LogOptions = {
  ...LOG_DEFAULTS,
  freshIdentity: 0x5eed_0000_0001,
  segmentBytes: 10 * 1024,
  batchBytesMax: 2048,
  reserveBytes: 4096,
  spaceRetryTicks: 3,
};

const HOUR_US = 3_600_000_000;

/** A log on a simulated disk, with nothing else around it. */
export class LogWorld implements LogListener {
  log: Log;
  outcome: RecoveryOutcome | null = null;
  readonly durable = new Map<GroupId, number>();
  failure: DiskError | null = null;
  readonly refusals: string[] = [];
  /** Filled by whoever sets `disk.callLog`. */
  readonly calls: string[] = [];

  private constructor(
    readonly scheduler: Scheduler,
    readonly disk: SimDisk,
    readonly options: LogOptions,
  ) {
    this.log = this.newLog();
  }

  static seeded(seed: number, options = SMALL_LOG, capacityBytes = Number.POSITIVE_INFINITY): LogWorld {
    const scheduler = new Scheduler();
    const disk = new SimDisk(scheduler, new Random(seed), { capacityBytes, latencyMinUs: 20, latencyMaxUs: 60 });
    return new LogWorld(scheduler, disk, options);
  }

  /** The same files, and another life from here on. */
  fork(options = this.options): LogWorld {
    const scheduler = new Scheduler();
    return new LogWorld(scheduler, this.disk.fork(scheduler, new Random(1)), options);
  }

  private newLog(): Log {
    // Nothing of an earlier life reaches this world any more: the disk drops its answers.
    return new Log(this.disk, this.options, this);
  }

  logDurable(group: GroupId, seq: number): void {
    expect(seq).toBeGreaterThan(this.durable.get(group) ?? 0);
    this.durable.set(group, seq);
  }

  logFailed(error: DiskError): void {
    expect(this.failure).toBe(null);
    this.failure = error;
  }

  diskRefused(reason: string, full: boolean): void {
    if (!full) this.refusals.push(reason);
  }

  /** Until the disk has nothing more to do. */
  settle(): void {
    this.scheduler.runUntil(this.scheduler.nowUs + HOUR_US);
  }

  startRecovery(): void {
    this.outcome = null;
    this.log.recover((outcome) => {
      this.outcome = outcome;
    });
  }

  recover(): RecoveryOutcome {
    this.startRecovery();
    return this.settledOutcome();
  }

  startOver(): RecoveryOutcome {
    this.outcome = null;
    this.log.startOver((outcome) => {
      this.outcome = outcome;
    });
    return this.settledOutcome();
  }

  private settledOutcome(): RecoveryOutcome {
    this.settle();
    expect(this.outcome).not.toBe(null);
    return this.outcome as RecoveryOutcome;
  }

  /** The process dies, or the power does; a new one has not yet read anything. */
  die(power: boolean): void {
    if (power) this.disk.crash();
    else this.disk.kill();
    this.durable.clear();
    this.log = this.newLog();
  }

  /** One turn with these records. */
  store(group: GroupId, seq: number, ...records: LogRecord[]): void {
    for (let i = 0; i < records.length; i += 1) this.log.append(group, records[i], seq + i);
    this.log.submit();
  }
}

export function entry(position: number, epoch = 1, payloadBytes = 10): LogRecord {
  return new LogRecord(RecordKind.entry, epoch, position, bytesOf(payloadBytes, position * 31 + epoch));
}

export function hardState(epoch: number, payloadBytes = 6): LogRecord {
  return new LogRecord(RecordKind.hardState, epoch, 0, bytesOf(payloadBytes, epoch));
}

export function reset(position: number, epoch: number): LogRecord {
  return new LogRecord(RecordKind.reset, epoch, position, bytesOf(0, 0));
}

function bytesOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed + i * 13) & 0xff);
}

/** For comparing: what a group's part of the log says, without the entries through `cut`. */
export function words(group: RecoveredGroup | undefined, cut: number): string {
  if (group === undefined) return "";
  const records = group.records.filter((record) => record.position > cut);
  const hard = group.hardState;
  return [...(hard === null ? [] : [hard]), ...records].map(recordWords).join(" ");
}

export function recordWords(record: LogRecord): string {
  return `${record.kind}:${record.epoch}/${record.position}:${Buffer.from(record.payload).toString("hex")}`;
}

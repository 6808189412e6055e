import { createHash } from "node:crypto";
import type { State } from "../../core/state.js";
import { SectionWriter, writeBatch } from "../batch.js";
import type { Command } from "../command.js";
import type { Result } from "../result.js";
import type { ApplyObserver, Store } from "../store.js";

export const CLIENT = "client-0123456-A";
export const OTHER_CLIENT = "client-0123456-B";

/** Wants everything and writes it down. */
export class Recorder implements ApplyObserver {
  readonly sections: { client: string; firstSequence: number; results: Result[] }[] = [];
  readonly changes: { key: string; version: number }[] = [];

  wants(): boolean {
    return true;
  }

  applied(client: string, firstSequence: number, results: Result[]): void {
    this.sections.push({ client, firstSequence, results });
  }

  changed(key: string, version: number): void {
    this.changes.push({ key, version });
  }
}

export interface SectionOptions {
  client?: string;
  firstSequence?: number;
  acknowledgedThrough?: number;
  flags?: number;
  openedMs?: number;
}

export function section(commands: readonly Command[], options: SectionOptions = {}): Uint8Array {
  const writer = new SectionWriter();
  writer.begin(
    options.client ?? CLIENT,
    options.firstSequence ?? 1,
    options.acknowledgedThrough ?? 0,
    options.flags ?? 0,
    options.openedMs ?? 0,
  );
  for (const command of commands) writer.add(command);
  return writer.finish();
}

/** One client's commands, each batch with the next sequences. */
export class Driver {
  timeMs = 1_000;
  readonly recorder = new Recorder();

  constructor(
    public store: Store,
    readonly client = CLIENT,
  ) {}

  /** Applies the commands as one batch and answers their results. */
  apply(...commands: Command[]): Result[] {
    const firstSequence = this.store.lastSequence(this.client) + 1;
    return this.applySection(section(commands, { client: this.client, firstSequence }));
  }

  one(command: Command): Result {
    return this.apply(command)[0];
  }

  applySection(bytes: Uint8Array): Result[] {
    this.store.applyBatch(writeBatch(this.timeMs, [bytes]), this.recorder);
    return this.recorder.sections[this.recorder.sections.length - 1].results;
  }

  /** A batch without commands. */
  advance(timeMs: number): void {
    this.timeMs = timeMs;
    this.store.applyBatch(writeBatch(timeMs, []), this.recorder);
  }
}

/** Hash of every key and value of a state. */
export function hashState(state: State): string {
  const hash = createHash("sha256");
  state.range("", "\u0100", (key, value) => {
    hash.update(`${key.length}:${value.length}:`);
    hash.update(Buffer.from(key, "latin1"));
    hash.update(value);
    return true;
  });
  return hash.digest("hex");
}

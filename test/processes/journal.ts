/** The history of a run against real processes, on one monotonic clock. */

import type { FunctionName, Value } from "../../src/check/index.js";
import { HistoryRecorder } from "../../src/check/index.js";
import type { Outcome } from "./ledger.js";

/** One client as the checker sees it: who does not know an outcome goes on under another number. */
export interface Voice {
  process: number;
}

export class Journal {
  readonly recorder = new HistoryRecorder();
  /** When writes were acknowledged, in ms since the run began, ascending. */
  private readonly acknowledgedMs: number[] = [];
  private readonly beganNs = process.hrtime.bigint();
  private lastNs = 0;
  private processes = 0;

  voice(): Voice {
    this.processes += 1;
    return { process: this.processes };
  }

  get nowMs(): number {
    return this.now() / 1e6;
  }

  invoke(voice: Voice, f: FunctionName, key: string, value: Value): void {
    this.recorder.invoke(voice.process, f, key, value, this.now());
  }

  /** `value`: what a read or an increment was answered with. */
  complete(voice: Voice, outcome: Outcome, value: Value, isWrite: boolean): void {
    const now = this.now();
    if (outcome === "done") {
      this.recorder.ok(voice.process, value, now);
      if (isWrite) this.acknowledgedMs.push(now / 1e6);
    } else if (outcome === "refused") {
      this.recorder.fail(voice.process, now);
    } else {
      this.recorder.info(voice.process, now);
      this.processes += 1;
      voice.process = this.processes;
    }
  }

  get acknowledged(): number {
    return this.acknowledgedMs.length;
  }

  /** The longest time in which no client was told of a write, from a moment of the run until now. */
  silenceMs(sinceMs: number): number {
    let longest = 0;
    let before = sinceMs;
    for (const at of [...this.acknowledgedMs, this.nowMs]) {
      if (at < sinceMs) continue;
      longest = Math.max(longest, at - before);
      before = at;
    }
    return longest;
  }

  /** Never the same twice: equal times would count as overlapping. */
  private now(): number {
    this.lastNs = Math.max(Number(process.hrtime.bigint() - this.beganNs), this.lastNs + 1);
    return this.lastNs;
  }
}

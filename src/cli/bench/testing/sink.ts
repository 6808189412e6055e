// A ReplySink that remembers what it was told.
import type { Outcome, ReplySink } from "../driver.js";

export class MemorySink implements ReplySink {
  readonly replies: { startedUs: number; outcome: Outcome; reason: string }[] = [];
  readonly losses: { reason: string; inFlight: number }[] = [];
  turns = 0;

  received(): void {}

  completed(startedUs: number, outcome: Outcome, reason: string): void {
    this.replies.push({ startedUs, outcome, reason });
  }

  settled(): void {
    this.turns += 1;
  }

  lost(reason: string, inFlight: number): void {
    this.losses.push({ reason, inFlight });
  }
}

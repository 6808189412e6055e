import type { MachineDescription } from "../core/machine.js";

/** So long without a leader is more than an election: somebody should look. */
const PATIENCE_MS = 5_000;

/** Notes when the cluster has gone without a leader for long, and when it has one again: once each. */
export class LeaderWatch {
  private sinceMs = Number.POSITIVE_INFINITY;
  private told = false;

  /** `why`: put together only when it is told. */
  constructor(
    private readonly log: { notice(message: string): void },
    private readonly why: () => string,
  ) {}

  /** `machine`: a replica of the group watched; undefined while there is none. */
  tick(nowMs: number, machine: { describe(): MachineDescription } | undefined): void {
    if (machine === undefined) return;
    const { leader } = machine.describe();
    if (leader !== 0) {
      this.sinceMs = Number.POSITIVE_INFINITY;
      if (this.told) this.log.notice(`there is a leader again: node ${leader}`);
      this.told = false;
    } else if (this.sinceMs === Number.POSITIVE_INFINITY) this.sinceMs = nowMs;
    else if (!this.told && nowMs - this.sinceMs >= PATIENCE_MS) {
      this.told = true;
      this.log.notice(`no leader for ${PATIENCE_MS / 1_000} s: ${this.why()}`);
    }
  }
}

import type { Clock } from "../node/ports.js";
import type { Scheduled, Scheduler } from "./scheduler.js";

/** Wall time at the beginning of every simulation: 2026-01-01T00:00:00Z. */
const WALL_START_MS = 1_767_225_600_000;
const MILLION = 1_000_000;

/**
 * One machine's clocks. The wall clock may be wrong, run at a wrong rate and jump; the monotonic clock runs at the same
 * wrong rate, never jumps and starts anew with each process.
 */
export class SimClock implements Clock {
  private jumpMs = 0;
  private processStartUs = 0;
  private later: Scheduled | null = null;

  /**
   * @param skewMs how far the wall clock is off at the start
   * @param driftPpm millionths that this machine's second is too short (positive: it runs fast)
   */
  constructor(
    private readonly scheduler: Scheduler,
    readonly skewMs: number,
    readonly driftPpm: number,
    private readonly onWake: () => void,
  ) {}

  processStarted(): void {
    this.cancelLater();
    this.processStartUs = this.scheduler.nowUs;
  }

  monotonicMs(): number {
    return Math.floor(this.localUs(this.scheduler.nowUs - this.processStartUs) / 1_000);
  }

  wallMs(): number {
    return WALL_START_MS + this.skewMs + this.jumpMs + Math.floor(this.localUs(this.scheduler.nowUs) / 1_000);
  }

  wake(withinMs = 0): void {
    if (withinMs === 0) {
      this.onWake();
      return;
    }
    const waitUs = this.trueUs(withinMs * 1_000);
    if (this.later !== null && this.later.timeUs <= this.scheduler.nowUs + waitUs) return;
    this.cancelLater();
    this.later = this.scheduler.after(waitUs, () => {
      this.later = null;
      this.onWake();
    });
  }

  private cancelLater(): void {
    if (this.later !== null) this.later.cancelled = true;
    this.later = null;
  }

  /** Somebody set the wall clock. */
  jump(byMs: number): void {
    this.jumpMs += byMs;
  }

  /** Time as it really passes until this clock has passed `localUs`. */
  trueUs(localUs: number): number {
    return Math.ceil((localUs * MILLION) / (MILLION + this.driftPpm));
  }

  private localUs(trueUs: number): number {
    return Math.floor((trueUs * (MILLION + this.driftPpm)) / MILLION);
  }
}

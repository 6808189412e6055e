/** Two processes that claim one node number: found by lives that come back, and kept from taking turns. */

/** Comebacks within the window that make it a fight: a single one may be a late dial of a process that has ended. */
const COMEBACKS_MAX = 3;
/** Without a comeback for so long, a fight is over. */
const WINDOW_MS = 10_000;
/** How long the winner of a turn is left alone; it doubles with each turn. */
const HOLD_MS_FIRST = 1_000;
const HOLD_MS_MAX = 60_000;
const TOLD_EVERY_MS = 60_000;
/** Replaced lives that are remembered. */
const REPLACED_MAX = 8;

export interface RivalVerdict {
  /** The newcomer may take the place of the live connection. */
  readonly accepted: boolean;
  /** A person should be told now. */
  readonly told: boolean;
}

/**
 * What is known of the lives of one peer. A process draws a new boot number at its start, so a boot that was never seen is
 * a restart and is taken at once, however often. One that was replaced and comes back still lives, beside its successor.
 */
export class Rivals {
  private readonly replaced: number[] = [];
  private comebacks = 0;
  private lastComebackMs = Number.NEGATIVE_INFINITY;
  private firstComebackMs = Number.NEGATIVE_INFINITY;
  private holdMs = 0;
  private heldUntilMs = Number.NEGATIVE_INFINITY;
  private toldMs = Number.NEGATIVE_INFINITY;

  /** `boot` has passed the handshake while the connection of another one, `current`, is alive. */
  judge(current: number, boot: number, nowMs: number): RivalVerdict {
    if (!this.replaced.includes(boot)) {
      this.remember(current);
      return { accepted: true, told: false };
    }
    this.countComeback(nowMs);
    if (this.holdMs === 0 && this.comebacks < COMEBACKS_MAX) {
      this.remember(current);
      return { accepted: true, told: false };
    }
    const told = nowMs - this.toldMs >= TOLD_EVERY_MS;
    if (told) this.toldMs = nowMs;
    if (nowMs < this.heldUntilMs) return { accepted: false, told };
    this.holdMs = Math.min(HOLD_MS_MAX, Math.max(HOLD_MS_FIRST, this.holdMs * 2));
    this.heldUntilMs = nowMs + this.holdMs;
    this.remember(current);
    return { accepted: true, told };
  }

  private countComeback(nowMs: number): void {
    if (nowMs - this.lastComebackMs > WINDOW_MS) this.holdMs = 0;
    if (nowMs - this.firstComebackMs > WINDOW_MS) {
      this.firstComebackMs = nowMs;
      this.comebacks = 0;
    }
    this.lastComebackMs = nowMs;
    this.comebacks += 1;
  }

  private remember(boot: number): void {
    if (this.replaced.includes(boot)) return;
    this.replaced.push(boot);
    if (this.replaced.length > REPLACED_MAX) this.replaced.shift();
  }
}

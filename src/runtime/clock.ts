/** The clock port, and with it the rhythm of a node's turns. */
import type { Clock } from "../node/ports.js";

/**
 * Calls `turn` once after every wake(), and at least every `tickMs`.
 *
 * A turn runs in the event loop's check phase (setImmediate), which follows the poll phase: everything that sockets
 * and files had to report in this iteration is taken in first, and becomes one turn. The timer does not call the turn
 * but asks for one: timers run before the poll phase, and a process that wakes from a long pause must read its mail
 * before it decides that nobody has written.
 */
export class RuntimeClock implements Clock {
  private turn: (() => void) | null = null;
  private asked = false;
  private timer: NodeJS.Timeout | null = null;
  private later: NodeJS.Timeout | null = null;
  private laterAtMs = 0;
  private readonly runTurn = () => this.run();

  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  wake(withinMs = 0): void {
    if (this.asked || this.turn === null) return;
    if (withinMs > 0) {
      this.wakeLater(withinMs);
      return;
    }
    this.asked = true;
    setImmediate(this.runTurn);
  }

  /** The earliest wish counts. A turn that came meanwhile does not cancel it: one more does no harm. */
  private wakeLater(withinMs: number): void {
    const atMs = performance.now() + withinMs;
    if (this.later !== null) {
      if (this.laterAtMs <= atMs) return;
      clearTimeout(this.later);
    }
    this.laterAtMs = atMs;
    this.later = setTimeout(() => {
      this.later = null;
      this.wake();
    }, withinMs);
  }

  /** What `turn` throws is not caught: a node with a broken invariant stops, and the process with it. */
  start(turn: () => void, tickMs: number): void {
    this.turn = turn;
    this.timer = setInterval(() => this.wake(), tickMs);
    this.wake();
  }

  /** No turn runs after this. */
  stop(): void {
    this.turn = null;
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    if (this.later !== null) clearTimeout(this.later);
    this.later = null;
  }

  private run(): void {
    this.asked = false;
    if (this.turn !== null) this.turn();
  }
}

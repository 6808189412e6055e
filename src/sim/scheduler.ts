import { assert } from "../core/assert.js";

/** Something that will happen. Kept by whoever wants to cancel it. */
export class Scheduled {
  cancelled = false;

  constructor(
    readonly timeUs: number,
    readonly order: number,
    readonly run: () => void,
  ) {}
}

/**
 * Simulated time: a queue of events by (time, order of scheduling). Nothing else decides what comes next, so the same
 * calls give the same run. Times are whole microseconds.
 */
export class Scheduler {
  nowUs = 0;
  private readonly heap: Scheduled[] = [];
  private scheduledCount = 0;

  get pending(): number {
    return this.heap.length;
  }

  after(delayUs: number, run: () => void): Scheduled {
    assert(delayUs >= 0, "scheduler: the past cannot be scheduled");
    this.scheduledCount += 1;
    const event = new Scheduled(this.nowUs + Math.floor(delayUs), this.scheduledCount, run);
    this.rise(event);
    return event;
  }

  /** Runs the next event. False when there is none at or before `untilUs`: time then stands at `untilUs`. */
  step(untilUs: number): boolean {
    for (;;) {
      const next = this.heap[0];
      if (next === undefined || next.timeUs > untilUs) {
        this.nowUs = Math.max(this.nowUs, untilUs);
        return false;
      }
      this.removeFirst();
      if (next.cancelled) continue;
      this.nowUs = next.timeUs;
      next.run();
      return true;
    }
  }

  runUntil(untilUs: number): void {
    while (this.step(untilUs));
  }

  private rise(event: Scheduled): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  private removeFirst(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child += 1;
      if (!before(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.order < b.order);
}

import { describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import { Scheduler } from "./scheduler.js";

describe("scheduler", () => {
  test("runs 5,000 random events in the order of a stable sort", () => {
    const random = new Random(7);
    const scheduler = new Scheduler();
    const planned: { at: number; order: number }[] = [];
    const ran: { at: number; order: number }[] = [];
    for (let order = 0; order < 5_000; order += 1) {
      const item = { at: random.below(600), order };
      planned.push(item);
      scheduler.after(item.at, () => ran.push({ at: scheduler.nowUs, order }));
    }
    scheduler.runUntil(1_000);
    expect(ran).toEqual(planned.sort((a, b) => a.at - b.at || a.order - b.order));
    expect(scheduler.pending).toBe(0);
    expect(scheduler.nowUs).toBe(1_000);
  });

  test("runs what an event schedules at its own time, after what was there", () => {
    const scheduler = new Scheduler();
    const seen: string[] = [];
    scheduler.after(5, () => {
      seen.push("a");
      scheduler.after(0, () => seen.push("c"));
    });
    scheduler.after(5, () => seen.push("b"));
    scheduler.runUntil(5);
    expect(seen).toEqual(["a", "b", "c"]);
  });

  test("neither runs what was cancelled nor anything past the limit", () => {
    const scheduler = new Scheduler();
    const seen: number[] = [];
    scheduler.after(1, () => seen.push(1)).cancelled = true;
    scheduler.after(2, () => seen.push(2));
    scheduler.after(4, () => seen.push(4));
    scheduler.runUntil(3);
    expect(seen).toEqual([2]);
    expect(scheduler.nowUs).toBe(3);
    expect(scheduler.step(3)).toBe(false);
    expect(scheduler.step(4)).toBe(true);
    expect(seen).toEqual([2, 4]);
  });

  test("refuses the past", () => {
    expect(() => new Scheduler().after(-1, () => {})).toThrow("the past");
  });
});

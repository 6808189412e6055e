import { describe, expect, it } from "vitest";
import { Schedule } from "./schedule.js";

describe("Schedule", () => {
  it("makes exactly rate x time operations due, whenever it is asked", () => {
    const schedule = new Schedule(3_000, 4, 1_000);
    expect(schedule.arrive(999, Number.POSITIVE_INFINITY)).toBe(0);
    let now = 1_000;
    for (const step of [1, 17, 333, 5_000, 2, 250_000, 90_000]) now += step;
    const total = schedule.arrive(now, Number.POSITIVE_INFINITY);
    expect(total).toBe(Math.floor(((now - 1_000) * 3_000) / 1_000_000) + 1);
    expect(schedule.arrive(now, Number.POSITIVE_INFINITY)).toBe(0);
    expect(schedule.arrive(now + 1_000_000, Number.POSITIVE_INFINITY)).toBe(3_000);
  });

  it("deals operations round: the lanes' intended times together are those of all", () => {
    const lanes = 7;
    const schedule = new Schedule(12_345, lanes, 500);
    const all = Array.from({ length: 700 }, (_, n) => schedule.dueUs(n));
    const dealt = Array.from({ length: 700 }, (_, n) => schedule.laneDueUs(n % lanes, Math.floor(n / lanes)));
    expect(dealt).toEqual(all);
  });

  it("does not drift: the millionth operation is due at its exact time", () => {
    const schedule = new Schedule(7, 1, 0);
    expect(schedule.dueUs(7_000_000)).toBe(1_000_000_000_000);
  });

  it("lets nothing become due at or after the end", () => {
    const schedule = new Schedule(1_000, 1, 0);
    expect(schedule.arrive(50_000, 10_000)).toBe(10);
    expect(schedule.arrive(60_000, 10_000)).toBe(0);
  });
});

import { describe, expect, it } from "vitest";
import { FAILED, MISS, OK } from "./driver.js";
import { Recorder } from "./recorder.js";
import { summarize } from "./report.js";

describe("Recorder", () => {
  it("counts throughput by completion and latency by start, inside the window only", () => {
    const recorder = new Recorder();
    recorder.completed(0, 50, OK, "");
    recorder.open(100);
    recorder.completed(90, 110, OK, "");
    recorder.completed(100, 150, OK, "");
    recorder.completed(120, 160, MISS, "");
    recorder.close(200);
    recorder.completed(190, 290, OK, "");
    recorder.completed(200, 300, OK, "");
    expect(recorder.operations).toBe(3);
    expect(recorder.misses).toBe(1);
    expect(summarize(recorder.latenciesUs)).toMatchObject({ count: 3, p50: 50, max: 100 });
  });

  it("counts failures by reason and keeps them out of the latencies", () => {
    const recorder = new Recorder();
    recorder.completed(0, 1, FAILED, "warm-up");
    recorder.open(10);
    recorder.completed(11, 12, FAILED, "a");
    recorder.completed(11, 12, FAILED, "b");
    recorder.completed(11, 12, FAILED, "b");
    expect(recorder.failures).toBe(3);
    expect(recorder.operations).toBe(0);
    expect(recorder.reasons()).toEqual([
      { reason: "b", count: 2 },
      { reason: "a", count: 1 },
    ]);
    expect(summarize(recorder.latenciesUs)).toEqual({ count: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
  });

  it("is within 0.1 % of the true percentiles", () => {
    const recorder = new Recorder();
    recorder.open(0);
    // Latencies 1 .. 100,000 µs once each, in a scrambled order.
    for (let i = 0; i < 100_000; i += 1) recorder.completed(1, 2 + ((i * 7_919) % 100_000), OK, "");
    const summary = summarize(recorder.latenciesUs);
    for (const [measured, exact] of [
      [summary.p50, 50_000],
      [summary.p90, 90_000],
      [summary.p99, 99_000],
      [summary.p999, 99_900],
      [summary.max, 100_000],
      [summary.mean, 50_000],
    ] as const) {
      expect(Math.abs(measured - exact) / exact).toBeLessThanOrEqual(0.001);
    }
  });

  it("bounds the reasons that it keeps, not those that it counts", () => {
    const recorder = new Recorder();
    recorder.open(0);
    for (let i = 0; i < 100; i += 1) recorder.completed(1, 1, FAILED, `reason ${i}`);
    expect(recorder.failures).toBe(100);
    expect(recorder.reasons()).toHaveLength(8);
  });
});

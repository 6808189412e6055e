import { describe, expect, it } from "vitest";
import { parseBenchOptions } from "./options.js";
import { type BenchReport, formatCount, formatUs, generatorCpu, renderReport } from "./report.js";

function report(changes: Partial<BenchReport>): BenchReport {
  return {
    options: parseBenchOptions({ addresses: ["127.0.0.1:1"] }),
    loop: "closed",
    latencyFrom: "the actual send",
    seconds: 2,
    operations: 2_000_000,
    throughputPerSecond: 1_000_000,
    latencyUs: { count: 1, mean: 1, p50: 12, p90: 1_234, p99: 12_345, p999: 123_456, max: 1_234_567 },
    sendDelayUs: null,
    errors: 0,
    errorReasons: [],
    misses: 0,
    unfinished: 0,
    connectionsLost: 0,
    generator: generatorCpu(1, 2, 2),
    server: { cpuSeconds: 3, cores: 1.5, cpuSecondsPer1000: 0.0015, processes: [] },
    othersShare: 0.02,
    ...changes,
  };
}

describe("report", () => {
  it("shows what was measured, in units", () => {
    const text = renderReport(report({}));
    for (const part of ["1,000,000", "0.012 ms", "1.23 ms", "12.3 ms", "123 ms", "1235 ms", "25 %", "0.0015", "1.50"]) {
      expect(text).toContain(part);
    }
    expect(text).toContain("latency from the actual send");
    expect(text).toContain("these latencies are raw");
    expect(text).not.toContain("generator-bound");
    expect(text).not.toContain("disturbed");
  });

  it("does not let errors, misses and a busy generator be overlooked", () => {
    const errorReasons = [{ reason: "READONLY", count: 7 }];
    const text = renderReport(
      report({ errors: 7, errorReasons, misses: 9, generator: generatorCpu(1.95, 2, 2), othersShare: 0.3 }),
    );
    expect(text).toContain("error x7: READONLY");
    expect(text).toContain("9 reads found no value");
    expect(text).toContain("generator-bound");
    expect(text).toContain("other processes took 30 %");
  });

  it("flags a generator above half of the machine, or out of its one core", () => {
    expect(generatorCpu(1.8, 2, 2)).toEqual({ cpuSeconds: 1.8, cores: 0.9, machineShare: 0.45, bound: false });
    expect(generatorCpu(2.1, 2, 2).bound).toBe(true);
    expect(generatorCpu(1.96, 2, 16).bound).toBe(true);
  });

  it("formats numbers", () => {
    expect([0, 999, 1_000, 1_234_567.6].map(formatCount)).toEqual(["0", "999", "1,000", "1,234,568"]);
    expect([0, 9, 1_500, 15_000].map(formatUs)).toEqual(["0.000 ms", "0.009 ms", "1.50 ms", "15.0 ms"]);
  });
});

import { describe, expect, it } from "vitest";
import { parseStatTicks, readMachineCpuSeconds, readProcessCpuSeconds } from "./cpu.js";

describe("CPU times", () => {
  it("adds user and system time of a process and its ended children, whatever its name is", () => {
    const fields = Array.from({ length: 49 }, (_, i) => `${i + 4}`).join(" ");
    // Fields 14 to 17 hold their own numbers.
    expect(parseStatTicks(`123 (a b) S (x) R ${fields}`)).toBe(14 + 15 + 16 + 17);
    expect(() => parseStatTicks("123 (cat)")).toThrow("not a line of /proc/PID/stat");
  });

  it.skipIf(process.platform !== "linux")("agrees with Node about this process", () => {
    const until = performance.now() + 200;
    while (performance.now() < until);
    const { user, system } = process.cpuUsage();
    expect(Math.abs(readProcessCpuSeconds(process.pid) - (user + system) / 1e6)).toBeLessThan(0.1);
  });

  it.skipIf(process.platform !== "linux")("sees this process' work in the machine's", () => {
    const before = readMachineCpuSeconds()!;
    const until = performance.now() + 300;
    while (performance.now() < until);
    expect(readMachineCpuSeconds()! - before).toBeGreaterThan(0.15);
  });

  it("names a process that is not there", () => {
    expect(() => readProcessCpuSeconds(0x7fff_fffe)).toThrow("cannot read the CPU time of process 2147483646 (ENOENT)");
  });
});

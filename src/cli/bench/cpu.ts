// CPU time of processes: the generator's own from Node, the servers' from /proc.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";

let ticksPerSecond = 0;

/** The unit of /proc's times, USER_HZ: 100 on nearly every Linux, but it is cheap to ask. */
function readTicksPerSecond(): number {
  if (ticksPerSecond === 0) {
    try {
      ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).trim());
    } catch {
      ticksPerSecond = 100;
    }
  }
  return ticksPerSecond;
}

/**
 * CPU seconds, user and system, that a process has used with all its threads and the children that it has waited for.
 * Throws an Error that names the pid when there is no such process or no /proc.
 */
export function readProcessCpuSeconds(pid: number): number {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const hint = process.platform === "linux" ? "has it ended?" : "CPU times of servers need Linux; leave the pids out";
    throw new Error(`cannot read the CPU time of process ${pid} (${(error as NodeJS.ErrnoException).code}): ${hint}`);
  }
  return parseStatTicks(stat) / readTicksPerSecond();
}

/** utime + stime + cutime + cstime of a line of /proc/PID/stat (proc(5), fields 14 to 17). */
export function parseStatTicks(stat: string): number {
  // The second field is the command in parentheses and may hold anything, also parentheses and spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  let ticks = 0;
  for (let field = 14; field <= 17; field += 1) ticks += Number(fields[field - 3]);
  if (!Number.isFinite(ticks)) throw new Error(`not a line of /proc/PID/stat: ${stat.slice(0, 80)}`);
  return ticks;
}

/**
 * CPU seconds that all processes of the machine have used, and what a hypervisor took away; null without /proc.
 * Interrupts are left out: they belong to no process, so they would look like somebody else's work.
 */
export function readMachineCpuSeconds(): number | null {
  try {
    const [user, nice, system, , , , , steal] = readFileSync("/proc/stat", "latin1")
      .split(/\s+/, 9)
      .slice(1)
      .map(Number);
    return (user! + nice! + system! + (steal ?? 0)) / readTicksPerSecond();
  } catch {
    return null;
  }
}

export interface CpuSample {
  /** CPU seconds of this process. */
  readonly own: number;
  /** CPU seconds of each server, in the order of the pids. */
  readonly servers: readonly number[];
  /** CPU seconds of all processes; null where it cannot be known. */
  readonly machine: number | null;
}

export function sampleCpu(pids: readonly number[]): CpuSample {
  const { user, system } = process.cpuUsage();
  return {
    own: (user + system) / 1_000_000,
    servers: pids.map(readProcessCpuSeconds),
    machine: readMachineCpuSeconds(),
  };
}

export function countCores(): number {
  return Math.max(1, cpus().length);
}

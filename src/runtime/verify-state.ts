import { spawn } from "node:child_process";
import type { StateVerdict } from "../node/state/verify-group.js";
import { builtFile } from "./built-file.js";

/** What the child prints. */
export interface ChildReport {
  readonly verdicts: readonly StateVerdict[];
  /** What is wrong with the folder as a whole; null: nothing. */
  readonly damage: string | null;
  /** Why it could not look at all; null when it did. */
  readonly problem: string | null;
}

export interface FolderVerdict {
  /**
   * `unknown`: nobody knows yet (the child could not open the folder, was stopped from outside, or took too long). The
   * state is neither sound nor lost: look again, and do not lead until then.
   */
  readonly outcome: "sound" | "damaged" | "unknown";
  /** What is wrong, in one sentence; "" when sound. */
  readonly reason: string;
  readonly verdicts: readonly StateVerdict[];
  readonly durationMs: number;
}

export interface VerifyOptions {
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10 * 60 * 1_000;

/**
 * Signals by which a process that follows a damaged page dies. Others (SIGKILL, SIGTERM) come from outside: an operator,
 * or a system out of memory, and say nothing about the state.
 */
const DAMAGE_SIGNALS: readonly string[] = ["SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGTRAP"];

/**
 * Checks the states in a folder in a process of its own, for LMDB has no checksums and a damaged page can kill whoever
 * reads it. A node may have the folder open meanwhile. Returns a function that stops the check (outcome `unknown`).
 */
export function verifyStateInChild(
  folder: string,
  options: VerifyOptions,
  done: (verdict: FolderVerdict) => void,
): () => void {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [builtFile("verify-state-child"), folder], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let trouble = "";
  let reported = false;
  const report = (outcome: FolderVerdict["outcome"], reason: string, verdicts: readonly StateVerdict[] = []): void => {
    if (reported) return;
    reported = true;
    clearTimeout(timer);
    done({ outcome, reason, verdicts, durationMs: performance.now() - startedMs });
  };
  const stop = (reason: string): void => {
    child.kill("SIGKILL");
    report("unknown", reason);
  };
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const timer = setTimeout(() => stop(`the check was not done after ${timeoutMs} ms`), timeoutMs);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    trouble = (trouble + text).slice(-1_000);
  });
  child.on("error", (error) => report("unknown", `the check could not be started: ${error.message}`));
  child.on("close", (code, signal) => {
    if (signal !== null && DAMAGE_SIGNALS.includes(signal))
      report("damaged", `reading it killed the check by ${signal}`);
    else if (signal !== null) report("unknown", `the check was stopped by ${signal}`);
    else if (code !== 0) report("unknown", `the check ended with code ${code}: ${trouble.trim()}`);
    else judge(output, report);
  });
  return () => stop("the check was stopped");
}

function judge(
  output: string,
  report: (outcome: FolderVerdict["outcome"], reason: string, verdicts?: readonly StateVerdict[]) => void,
): void {
  let read: ChildReport;
  try {
    read = JSON.parse(output) as ChildReport;
  } catch {
    report("unknown", "the check printed no verdict");
    return;
  }
  const damage = read.verdicts.find((verdict) => verdict.damage !== null)?.damage ?? read.damage;
  if (damage !== null) report("damaged", damage, read.verdicts);
  else if (read.problem !== null) report("unknown", read.problem, read.verdicts);
  else report("sound", "", read.verdicts);
}

// Runs the generator in a process of its own.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { GeneratorAnswer } from "./generator.js";
import type { BenchOptionsInput } from "./options.js";
import type { BenchReport } from "./report.js";

/** The generator's file once built; beside this one. */
const GENERATOR = fileURLToPath(new URL("./generator.js", import.meta.url));

/** As `runBench`, in a forked process. Rejects with the generator's error, or when it ended without an answer. */
export function forkBench(options: BenchOptionsInput): Promise<BenchReport> {
  return new Promise((resolve, reject) => {
    const child = fork(GENERATOR, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    let answered = false;
    child.once("message", (message) => {
      answered = true;
      const answer = message as GeneratorAnswer;
      if ("report" in answer) resolve(answer.report);
      else reject(new Error(answer.error));
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (!answered) reject(new Error(`the load generator ended without a report (${signal ?? `exit code ${code}`})`));
    });
    child.send(options);
  });
}

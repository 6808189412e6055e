import { type ChildProcess, spawn } from "node:child_process";
import { PEER_PORT_OFFSET } from "../address.js";
import { portInUse } from "../port-probe.js";
import { GAMUT } from "./run-cli.js";

const START_MS_MAX = 30_000;

/** `gamut up` as a process of its own. */
export class UpProcess {
  output = "";
  readonly exited: Promise<number | null>;

  private constructor(private readonly child: ChildProcess) {
    const take = (chunk: Buffer): void => {
      this.output += chunk.toString("utf8");
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    this.exited = new Promise((done) => child.on("exit", (code) => done(code)));
  }

  /** Resolves when the cluster is ready. `cwd`: where it is started. */
  static async start(args: readonly string[], cwd = process.cwd()): Promise<UpProcess> {
    const up = new UpProcess(
      spawn(process.execPath, [GAMUT, "up", ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] }),
    );
    await up.says(/^ready /m, START_MS_MAX);
    return up;
  }

  async says(what: RegExp, timeoutMs = 15_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!what.test(this.output)) {
      const over = this.child.exitCode !== null;
      if (over || Date.now() > deadline)
        throw new Error(`up ${over ? "ended" : "did not say"} ${what}:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Of the node's process, from the table. */
  pidOf(node: number): number {
    const row = new RegExp(`^│ ${node} +│[^│]+│[^│]+│ (\\d+) `, "m").exec(this.output);
    if (row === null) throw new Error(`node ${node} is not in the table:\n${this.output}`);
    return Number(row[1]);
  }

  /** Ctrl-C. Answers the exit code. */
  stop(): Promise<number | null> {
    this.child.kill("SIGINT");
    return this.exited;
  }
}

/** A port from which so many, and as many peer ports, are free. Below those that the system hands out by itself. */
export async function freePortBase(nodes: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const base = 12_000 + Math.floor(Math.random() * 15_000);
    let free = true;
    for (let i = 0; i < nodes && free; i += 1) {
      for (const port of [base + i, base + i + PEER_PORT_OFFSET]) {
        free &&= (await portInUse("127.0.0.1", port, "")) === null;
      }
    }
    if (free) return base;
  }
  throw new Error("no free ports");
}

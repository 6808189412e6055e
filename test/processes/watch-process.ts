/** `gamut watch` as a process: what it writes, as it writes it. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Cluster } from "./cluster.js";
import { type Member, PROGRAM } from "./member.js";
import { until } from "./wait.js";

const HEARD_MS_MAX = 30_000;
/** How long the command looks for a node that answers. */
const PATIENCE = "30s";

export interface Line {
  readonly kind: string;
  readonly key: string;
  readonly version: number;
  readonly value?: string;
  readonly position?: string;
}

export class WatchProcess {
  readonly child: ChildProcess;
  private out = "";
  err = "";
  readonly ended: Promise<number | null>;

  constructor(cluster: Cluster, args: readonly string[], members: readonly Member[] = cluster.members) {
    const addresses = members.flatMap((member) => ["--address", `127.0.0.1:${member.clientPort}`]);
    const all = [PROGRAM, "watch", "--json", "--timeout", PATIENCE, ...addresses, ...args];
    this.child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString("utf8");
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString("utf8");
    });
    this.ended = new Promise((done) => {
      this.child.on("close", done);
    });
  }

  get lines(): Line[] {
    return this.out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  }

  async hears(what: string, holds: (lines: readonly Line[]) => boolean): Promise<void> {
    await until(what, HEARD_MS_MAX, () => {
      if (this.child.exitCode !== null) throw new Error(`gamut watch ended: ${this.err}`);
      return holds(this.lines);
    });
  }

  async interrupt(): Promise<number | null> {
    this.child.kill("SIGINT");
    return this.ended;
  }
}

/** One `gamut node` process: started, killed, stopped for a while, started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Client } from "../../src/cli/client.js";
import { textOf } from "../../src/cli/reply-reader.js";
import { until, within } from "./wait.js";

/** The program under test: that of this checkout's last build, or another one's. */
export const PROGRAM = process.env.GAMUT_PROGRAM ?? fileURLToPath(new URL("../../bin/gamut.js", import.meta.url));

const STOP_MS_MAX = 15_000;
const KILL_MS_MAX = 10_000;

/** What INFO tells of the default keyspace. */
export interface MemberStatus {
  readonly role: string;
  readonly leader: number;
  readonly epoch: number;
  readonly applied: number;
  readonly committed: number;
  readonly recovering: boolean;
}

/** The processes of this test file. Whatever happens to it, none outlives it. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Member {
  private child: ChildProcess | null = null;
  private text = "";
  private gone: Promise<void> = Promise.resolve();
  exitCode: number | null = null;

  constructor(
    readonly node: number,
    readonly clientPort: number,
    readonly peerPort: number,
    readonly dataDir: string,
    readonly configFile: string,
    private readonly flags: readonly string[] = [],
  ) {}

  get isRunning(): boolean {
    return this.child !== null;
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: this.clientPort };
  }

  /** All that this node has said since its first start. */
  get log(): string {
    return this.text;
  }

  start(): void {
    if (this.child !== null) throw new Error(`node ${this.node} runs already`);
    this.text += `--- started at ${new Date().toISOString()}\n`;
    const child = spawn(process.execPath, [PROGRAM, "node", "--config", this.configFile, ...this.flags], {
      // The channel ends with this process, and the node stops then.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.child = child;
    running.add(child);
    const hear = (chunk: Buffer): void => {
      this.text += chunk.toString("utf8");
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    this.gone = new Promise((done) => {
      child.on("close", (code, signal) => {
        running.delete(child);
        this.text += `--- ended with ${signal ?? `code ${code}`} at ${new Date().toISOString()}\n`;
        this.exitCode = code;
        if (this.child === child) this.child = null;
        done();
      });
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.child?.kill("SIGKILL");
    await this.ended(KILL_MS_MAX);
  }

  /** As an operator does it. */
  async stop(): Promise<void> {
    this.child?.kill("SIGTERM");
    await this.ended(STOP_MS_MAX);
  }

  async ended(limitMs: number): Promise<void> {
    await within(`the process of node ${this.node} ends`, limitMs, this.gone);
  }

  pause(): void {
    this.child?.kill("SIGSTOP");
  }

  resume(): void {
    this.child?.kill("SIGCONT");
  }

  /** Waits for a line of this node's log; `from` is a length of the log before. */
  async says(pattern: RegExp, limitMs: number, from = 0): Promise<void> {
    await until(`node ${this.node} says ${pattern}`, limitMs, () => pattern.test(this.text.slice(from)));
  }

  /** Null while it does not answer. */
  async status(): Promise<MemberStatus | null> {
    if (this.child === null) return null;
    let client: Client | null = null;
    try {
      client = await Client.connectTo(this.address, 500);
      return parseStatus(textOf(await client.demand(["INFO", "keyspace"])));
    } catch {
      return null;
    } finally {
      client?.close();
    }
  }
}

function parseStatus(info: string): MemberStatus | null {
  const line = info.split("\r\n").find((each) => each.includes("name=default,"));
  if (line === undefined) return null;
  const fields = new Map(
    line
      .slice(line.indexOf(":") + 1)
      .split(",")
      .map((field) => field.split("=") as [string, string]),
  );
  return {
    role: fields.get("role") ?? "",
    leader: Number(fields.get("leader")),
    epoch: Number(fields.get("epoch")),
    applied: Number(fields.get("applied")),
    committed: Number(fields.get("committed")),
    recovering: fields.get("recovering") === "1",
  };
}

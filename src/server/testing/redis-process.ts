import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.js";
import { RawClient } from "./raw-client.js";

/** Why tests against a real Redis cannot run here; "" if they can. */
export function redisMissing(): string {
  try {
    execFileSync("redis-server", ["--version"]);
    execFileSync("redis-cli", ["--version"]);
    return "";
  } catch {
    return "redis-server and redis-cli are not installed";
  }
}

/** A real Redis of our own, without persistence. */
export class RedisProcess {
  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(): Promise<RedisProcess> {
    const directory = mkdtempSync(join(tmpdir(), "gamut-redis-"));
    const port = await freePort();
    const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    const child = spawn("redis-server", options, { cwd: directory, stdio: "ignore" });
    const redis = new RedisProcess(port, child, directory);
    for (let attempt = 0; ; attempt += 1) {
      try {
        const client = await RawClient.connect(port);
        await client.ask(["PING"]);
        client.close();
        return redis;
      } catch (error) {
        if (attempt === 200) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGKILL");
      await once(this.child, "exit");
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

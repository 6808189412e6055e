import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { freePort } from "./free-port.js";
import { RawClient } from "./raw-client.js";

/** Why tests against a real memcached cannot run here; "" if they can. */
export function memcachedMissing(): string {
  try {
    execFileSync("memcached", ["-V"]);
    return "";
  } catch {
    return "memcached is not installed";
  }
}

/** A real memcached of our own. */
export class MemcachedProcess {
  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
  ) {}

  static async start(): Promise<MemcachedProcess> {
    const port = await freePort();
    // It will not run as root.
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    const child = spawn("memcached", ["-l", "127.0.0.1", "-p", String(port), "-U", "0", ...user], { stdio: "ignore" });
    const memcached = new MemcachedProcess(port, child);
    for (let attempt = 0; ; attempt += 1) {
      try {
        const client = await RawClient.connect(port);
        await client.tell("");
        client.close();
        return memcached;
      } catch (error) {
        if (attempt === 200) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }
}

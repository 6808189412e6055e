// Real servers for tests, each on a free loopback port with a data folder of its own.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_LIMIT_MS = 20_000;

export interface TestServer {
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Why tests against `program` cannot run here, or null. In CI it must be there: then this throws instead. */
export function whyMissing(program: string): string | null {
  if (spawnSync(program, ["--version"]).status === 0) return null;
  const reason = `${program} is not installed`;
  if (process.env.CI) throw new Error(`${reason}, and in CI it must be`);
  return reason;
}

export async function startRedis(replicaOf: number | null = null): Promise<TestServer> {
  const port = await freePort();
  const replica = replicaOf === null ? [] : ["--replicaof", "127.0.0.1", `${replicaOf}`];
  return startServer(port, "redis-server", (folder) => {
    const flags = { port: `${port}`, bind: "127.0.0.1", dir: folder, save: "", "repl-diskless-sync-delay": "0" };
    return [...asParameters(flags), ...replica];
  });
}

export async function startEtcd(): Promise<TestServer> {
  const [port, peerPort] = [await freePort(), await freePort()];
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  const server = await startServer(port, "etcd", (folder) =>
    asParameters({
      "data-dir": folder,
      "listen-client-urls": client,
      "advertise-client-urls": client,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": `default=${peer}`,
    }),
  );
  await waitUntil("etcd's leader", async () => {
    const reply = await fetch(`${client}/v3/maintenance/status`, { method: "POST", body: "{}" });
    return Number(((await reply.json()) as { leader?: string }).leader ?? 0) !== 0;
  });
  return server;
}

/** Sends an inline command to Redis and returns its bulk reply's text. */
export function askRedis(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    socket.once("error", reject);
    socket.once("connect", () => socket.write(`${command}\r\n`));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const header = /^\$(\d+)\r\n/.exec(text);
      if (header === null || text.length < header[0].length + Number(header[1]) + 2) return;
      resolve(text.slice(header[0].length, -2));
      socket.destroy();
    });
  });
}

export async function waitUntil(what: string, holds: () => Promise<boolean>): Promise<void> {
  const limit = Date.now() + START_LIMIT_MS;
  while (Date.now() < limit) {
    if (await holds().catch(() => false)) return;
    await sleep(5);
  }
  throw new Error(`${what} was not there within ${START_LIMIT_MS} ms`);
}

function asParameters(flags: Readonly<Record<string, string>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
}

async function startServer(
  port: number,
  program: string,
  parameters: (folder: string) => readonly string[],
): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "gamut-bench-test-"));
  const child = spawn(program, parameters(folder), { stdio: "ignore" });
  const stop = async () => {
    await endProcess(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitUntil(`${program} on port ${port}`, () => accepts(port));
  } catch (error) {
    await stop();
    throw error;
  }
  return { address: `127.0.0.1:${port}`, port, pid: child.pid!, stop };
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

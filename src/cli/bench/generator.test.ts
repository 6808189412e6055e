import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { GeneratorAnswer } from "./generator.js";
import { runBench } from "./generator.js";
import type { BenchOptionsInput } from "./options.js";
import { askRedis, startEtcd, startRedis, type TestServer, waitUntil, whyMissing } from "./testing/servers.js";

const short = { warmupSeconds: 0.1, durationSeconds: 0.5 } as const;

describe("closed and open loops", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  /** Answers GETs with a miss at once, but for one stall of `stallMs` that begins `stallAfterMs` after it is armed. */
  async function stallingServer(stallAfterMs: number, stallMs: number): Promise<string> {
    let stalledUntil = 0;
    const server = createServer((socket) => {
      let owed = 0;
      const answer = () => {
        const wait = stalledUntil - Date.now();
        if (wait > 0) setTimeout(answer, wait);
        else if (owed > 0 && !socket.destroyed) {
          socket.write("$-1\r\n".repeat(owed));
          owed = 0;
        }
      };
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        owed += chunk.length / "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n".length;
        answer();
      });
    });
    servers.push(server);
    server.once("connection", () =>
      setTimeout(() => {
        stalledUntil = Date.now() + stallMs;
      }, stallAfterMs),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  const stalled: Omit<BenchOptionsInput, "addresses"> = {
    operation: "get",
    connections: 4,
    warmupSeconds: 0.1,
    durationSeconds: 1,
    keys: 10,
  };

  it("an open loop shows a stall to every operation that was due in it; a closed loop hides it", async () => {
    const open = await runBench({ ...stalled, addresses: [await stallingServer(400, 400)], rate: 2_000 });
    // 0.4 of 1 s stalled: about 800 of 2,000 operations waited, on average half of the stall.
    expect(open.loop).toBe("open");
    expect(open.latencyFrom).toBe("the intended send");
    expect(Math.abs(open.latencyUs.count - 2_000 * open.seconds)).toBeLessThanOrEqual(1);
    expect(open.latencyUs.max).toBeGreaterThan(300_000);
    expect(open.latencyUs.p90).toBeGreaterThan(200_000);
    expect(open.latencyUs.mean).toBeGreaterThan(40_000);
    expect(open.sendDelayUs!.p90).toBeGreaterThan(200_000);
    expect(open.errors).toBe(0);

    const closed = await runBench({ ...stalled, addresses: [await stallingServer(400, 400)] });
    expect(closed.loop).toBe("closed");
    expect(closed.latencyFrom).toBe("the actual send");
    expect(closed.latencyUs.max).toBeGreaterThan(300_000);
    expect(closed.latencyUs.p99).toBeLessThan(100_000);
    expect(closed.sendDelayUs).toBeNull();
  });

  it("keeps to its rate", async () => {
    const report = await runBench({ ...stalled, addresses: [await stallingServer(0, 0)], rate: 1_500 });
    expect(Math.abs(report.latencyUs.count - 1_500 * report.seconds)).toBeLessThanOrEqual(1);
    expect(report.throughputPerSecond).toBeGreaterThan(1_400);
    expect(report.throughputPerSecond).toBeLessThan(1_600);
  });

  it("ends with an error when all connections are lost, and at once", async () => {
    const address = await stallingServer(0, 0);
    servers[0]!.on("connection", (socket) => setTimeout(() => socket.destroy(), 300));
    const from = Date.now();
    await expect(runBench({ ...stalled, addresses: [address], durationSeconds: 30 })).rejects.toThrow(
      /^all 4 connections were lost: (the server closed the connection|read ECONNRESET)$/,
    );
    expect(Date.now() - from).toBeLessThan(5_000);
  });
});

const noRedis = whyMissing("redis-server");
describe.skipIf(noRedis !== null)(`against redis-server${noRedis === null ? "" : ` (${noRedis})`}`, () => {
  let redis: TestServer;
  let replica: TestServer;
  beforeAll(async () => {
    redis = await startRedis();
    replica = await startRedis(redis.port);
    await waitUntil("the replica", async () => /state=online/.test(await askRedis(redis.port, "INFO replication")));
  });
  afterAll(async () => {
    await replica?.stop();
    await redis?.stop();
  });

  async function calls(command: string): Promise<number> {
    const stats = await askRedis(redis.port, "INFO commandstats");
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  }

  it.each([
    [1, 1],
    [8, 16],
  ])("%i connections x %i: the server has seen what was counted", async (connections, pipeline) => {
    const before = await calls("set");
    const report = await runBench({ addresses: [redis.address], connections, pipeline, ...short, warmupSeconds: 0 });
    const seen = (await calls("set")) - before;
    expect(report.errors).toBe(0);
    expect(report.operations).toBeGreaterThan(100);
    // Without a warm-up nothing precedes the window; what was in flight at its end has a latency but is no throughput.
    expect(report.latencyUs.count).toBe(seen);
    expect(seen - report.operations).toBeLessThanOrEqual(connections * pipeline);
  });

  it("fills, and then every read finds its value", async () => {
    const keys = 5_000;
    const report = await runBench({ addresses: [redis.address], operation: "get", keys, fill: true, ...short });
    expect([report.errors, report.misses]).toEqual([0, 0]);
    expect(
      Number(await askRedis(redis.port, "INFO keyspace").then((text) => /keys=(\d+)/.exec(text)![1])),
    ).toBeGreaterThanOrEqual(keys);
    expect((await askRedis(redis.port, "GET key:000000004999")).length).toBe(100);
  });

  it("counts reads that find nothing", async () => {
    const report = await runBench({
      addresses: [replica.address, redis.address],
      operation: "get",
      keys: 1e9,
      ...short,
    });
    expect(report.misses).toBeGreaterThan(report.operations * 0.9);
  });

  it("mixes reads and writes by ratio, from a seed", async () => {
    const [gets, sets] = [await calls("get"), await calls("set")];
    await runBench({ addresses: [redis.address], operation: "mixed", readRatio: 0.8, pipeline: 8, ...short });
    const reads = (await calls("get")) - gets;
    const writes = (await calls("set")) - sets;
    expect(reads / (reads + writes)).toBeCloseTo(0.8, 1);
  });

  it("increments counters beside the values", async () => {
    const report = await runBench({ addresses: [redis.address], operation: "incr", keys: 1, requests: 500, ...short });
    expect(report.errors).toBe(0);
    expect(Number(await askRedis(redis.port, "GET ctr:000000000000"))).toBeGreaterThanOrEqual(500);
  });

  it("waits for replicas, and says when there are too few", async () => {
    const waited = await calls("wait");
    const one = await runBench({
      addresses: [redis.address],
      connections: 4,
      waitReplicas: 1,
      ...short,
      warmupSeconds: 0,
    });
    expect(one.errors).toBe(0);
    expect((await calls("wait")) - waited).toBe(one.latencyUs.count);
  });

  it("counts the server's errors and names them", async () => {
    const report = await runBench({ addresses: [replica.address], connections: 2, ...short });
    expect(report.operations).toBe(0);
    expect(report.errors).toBeGreaterThan(10);
    expect(report.errorReasons[0]!.reason).toMatch(/^READONLY /);
  });

  it("measures the CPU time of the server that did the work", async () => {
    const pids = [redis.pid, replica.pid];
    const report = await runBench({ addresses: [redis.address], pipeline: 32, pids, ...short, durationSeconds: 1 });
    const [primary] = report.server!.processes;
    expect(primary!.pid).toBe(redis.pid);
    expect(primary!.cpuSeconds).toBeGreaterThan(0.1);
    expect(primary!.cpuSeconds).toBeLessThan(2);
    expect(report.server!.cpuSecondsPer1000).toBeCloseTo((report.server!.cpuSeconds / report.operations) * 1000, 9);
    expect(report.generator.cpuSeconds).toBeGreaterThan(0.01);
    expect(report.othersShare).toBeGreaterThanOrEqual(0);
    expect(report.othersShare).toBeLessThan(1);
  });

  it("ends after the number of requests that was asked for", async () => {
    const report = await runBench({
      addresses: [redis.address],
      requests: 2_000,
      durationSeconds: 60,
      warmupSeconds: 0,
    });
    expect(report.operations).toBeGreaterThanOrEqual(2_000);
    expect(report.operations).toBeLessThan(2_000 + 64);
    expect(report.seconds).toBeLessThan(30);
  });

  it("uses all addresses, or only the first", async () => {
    const clients = async (server: TestServer) => {
      const stats = await askRedis(server.port, "INFO stats");
      return Number(/total_connections_received:(\d+)/.exec(stats)![1]);
    };
    const addresses = [redis.address, replica.address];
    const run = { addresses, operation: "get", connections: 10, warmupSeconds: 0, durationSeconds: 0.1 } as const;
    const before = await clients(replica);
    await runBench({ ...run, firstAddressOnly: true });
    const afterFirst = await clients(replica);
    await runBench(run);
    // Asking is a connection as well.
    expect([afterFirst - before, (await clients(replica)) - afterFirst]).toEqual([1, 6]);
  });
});

const noEtcd = whyMissing("etcd");
describe.skipIf(noEtcd !== null)(`against etcd${noEtcd === null ? "" : ` (${noEtcd})`}`, () => {
  let etcd: TestServer;
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(() => etcd?.stop());

  /** A request of etcd's own JSON gateway. */
  async function ask(path: string, body: object): Promise<{ header: { revision: string }; kvs?: { value: string }[] }> {
    const reply = await fetch(`http://${etcd.address}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
    return (await reply.json()) as { header: { revision: string } };
  }
  const key = (n: number) => Buffer.from(`key:${String(n).padStart(12, "0")}`).toString("base64");
  const revision = async () => Number((await ask("kv/range", { key: key(0) })).header.revision);

  it.each([
    [1, 1],
    [16, 1],
    [4, 8],
  ])("%i connections x %i: the store's revision rose by what was counted", async (connections, pipeline) => {
    const before = await revision();
    const report = await runBench({
      driver: "etcd",
      addresses: [etcd.address],
      connections,
      pipeline,
      keys: 100,
      pids: [etcd.pid],
      ...short,
      warmupSeconds: 0,
    });
    expect(report.errors).toBe(0);
    expect(report.operations).toBeGreaterThan(50);
    expect(report.latencyUs.count).toBe((await revision()) - before);
    expect(report.server!.cpuSeconds).toBeGreaterThan(0);
  });

  it("fills, reads what it wrote, and tells hits from misses", async () => {
    const run = { driver: "etcd", addresses: [etcd.address], operation: "get", ...short } as const;
    const hits = await runBench({ ...run, keys: 500, fill: true, valueSizeBytes: 0 });
    expect([hits.errors, hits.misses]).toEqual([0, 0]);
    const misses = await runBench({ ...run, keys: 1e9 });
    expect(misses.errors).toBe(0);
    expect(misses.misses).toBeGreaterThan(misses.operations * 0.9);
    await runBench({ ...run, operation: "set", keys: 1, valueSizeBytes: 300, seed: 5 });
    const stored = Buffer.from((await ask("kv/range", { key: key(0) })).kvs![0]!.value, "base64");
    expect(stored.length).toBe(300);
  });

  it("runs an open loop of both", async () => {
    const report = await runBench({
      driver: "etcd",
      addresses: [etcd.address],
      operation: "mixed",
      connections: 8,
      pipeline: 4,
      rate: 400,
      keys: 100,
      ...short,
    });
    expect(report.errors).toBe(0);
    expect(Math.abs(report.latencyUs.count - 400 * report.seconds)).toBeLessThanOrEqual(1);
  });
});

const built = new URL("../../../dist/cli/bench/generator.js", import.meta.url);
const notBuilt = existsSync(built) ? null : "dist/ is not built: node scripts/build.mjs";
if (notBuilt !== null && process.env.CI) throw new Error(notBuilt);

describe.skipIf(notBuilt !== null)(`forked${notBuilt === null ? "" : ` (${notBuilt})`}`, () => {
  it("answers with an error in words and ends", async () => {
    const child = fork(built, { execArgv: [] });
    const answer = new Promise<GeneratorAnswer>((resolve) => {
      child.once("message", (message) => resolve(message as GeneratorAnswer));
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.send({ addresses: ["nowhere"], connections: 0 });
    expect(await answer).toEqual({ error: expect.stringMatching(/addresses: address "nowhere" is not host:port/) });
    expect(await ended).toBe(0);
  });
});

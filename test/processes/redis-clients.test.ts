/** Clients of Redis that others wrote, as people use them, against three real nodes. */
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import { Redis as IoRedis } from "ioredis";
import { Redis as IoValkey } from "iovalkey";
import { createClient, WatchError } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "./cluster.js";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
}, 60_000);

afterAll(async () => {
  await cluster?.close();
});

/** Of the nodes, in order. */
function ports(): number[] {
  return cluster.members.map((member) => member.address.port);
}

let turn = 0;
/** A key prefix of the test's own: tests share the cluster. */
function fresh(): string {
  turn += 1;
  return `test-${turn}:`;
}

for (const RESP of [2, 3] as const) {
  describe(`node-redis, RESP${RESP}`, () => {
    async function connect(node = 0) {
      const client = createClient({ url: `redis://127.0.0.1:${ports()[node]}`, RESP });
      await client.connect();
      return client;
    }

    it("strings, keys and times", async () => {
      const p = fresh();
      const [one, two] = [await connect(0), await connect(1)];
      expect(await one.set(`${p}k`, "v", { expiration: { type: "EX", value: 100 }, condition: "NX" })).toBe("OK");
      expect(await two.get(`${p}k`)).toBe("v");
      expect(await two.getEx(`${p}k`, { type: "PERSIST" })).toBe("v");
      expect(await one.ttl(`${p}k`)).toBe(-1);
      expect(await one.expireAt(`${p}k`, 4_000_000_000)).toBe(1);
      expect(await two.expireTime(`${p}k`)).toBe(4_000_000_000);
      expect(await two.getDel(`${p}k`)).toBe("v");
      expect(await one.get(`${p}k`)).toBeNull();
      expect(await one.mSetNX({ [`${p}a`]: "1", [`${p}b`]: "2" })).toBe(1);
      expect(await two.mSetNX({ [`${p}b`]: "3", [`${p}c`]: "4" })).toBe(0);
      expect(await two.mGet([`${p}a`, `${p}b`, `${p}c`])).toEqual(["1", "2", null]);
      expect(Number(await one.incrByFloat(`${p}a`, 0.5))).toBe(1.5);
      expect(await two.setRange(`${p}b`, 3, "x")).toBe(4);
      expect(await one.getRange(`${p}b`, 1, -1)).toBe("\0\0x");
      expect(await one.rename(`${p}b`, `${p}d`)).toBe("OK");
      expect(await two.renameNX(`${p}d`, `${p}a`)).toBe(0);
      expect(await two.copy(`${p}d`, `${p}e`)).toBe(1);
      expect((await one.keys(`${p}*`)).sort()).toEqual([`${p}a`, `${p}d`, `${p}e`]);
      expect(await one.randomKey()).toBeTypeOf("string");
      expect(await one.type(`${p}a`)).toBe("string");
      expect(await two.objectEncoding(`${p}a`)).toBe("embstr");
      expect(await two.memoryUsage(`${p}a`)).toBeGreaterThan(10);
      await expect(one.rename(`${p}none`, `${p}x`)).rejects.toThrow("ERR no such key");
      await expect(one.incr(`${p}e`)).rejects.toThrow("ERR value is not an integer or out of range");
      const found: string[] = [];
      for await (const keys of two.scanIterator({ MATCH: `${p}*`, COUNT: 1, TYPE: "string" })) found.push(...keys);
      expect(found.sort()).toEqual([`${p}a`, `${p}d`, `${p}e`]);
      expect(await one.unlink([`${p}a`, `${p}d`, `${p}e`])).toBe(3);
      one.destroy();
      two.destroy();
    });

    it("pipelines itself, transactions, WATCH", async () => {
      const p = fresh();
      const [one, two] = [await connect(0), await connect(2)];
      const counts = await Promise.all(Array.from({ length: 500 }, () => one.incr(`${p}n`)));
      expect(counts).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
      const done = await one.multi().set(`${p}t`, "1").incr(`${p}t`).getDel(`${p}t`).get(`${p}t`).exec();
      expect(done).toEqual(["OK", 2, "2", null]);
      await one.watch(`${p}w`);
      await two.set(`${p}w`, "theirs");
      await expect(one.multi().set(`${p}w`, "mine").exec()).rejects.toThrow(WatchError);
      expect(await one.get(`${p}w`)).toBe("theirs");
      await one.watch(`${p}w`);
      expect(await one.multi().set(`${p}w`, "mine").exec()).toEqual(["OK"]);
      const failing = one.multi().set(`${p}w`, "x").incr(`${p}w`).set(`${p}w`, "after");
      await expect(failing.exec()).rejects.toThrow();
      expect(await two.get(`${p}w`)).toBe("after");
      one.destroy();
      two.destroy();
    });

    it("tells about itself and its clients", async () => {
      const client = await connect(1);
      await client.clientSetName("suite");
      expect(await client.clientGetName()).toBe("suite");
      expect((await client.clientInfo()).name).toBe("suite");
      expect((await client.clientList()).some(({ name }) => name === "suite")).toBe(true);
      const count = await client.commandCount();
      expect((await client.command()).length).toBe(count);
      expect(await client.commandGetKeys(["COPY", "a", "b"])).toEqual(["a", "b"]);
      expect(Object.keys(await client.configGet("slowlog-max-len"))).toEqual(["slowlog-max-len"]);
      expect(Array.isArray(await client.latencyLatest())).toBe(true);
      expect(await client.info("server")).toContain("redis_version:7.");
      await expect(client.clientTracking(true)).rejects.toThrow("not supported");
      client.destroy();
    });
  });
}

describe.each([
  ["ioredis", IoRedis],
  ["iovalkey", IoValkey],
] as const)("%s", (_name, Library) => {
  async function connect(node = 0): Promise<IoRedis> {
    const client = new (Library as typeof IoRedis)({ port: ports()[node], host: "127.0.0.1", lazyConnect: true });
    await client.connect();
    return client;
  }

  it("strings, keys and times", async () => {
    const p = fresh();
    const [one, two] = [await connect(0), await connect(1)];
    expect(await one.set(`${p}k`, "v", "PX", 100_000, "NX")).toBe("OK");
    expect(await two.getex(`${p}k`, "PERSIST")).toBe("v");
    expect(await two.pttl(`${p}k`)).toBe(-1);
    expect(await one.getset(`${p}k`, "w")).toBe("v");
    expect(await one.getdel(`${p}k`)).toBe("w");
    expect(await two.setnx(`${p}k`, "10.5")).toBe(1);
    expect(await two.incrbyfloat(`${p}k`, "0.1")).toBe("10.6");
    expect(await one.setrange(`${p}k`, 2, "99")).toBe(4);
    expect(await one.getrange(`${p}k`, 0, 3)).toBe("1099");
    expect(await two.msetnx(`${p}k`, "1", `${p}l`, "2")).toBe(0);
    expect(await two.rename(`${p}k`, `${p}l`)).toBe("OK");
    expect(await one.copy(`${p}l`, `${p}m`, "REPLACE")).toBe(1);
    expect(await one.object("ENCODING", `${p}m`)).toBe("int");
    expect((await two.keys(`${p}*`)).sort()).toEqual([`${p}l`, `${p}m`]);
    expect(await one.slowlog("LEN")).toBeTypeOf("number");
    await one.del(`${p}l`, `${p}m`);
    one.disconnect();
    two.disconnect();
  });

  it("pipelines, transactions, WATCH, errors", async () => {
    const p = fresh();
    const [one, two] = [await connect(0), await connect(2)];
    const pipeline = one.pipeline();
    for (let i = 0; i < 300; i += 1) pipeline.incr(`${p}n`);
    expect((await pipeline.exec())?.at(-1)).toEqual([null, 300]);
    const done = await one.multi().set(`${p}t`, "5").decr(`${p}t`).getdel(`${p}t`).exec();
    expect(done).toEqual([
      [null, "OK"],
      [null, 4],
      [null, "4"],
    ]);
    await one.watch(`${p}t`);
    await two.set(`${p}t`, "theirs");
    expect(await one.multi().set(`${p}t`, "mine").exec()).toBeNull();
    await expect(one.incrbyfloat(`${p}t`, 1)).rejects.toThrow("ERR value is not a valid float");
    await expect(one.call("GETEX", `${p}t`, "EX", "0")).rejects.toThrow("ERR invalid expire time in 'getex' command");
    one.disconnect();
    two.disconnect();
  });
});

describe("redis-tools", () => {
  const missing = toolsMissing();
  const run = promisify(execFile);

  it.runIf(missing !== "")(`are there (${missing})`, (context) => {
    if (process.env.CI === undefined) context.skip(missing);
    else expect.fail(missing);
  });

  it.runIf(missing === "")("redis-benchmark finishes its tests, in RESP2 and RESP3", { timeout: 120_000 }, async () => {
    for (const more of [[], ["-3"], ["-P", "16"]]) {
      const words = [
        "-p",
        String(ports()[0]),
        "-t",
        "ping,set,get,incr,mset",
        "-n",
        "2000",
        "-c",
        "20",
        "--csv",
        ...more,
      ];
      const { stdout, stderr } = await run("redis-benchmark", words, { timeout: 60_000 });
      const tests = stdout.split("\n").flatMap((line) => /^"([^"]+)","[\d.]+"/.exec(line)?.[1] ?? []);
      const mset = "MSET (10 keys)";
      expect(tests, stdout + stderr).toEqual(["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", mset]);
    }
  });

  it.runIf(missing === "")("redis-cli reads a script, scans, and asks about latency", async () => {
    const p = fresh();
    const cli = async (input: string, ...words: string[]): Promise<string> => {
      const child = run("redis-cli", ["-p", String(ports()[1]), ...words], { timeout: 20_000 });
      child.child.stdin?.end(input);
      return (await child).stdout;
    };
    const script = [
      `SET ${p}a 1`,
      `GETEX ${p}a EX 100`,
      `RENAME ${p}a ${p}b`,
      `COPY ${p}b ${p}c`,
      `KEYS ${p}?`,
      `GETDEL ${p}b`,
    ];
    expect(await cli(`${script.join("\n")}\n`)).toBe(`OK\n1\nOK\n1\n${p}b\n${p}c\n1\n`);
    expect((await cli("", "--scan", "--pattern", `${p}*`)).trim()).toBe(`${p}c`);
    expect(await cli("", "LATENCY", "HISTOGRAM", "getdel")).toMatch(/^getdel\ncalls\n\d+\nhistogram_usec\n/);
    expect(await cli("", "CLIENT", "REPLY", "maybe")).toContain("ERR syntax error");
    // Raw requests from its standard input.
    expect(await cli(`SET ${p}pipe 1\r\nINCRBYFLOAT ${p}pipe 0.5\r\n`, "--pipe")).toContain("errors: 0, replies: 2");
  });
});

function toolsMissing(): string {
  try {
    execFileSync("redis-benchmark", ["--version"]);
    return "";
  } catch {
    return "redis-benchmark and redis-cli are not installed";
  }
}

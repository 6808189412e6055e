/** Clients of memcached, written by others, on three real nodes. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Memcache } from "memcache";
import Memcached, { type Values } from "memcached";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { libmemcachedTool } from "../../src/server/testing/libmemcached.js";
import { RawClient } from "../../src/server/testing/raw-client.js";
import { nextChangeLine, shownWatchLines, type WatchLine } from "../../src/server/testing/watch-lines.js";
import { Cluster } from "./cluster.js";
import { until } from "./wait.js";

const run = promisify(execFile);

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
});

afterAll(() => cluster?.close());

function addresses(): string[] {
  return cluster.members.map(({ clientPort }) => `127.0.0.1:${clientPort}`);
}

const program = libmemcachedTool("memccapable", "memcapable");
const missing = "memcapable (libmemcached-tools) is not installed";

it.runIf(program === "")(`memcapable is there (${missing})`, (context) => {
  if (process.env.CI === undefined) context.skip(missing);
  else expect.fail(missing);
});

it.runIf(program !== "")("memcapable finds nothing wrong, whichever node it asks", { timeout: 90_000 }, async () => {
  for (const { clientPort } of cluster.members) {
    const { stdout } = await run(program, ["-a", "-t", "20", "-h", "127.0.0.1", "-p", String(clientPort)]);
    expect(stdout).toContain("All tests passed");
    expect(stdout.match(/\[pass\]/g)).toHaveLength(27);
  }
});

const memcdump = libmemcachedTool("memcdump", "memdump");

it.runIf(memcdump !== "")(
  "memcdump tells the keys, memccat and memcrm take them, whichever node they ask",
  async () => {
    const [first, second, third] = cluster.members.map(({ clientPort }) => `--servers=127.0.0.1:${clientPort}`);
    const [cat, rm] = [libmemcachedTool("memccat", "memcat"), libmemcachedTool("memcrm", "memrm")];
    const raw = await RawClient.connect(cluster.members[0].clientPort);
    expect(await raw.tell("flush_all\r\nset dumped:a 0 0 3\r\none\r\nset dumped:b 0 100 3\r\ntwo\r\n")).toMatch(/^OK/);
    const { stdout } = await run(memcdump, [second]);
    expect(stdout).toBe("dumped:a\ndumped:b\n");
    const keys = stdout.trimEnd().split("\n");
    expect((await run(cat, [third, ...keys])).stdout.split("\n").filter((line) => line !== "")).toEqual(["one", "two"]);
    await run(rm, [third, ...keys]);
    expect((await run(memcdump, [first])).stdout).toBe("");
    expect(await raw.tell("stats items\r\n")).toBe("END\r\n");
    raw.close();
  },
);

describe("the npm client memcache", () => {
  let client: Memcache;

  beforeAll(async () => {
    client = new Memcache({ nodes: addresses(), timeout: 20_000 });
    await client.connect();
  });

  afterAll(() => client.disconnect());

  it("stores and fetches on all nodes, and each sees the others' writes", async () => {
    const pairs = Array.from({ length: 60 }, (_, i) => [`memcache:${i}`, `value ${i} é\r\nEND`] as const);
    await Promise.all(pairs.map(([key, value]) => client.set(key, value)));
    expect(await client.gets(pairs.map(([key]) => key))).toEqual(new Map(pairs));
    for (const address of addresses()) {
      const one = new Memcache({ nodes: [address], timeout: 20_000 });
      await one.connect();
      expect(await one.gets(pairs.map(([key]) => key))).toEqual(new Map(pairs));
      await one.disconnect();
    }
  });

  it("add, replace, append, prepend, incr, decr, touch, delete", async () => {
    await client.flush();
    expect(await client.get("k")).toBeUndefined();
    expect([await client.add("k", "b"), await client.add("k", "x")]).toEqual([true, false]);
    expect([await client.replace("k", "m"), await client.replace("none", "x")]).toEqual([true, false]);
    expect([await client.append("k", ">"), await client.prepend("k", "<")]).toEqual([true, true]);
    expect(await client.get("k")).toBe("<m>");
    await client.set("n", "41");
    expect([await client.incr("n"), await client.decr("n", 40), await client.incr("none")]).toEqual([42, 2, undefined]);
    expect([await client.touch("k", 100), await client.touch("none", 100)]).toEqual([true, false]);
    expect([await client.delete("k"), await client.delete("k")]).toEqual([true, false]);
    const stats = await client.stats();
    expect([...stats.values()].map(({ gamut_node }) => gamut_node).sort()).toEqual(["1", "2", "3"]);
    expect([...(await client.version()).values()]).toEqual(Array(3).fill("VERSION 1.6.18"));
  });
});

describe("the npm client memcached", () => {
  let client: Memcached;

  beforeAll(() => {
    client = new Memcached(addresses(), { timeout: 20_000, retries: 0 });
  });

  afterAll(() => client.end());

  /** The callback's result as a promise. */
  function told<T>(call: (done: (error: Error | undefined, result: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      call((error, result) => (error === undefined || error === null ? resolve(result) : reject(error)));
    });
  }

  it("values of all kinds keep their flags", async () => {
    const values: [string, unknown][] = [
      ["text", "a\r\nb é"],
      ["number", 17],
      ["object", { nested: [1, 2, { three: null }] }],
      ["bytes", Buffer.from([0, 255, 13, 10])],
      ["large", "x".repeat(900_000)],
    ];
    for (const [key, value] of values)
      expect(await told<boolean>((done) => client.set(key, value, 0, done))).toBe(true);
    for (const [key, value] of values) expect(await told((done) => client.get(key, done))).toEqual(value);
    const several = await told<Values>((done) => client.getMulti(["text", "number", "none"], done));
    expect([several.text, several.number, several.none]).toEqual(["a\r\nb é", 17, undefined]);
  });

  it("cas, arithmetic, conditions, deletion", async () => {
    await told((done) => client.set("c", "1", 0, done));
    const { cas, c } = await told<Values>((done) => client.gets("c", done));
    expect(c).toBe("1");
    expect(await told((done) => client.cas("c", "2", cas, 0, done))).toBe(true);
    expect(await told((done) => client.cas("c", "3", cas, 0, done))).toBe(false);
    expect(await told((done) => client.get("c", done))).toBe("2");
    await told((done) => client.set("i", 10, 0, done));
    expect(await told((done) => client.incr("i", 5, done))).toBe(15);
    expect(await told((done) => client.decr("i", 20, done))).toBe(0);
    expect(await told((done) => client.incr("none", 1, done))).toBe(false);
    await expect(told((done) => client.add("c", "x", 0, done))).rejects.toThrow("not stored");
    await expect(told((done) => client.replace("none", "x", 0, done))).rejects.toThrow("not stored");
    expect(await told((done) => client.append("c", "!", done))).toBe(true);
    expect(await told((done) => client.prepend("c", "?", done))).toBe(true);
    expect(await told((done) => client.get("c", done))).toBe("?2!");
    expect(await told((done) => client.touch("c", 100, done))).toBe(true);
    expect(await told((done) => client.del("c", done))).toBe(true);
    expect(await told((done) => client.get("c", done))).toBeUndefined();
    const versions = await told<{ version: string }[]>((done) => client.version(done));
    expect(versions.map(({ version }) => version)).toEqual(["1.6.18", "1.6.18", "1.6.18"]);
    expect(await told((done) => client.stats(done))).toHaveLength(3);
    expect(await told((done) => client.flush(done))).toEqual([true, true, true]);
    expect(await told((done) => client.get("i", done))).toBeUndefined();
  });

  it("200 counted on three nodes, many at once, are 200", async () => {
    const single = addresses().map((address) => new Memcached(address, { timeout: 20_000, retries: 0, poolSize: 20 }));
    await told((done) => client.set("count", "0", 0, done));
    for (let round = 0; round < 5; round += 1) {
      const counted = Array.from({ length: 40 }, (_, i) => told((done) => single[i % 3].incr("count", 1, done)));
      await Promise.all(counted);
    }
    expect(await told((done) => client.get("count", done))).toBe("200");
    for (const each of single) each.end();
  });
});

it("a person with nc: the plain dialect, on different nodes", async () => {
  const [first, second] = await Promise.all(cluster.members.map(({ clientPort }) => RawClient.connect(clientPort)));
  expect(await first.tell("set greeting hello\n")).toBe("STORED\r\n");
  expect(await first.tell("set greeting hello\n")).toBe("NOT-STORED\r\n");
  expect(await second.tell("dialect plain\nget greeting\nget nothing\n")).toBe(
    "OK\r\nVALUE greeting 5\r\nhello\r\nKEY NOT FOUND\r\n",
  );
  first.close();
  second.close();
});

/** Has begun to watch; answers where. */
async function watching(raw: RawClient, options: string): Promise<string> {
  raw.sendBytes(`gamut watch ${options}\r\n`);
  return /^WATCHING ([0-9a-f]+)\r\n$/.exec(await raw.through("\r\n"))![1];
}

it("a watch tells of what is written at any node, and goes on at another one", async () => {
  const [first, second, third] = await Promise.all(
    cluster.members.map(({ clientPort }) => RawClient.connect(clientPort)),
  );
  await first.tell("flush_all\r\nset w:1 0 0 3\r\none\r\n");
  await watching(second, "w: snapshot values");
  const [record, end] = await shownWatchLines(second, 2);
  expect([record.replace(/c\d+/, "c"), end]).toEqual(["RECORD w:1 c =one", "SNAPSHOT-END p"]);
  await first.tell("set w:2 0 0 3\r\ntwo\r\nset other 0 0 1\r\nx\r\ndelete w:1\r\nset w:3 0 1 1\r\n3\r\n");
  const heard: WatchLine[] = [];
  while (heard.length < 4) heard.push(await nextChangeLine(second));
  expect(heard.map(({ kind, key, value }) => `${kind} ${key} ${value}`)).toEqual([
    "PUT w:2 two",
    "DELETE w:1 null",
    "PUT w:3 3",
    "EXPIRE w:3 null",
  ]);
  expect(await watching(third, `w: from ${heard[0].position}`)).toBe(heard[0].position);
  for (const { kind, key, version, position } of heard.slice(1)) {
    expect(await nextChangeLine(third)).toEqual({ kind, key, version, position, value: null, error: "" });
  }
  for (const raw of [first, second, third]) raw.close();
});

it("a keyspace of gossip is watched in the same way", async () => {
  const [first, ...others] = await Promise.all(cluster.members.map(({ clientPort }) => RawClient.connect(clientPort)));
  const [second, third] = others;
  await first.ask(["GAMUT", "KEYSPACE", "CREATE", "rumours", "PROTOCOL", "gossip"], ["SELECT", "rumours"]);
  // Both nodes note changes from here on.
  for (const raw of others) {
    expect(await raw.tell("gamut keyspace rumours\r\n")).toBe("OK\r\n");
    await watching(raw, '"" values');
  }
  await first.ask(["SET", "said", "there"], ["SET", "a b", "too"]);
  const { position, ...said } = await nextChangeLine(second);
  expect(said).toMatchObject({ kind: "PUT", key: "said", value: "there" });
  expect(await nextChangeLine(second)).toMatchObject({ kind: "PUT", key: "a b", value: "too" });
  await first.ask(["DEL", "said"]);
  expect(await nextChangeLine(second)).toMatchObject({ kind: "DELETE", key: "said", value: null });
  await third.through("DELETE");
  await third.tell("gamut unwatch\r\n");
  await watching(third, `"" from ${position}`);
  // At least once: what came before may come again.
  const again: string[] = [];
  while (again.at(-1) !== "DELETE said") {
    const { kind, key } = await nextChangeLine(third);
    again.push(`${kind} ${key}`);
  }
  expect(again).toContain("PUT a b");
  for (const raw of [first, ...others]) raw.close();
});

it("levels are chosen, refused and shown; a token takes what was seen to another node", async () => {
  const [first, second] = await Promise.all(cluster.members.map(({ clientPort }) => RawClient.connect(clientPort)));
  expect(await second.tell("gamut level sequential\r\ngamut explain on\r\n")).toBe("OK\r\nOK\r\n");
  for (let i = 0; i < 20; i += 1) {
    expect(await first.tell(`set seen 0 0 2\r\n${10 + i}\r\n`)).toBe("STORED\r\n");
    const token = /^TOKEN (\w+)\r\n$/.exec(await first.tell("gamut token\r\n"))![1];
    const heard = await second.tell(`gamut token ${token}\r\nget seen\r\n`);
    expect(heard).toBe(`OK\r\nVALUE seen 0 2\r\n${10 + i}\r\nEND\r\n`);
  }
  expect(await second.tell("gamut explain\r\n")).toMatch(/^RECEIPT level=sequential asked=sequential .*evidence=local/);
  expect(await second.tell("gamut level causal\r\nget seen\r\n")).toMatch(
    /^OK\r\nSERVER_ERROR level_unsupported: .+\r\n$/,
  );
  expect(await second.tell("gamut keyspace nowhere\r\n")).toMatch(/^SERVER_ERROR keyspace_unknown: /);
  expect(await second.tell("gamut level default\r\nget seen\r\n")).toBe("OK\r\nVALUE seen 0 2\r\n29\r\nEND\r\n");
  first.close();
  second.close();
});

it("a cas outlives the death of the leader that has seen its gets", { timeout: 60_000 }, async () => {
  const leader = await cluster.leader();
  const [survivor] = cluster.others(leader);
  const raw = await RawClient.connect(survivor.clientPort);
  await raw.tell("set held 3 0 1\r\n1\r\n");
  const before = await raw.tell("gets held\r\n");
  const unique = / (\d+)\r\n1\r\n/.exec(before)![1];
  await leader.kill();
  await cluster.leader(cluster.others(leader));
  expect(await raw.tell("gets held\r\n")).toBe(before);
  // A cas may be refused while the new leader finds its feet; what is definite may be asked again.
  const answer = await until("an answer that is no refusal", 20_000, async () => {
    const heard = await raw.tell(`cas held 3 0 1 ${unique}\r\n2\r\n`);
    return /^SERVER_ERROR (?!unknown)/.test(heard) ? null : heard;
  });
  expect(answer).toBe("STORED\r\n");
  expect(await raw.tell("get held\r\n")).toBe("VALUE held 3 1\r\n2\r\nEND\r\n");
  raw.close();
  leader.start();
  await cluster.ready();
});

import { afterEach, expect, test } from "vitest";
import { humanBytes } from "./resp-info.js";
import { ServerStats } from "./stats.js";
import type { RawClient } from "./testing/raw-client.js";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

/** The fields of `INFO …`; those of Redis are in no line twice. */
async function info(raw: RawClient, ...sections: string[]): Promise<Map<string, string>> {
  const [reply] = await raw.ask(["INFO", ...sections]);
  const lines = reply.split("\r\n").filter((line) => /^\w+:/.test(line));
  const fields = new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
  expect(fields.size).toBe(lines.length);
  return fields;
}

const request = (...words: string[]): number => 4 + words.reduce((sum, word) => sum + 6 + word.length, 0);

test("INFO answers the sections asked for, and all without one", async () => {
  const { client } = await serve();
  const raw = await client();
  const titles = async (...words: string[]): Promise<string> =>
    ((await raw.ask(["INFO", ...words]))[0].match(/# \w+/g) ?? []).join(" ");
  const all = "# Server # Clients # Memory # Persistence # Stats # Replication # Keyspace";
  for (const word of ["ALL", "default", "everything"]) expect(await titles(word)).toBe(all);
  expect(await titles()).toBe(all);
  expect(await titles("STATS", "clients")).toBe("# Clients # Stats");
  expect(await titles("nosuch")).toBe("");
});

test("INFO stats counts what the port has done; CONFIG RESETSTAT begins anew", async () => {
  const { client } = await serve({ connectionsMax: 2 });
  const raw = await client();
  // GET is taken and fails, NOPE and the second GET are none; what is held (INFO behind GET) counts once.
  const replies = await raw.ask(["SET", "k", "v"], ["GET", "k"], ["EXPIRE", "k", "x"], ["NOPE"], ["GET"]);
  const before = await info(raw, "stats");
  const sent = request("SET", "k", "v") + request("GET", "k") + request("EXPIRE", "k", "x") + request("NOPE");
  expect(before.get("total_commands_processed")).toBe("3");
  expect(before.get("total_connections_received")).toBe("1");
  expect(before.get("total_net_input_bytes")).toBe(String(sent + request("GET") + request("INFO", "stats")));
  expect(before.get("total_net_output_bytes")).toBe(String(replies.join("").length));
  await (await client()).ask(["MULTI"], ["SET", "k", "w"], ["EXEC"]);
  expect(await (await client()).untilEnd()).toBe("-ERR max number of clients reached\r\n");
  const after = await info(raw, "stats");
  expect(after.get("total_commands_processed")).toBe("7");
  expect(after.get("total_connections_received")).toBe("2");
  expect(after.get("rejected_connections")).toBe("1");
  raw.send(["GET", "k"], ["INFO", "stats"], ["INFO", "stats"]);
  const [, first, second] = await raw.replies(3);
  expect([first, second].map((reply) => /processed:(\d+)/.exec(reply)?.[1])).toEqual(["9", "10"]);
  expect(await raw.ask(["CONFIG", "RESETSTAT"])).toEqual(["+OK\r\n"]);
  const anew = await info(raw, "stats");
  expect(anew.get("total_commands_processed")).toBe("1");
  expect(anew.get("total_net_output_bytes")).toBe("5");
  for (const name of ["total_connections_received", "rejected_connections", "instantaneous_ops_per_sec"]) {
    expect(anew.get(name)).toBe("0");
  }
});

test("rates are those of the last second", () => {
  const stats = new ServerStats();
  stats.sample(1_000_000);
  stats.commands += 500;
  stats.inputBytes += 4096;
  stats.sample(1_002_000);
  expect([stats.commandRate, stats.inputByteRate, stats.outputByteRate]).toEqual([250, 2048, 0]);
  stats.commands += 9;
  // The clock was set back: no rate can be told from that.
  stats.sample(900_000);
  expect(stats.commandRate).toBe(250);
  stats.commands += 7;
  stats.sample(901_000);
  expect(stats.commandRate).toBe(7);
});

test("INFO clients tells who waits for a WAIT", async () => {
  const { client } = await serve();
  const raw = await client();
  const waiting = await client();
  waiting.send(["WAIT", "5", "300"], ["PING"]);
  while ((await info(raw, "clients")).get("blocked_clients") !== "1") await new Promise((go) => setTimeout(go, 1));
  expect((await info(raw, "clients")).get("connected_clients")).toBe("2");
  await waiting.replies(2);
  expect((await info(raw, "clients")).get("blocked_clients")).toBe("0");
});

test("INFO memory is the process's, in bytes and for a person", async () => {
  const { client } = await serve();
  const raw = await client();
  const memory = await info(raw, "memory");
  const used = Number(memory.get("used_memory"));
  expect(used / process.memoryUsage.rss()).toBeCloseTo(1, 0);
  expect(Number(memory.get("used_memory_rss"))).toBe(used);
  expect(memory.get("used_memory_human")).toBe(humanBytes(used));
  expect(Number(memory.get("used_memory_peak"))).toBeGreaterThanOrEqual(used);
  expect([0, 1023, 1024, 1_572_864, 5 * 2 ** 30, 2 ** 41].map(humanBytes)).toEqual([
    "0B",
    "1023B",
    "1.00K",
    "1.50M",
    "5.00G",
    "2.00T",
  ]);
});

test("INFO keyspace and persistence are about the connection's keyspace", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  expect((await info(raw, "keyspace")).has("db0")).toBe(false);
  await raw.ask(["MSET", "a", "1", "b", "2"], ["DEL", "a"], ["SET", "c", "3", "EX", "100"]);
  const [size] = await raw.ask(["DBSIZE"]);
  expect([size, (await info(raw, "keyspace")).get("db0")]).toEqual([":2\r\n", "keys=2,avg_ttl=0"]);
  backend.addKeyspace("other");
  await raw.ask(["SELECT", "other"], ["SET", "only", "1"]);
  const keyspace = await info(raw, "keyspace");
  expect(keyspace.get("db0")).toBe("keys=1,avg_ttl=0");
  expect(keyspace.get("gamut_keyspace_1")).toMatch(/^name=other,protocol=memory,/);
  const persistence = await info(raw, "persistence");
  expect([persistence.get("loading"), persistence.get("aof_enabled")]).toEqual(["0", "1"]);
  expect([persistence.get("gamut_checkpoint_position"), persistence.get("gamut_applied_position")]).toEqual(["5", "9"]);
});

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

test("ROLE and INFO replication: a slave names its master, a master its slaves", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  const slave = (host: string, port: number, link: string): string =>
    `*5\r\n${bulk("slave")}${bulk(host)}:${port}\r\n${bulk(link)}:9\r\n`;
  expect(await raw.ask(["ROLE"])).toEqual([slave("127.0.0.1", 6001, "connected")]);
  expect((await info(raw, "replication")).get("slave_repl_offset")).toBe("9");
  backend.leader = 0;
  expect(await raw.ask(["ROLE"])).toEqual([slave("", 0, "connect")]);
  expect((await info(raw, "replication")).get("master_link_status")).toBe("down");
  backend.leader = 2;
  const others = [
    ["6001", "7"],
    ["6003", "9"],
  ].map(([port, position]) => `*3\r\n${bulk("127.0.0.1")}${bulk(port)}${bulk(position)}`);
  expect(await raw.ask(["ROLE"])).toEqual([`*3\r\n${bulk("master")}:9\r\n*2\r\n${others.join("")}`]);
  const replication = await info(raw, "replication");
  expect([replication.get("role"), replication.get("connected_slaves")]).toEqual(["master", "2"]);
  expect(replication.get("slave1")).toBe("ip=127.0.0.1,port=6003,state=online,offset=9");
  expect(replication.get("master_repl_offset")).toBe("9");
});

test("ROLE and INFO replication without an order of writes: a master without slaves, and what it lacks", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  backend.counters = { missing: 4, reachable: 1, peers: 2 };
  expect(await raw.ask(["GAMUT", "KEYSPACE", "CREATE", "carts", "PROTOCOL", "gossip"], ["SELECT", "carts"])).toEqual([
    "+OK\r\n",
    "+OK\r\n",
  ]);
  expect(await raw.ask(["ROLE"])).toEqual([`*3\r\n${bulk("master")}:9\r\n*0\r\n`]);
  expect(Object.fromEntries(await info(raw, "replication"))).toEqual({
    role: "master",
    connected_slaves: "0",
    gamut_missing_writes: "4",
    gamut_peers_heard: "1",
    gamut_peers: "2",
    master_repl_offset: "9",
  });
});

test("CONFIG GET databases counts what SELECT takes by number", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  const databases = async (): Promise<string> => (await raw.ask(["CONFIG", "GET", "databases"]))[0];
  for (const [name, count] of [
    ["carts", 1],
    ["2", 1],
    ["1", 3],
  ] as const) {
    backend.addKeyspace(name);
    expect(await databases()).toContain(bulk(String(count)));
  }
});

test("a value over the limit is an error; a bulk far over it ends the connection, and the error is heard", async () => {
  const { client } = await serve();
  const raw = await client();
  const [over, pong] = await raw.ask(["SET", "k", "x".repeat(1_048_577)], ["PING"]);
  expect(over).toMatch(/^-ERR value_too_large: /);
  expect(pong).toBe("+PONG\r\n");
  const far = await client();
  far.send(["SET", "k", "y".repeat(17 * 1_048_576)]);
  expect(await far.untilEnd()).toBe("-ERR Protocol error: invalid bulk length\r\n");
  expect(await raw.ask(["EXISTS", "k"])).toEqual([":0\r\n"]);
});

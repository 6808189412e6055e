import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { Level } from "../kv/level.js";
import { libmemcachedTool } from "./testing/libmemcached.js";
import type { RawClient } from "./testing/raw-client.js";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

const run = promisify(execFile);
const memcdump = libmemcachedTool("memcdump", "memdump");

async function store(raw: RawClient, keys: readonly string[], value = "v"): Promise<void> {
  for (let i = 0; i < keys.length; i += 500) {
    await raw.ask(["MSET", ...keys.slice(i, i + 500).flatMap((key) => [key, value])]);
  }
}

async function dump(raw: RawClient, slabClass = 1, limit = 0): Promise<string> {
  raw.sendBytes(`stats cachedump ${slabClass} ${limit}\r\n`);
  const lines = await raw.through("END\r\n");
  return lines.slice(0, -5);
}

test("an item has its key, its length and its deadline", async () => {
  const { client } = await serve();
  const raw = await client();
  const inAnHour = Math.floor(Date.now() / 1000) + 3600;
  await raw.tell(`set b 7 0 5\r\nhello\r\nset a 0 ${inAnHour} 0\r\n\r\nset c 0 0 1\r\nx\r\n`);
  expect(await dump(raw)).toBe(`ITEM a [0 b; ${inAnHour} s]\r\nITEM b [5 b; 0 s]\r\nITEM c [1 b; 0 s]\r\n`);
  expect(await dump(raw, 1, 2)).toBe(`ITEM a [0 b; ${inAnHour} s]\r\nITEM b [5 b; 0 s]\r\n`);
  for (const other of [0, 2, 63]) expect(await dump(raw, other)).toBe("");
});

test("keys that memcached's text cannot carry are left out, and do not count", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await store(other, ["", "a b", "\x7f", "k\r\nEND", "l".repeat(251), "m", "caf\xe9", "z"]);
  expect(await dump(raw, 1, 2)).toBe("ITEM caf\xe9 [1 b; 0 s]\r\nITEM m [1 b; 0 s]\r\n");
  expect(await dump(raw, 1, 3)).toBe("ITEM caf\xe9 [1 b; 0 s]\r\nITEM m [1 b; 0 s]\r\nITEM z [1 b; 0 s]\r\n");
});

test("many keys, and large values, are read in pages; others are answered in between", async () => {
  const { client, backend } = await serve();
  const [raw, other] = [await client(), await client()];
  const keys = Array.from({ length: 25_000 }, (_, i) => `key:${100_000 + i}`);
  await store(other, keys);
  for (const key of ["large:1", "large:2", "large:3"]) await other.ask(["SET", key, "v".repeat(900_000)]);
  await raw.tell("gamut level sequential\r\n");
  let pages = 0;
  backend.onExecute = ({ command, level }) => {
    if (command.op === Op.range && level === Level.sequential) pages += 1;
  };
  const large = [1, 2, 3].map((n) => `ITEM large:${n} [900000 b; 0 s]\r\n`);
  expect(await dump(raw)).toBe([...keys.map((key) => `ITEM ${key} [1 b; 0 s]\r\n`), ...large].join(""));
  expect(pages).toBeGreaterThan(4);
  // What is sent after it waits for it.
  expect(await raw.tell("stats cachedump 1 1\r\nget key:100001\r\n")).toBe(
    "ITEM key:100000 [1 b; 0 s]\r\nEND\r\nVALUE key:100001 0 1\r\nv\r\nEND\r\n",
  );
});

test("no more than 2 MiB", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  const keys = Array.from({ length: 9_000 }, (_, i) => `${10_000 + i}${"k".repeat(240)}`);
  await store(other, keys);
  const lines = await dump(raw);
  const one = `ITEM ${keys[0]} [1 b; 0 s]\r\n`.length;
  expect(lines.length + 5).toBeLessThanOrEqual(2_097_152);
  expect(lines.length + 5 + one).toBeGreaterThan(2_097_152);
  expect(lines.startsWith(`ITEM ${keys[0]} [`)).toBe(true);
});

test("errors of the store, and a client that goes away meanwhile", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  await store(await client(), ["a"]);
  backend.failures.set(Op.range, new KvError("unavailable", "no leader"));
  expect(await raw.tell("stats cachedump 1 0\r\n")).toBe("SERVER_ERROR unavailable: no leader\r\n");
  backend.failures.clear();
  await raw.tell("gamut explain on\r\n");
  expect(await dump(raw)).toBe("ITEM a [1 b; 0 s]\r\n");
  expect(await raw.tell("gamut explain\r\n")).toMatch(/^RECEIPT .*evidence=local/);
  backend.held = true;
  raw.sendBytes("stats cachedump 1 0\r\n");
  const deadline = Date.now() + 10_000;
  while (backend.queued === 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 2));
  const sessions = backend.openSessions;
  raw.socket.resetAndDestroy();
  while (backend.openSessions === sessions && Date.now() < deadline) await new Promise((done) => setTimeout(done, 2));
  expect(backend.openSessions).toBeLessThan(sessions);
  backend.release();
  expect(await dump(await client())).toBe("ITEM a [1 b; 0 s]\r\n");
});

test("stats items and slabs tell of one class, if there are keys", async () => {
  const { client } = await serve();
  const raw = await client();
  expect(await raw.tell("stats items\r\nstats slabs\r\n")).toBe(
    "END\r\nSTAT active_slabs 0\r\nSTAT total_malloced 0\r\nEND\r\n",
  );
  await raw.tell("set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\n");
  const items = ["number 2", "evicted 0", "evicted_time 0", "outofmemory 0"];
  const ofItems = items.map((line) => `STAT items:1:${line}\r\n`).join("");
  expect(await raw.tell("stats items\r\n")).toBe(`${ofItems}END\r\n`);
  const slabs = ["1:chunk_size 1048576", "1:total_pages 1", "1:used_chunks 2", "active_slabs 1", "total_malloced 0"];
  const ofSlabs = slabs.map((line) => `STAT ${line}\r\n`).join("");
  expect(await raw.tell("stats slabs\r\n")).toBe(`${ofSlabs}END\r\n`);
});

test("stats conns tells of each connection of this wire", async () => {
  const { client, listener } = await serve();
  const [raw, watching, resp] = [await client(), await client(), await client()];
  await resp.ask(["PING"]);
  watching.sendBytes("gamut watch\r\n");
  await watching.through("\r\n");
  const stats = (await raw.tell("stats conns\r\n")).replace(/STAT (\d+):/g, "$1 ").split("\r\n");
  const linesOf = ({ socket }: RawClient): string[] => {
    const own = stats.find((line) => line.endsWith(` addr tcp:127.0.0.1:${socket.localPort}`));
    const id = own?.split(" ")[0];
    return stats.filter((line) => line.startsWith(`${id} `)).map((line) => line.slice(`${id} `.length));
  };
  const expected = (raw: RawClient, state: string): unknown[] => [
    `addr tcp:127.0.0.1:${raw.socket.localPort}`,
    `listen_addr tcp:127.0.0.1:${listener.port}`,
    `state ${state}`,
    expect.stringMatching(/^secs_since_last_cmd \d$/),
  ];
  expect(linesOf(raw)).toEqual(expected(raw, "conn_parse_cmd"));
  expect(linesOf(watching)).toEqual(expected(watching, "conn_watch"));
  expect(linesOf(resp)).toEqual([]);
  expect(stats.slice(8)).toEqual(["END", ""]);
});

test.runIf(memcdump === "")("memcdump is there (libmemcached-tools is not installed)", (context) => {
  if (process.env.CI === undefined) context.skip("libmemcached-tools is not installed");
  else expect.fail("libmemcached-tools is not installed");
});

test.runIf(memcdump !== "")("memcdump tells all keys, each once", async () => {
  const { client, listener } = await serve();
  const keys = Array.from({ length: 12_000 }, (_, i) => `key:${100_000 + i}`);
  await store(await client(), [...keys, "not for memcached"]);
  const servers = [`--servers=127.0.0.1:${listener.port}`];
  const { stdout } = await run(memcdump, servers, { maxBuffer: 16 * 1_048_576 });
  expect(stdout.trimEnd().split("\n")).toEqual(keys);
});

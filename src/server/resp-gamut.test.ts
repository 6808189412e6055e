import { afterEach, expect, test } from "vitest";
import type { BackendStatus } from "../kv/backend.js";
import type { ServerLimits } from "./limits.js";
import { ClientListener } from "./listener.js";
import { MemoryBackend } from "./testing/memory-backend.js";
import { RawClient } from "./testing/raw-client.js";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function serve(limits: Partial<ServerLimits> = {}): Promise<{ backend: MemoryBackend; raw: RawClient }> {
  const backend = new MemoryBackend();
  const listener = await ClientListener.listen({ backend, host: "127.0.0.1", port: 0, limits });
  open.push(listener);
  const raw = await RawClient.connect(listener.port);
  open.push(raw);
  return { backend, raw };
}

const OK = "+OK\r\n";
const NULL = "$-1\r\n";
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

test("LEVEL", async () => {
  const { backend, raw } = await serve();
  const levels: number[] = [];
  backend.onExecute = ({ level }) => levels.push(level);
  const replies = await raw.ask(
    ["GAMUT", "LEVEL"],
    ["GAMUT", "LEVEL", "Eventual"],
    ["GET", "x"],
    ["GAMUT", "LEVEL"],
    ["GAMUT", "LEVEL", "perfect"],
  );
  expect(replies.slice(0, 4)).toEqual([bulk("default"), OK, NULL, bulk("eventual")]);
  expect(replies[4]).toMatch(
    /^-ERR there is no level "perfect"; raft grants linearizable and sequential; gossip grants session and eventual; default /,
  );
  expect(levels).toEqual([6]);
});

test("TOKEN", async () => {
  const { raw } = await serve();
  expect(
    await raw.ask(["GAMUT", "TOKEN"], ["GAMUT", "TOKEN", "010203"], ["GAMUT", "TOKEN"], ["GAMUT", "TOKEN", "00"]),
  ).toEqual([bulk("0102fa"), OK, bulk("010203"), "-ERR bad_token: the token is damaged\r\n"]);
});

test("EXPLAIN keeps receipts from ON to OFF; RESP3 puts them before the answers", async () => {
  const { raw } = await serve();
  const replies = await raw.ask(
    ["GET", "x"],
    ["GAMUT", "EXPLAIN"],
    ["GAMUT", "EXPLAIN", "ON"],
    ["GAMUT", "EXPLAIN"],
    ["GET", "x"],
    ["GAMUT", "EXPLAIN"],
    ["GAMUT", "EXPLAIN", "MAYBE"],
    ["GAMUT", "EXPLAIN", "OFF"],
    ["GET", "x"],
    ["GAMUT", "EXPLAIN"],
  );
  const off = "-ERR no receipts are kept: send GAMUT EXPLAIN ON before the command that is to be explained\r\n";
  expect(replies.slice(0, 5)).toEqual([NULL, off, OK, NULL, NULL]);
  expect(replies[5]).toContain("level=linearizable asked=linearizable protocol=memory node=2");
  expect(replies.slice(6)).toEqual(["-ERR GAMUT EXPLAIN takes ON, OFF or nothing\r\n", OK, NULL, off]);
  raw.send(["HELLO", "3"], ["GAMUT", "EXPLAIN", "ON"], ["GET", "x"], ["RESET"], ["GET", "x"]);
  const three = await raw.replies(5);
  expect(three[2]).toMatch(/^\|1\r\n\+receipt\r\n\$\d+\r\nlevel=linearizable .*\r\n_\r\n$/);
  expect(three[4]).toBe(NULL);
  raw.send(["HELLO", "3"], ["SET", "x", "1"], ["GAMUT", "EXPLAIN", "ON"], ["SET", "x", "2"], ["GET", "x"]);
  const [, , , written, read] = await raw.replies(5);
  const version = /\r\n\+version\r\n:(\d+)\r\n\+OK\r\n$/.exec(written)?.[1];
  expect(Number(version)).toBeGreaterThan(0);
  expect(read).toMatch(new RegExp(`^\\|2\r\n\\+receipt\r\n.*\r\n\\+version\r\n:${version}\r\n\\$1\r\n2\r\n$`, "s"));
});

test("KEYSPACE: made, chosen, listed, dropped, each reply in its place", async () => {
  const { raw } = await serve();
  const replies = await raw.ask(
    ["SET", "x", "1"],
    ["GAMUT", "KEYSPACE", "CREATE", "orders", "LEVEL", "Sequential"],
    ["SELECT", "orders"],
    ["GET", "x"],
    ["GAMUT", "KEYSPACE", "CREATE", "orders"],
    ["GAMUT", "KEYSPACE", "LIST"],
    ["SELECT", "0"],
    ["GET", "x"],
    ["GAMUT", "KEYSPACE", "DROP", "orders"],
    ["SELECT", "orders"],
    ["GAMUT", "KEYSPACE", "DROP", "orders"],
    ["PING"],
  );
  expect(replies.slice(0, 4)).toEqual([OK, OK, OK, NULL]);
  expect(replies[4]).toMatch(/^-ERR keyspace_exists: /);
  const row = (name: string, level: string): string =>
    ["name", name, "protocol", "memory", "level", level, "leader"].map(bulk).join("");
  const replicas = `:1\r\n${bulk("replicas")}*3\r\n:1\r\n:2\r\n:3\r\n`;
  expect(replies[5]).toBe(
    `*2\r\n*10\r\n${row("default", "linearizable")}${replicas}*10\r\n${row("orders", "sequential")}${replicas}`,
  );
  expect(replies.slice(6, 9)).toEqual([OK, bulk("1"), OK]);
  expect(replies[9]).toMatch(/^-ERR keyspace_unknown: /);
  expect(replies[10]).toMatch(/^-ERR keyspace_unknown: /);
  expect(replies[11]).toBe("+PONG\r\n");
});

test("KEYSPACE: what comes after waits for its outcome, what came before is answered", async () => {
  const { backend, raw } = await serve();
  raw.send(["SET", "x", "1"]);
  await raw.replies(1);
  backend.held = true;
  raw.send(["GAMUT", "KEYSPACE", "CREATE", "later"], ["GET", "x"]);
  await expect(raw.replies(1, 100)).rejects.toThrow("0 of 1 replies");
  expect(backend.queuedMost).toBe(1);
  backend.release();
  expect(await raw.replies(2)).toEqual([OK, bulk("1")]);
});

test("KEYSPACE: a client that has gone away does no harm", async () => {
  const { backend, raw } = await serve({ hangUpMsMax: 20 });
  backend.held = true;
  raw.send(["GAMUT", "KEYSPACE", "CREATE", "orphan"]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  raw.close();
  while (backend.openSessions > 0) await new Promise((resolve) => setTimeout(resolve, 2));
  backend.release();
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(backend.keyspaces.has("orphan")).toBe(true);
});

test("KEYSPACE: what is wrong is said", async () => {
  const { raw } = await serve();
  const replies = await raw.ask(
    ["GAMUT", "KEYSPACE", "MAKE", "x"],
    ["GAMUT", "KEYSPACE", "CREATE"],
    ["GAMUT", "KEYSPACE", "CREATE", "x", "LEVEL"],
    ["GAMUT", "KEYSPACE", "CREATE", "x", "LEVEL", "perfect"],
    ["GAMUT", "KEYSPACE", "CREATE", "x", "PLEASE", "sequential"],
    ["GAMUT", "KEYSPACE", "DROP"],
    ["GAMUT", "KEYSPACE", "LIST", "all"],
    ["GAMUT", "KEYSPACE"],
    ["MULTI"],
    ["GAMUT", "KEYSPACE", "CREATE", "x"],
    ["EXEC"],
  );
  const arity = "-ERR wrong number of arguments for 'gamut|keyspace' command\r\n";
  expect(replies.map((reply) => reply.replace(/;.*/s, ";"))).toEqual([
    "-ERR GAMUT KEYSPACE takes CREATE, DROP or LIST. Try GAMUT HELP.\r\n",
    arity.replace("\r\n", ";"),
    arity.replace("\r\n", ";"),
    '-ERR there is no level "perfect";',
    "-ERR syntax error;",
    arity.replace("\r\n", ";"),
    arity,
    arity,
    OK,
    "-ERR GAMUT is not possible inside a transaction\r\n",
    "-EXECABORT Transaction discarded because of previous errors.\r\n",
  ]);
});

test("KEYSPACE CREATE tells its syntax where it is not kept", async () => {
  const { raw } = await serve();
  const syntax = "it is GAMUT KEYSPACE CREATE <name> [PROTOCOL raft | gossip] [LEVEL <level>]\r\n";
  expect(
    await raw.ask(
      ["GAMUT", "KEYSPACE", "CREATE", "x", "gosip"],
      ["GAMUT", "KEYSPACE", "CREATE", "x", "TYPE", "gossip"],
    ),
  ).toEqual([`-ERR wrong number of arguments for 'gamut|keyspace' command; ${syntax}`, `-ERR syntax error; ${syntax}`]);
});

test("STATUS", async () => {
  const { raw, backend } = await serve();
  const [reply] = await raw.ask(["GAMUT", "STATUS"]);
  const status = JSON.parse(reply.slice(reply.indexOf("\r\n") + 2)) as BackendStatus;
  expect(status).toEqual(backend.status());
  expect((await raw.ask(["GAMUT", "STATUS", "x"]))[0]).toMatch(/^-ERR wrong number of arguments/);
  expect((await raw.ask(["GAMUT", "HELP"]))[0]).toContain(
    "+KEYSPACE CREATE <name> [PROTOCOL raft | gossip] [LEVEL <level>]\r\n",
  );
});

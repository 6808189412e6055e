import { afterEach, expect, test } from "vitest";
import { KvError } from "../kv/errors.js";
import { encodeRequest, type RawClient } from "./testing/raw-client.js";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

/** As version 2 shows it. */
const array = (...words: string[]): string => encodeRequest(words).toString("latin1");
const push = (...words: string[]): string => array(...words).replace("*", ">");
const confirmation = (kind: string, name: string, count: number): string =>
  `*3\r\n$${kind.length}\r\n${kind}\r\n$${name.length}\r\n${name}\r\n:${count}\r\n`;

async function tell(raw: RawClient, flags: string): Promise<void> {
  expect(await raw.ask(["CONFIG", "SET", "notify-keyspace-events", flags])).toEqual(["+OK\r\n"]);
}

test("notifications of one key and of one event, as Redis calls them", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await tell(other, "KEA");
  expect(await raw.ask(["SUBSCRIBE", "__keyspace@0__:k"])).toEqual([confirmation("subscribe", "__keyspace@0__:k", 1)]);
  expect(await raw.ask(["SUBSCRIBE", "__keyevent@0__:del"])).toEqual([
    confirmation("subscribe", "__keyevent@0__:del", 2),
  ]);
  await other.ask(
    ["SET", "k", "1"],
    ["INCR", "k"],
    ["APPEND", "k", "0"],
    ["SETRANGE", "k", "0", "3"],
    ["INCRBYFLOAT", "k", "1"],
    ["EXPIRE", "k", "100"],
    ["PERSIST", "k"],
    ["SET", "unheard", "1"],
    ["COPY", "unheard", "k", "REPLACE"],
    ["RENAME", "k", "j"],
    ["RENAME", "j", "k"],
    ["DEL", "k", "unheard"],
  );
  const events = ["set", "incrby", "append", "setrange", "incrbyfloat", "expire", "persist", "copy_to"];
  events.push("rename_from", "rename_to", "del");
  expect(await raw.replies(events.length + 2)).toEqual([
    ...events.map((event) => array("message", "__keyspace@0__:k", event)),
    array("message", "__keyevent@0__:del", "k"),
    array("message", "__keyevent@0__:del", "unheard"),
  ]);
});

test("patterns; RESP3 pushes, and the connection goes on with all commands", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await tell(other, "Ex");
  const pattern = "__keyevent@*__:*";
  await raw.ask(["HELLO", "3"]);
  expect(await raw.ask(["PSUBSCRIBE", pattern, "__key*"])).toEqual([
    confirmation("psubscribe", pattern, 1).replace("*", ">"),
  ]);
  expect(await raw.replies(1)).toEqual([confirmation("psubscribe", "__key*", 2).replace("*", ">")]);
  expect(await raw.ask(["SET", "soon", "v", "PX", "10"])).toEqual(["+OK\r\n"]);
  const deadline = Date.now() + 10_000;
  while (raw.received.length === 0 && Date.now() < deadline) await other.ask(["PING"], ["GET", "x"]);
  expect(await raw.replies(2)).toEqual([
    push("pmessage", pattern, "__keyevent@0__:expired", "soon"),
    push("pmessage", "__key*", "__keyevent@0__:expired", "soon"),
  ]);
  expect((await raw.ask(["PUNSUBSCRIBE", "__key*"]))[0]).toMatch(/^>3\r\n\$12\r\npunsubscribe\r\n.*:1\r\n$/s);
  expect((await raw.ask(["PUNSUBSCRIBE"]))[0]).toMatch(/:0\r\n$/);
  expect((await raw.ask(["UNSUBSCRIBE"]))[0]).toBe(">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
  await tell(other, "KEA");
  expect(await raw.ask(["SET", "k", "v"], ["GET", "k"])).toEqual(["+OK\r\n", "$1\r\nv\r\n"]);
});

test("nothing is told until it is asked for; the flags are Redis' own", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await raw.ask(["PSUBSCRIBE", "*"]);
  await other.ask(["SET", "k", "1"]);
  const shown = async (flags: string): Promise<string> => {
    await tell(other, flags);
    const [reply] = await other.ask(["CONFIG", "GET", "notify-keyspace-events"]);
    return reply.split("\r\n")[4];
  };
  expect(await shown("EKx$g")).toBe("g$xKE");
  expect(await shown("g$lshzxetdK")).toBe("AK");
  expect(await shown("A")).toBe("A");
  await other.ask(["SET", "k", "2"]);
  expect(await shown("K$")).toBe("$K");
  await other.ask(["SET", "k", "3"], ["DEL", "k"], ["FLUSHDB"], ["SET", "last", "1"]);
  expect(await raw.replies(2)).toEqual([
    array("pmessage", "*", "__keyspace@0__:k", "set"),
    array("pmessage", "*", "__keyspace@0__:last", "set"),
  ]);
  expect((await other.ask(["CONFIG", "SET", "notify-keyspace-events", "KQ"]))[0]).toMatch(/^-ERR CONFIG SET failed/);
  expect((await other.ask(["CONFIG", "SET", "maxmemory", "1"]))[0]).toMatch(/^-ERR CONFIG SET is not supported/);
});

test("RESP2, while subscribed: what may be sent, and PING's other answer", async () => {
  const { client } = await serve();
  const raw = await client();
  await raw.ask(["SUBSCRIBE", "__keyspace@0__:k"]);
  const [get, ping, ping2] = await raw.ask(["GET", "k"], ["PING"], ["PING", "here"]);
  expect(get).toMatch(/^-ERR Can't execute 'get': only \(P\|S\)SUBSCRIBE /);
  expect([ping, ping2]).toEqual([array("pong", ""), array("pong", "here")]);
  expect(await raw.ask(["RESET"], ["PING"], ["GET", "k"])).toEqual(["+RESET\r\n", "+PONG\r\n", "$-1\r\n"]);
});

test("channels for messages between clients are refused, and so are other keyspaces", async () => {
  const { client, backend } = await serve({ subscriptionsMax: 2 });
  backend.addKeyspace("other");
  const raw = await client();
  const [one, two, three, four, five] = await raw.ask(
    ["SUBSCRIBE", "__keyspace@0__:k", "news"],
    ["PSUBSCRIBE", "news.*"],
    ["PUBLISH", "news", "x"],
    ["SUBSCRIBE", "__keyspace@other__:k"],
    ["SUBSCRIBE", "a", "b", "c"],
  );
  for (const reply of [one, two, three]) expect(reply).toMatch(/^-ERR there are no channels for messages/);
  expect(four).toMatch(/^-ERR a connection hears of the keyspace that it has chosen, here 0: SELECT/);
  expect(five).toMatch(/^-ERR batch_too_large/);
  await tell(raw, "KEA");
  await raw.ask(["HELLO", "3"], ["SELECT", "other"], ["SUBSCRIBE", "__keyspace@other__:k"]);
  expect((await raw.ask(["SELECT", "0"]))[0]).toMatch(/^-ERR SELECT of another keyspace is not possible while/);
  expect(await raw.ask(["SET", "k", "v"])).toEqual(["+OK\r\n"]);
  expect(await raw.replies(1)).toEqual([push("message", "__keyspace@other__:k", "set")]);
});

test("a connection whose notifications end is ended itself: a client of Redis could not tell", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  await tell(raw, "KEA");
  await raw.ask(["SUBSCRIBE", "__keyspace@0__:k"]);
  backend.keyspaces.get("default")!.watches.endAll(new KvError("keyspace_gone"));
  expect(await raw.untilEnd()).toMatch(/^-ERR keyspace_gone: /);
});

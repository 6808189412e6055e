import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { RawClient } from "./testing/raw-client.js";
import { closeOpen, open, serve } from "./testing/serve.js";

afterEach(closeOpen);

const OK = "+OK\r\n";

/** A reply as text: its bulks and integers, positions shortened. */
function shown(reply: string): string {
  const words = reply
    .split("\r\n")
    .filter((line) => line !== "" && !/^\$\d+$/.test(line))
    .map((line) => line.replace(/^4757[0-9a-f]+/, "POSITION"));
  return words.join(" ");
}

async function heard(raw: RawClient, count: number): Promise<string[]> {
  return (await raw.replies(count)).map(shown);
}

test("RESP3: what is put, deleted and expires comes as pushes between the replies", async () => {
  const { client } = await serve();
  const raw = await client();
  await raw.ask(["HELLO", "3"], ["SET", "a1", "before"]);
  expect((await raw.ask(["GAMUT", "WATCH", "a", "VALUES"])).map(shown)).toEqual(["POSITION"]);
  const other = await client();
  await other.ask(["SET", "a1", "1"], ["SET", "b", "2"], ["MSET", "a2", "2", "a3", "3"], ["DEL", "a1", "a2"]);
  expect(await heard(raw, 5)).toEqual([
    ">6 watch put a1 :2 POSITION 1",
    ">6 watch put a2 :4 POSITION 2",
    ">6 watch put a3 :4 POSITION 3",
    ">5 watch delete a1 :5 POSITION",
    ">5 watch delete a2 :5 POSITION",
  ]);
  await other.ask(["SET", "a4", "soon", "PX", "20"]);
  expect(await heard(raw, 1)).toEqual([">6 watch put a4 :6 POSITION soon"]);
  const deadline = Date.now() + 10_000;
  while (raw.received.length === 0 && Date.now() < deadline) await other.ask(["PING"], ["GET", "x"]);
  expect(await heard(raw, 1)).toEqual([">5 watch expire a4 :7 POSITION"]);
  expect(await raw.ask(["GET", "a3"], ["GAMUT", "WATCH"])).toEqual([
    "$1\r\n3\r\n",
    "-ERR this connection watches already: GAMUT UNWATCH first, or open another\r\n",
  ]);
  expect(await raw.ask(["GAMUT", "UNWATCH"])).toEqual([OK]);
  await other.ask(["SET", "a1", "unheard"]);
  expect(await raw.ask(["GET", "a1"])).toEqual(["$7\r\nunheard\r\n"]);
});

test("a snapshot, EXACT, and going on from a position", async () => {
  const { client } = await serve();
  const raw = await client();
  await raw.ask(["HELLO", "3"], ["MSET", "k", "1", "k2", "2"]);
  await raw.ask(["GAMUT", "WATCH", "k", "EXACT", "SNAPSHOT", "VALUES"]);
  expect((await raw.replies(2)).map(shown)).toEqual([">5 watch record k :1 1", ">3 watch snapshot-end POSITION"]);
  const other = await client();
  await other.ask(["SET", "k", "a"], ["SET", "k2", "b"], ["SET", "k", "c"]);
  const pushes = await raw.replies(2);
  expect(pushes.map(shown)).toEqual([">6 watch put k :2 POSITION a", ">6 watch put k :4 POSITION c"]);
  const position = /4757[0-9a-f]+/.exec(pushes[0])![0];
  const next = await client();
  await next.ask(["HELLO", "3"], ["GAMUT", "WATCH", "", "FROM", position]);
  expect(await heard(next, 2)).toEqual([">6 watch put k2 :3 POSITION _", ">6 watch put k :4 POSITION _"]);
});

test("KEYS: a snapshot and the changes of those keys alone", async () => {
  const { client } = await serve();
  const raw = await client();
  await raw.ask(["HELLO", "3"], ["MSET", "", "empty", "b", "2", "bc", "3", "z", "26"]);
  await raw.ask(["GAMUT", "WATCH", "", "KEYS", "4", "z", "b", "none", "", "VALUES", "SNAPSHOT"]);
  expect((await raw.replies(4)).map(shown)).toEqual([
    ">5 watch record :1 empty",
    ">5 watch record b :1 2",
    ">5 watch record z :1 26",
    ">3 watch snapshot-end POSITION",
  ]);
  const other = await client();
  await other.ask(["SET", "bc", "x"], ["SET", "none", "n"], ["DEL", "b", "bc", ""]);
  expect(await heard(raw, 3)).toEqual([
    ">6 watch put none :3 POSITION n",
    ">5 watch delete b :4 POSITION",
    ">5 watch delete :4 POSITION",
  ]);
});

test("RESP2: arrays, and nothing else is done on the connection", async () => {
  const { client } = await serve();
  const raw = await client();
  await raw.ask(["GAMUT", "WATCH"]);
  const other = await client();
  await other.ask(["SET", "k", "v"]);
  expect(await heard(raw, 1)).toEqual(["*6 watch put k :1 POSITION $-1"]);
  const [refused, pong, ok, got] = await raw.ask(["GET", "k"], ["PING"], ["GAMUT", "UNWATCH"], ["GET", "k"]);
  expect(refused).toMatch(/^-ERR Can't execute 'get': a connection of RESP2 that watches takes /);
  expect([pong, ok, got]).toEqual(["+PONG\r\n", OK, "$1\r\nv\r\n"]);
});

test("what is not well formed, and what the store refuses", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  const bad = [["FROM"], ["FROM", ""], ["FROM", "00", "SNAPSHOT"], ["SOON"], ["KEYS", "1", "a"]];
  for (const words of bad) {
    expect(await raw.ask(["GAMUT", "WATCH", "k", ...words])).toEqual(["-ERR syntax error\r\n"]);
  }
  for (const words of [["KEYS"], ["KEYS", "0"], ["KEYS", "x", "a"], ["KEYS", "2", "a"], ["EXACT", "KEYS", "1", "a"]]) {
    expect(await raw.ask(["GAMUT", "WATCH", "", ...words])).toEqual(["-ERR syntax error\r\n"]);
  }
  const many = Array.from({ length: 1_025 }, (_, i) => `${i}`);
  expect((await raw.ask(["GAMUT", "WATCH", "", "KEYS", "1025", ...many]))[0]).toMatch(/^-ERR batch_too_large/);
  expect((await raw.ask(["GAMUT", "WATCH", "", "KEYS", "1", "k".repeat(2_049)]))[0]).toMatch(/^-ERR key_too_long/);
  expect((await raw.ask(["GAMUT", "WATCH", "k".repeat(2_049)]))[0]).toMatch(/^-ERR key_too_long/);
  expect((await raw.ask(["GAMUT", "WATCH", "k", "FROM", "0011"]))[0]).toMatch(/^-ERR bad_token: this is no position/);
  backend.keyspaces.delete("default");
  expect((await raw.ask(["GAMUT", "WATCH"]))[0]).toMatch(/^-ERR keyspace_unknown/);
  expect(await raw.ask(["PING"])).toEqual(["+PONG\r\n"]);
});

test("a reader that takes nothing costs no more than its output, and is told what it has missed", async () => {
  const { client, backend } = await serve({ outputBytesMax: 65_536 });
  const raw = await client();
  await raw.ask(["HELLO", "3"], ["GAMUT", "WATCH", "", "VALUES"]);
  raw.socket.pause();
  const other = await client();
  const value = "x".repeat(1_000_000);
  const written = 64;
  for (let i = 0; i < written; i += 1) await other.ask(["SET", `k${i}`, value]);
  // It fell behind what is kept: its watch is over, and no value is kept for it.
  expect(backend.keyspaces.get("default")!.history.valueWatchers).toBe(0);
  raw.socket.resume();
  let last = "";
  let next = 0;
  while (!last.startsWith(">4")) {
    [last] = await raw.replies(1);
    // What it has heard before that is without a gap.
    if (last.startsWith(">6")) {
      expect(last).toContain(`k${next}\r\n`);
      next += 1;
    }
  }
  expect(next).toBeLessThan(written);
  expect(shown(last)).toMatch(/^>4 watch end ERR compacted: .* begin anew, with a snapshot POSITION$/);
  const oldest = /4757[0-9a-f]+\r\n$/.exec(last)![0].trim();
  const [begun] = await raw.ask(["GAMUT", "WATCH", "", "FROM", oldest]);
  expect(shown(begun)).toBe("POSITION");
  expect(await heard(raw, 1)).toMatchObject([expect.stringMatching(/^>6 watch put k\d+/)]);
});

test("a connection that closes watches no more, nor does one that is hanging up", async () => {
  const { client, backend, listener } = await serve();
  const raw = await client();
  await raw.ask(["GAMUT", "WATCH", "", "VALUES"]);
  const { history } = backend.keyspaces.get("default")!;
  expect(history.valueWatchers).toBe(1);
  raw.close();
  const deadline = Date.now() + 10_000;
  while (history.valueWatchers > 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 2));
  expect(history.valueWatchers).toBe(0);
  // Its own side stays open.
  const halfOpen = connect({ port: listener.port, host: "127.0.0.1", allowHalfOpen: true });
  open.push({ close: () => halfOpen.destroy() });
  halfOpen.resume();
  halfOpen.write("HELLO 3\r\nGAMUT WATCH\r\nSUBSCRIBE __keyspace@0__:k\r\n");
  while (history.watchers < 2 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 2));
  halfOpen.write("QUIT\r\n");
  await once(halfOpen, "end");
  expect(history.watchers).toBe(0);
});

test("who watches hears that the node stops", async () => {
  const { client, listener } = await serve();
  const raw = await client();
  await raw.ask(["HELLO", "3"], ["GAMUT", "WATCH"]);
  const closed = listener.close();
  const [last] = await heard(raw, 1);
  expect(last).toMatch(/^>4 watch end TRYAGAIN stopping: /);
  await closed;
});

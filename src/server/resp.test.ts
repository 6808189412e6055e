import { Redis } from "ioredis";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { afterEach, describe, expect, test } from "vitest";
import { Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { ClientListener } from "./listener.js";
import { RawClient } from "./testing/raw-client.js";
import { closeOpen, open, serve } from "./testing/serve.js";

afterEach(closeOpen);

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not reached: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

describe("a pipeline", () => {
  test("replies in order, effects in order", async () => {
    const { client } = await serve();
    const raw = await client();
    expect(await raw.ask(["SET", "x", "1"], ["GET", "x"], ["SET", "x", "2"], ["GET", "x"], ["GET", "y"])).toEqual([
      "+OK\r\n",
      bulk("1"),
      "+OK\r\n",
      bulk("2"),
      "$-1\r\n",
    ]);
    expect(await raw.ask(["GET", "z"], ["SET", "z", "1"], ["PING"], ["NOPE"], ["GET", "z"])).toEqual([
      "$-1\r\n",
      "+OK\r\n",
      "+PONG\r\n",
      "-ERR unknown command 'NOPE', with args beginning with: \r\n",
      bulk("1"),
    ]);
  });

  test("of 10,000 commands in one write", async () => {
    const { backend, client } = await serve();
    const raw = await client();
    const requests = Array.from({ length: 10_000 }, (_, i) => (i % 2 === 0 ? ["INCR", "n"] : ["PING", String(i)]));
    const replies = await raw.ask(...requests);
    expect(replies).toEqual(requests.map((_, i) => (i % 2 === 0 ? `:${i / 2 + 1}\r\n` : bulk(String(i)))));
    expect(backend.queuedMost).toBeLessThanOrEqual(1024);
  });

  test("an answer inside submit is as good as a later one", async () => {
    const { backend, client } = await serve();
    backend.synchronous = true;
    const raw = await client();
    expect(await raw.ask(["SET", "x", "1"], ["GET", "x"], ["PING"])).toEqual(["+OK\r\n", bulk("1"), "+PONG\r\n"]);
  });

  test("answers that come in another order leave in the order asked", async () => {
    const { backend, client } = await serve();
    const raw = await client();
    await raw.ask(["MSET", "a", "1", "b", "2", "c", "3"]);
    backend.order = (a, b) => b.tag - a.tag;
    const asked = ["a", "b", "PING", "c", "nothing"];
    expect(await raw.ask(...asked.map((key) => (key === "PING" ? ["PING"] : ["GET", key])))).toEqual([
      bulk("1"),
      bulk("2"),
      "+PONG\r\n",
      bulk("3"),
      "$-1\r\n",
    ]);
  });

  test("a change of protocol applies to what follows it", async () => {
    const { client } = await serve();
    const raw = await client();
    raw.send(["GET", "x"], ["HELLO", "3"], ["GET", "x"], ["HELLO", "2"], ["GET", "x"]);
    const replies = await raw.replies(5);
    expect([replies[0], replies[2], replies[4]]).toEqual(["$-1\r\n", "_\r\n", "$-1\r\n"]);
    expect(replies[1]).toMatch(/^%7\r\n\$6\r\nserver\r\n/);
  });

  test("many clients, each gets its own answers", async () => {
    const { client } = await serve();
    const clients = await Promise.all(Array.from({ length: 50 }, client));
    await Promise.all(
      clients.map(async (raw, mine) => {
        for (let round = 0; round < 10; round += 1) {
          const requests = Array.from({ length: 30 }, (_, i) => ["ECHO", `${mine}/${round}/${i}`]);
          for (let i = 0; i < 30; i += 3) requests[i] = ["SET", `k${mine}/${i}`, `${mine}/${round}/${i}`];
          for (let i = 1; i < 30; i += 3) requests[i] = ["GET", `k${mine}/${i - 1}`];
          const expected = requests.map(([name, word], i) =>
            name === "SET" ? "+OK\r\n" : bulk(name === "GET" ? `${mine}/${round}/${i - 1}` : word),
          );
          expect(await raw.ask(...requests)).toEqual(expected);
        }
      }),
    );
  });

  test("a client that says no more still hears all answers", async () => {
    const { client } = await serve();
    const raw = await client();
    raw.send(...Array.from({ length: 3000 }, () => ["INCR", "n"]));
    raw.socket.end();
    expect(await raw.untilEnd()).toBe(Array.from({ length: 3000 }, (_, i) => `:${i + 1}\r\n`).join(""));
  });

  test("QUIT and a protocol error come after what was asked before them, and end it", async () => {
    const { client } = await serve();
    const first = await client();
    first.send(["GET", "x"], ["QUIT"], ["SET", "x", "never"]);
    expect(await first.untilEnd()).toBe("$-1\r\n+OK\r\n");
    const second = await client();
    second.sendBytes("*2\r\n$3\r\nGET\r\n$1\r\nx\r\n*1\r\n!\r\n*1\r\n$4\r\nPING\r\n");
    expect(await second.untilEnd()).toBe("$-1\r\n-ERR Protocol error: expected '$', got '!'\r\n");
  });
});

describe("limits", () => {
  test("a reader that does not read costs a bounded amount, and loses nothing", async () => {
    const limits = { outputBytesMax: 1 << 20 };
    const { client, backend } = await serve(limits);
    const raw = await client();
    const value = "v".repeat(100_000);
    await raw.ask(["SET", "big", value]);
    let executed = 0;
    backend.onExecute = () => {
      executed += 1;
    };
    raw.socket.pause();
    for (let i = 0; i < 2000; i += 1) raw.send(["GET", "big"], ["ECHO", String(i)]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const executedWhilePaused = executed;
    const before = process.memoryUsage().arrayBuffers;
    // The kernel's own buffers on both sides take some MB.
    expect(executedWhilePaused).toBeLessThan(200);
    expect(before).toBeLessThan(120e6);
    raw.socket.resume();
    const replies = await raw.replies(4000, 30_000);
    const wrong = replies.findIndex((reply, i) => reply !== (i % 2 === 0 ? bulk(value) : bulk(String((i - 1) / 2))));
    expect(wrong).toBe(-1);
  });

  test("a slow reader gets the bytes that were meant for it, whatever others are told meanwhile", async () => {
    const { client } = await serve({ outputBytesMax: 1 << 30 });
    const [slow, other] = [await client(), await client()];
    const value = (i: number): string => String.fromCharCode(97 + (i % 26)).repeat(60_000);
    slow.socket.pause();
    for (let i = 0; i < 300; i += 1) {
      slow.send(["ECHO", value(i)]);
      expect(await other.ask(["ECHO", `${i}`.repeat(1000)])).toEqual([bulk(`${i}`.repeat(1000))]);
    }
    slow.socket.resume();
    const replies = await slow.replies(300, 30_000);
    expect(replies.findIndex((reply, i) => reply !== bulk(value(i)))).toBe(-1);
  });

  test("a reader that takes nothing for long is cut", async () => {
    const { client, listener } = await serve({ stalledMsMax: 300 });
    const [raw, idle] = [await client(), await client()];
    await idle.ask(["PING"]);
    await raw.ask(["SET", "big", "v".repeat(1_000_000)]);
    raw.socket.pause();
    for (let i = 0; i < 30; i += 1) raw.send(["GET", "big"]);
    await until(() => listener.connectionCount === 1, "cut");
    expect(await idle.ask(["PING"])).toEqual(["+PONG\r\n"]);
  });

  test("a huge turn of replies cuts the connection, and no other", async () => {
    const { client, listener } = await serve({ outputBytesCut: 2_000_000 });
    const [raw, other] = [await client(), await client()];
    await raw.ask(["SET", "big", "v".repeat(900_000)], ...Array.from({ length: 100 }, () => ["GET", "small"]));
    raw.socket.pause();
    raw.send(...Array.from({ length: 100 }, () => ["MGET", "big", "big"]));
    await until(() => listener.connectionCount === 1, "cut");
    expect(await other.ask(["PING"])).toEqual(["+PONG\r\n"]);
  });

  test("on connections", async () => {
    const { client, listener } = await serve({ connectionsMax: 2 });
    const [first, second, third] = [await client(), await client(), await client()];
    expect(await third.untilEnd()).toBe("-ERR max number of clients reached\r\n");
    expect(await first.ask(["PING"])).toEqual(["+PONG\r\n"]);
    second.close();
    await until(() => listener.connectionCount === 1, "one left");
    const fourth = await client();
    expect(await fourth.ask(["PING"])).toEqual(["+PONG\r\n"]);
  });

  test("on a transaction", async () => {
    const { client } = await serve({ transactionCommandsMax: 2 });
    const raw = await client();
    const replies = await raw.ask(["MULTI"], ["INCR", "n"], ["INCR", "n"], ["INCR", "n"], ["EXEC"], ["GET", "n"]);
    expect(replies[3]).toMatch(/^-ERR batch_too_large: /);
    expect(replies.slice(4)).toEqual(["-EXECABORT Transaction discarded because of previous errors.\r\n", "$-1\r\n"]);
  });

  test("on keys, values and batches: definite errors, and the connection goes on", async () => {
    const { client } = await serve();
    const raw = await client();
    const replies = await raw.ask(
      ["GET", "k".repeat(2049)],
      ["SET", "k", "v".repeat(1_048_577)],
      ["MGET", ...Array.from({ length: 1025 }, () => "k")],
      ["PING"],
    );
    expect(replies[0]).toMatch(/^-ERR key_too_long: /);
    expect(replies[1]).toMatch(/^-ERR value_too_large: /);
    expect(replies[2]).toMatch(/^-ERR batch_too_large: /);
    expect(replies[3]).toBe("+PONG\r\n");
  });

  test("on the time for half a request; not on idling", async () => {
    const { client } = await serve({ requestMsMax: 300 });
    const [idle, half] = [await client(), await client()];
    await idle.ask(["PING"]);
    half.sendBytes("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1");
    expect(await half.untilEnd()).toMatch(
      /^\+PONG\r\n-ERR Protocol error: a request did not arrive whole within 300 ms/,
    );
    expect(await idle.ask(["PING"])).toEqual(["+PONG\r\n"]);
  });

  test("a long load of requests is no half request", async () => {
    const { client } = await serve({ requestMsMax: 600 });
    const raw = await client();
    const request = "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$10\r\n0123456789\r\n";
    const stream = request.repeat(40);
    // Every chunk ends inside a request, for longer than one may take.
    for (let at = 0; at < stream.length; at += 37) {
      raw.sendBytes(stream.slice(at, at + 37));
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    expect(await raw.replies(40)).toEqual(Array.from({ length: 40 }, () => "+OK\r\n"));
  });
});

describe("connections that end", () => {
  for (const how of ["breaks off", "closes its side and is not answered in time"]) {
    test(`a client that ${how}: what it waited for is cancelled, its session closed`, async () => {
      const { backend, client } = await serve({ hangUpMsMax: 200 });
      const [raw, other] = [await client(), await client()];
      await raw.ask(["PING"]);
      await other.ask(["PING"]);
      backend.held = true;
      raw.send(["SET", "a", "1"], ["GET", "a"], ["SET", "b", "1"]);
      await until(() => backend.queuedMost >= 3, "queued");
      if (how === "breaks off") raw.socket.resetAndDestroy();
      else raw.socket.end();
      await until(() => backend.cancelled.length === 3, "cancelled");
      expect(backend.openSessions).toBe(1);
      backend.release();
      expect(await other.ask(["EXISTS", "a", "b"])).toEqual([":0\r\n"]);
    });
  }

  test("the listener closes when all is answered", async () => {
    const { backend, client, listener } = await serve();
    const raw = await client();
    await raw.ask(["PING"]);
    backend.held = true;
    raw.send(["INCR", "n"], ["GET", "n"]);
    await until(() => backend.queuedMost >= 2, "queued");
    const closed = listener.close();
    open.splice(0, 1);
    setTimeout(() => backend.release(), 50);
    expect(await raw.untilEnd()).toBe(`:1\r\n${bulk("1")}`);
    raw.close();
    await closed;
    expect(backend.openSessions).toBe(0);
  });
});

test("hostile bytes harm nobody", async () => {
  const seed = 20_261_121;
  const random = xoroshiro128plus(seed);
  const below = (n: number): number => uniformInt(random, 0, n - 1);
  const { client, backend, listener } = await serve();
  const bystander = await client();
  const words = [
    "*1\r\n",
    "*3\r\n",
    "$3\r\n",
    "$-1\r\n",
    "SET",
    "GET x\r\n",
    "MULTI\r\n",
    "EXEC\r\n",
    "HELLO 3\r\n",
    "\r\n",
  ];
  words.push(
    "\0",
    "\xff",
    "*99999999\r\n",
    "$99999999\r\n",
    "WATCH a\r\n",
    "SCAN 7\r\n",
    "QUIT\r\n",
    "CLIENT LIST\r\n",
    '"',
    "'",
  );
  for (let round = 0; round < 400; round += 1) {
    const raw = await RawClient.connect(listener.port);
    if (below(4) > 0) raw.sendBytes("*1\r\n$4\r\nPING\r\n");
    for (let i = below(30); i > 0; i -= 1) raw.sendBytes(words[below(words.length)]);
    if (below(2) === 0) raw.socket.end();
    if (round % 20 === 0) {
      const value = String(round);
      expect(await bystander.ask(["SET", "mine", value], ["GET", "mine"]), `seed ${seed}`).toEqual([
        "+OK\r\n",
        bulk(value),
      ]);
    }
    raw.close();
  }
  await until(() => listener.connectionCount === 1 && backend.openSessions === 1, "all gone");
});

describe("the first line", () => {
  const farewells: [name: string, sent: string, heard: RegExp][] = [
    ["HTTP", "GET / HTTP/1.0\r\n\r\n", /^HTTP\/1\.1 404 Not Found\r\n/],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^$/],
    ["TLS", "\x16\x03\x01\x00\xa5", /^[\s\S]{7}$/],
    ["memcached's binary protocol", "\x80\x00", /^$/],
    ["too long a line", "X".repeat(9000), /^ERROR the first line is longer than 8192 bytes\r\n$/],
  ];
  for (const [name, sent, heard] of farewells) {
    test(`of ${name}`, async () => {
      const { client } = await serve();
      const raw = await client();
      raw.sendBytes(sent);
      expect(await raw.untilEnd()).toMatch(heard);
    });
  }

  test("an upper-case verb is taken for RESP, at every split", async () => {
    const { client } = await serve();
    const line = "SET x 1\r\nGET x\r\n";
    for (let i = 1; i < line.length; i += 1) {
      const raw = await client();
      raw.sendBytes(line.slice(0, i));
      await new Promise((resolve) => setTimeout(resolve, 5));
      raw.sendBytes(line.slice(i));
      expect(await raw.replies(2)).toEqual(["+OK\r\n", bulk("1")]);
      raw.close();
    }
  });

  test("must come in time once it has begun; silence may last", async () => {
    const { client } = await serve({ firstLineMsMax: 300 });
    const [silent, slow] = [await client(), await client()];
    slow.sendBytes("GE");
    expect(await slow.untilEnd()).toMatch(/^ERROR the first line did not arrive within 300 ms/);
    expect(await silent.ask(["PING"])).toEqual(["+PONG\r\n"]);
  });
});

describe("transactions", () => {
  test("are one atomic operation, with the node's own answers among the store's", async () => {
    const { backend, client } = await serve();
    const raw = await client();
    let atomics = 0;
    backend.onExecute = ({ command }) => {
      if (command.op === Op.atomic) atomics += 1;
    };
    raw.send(
      ["MULTI"],
      ["SET", "x", "1"],
      ["PING"],
      ["INCR", "x"],
      ["SET", "x", "y", "NX", "XX"],
      ["GET", "x"],
      ["EXEC"],
    );
    expect((await raw.replies(7))[6]).toBe(`*5\r\n+OK\r\n+PONG\r\n:2\r\n-ERR syntax error\r\n${bulk("2")}`);
    expect(atomics).toBe(1);
    expect((await raw.ask(["MULTI"], ["PING"], ["EXEC"], ["MULTI"], ["EXEC"])).filter((_, i) => i % 2 === 0)).toEqual([
      "+OK\r\n",
      "*1\r\n+PONG\r\n",
      "*0\r\n",
    ]);
    expect(atomics).toBe(1);
  });

  test("WATCH, MULTI and EXEC in one write", async () => {
    const { client } = await serve();
    const raw = await client();
    expect(
      await raw.ask(["SET", "x", "1"], ["WATCH", "x"], ["SET", "x", "2"], ["MULTI"], ["GET", "x"], ["EXEC"]),
    ).toEqual(["+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n", "+QUEUED\r\n", "*-1\r\n"]);
    expect(await raw.ask(["WATCH", "x"], ["MULTI"], ["GET", "x"], ["EXEC"])).toEqual([
      "+OK\r\n",
      "+OK\r\n",
      "+QUEUED\r\n",
      `*1\r\n${bulk("2")}`,
    ]);
  });

  test("an outcome that nobody knows is told as such", async () => {
    const { backend, client } = await serve();
    const raw = await client();
    backend.failures.set(Op.atomic, new KvError("unknown"));
    backend.failures.set(Op.set, new KvError("overloaded"));
    backend.failures.set(Op.get, new KvError("level_unsupported"));
    const replies = await raw.ask(["MULTI"], ["INCR", "n"], ["EXEC"], ["SET", "a", "b"], ["GET", "a"]);
    expect(replies[2]).toMatch(/^-UNKNOWN the outcome is not known: /);
    expect(replies[3]).toMatch(/^-TRYAGAIN overloaded: /);
    expect(replies[4]).toMatch(/^-ERR level_unsupported: /);
  });
});

describe("SCAN", () => {
  const page = (reply: string): [cursor: string, keys: string[]] => {
    const [cursor, ...keys] = [...reply.matchAll(/\$\d+\r\n(.*)\r\n/g)].map((match) => match[1]);
    return [cursor, keys];
  };

  test("returns every key that is there throughout, over changing connections and under change", async () => {
    const { client } = await serve();
    const clients = [await client(), await client()];
    await clients[0].ask(["MSET", ...Array.from({ length: 300 }, (_, i) => [`k${i}`, "v"]).flat()]);
    await clients[0].ask(["MSET", ...Array.from({ length: 300 }, (_, i) => [`gone${i}`, "v"]).flat()]);
    const seen = new Set<string>();
    let cursor = "0";
    let pages = 0;
    do {
      const raw = clients[pages % 2];
      const [reply] = await raw.ask(["SCAN", cursor, "COUNT", "7"]);
      const [next, keys] = page(reply);
      for (const key of keys) seen.add(key);
      cursor = next;
      await raw.ask(["DEL", `gone${pages}`, `gone${299 - pages}`, keys[0] ?? "gone0"], ["SET", keys[0] ?? "k0", "v"]);
      pages += 1;
    } while (cursor !== "0");
    for (let i = 0; i < 300; i += 1) expect(seen).toContain(`k${i}`);
    expect(pages).toBeGreaterThan(43);
  });

  test("MATCH, TYPE, a page asked for twice, a forgotten cursor", async () => {
    const { client } = await serve({ scanCursorsMax: 4 });
    const raw = await client();
    await raw.ask(["MSET", "a1", "v", "a2", "v", "b1", "v"]);
    const [matched, other, first] = await raw.ask(
      ["SCAN", "0", "MATCH", "a*", "TYPE", "string"],
      ["SCAN", "0", "TYPE", "list", "MATCH", "*"],
      ["SCAN", "0", "COUNT", "1"],
    );
    expect([page(matched), page(other)]).toEqual([
      ["0", ["a1", "a2"]],
      ["0", []],
    ]);
    const [cursor] = page(first);
    const [again, twice] = await raw.ask(["SCAN", cursor, "COUNT", "1"], ["SCAN", cursor, "COUNT", "1"]);
    expect([page(again)[1], page(twice)[1]]).toEqual([["a2"], ["a2"]]);
    const [kept] = page((await raw.ask(["SCAN", "0", "COUNT", "1"]))[0]);
    for (let i = 0; i < 4; i += 1) await raw.ask(["SCAN", "0", "COUNT", "1"]);
    expect(await raw.ask(["SCAN", kept], ["SCAN", "12345"])).toEqual(
      Array.from({ length: 2 }, () => expect.stringMatching(/^-ERR invalid cursor: this node has forgotten it/)),
    );
  });

  test("a slow scan survives a fast one", async () => {
    const { client } = await serve({ scanCursorsMax: 4 });
    const raw = await client();
    await raw.ask(["MSET", ...Array.from({ length: 50 }, (_, i) => [`k${i}`, "v"]).flat()]);
    const [slow] = page((await raw.ask(["SCAN", "0"]))[0]);
    let fast = "0";
    do [fast] = page((await raw.ask(["SCAN", fast, "COUNT", "1"]))[0]);
    while (fast !== "0");
    expect(page((await raw.ask(["SCAN", slow, "COUNT", "100"]))[0])[1].length).toBe(40);
  });
});

describe("keyspaces, levels", () => {
  test("SELECT by name; of one that there is not, an error and no change", async () => {
    const { backend, client } = await serve();
    backend.addKeyspace("other");
    backend.addKeyspace("late");
    backend.late.add("late");
    const raw = await client();
    const replies = await raw.ask(
      ["SET", "x", "default"],
      ["SELECT", "other"],
      ["SET", "x", "other"],
      ["SELECT", "7"],
      ["SELECT", "nope"],
      ["GET", "x"],
      ["SELECT", "late"],
      ["EXISTS", "x"],
      ["SELECT", "0"],
      ["GET", "x"],
      ["FLUSHALL"],
    );
    expect(replies[1]).toBe("+OK\r\n");
    expect(replies[3]).toMatch(/^-ERR DB index is out of range: .*by its name.*GAMUT KEYSPACE CREATE 7 makes/);
    expect(replies[4]).toMatch(/^-ERR keyspace_unknown: /);
    expect(replies.slice(5, 10)).toEqual([bulk("other"), "+OK\r\n", ":0\r\n", "+OK\r\n", bulk("default")]);
    expect(replies[10]).toMatch(/^-ERR FLUSHALL is not possible with 2 keyspaces/);
  });

  test("WATCH reads linearizably at whatever level", async () => {
    const { backend, client } = await serve();
    const raw = await client();
    const levels: number[] = [];
    backend.onExecute = ({ level }) => levels.push(level);
    await raw.ask(["GAMUT", "LEVEL", "eventual"], ["WATCH", "x"], ["GET", "x"]);
    expect(levels).toEqual([1, 6]);
  });

  test("WAIT counts the others, and gives up in time", async () => {
    const { client } = await serve();
    const raw = await client();
    expect(await raw.ask(["SET", "x", "1"], ["WAIT", "2", "0"], ["WAIT", "0", "0"])).toEqual([
      "+OK\r\n",
      ":2\r\n",
      ":2\r\n",
    ]);
    const started = Date.now();
    expect(await raw.ask(["WAIT", "5", "150"], ["PING"])).toEqual([":2\r\n", "+PONG\r\n"]);
    expect(Date.now() - started).toBeGreaterThanOrEqual(145);
  });

  test("INFO names the leader", async () => {
    const { client } = await serve();
    const raw = await client();
    const [info] = await raw.ask(["INFO", "replication"]);
    expect(info).toContain("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:6001\r\nmaster_link_status:up\r\n");
    expect(info).toContain("gamut_leader_address:127.0.0.1:6001\r\n");
    expect((await raw.ask(["INFO", "nosuch"]))[0]).toBe("$0\r\n\r\n");
  });
});

describe("ioredis", () => {
  async function redis(listener: ClientListener): Promise<Redis> {
    const client = new Redis({ port: listener.port, host: "127.0.0.1", lazyConnect: true });
    open.push({ close: () => client.disconnect() });
    await client.connect();
    return client;
  }

  test("pipelines, transactions, options, errors, scan streams", async () => {
    const { listener } = await serve();
    const client = await redis(listener);
    expect(await client.set("k", "v", "EX", 100, "NX")).toBe("OK");
    expect(await client.set("k", "w", "NX")).toBeNull();
    expect(await client.getBuffer("k")).toEqual(Buffer.from("v"));
    expect(await client.ttl("k")).toBe(100);
    const pipelined = await client.pipeline().incr("n").get("n").incrby("n", 5).del("n", "k").exec();
    expect(pipelined).toEqual([
      [null, 1],
      [null, "1"],
      [null, 6],
      [null, 2],
    ]);
    const done = await client.multi().set("t", "1").incr("t").mget("t", "nothing").exec();
    expect(done).toEqual([
      [null, "OK"],
      [null, 2],
      [null, ["2", null]],
    ]);
    await client.watch("t");
    await (await redis(listener)).set("t", "9");
    expect(await client.multi().set("t", "mine").exec()).toBeNull();
    await client.set("word", "x");
    await expect(client.incr("word")).rejects.toThrow("ERR value is not an integer or out of range");
    const found: string[] = [];
    for await (const keys of client.scanStream({ count: 1 })) found.push(...(keys as string[]));
    expect(found.sort()).toEqual(["t", "word"]);
    await client.quit();
  });
});

/** SLOWLOG, LATENCY, KEYS and RANDOMKEY where a real Redis is no measure: our own times, limits and pages. */
import { afterEach, describe, expect, test } from "vitest";
import { COMMANDS } from "../codec/resp/index.js";
import { Op } from "../kv/command.js";
import { SCAN_KEYS_MAX } from "../kv/limits.js";
import { CommandTimes } from "./command-times.js";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

const get = COMMANDS.find(({ name }) => name === "get")!;

describe("CommandTimes", () => {
  test("counts what took at most a power of two of microseconds", () => {
    const times = new CommandTimes(3, 2);
    for (const us of [0, 0.5, 1, 1.5, 2, 3, 4, 1000, 1024, 1025, 1e12]) times.note(get, us / 1000);
    expect(times.histogram(get)).toEqual({
      calls: 11,
      buckets: [
        [1, 3],
        [2, 5],
        [4, 7],
        [1024, 9],
        [2048, 10],
        [2 ** 31, 11],
      ],
    });
    times.resetCounts();
    expect(times.histogram(get)).toEqual({ calls: 0, buckets: [] });
  });

  test("keeps the newest slow commands, and the slowest of each second", () => {
    const times = new CommandTimes(3, 2);
    for (const [endedMs, tookMs] of [
      [1_000, 5],
      [1_500, 9],
      [1_900, 7],
      [2_000, 3],
      [3_000, 4],
    ]) {
      times.noteSlow(endedMs, tookMs, ["get"], "", "");
    }
    expect(times.slow.map(({ id, tookMs }) => [id, tookMs])).toEqual([
      [2, 7],
      [3, 3],
      [4, 4],
    ]);
    expect(times.samples).toEqual([
      { second: 2, tookMs: 3 },
      { second: 3, tookMs: 4 },
    ]);
    expect(times.slowestMs).toBe(9);
  });
});

describe("on the wire", () => {
  test("SLOWLOG and LATENCY tell what was slow, with keys and without values", async () => {
    const { client, listener } = await serve({ slowCommandMs: 0, slowCommandsMax: 4 });
    const raw = await client();
    await raw.ask(["CLIENT", "SETNAME", "me"], ["SET", "k", "secret"], ["MGET", "a", "b"], ["OBJECT", "ENCODING", "k"]);
    await raw.ask(["MULTI"], ["INCR", "n"], ["EXEC"], ["WAIT", "0", "0"], ["PING"]);
    expect((await raw.ask(["SLOWLOG", "LEN"]))[0]).toBe(":4\r\n");
    const [entries] = await raw.ask(["SLOWLOG", "GET", "-1"]);
    expect(entries).not.toContain("secret");
    const words = [
      ...entries.matchAll(
        /:\d+\r\n:(\d+)\r\n:(\d+)\r\n\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+?)\$\d+\r\n127\.0\.0\.1:\d+\r\n\$2\r\nme/g,
      ),
    ];
    expect(words.map((match) => match[3].replace(/\$\d+\r\n|\r\n$/g, "").split("\r\n"))).toEqual([
      ["exec"],
      ["object", "encoding", "k"],
      ["mget", "a", "b"],
      ["set", "k"],
    ]);
    expect((await raw.ask(["SLOWLOG", "GET", "1"]))[0]).toMatch(/^\*1\r\n\*6\r\n:3\r\n/);
    expect((await raw.ask(["LATENCY", "LATEST"]))[0]).toMatch(
      /^\*1\r\n\*4\r\n\$7\r\ncommand\r\n:\d+\r\n:\d+\r\n:\d+\r\n$/,
    );
    expect((await raw.ask(["LATENCY", "HISTORY", "command"]))[0]).toMatch(/^\*[12]\r\n\*2\r\n:\d+\r\n:\d+\r\n/);
    expect(await raw.ask(["LATENCY", "RESET", "nosuch"], ["LATENCY", "RESET"], ["LATENCY", "LATEST"])).toEqual([
      ":0\r\n",
      ":1\r\n",
      "*0\r\n",
    ]);
    const [histogram] = await raw.ask(["LATENCY", "HISTOGRAM", "mget", "nosuch"]);
    expect(histogram).toMatch(
      /^\*2\r\n\$4\r\nmget\r\n\*4\r\n\$5\r\ncalls\r\n:1\r\n\$14\r\nhistogram_usec\r\n\*2\r\n:\d+\r\n:1\r\n$/,
    );
    expect(await raw.ask(["SLOWLOG", "RESET"], ["SLOWLOG", "GET"])).toEqual(["+OK\r\n", "*0\r\n"]);
    await raw.ask(["CONFIG", "RESETSTAT"]);
    expect((await raw.ask(["LATENCY", "HISTOGRAM"]))[0]).toBe("*0\r\n");
    expect(listener.connectionCount).toBe(1);
  });

  test("a command is slow by the time that the store took", async () => {
    const { client, backend } = await serve({ slowCommandMs: 20 });
    const raw = await client();
    backend.held = true;
    raw.send(["SET", "slow", "1"], ["GET", "k".repeat(200)]);
    await new Promise((resolve) => setTimeout(resolve, 40));
    backend.release();
    await raw.replies(2);
    const [entries] = await raw.ask(["SLOWLOG", "GET"]);
    expect(entries).toContain(`\r\n${"k".repeat(128)}... (72 more bytes)\r\n`);
    expect(entries).toContain("$3\r\nset\r\n$4\r\nslow\r\n");
  });

  test("KEYS goes through as many pages as there are, and what follows waits for it", async () => {
    const { client, backend } = await serve();
    const raw = await client();
    const count = 2 * SCAN_KEYS_MAX + 5;
    for (let i = 0; i < count; i += 1_000) {
      const pairs = Array.from({ length: Math.min(1_000, count - i) }, (_, n) => [`key:${i + n}`, "v"]).flat();
      await raw.ask(["MSET", ...pairs]);
    }
    let scans = 0;
    backend.onExecute = ({ command }) => {
      if (command.op === Op.scan) scans += 1;
    };
    raw.send(["KEYS", "key:*"], ["DEL", "key:0"], ["KEYS", "key:1234?"]);
    const [all, deleted, some] = await raw.replies(3);
    expect(all.startsWith(`*${count}\r\n`)).toBe(true);
    expect(new Set(all.match(/key:\d+/g)).size).toBe(count);
    expect(deleted).toBe(":1\r\n");
    expect(some.match(/key:\d+/g)?.length).toBe(10);
    expect(scans).toBe(6);
    // A client that goes away in the middle troubles nobody.
    raw.send(["KEYS", "*"]);
    raw.close();
    expect(await (await client()).ask(["DBSIZE"])).toEqual([`:${count - 1}\r\n`]);
  });

  test("KEYS is bounded, and not for transactions", async () => {
    const { client } = await serve({ keysReplyBytesMax: 10 });
    const raw = await client();
    await raw.ask(["MSET", "123456", "", "7890", ""]);
    expect((await raw.ask(["KEYS", "*"]))[0]).toBe("*2\r\n$6\r\n123456\r\n$4\r\n7890\r\n");
    await raw.ask(["SET", "x", ""]);
    expect((await raw.ask(["KEYS", "*"]))[0]).toBe(
      "-ERR batch_too_large: the keys that match have more than 10 bytes: use SCAN\r\n",
    );
    expect(await raw.ask(["KEYS", "1*"], ["KEYS", "y".repeat(1_025)])).toEqual([
      "*1\r\n$6\r\n123456\r\n",
      "-ERR bad_request: the pattern has 1025 bytes, 1024 are allowed\r\n",
    ]);
    expect(await raw.ask(["MULTI"], ["KEYS", "*"], ["EXEC"])).toEqual([
      "+OK\r\n",
      "-ERR KEYS is not possible inside a transaction\r\n",
      "-EXECABORT Transaction discarded because of previous errors.\r\n",
    ]);
  });

  test("RANDOMKEY goes round: each key has its turn", async () => {
    const { client } = await serve();
    const raw = await client();
    const names = Array.from({ length: 250 }, (_, i) => `key:${i}`);
    await raw.ask(["MSET", ...names.flatMap((name) => [name, "v"])]);
    const drawn = new Set<string>();
    for (let round = 0; round < 400 && drawn.size < 250; round += 1) {
      for (const reply of await raw.ask(...Array.from({ length: 100 }, () => ["RANDOMKEY"]))) {
        drawn.add(reply.split("\r\n")[1]);
      }
    }
    expect([...drawn].sort()).toEqual(names.sort());
    // Where it would go on there may be nothing any more.
    await raw.ask(["RANDOMKEY"], ["FLUSHDB"], ["SET", "a", ""]);
    for (let i = 0; i < 3; i += 1) expect(await raw.ask(["RANDOMKEY"])).toEqual(["$1\r\na\r\n"]);
  });
});

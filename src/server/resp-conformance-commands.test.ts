/** Cases by hand, to a real Redis and to us: the edges of each command, and what concerns a connection. */
import { describe, expect, test } from "vitest";
import { besideRedis } from "./testing/beside-redis.js";
import type { RawClient } from "./testing/raw-client.js";
import { redisMissing } from "./testing/redis-process.js";

const missing = redisMissing();

/** Words apart by spaces; `_` is a space, `''` nothing. */
function request(line: string): string[] {
  return line.split(" ").map((word) => (word === "''" ? "" : word.replaceAll("_", " ")));
}

describe.runIf(missing === "")("beside a real Redis", () => {
  let theirs: RawClient;
  let ours: RawClient;

  besideRedis((pair) => {
    ({ theirs, ours } = pair);
  });

  async function same(...lines: string[]): Promise<void> {
    for (const version of ["2", "3"]) {
      for (const client of [theirs, ours]) await client.ask(["HELLO", version], ["FLUSHDB"]);
      for (const line of lines) {
        const [expected] = await theirs.ask(request(line));
        const [found] = await ours.ask(request(line));
        expect(found, `RESP${version}: ${line}`).toBe(expected);
      }
    }
  }

  test("GETDEL, GETEX", async () => {
    await same(
      ...["GETDEL k", "SET k v EX 100", "GETDEL k", "GET k", "GETDEL", "GETDEL a b"],
      ...["GETEX k", "SET k v", "GETEX k EXAT 4000000000", "EXPIRETIME k", "GETEX k PERSIST", "TTL k", "GETEX k"],
      ...["GETEX k EX 0", "GETEX k PX -1", "GETEX k EX x", "GETEX k EX 9223372036854775807", "GETEX k EX"],
      ...["GETEX k NX", "GETEX k KEEPTTL", "GETEX k PERSIST PERSIST", "GETEX k EX 1 PERSIST", "GETEX k EX 5 EX 50"],
      ...["GETEX k PXAT 1", "GET k", "GETEX", "GETEX nothing PERSIST"],
    );
  });

  test("MSETNX, SETNX, GETSET, SETEX, PSETEX", async () => {
    await same(
      ...["MSETNX a 1 b 2", "MSETNX b 3 c 4", "MGET a b c", "MSETNX a", "MSETNX a 1 b", "MSETNX x 1 x 2", "GET x"],
      ...["SETNX a 9", "SETNX n 9", "GETSET n 8", "GETSET new 1", "GETSET n", "SETEX k 100 v", "SETEX k 0 v"],
      ...["SETEX k x v", "PSETEX k -1 v", "PSETEX k 99999 v", "GET k", "SETEX k 9223372036854775807 v"],
    );
  });

  test("GETRANGE, SUBSTR, SETRANGE", async () => {
    await same(
      ...["SET k This_is_a_string", "GETRANGE k 0 3", "GETRANGE k -3 -1", "GETRANGE k 0 -1", "GETRANGE k 10 100"],
      ...["GETRANGE k 5 3", "GETRANGE k -1 -5", "GETRANGE k -100 -100", "GETRANGE k 100 200", "SUBSTR k 2 4"],
      ...["GETRANGE k -9223372036854775807 -9223372036854775808", "GETRANGE k 0 9223372036854775807"],
      ...["GETRANGE k -9223372036854775808 -9223372036854775807", "GETRANGE k x 1", "GETRANGE k 0 1.5", "GETRANGE k 0"],
      ...[
        "GETRANGE nothing 0 -1",
        "SETRANGE k 5 XX",
        "GET k",
        "SETRANGE n 3 ''",
        "EXISTS n",
        "SETRANGE n 3 a",
        "GET n",
      ],
      ...["SETRANGE n -1 a", "SETRANGE n x a", "SETRANGE n 9223372036854775807 a", "SETRANGE n 9223372036854775807 ''"],
      ...["SETRANGE n 600000000 a", "STRLEN n", "SETRANGE n 0"],
    );
  });

  test("INCRBYFLOAT", async () => {
    await same(
      ...["INCRBYFLOAT k 0.1", "INCRBYFLOAT k 0.2", "INCRBYFLOAT k -0.3", "SET k 10.50", "INCRBYFLOAT k 0.1"],
      ...[
        "SET k 5.0e3",
        "INCRBYFLOAT k 2.0e2",
        "SET k 3.0",
        "INCRBYFLOAT k 1.000000000000000005",
        "INCRBYFLOAT k -5e-1",
      ],
      ...["INCRBYFLOAT k x", "INCRBYFLOAT k ''", "INCRBYFLOAT k _1", "INCRBYFLOAT k 1_", "INCRBYFLOAT k nan"],
      ...["INCRBYFLOAT k inf", "INCRBYFLOAT k -Infinity", "INCRBYFLOAT k", "SET k text", "INCRBYFLOAT k 1"],
      ...["SET k 1 EX 100", "INCRBYFLOAT k 1", "TTL k", "SET k 11", "INCRBYFLOAT k -11", "SET k _1", "INCRBYFLOAT k 1"],
    );
  });

  test("RENAME, RENAMENX, COPY", async () => {
    await same(
      ...[
        "RENAME a b",
        "RENAME a a",
        "RENAMENX a b",
        "SET a 1 EX 100",
        "RENAME a b",
        "TTL b",
        "EXISTS a",
        "RENAME b b",
      ],
      ...["RENAMENX b b", "SET c 3", "RENAMENX b c", "RENAMENX b d", "MGET b c d", "RENAME d", "RENAME d c", "TTL c"],
      ...["COPY c x", "TTL x", "COPY c x", "COPY c x REPLACE", "COPY c x replace DB 0", "COPY nothing x", "COPY c c"],
      ...["COPY c y DB x", "COPY c y DB 99", "COPY c y DB", "COPY c y what", "COPY c", "COPY c c DB 0", "DBSIZE"],
    );
  });

  test("EXPIREAT, PEXPIREAT, EXPIRETIME, PEXPIRETIME, PERSIST, TOUCH, UNLINK, TYPE", async () => {
    await same(
      ...["EXPIREAT k 4000000000", "SET k v", "EXPIREAT k 4000000000", "EXPIRETIME k", "PEXPIREAT k 4000000001500"],
      ...["EXPIRETIME k", "PEXPIRETIME k", "EXPIREAT k 4000000000 GT", "EXPIREAT k 4000000000 LT", "EXPIREAT k 1 NX"],
      ...["PEXPIREAT k 1 XX GT", "PEXPIREAT k 1 GT LT", "PEXPIREAT k 1 NX XX", "EXPIREAT k x", "EXPIREAT k 1 what"],
      ...["PERSIST k", "PERSIST k", "PERSIST nothing", "EXPIRETIME k", "EXPIRETIME nothing", "TYPE k", "TYPE nothing"],
      ...["TOUCH k k nothing", "UNLINK k nothing", "TOUCH", "UNLINK", "SET k v", "EXPIREAT k 1", "EXISTS k"],
    );
  });

  test("OBJECT, MEMORY", async () => {
    const long = "x".repeat(45);
    await same(
      ...["SET i 12345", `SET e ${long.slice(1)}`, `SET r ${long}`, "SET big 9223372036854775808", "SET empty ''"],
      ...[
        "OBJECT ENCODING i",
        "OBJECT ENCODING e",
        "OBJECT ENCODING r",
        "OBJECT ENCODING big",
        "OBJECT ENCODING empty",
      ],
      ...["OBJECT ENCODING nothing", "OBJECT REFCOUNT e", "OBJECT REFCOUNT nothing", "OBJECT IDLETIME nothing"],
      ...["OBJECT FREQ e", "OBJECT FREQ nothing", "OBJECT what e", "OBJECT ENCODING", "OBJECT HELP x", "OBJECT"],
      ...[
        "MEMORY USAGE nothing",
        "MEMORY USAGE e SAMPLES x",
        "MEMORY USAGE e SAMPLES",
        "MEMORY USAGE e what 1",
        "MEMORY",
      ],
      ...["MEMORY USAGE", "MEMORY nosuch", "COMMAND GETKEYS OBJECT ENCODING k", "COMMAND GETKEYS MEMORY USAGE k"],
      ...[
        "COMMAND GETKEYS COPY a b",
        "COMMAND GETKEYS MSETNX a 1 b 2",
        "COMMAND GETKEYS KEYS *",
        "COMMAND GETKEYS OBJECT HELP",
      ],
    );
    expect((await ours.ask(["MEMORY", "USAGE", "e"]))[0]).toBe(`:${1 + 9 + 44}\r\n`);
    expect((await ours.ask(["OBJECT", "IDLETIME", "e"]))[0]).toBe(
      "-ERR idle time is not tracked: a read changes nothing here\r\n",
    );
    for (const container of ["OBJECT", "MEMORY", "SLOWLOG", "LATENCY", "CLIENT"]) {
      expect((await ours.ask([container, "HELP"]))[0]).toMatch(new RegExp(`^\\*\\d+\r\n\\+${container} <subcommand>`));
    }
  });

  test("in a transaction, with its errors", async () => {
    await same(
      ...[
        "SET a 5",
        "SET i 1",
        "MULTI",
        "GETEX a EX 0",
        "GETDEL a",
        "RENAME a b",
        "INCRBYFLOAT i 0.5",
        "SETRANGE i 0 x",
      ],
      ...[
        "INCRBYFLOAT i 1",
        "OBJECT ENCODING a",
        "COPY i j",
        "GETRANGE j 0 1",
        "SETRANGE i -1 x",
        "MSETNX j 1 k 2",
        "EXEC",
      ],
      ...["MULTI", "OBJECT nosuch i", "EXEC", "MULTI", "RENAME a", "EXEC", "MGET a i j k"],
    );
  });

  test("CLIENT and SLOWLOG: what has no address in it", async () => {
    await same(
      ...["CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME", "CLIENT SETNAME m_e", "CLIENT SETNAME ''"],
      ...["CLIENT NO-EVICT on", "CLIENT NO-EVICT maybe", "CLIENT UNPAUSE", "CLIENT UNPAUSE x", "CLIENT GETREDIR"],
      ...[
        "CLIENT TRACKING off",
        "CLIENT TRACKING maybe",
        "CLIENT TRACKINGINFO",
        "CLIENT CACHING yes",
        "CLIENT CACHING x",
      ],
      ...[
        "CLIENT LIST TYPE replica",
        "CLIENT LIST TYPE what",
        "CLIENT LIST ID x",
        "CLIENT LIST ID 999999",
        "CLIENT LIST x",
      ],
      ...["CLIENT REPLY ON", "CLIENT REPLY maybe", "CLIENT REPLY", "CLIENT nosuch", "CLIENT ID x", "CLIENT"],
      ...["SLOWLOG RESET", "SLOWLOG GET x", "SLOWLOG GET -2", "SLOWLOG LEN x", "SLOWLOG nosuch", "SLOWLOG"],
      ...["LATENCY RESET", "LATENCY LATEST", "LATENCY HISTORY nosuch", "LATENCY HISTORY", "LATENCY nosuch", "LATENCY"],
    );
    expect((await ours.ask(["CLIENT", "TRACKING", "ON"]))[0]).toBe(
      "-ERR CLIENT TRACKING is not supported: this node sends no invalidations\r\n",
    );
    expect((await ours.ask(["DEBUG", "SLEEP", "1"]))[0]).toBe("-ERR DEBUG command not allowed.\r\n");
    expect((await theirs.ask(["DEBUG", "SLEEP", "1"]))[0]).toMatch(/^-ERR DEBUG command not allowed\./);
  });

  test("CLIENT REPLY: what is not wanted is not heard, and all of it is done", async () => {
    const heard: string[][] = [];
    for (const client of [theirs, ours]) {
      const lines = [
        ...["SET a 1", "CLIENT REPLY SKIP", "INCR a", "INCR a", "CLIENT REPLY OFF", "INCR a", "nosuch", "MULTI"],
        ...["INCR a", "EXEC", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY maybe", "INCR a", "CLIENT REPLY ON", "GET a"],
        ...[
          "CLIENT REPLY SKIP",
          "CLIENT REPLY SKIP",
          "PING skipped",
          "PING heard",
          "CLIENT REPLY OFF",
          "RESET",
          "PING",
        ],
      ];
      client.send(...lines.map(request));
      // In RESET's case Redis' answer is +RESET: the mode goes with all else.
      heard.push(await client.replies(7));
    }
    expect(heard[1]).toEqual(heard[0]);
    expect(heard[1][3]).toBe("$1\r\n6\r\n");
  });

  test("KEYS, SCAN, RANDOMKEY", async () => {
    const names = ["one", "two", "three", "four", "h[i]", "héllo", ""];
    const sorted = (reply: string): string[] =>
      reply
        .split("\r\n")
        .filter((_, i) => i > 0)
        .sort();
    for (const client of [theirs, ours]) {
      expect(await client.ask(["RANDOMKEY"], ["KEYS", "*"])).toEqual(["$-1\r\n", "*0\r\n"]);
      await client.ask(...names.map((name) => ["SET", name, "v"]));
    }
    for (const pattern of ["*", "t*", "*o*", "h?llo", "[ot]*", "[^o]*", "h\\[i\\]", "nosuch", "", "one"]) {
      const [expected] = await theirs.ask(["KEYS", pattern]);
      const [found] = await ours.ask(["KEYS", pattern]);
      expect(sorted(found), pattern).toEqual(sorted(expected));
    }
    await same(
      ...["SET one 1", "SCAN 0 MATCH on* COUNT 100", "SCAN 0 COUNT 100 TYPE string", "SCAN 0 TYPE hash COUNT 100"],
      ...[
        "SCAN 0 TYPE",
        "SCAN 0 MATCH ''",
        "SCAN 0 COUNT x",
        "SCAN 0 COUNT 0",
        "KEYS",
        "KEYS a b",
        "RANDOMKEY",
        "RANDOMKEY x",
      ],
    );
  });

  test("COMMAND tells the same of each command that both have", async () => {
    const names = (reply: string): string[] => [...reply.matchAll(/\$\d+\r\n([^\r]*)/g)].map((match) => match[1]);
    const [all, docs] = await ours.ask(["COMMAND", "LIST"], ["COMMAND", "DOCS"]);
    const have = names(all);
    expect((await ours.ask(["COMMAND", "COUNT"]))[0]).toBe(`:${have.length}\r\n`);
    for (const name of have) expect(docs).toContain(`\r\n$${name.length}\r\n${name}\r\n*6\r\n$7\r\nsummary\r\n`);
    for (const filter of [
      "PATTERN get*",
      "PATTERN *EX",
      "ACLCAT string",
      "ACLCAT keyspace",
      "ACLCAT fast",
      "MODULE x",
    ]) {
      const lists = [theirs, ours].map((client) => client.ask(["COMMAND", "LIST", "FILTERBY", ...filter.split(" ")]));
      const [expected, found] = (await Promise.all(lists)).map(([reply]) => names(reply));
      const both = expected.filter((name) => have.includes(name));
      expect(found.filter((name) => name !== "gamut").sort(), filter).toEqual(both.sort());
    }
    await same(
      "COMMAND LIST FILTERBY",
      "COMMAND LIST FILTERBY what x",
      "COMMAND LIST what PATTERN x",
      "COMMAND LIST x",
    );
    const sample: Record<string, string[]> = {
      MSETNX: ["a", "1", "b", "2"],
      MSET: ["a", "1"],
      SET: ["a", "1"],
      COPY: ["a", "b"],
    };
    for (const [name, words] of Object.entries(sample)) {
      const asked = ["COMMAND", "GETKEYS", name, ...words];
      expect(await ours.ask(asked), name).toEqual(await theirs.ask(asked));
    }
    for (const name of have.filter((each) => each !== "gamut")) {
      const arity = Number(/\r\n:(-?\d+)/.exec((await theirs.ask(["COMMAND", "INFO", name]))[0])?.[1]);
      const asked = ["COMMAND", "GETKEYS", name, ...Array.from({ length: Math.abs(arity) - 1 }, (_, i) => `k${i}`)];
      expect(await ours.ask(asked), asked.join(" ")).toEqual(await theirs.ask(asked));
    }
  });
});

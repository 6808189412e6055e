/** The same requests to a real Redis and to us: the replies must be the same bytes. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { describe, expect, test } from "vitest";
import type { ClientListener } from "./listener.js";
import { besideRedis } from "./testing/beside-redis.js";
import { RawClient } from "./testing/raw-client.js";
import { type RedisProcess, redisMissing } from "./testing/redis-process.js";

const missing = redisMissing();

test.runIf(missing !== "")(`Redis is there (${missing})`, (context) => {
  if (process.env.CI === undefined) context.skip(missing);
  else expect.fail(missing);
});

const INTEGERS = ["0", "1", "-1", "10", "007", "+1", " 1", "1.5", "9223372036854775807", "-9223372036854775808"];
const VALUES = ["", "v", "a value\r\n", "\x00\xff", ...INTEGERS, "9223372036854775808", "x".repeat(100)];
const KEYS = ["", "a", "b", "c", "k\r\n", "\xff"];
const RANGE = [...INTEGERS, "-2", "-3", "3", "5", "-100", "100"];
/** Numbers that binary fractions hold exactly: Redis' sums of others end in noise, ours do not. */
const FLOATS = [
  "0.5",
  "-2.25",
  "3e3",
  "1.25E1",
  "10",
  "-0",
  ".5",
  "5.",
  "007",
  "+1",
  "x",
  " 1",
  "1 ",
  "",
  "inf",
  "nan",
];
const BAD_SECONDS = ["0", "-1", "x", "9223372036854775807", "-9223372036854775808"];
const BAD_MILLISECONDS = ["0", "-5", "", "9223372036854775807"];
const FUTURE_SECONDS = ["4000000000", "4000000001", "1", "0", "-7", "9223372036854775807"];
const FUTURE_MS = ["4000000000000", "4000000001500", "1", "-1"];

const CONTAINERS = ["client", "command", "config", "object", "memory", "latency", "slowlog"];

class Generator {
  private readonly random;
  private inTransaction = false;
  private watching = false;
  private drawn = 0;

  constructor(seed: number) {
    this.random = xoroshiro128plus(seed);
  }

  below(n: number): number {
    return uniformInt(this.random, 0, n - 1);
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }

  keys(): string[] {
    return Array.from({ length: 1 + this.below(3) }, () => this.of(KEYS));
  }

  some(words: readonly string[]): string[] {
    return words.filter(() => this.below(3) === 0);
  }

  /** No time from now is drawn twice: two clocks would not agree on which of two equal ones is greater. */
  private seconds(): string {
    if (this.below(2) === 0) return this.of(BAD_SECONDS);
    this.drawn += 1;
    return String(1000 + 100 * this.drawn);
  }

  private milliseconds(): string {
    if (this.below(2) === 0) return this.of(BAD_MILLISECONDS);
    this.drawn += 1;
    return String((1000 + 100 * this.drawn) * 1000 + 20_000);
  }

  setOptions(): string[] {
    const options: string[] = [];
    for (let i = this.below(4); i > 0; i -= 1) {
      const kind = this.below(9);
      if (kind < 1) options.push("EX", this.seconds());
      else if (kind < 2) options.push("px", this.milliseconds());
      else if (kind < 3) options.push("EXAT", this.of(FUTURE_SECONDS.slice(0, 2)));
      else if (kind < 4) options.push("PXAT", this.of(FUTURE_MS.slice(0, 2)));
      else options.push(this.of(["NX", "xx", "GET", "KEEPTTL", "EX", "what"]));
    }
    return options;
  }

  /** Good times alone: of a key that is absent Redis does not look at them. */
  getexOptions(): string[] {
    this.drawn += 1;
    return this.of([
      [],
      ["PERSIST"],
      ["EX", String(1000 + 100 * this.drawn)],
      ["px", String((1000 + 100 * this.drawn) * 1000 + 20_000)],
      ["EXAT", "4000000000"],
      ["PXAT", "4000000001500"],
      ["PERSIST", "EX", "10"],
      ["EX"],
      ["KEEPTTL"],
      ["EX", "10", "PX", "10"],
    ]);
  }

  /** Without what differs on purpose; docs/resp.md tells each. */
  command(): string[] {
    for (;;) {
      const command = this.anyCommand();
      if (this.differs(command[0])) continue;
      const ends = command[0] === "EXEC" || command[0] === "DISCARD";
      if (this.inTransaction ? ends : command[0] === "UNWATCH") this.watching = false;
      if (command[0] === "WATCH" && !this.inTransaction) this.watching = true;
      if (command[0] === "MULTI" || ends) this.inTransaction = !ends;
      return command;
    }
  }

  private differs(name: string): boolean {
    if (this.inTransaction) return ["WAIT", "SELECT"].includes(name);
    // A watched key that comes and goes is unchanged to us.
    return this.watching && /^(DEL|GETDEL|GETEX|UNLINK|RENAME.*|FLUSH.*|P?EXPIRE.*)$/.test(name);
  }

  private anyCommand(): string[] {
    const key = this.of(KEYS);
    switch (this.below(43)) {
      case 0:
      case 1:
        return ["SET", key, this.of(VALUES)];
      case 2:
      case 3:
      case 4:
        return ["SET", key, this.of(VALUES), ...this.setOptions()];
      case 5:
      case 6:
        return ["get", key];
      case 7:
        return [this.of(["DEL", "UNLINK", "EXISTS", "TOUCH", "MGET"]), ...this.keys()];
      case 8:
        return ["MSET", ...this.keys().flatMap((each) => [each, this.of(VALUES)])];
      case 9:
      case 10:
        return [this.of(["INCR", "DECR"]), key];
      case 11:
      case 12:
        return [this.of(["INCRBY", "DECRBY"]), key, this.of(INTEGERS)];
      case 13:
        return ["APPEND", key, this.of(VALUES)];
      case 14:
        return [this.of(["STRLEN", "TYPE", "TTL", "PERSIST"]), key];
      case 15:
        return ["EXPIRE", key, this.seconds(), ...this.some(["NX", "XX", "GT", "LT", "no"])];
      case 16:
        return ["PEXPIRE", key, this.milliseconds(), ...this.some(["nx", "xx", "gt", "lt"])];
      case 17:
        return ["EXPIREAT", key, this.of(FUTURE_SECONDS), ...this.some(["NX", "XX", "GT", "LT"])];
      case 18:
        return ["PEXPIREAT", key, this.of(FUTURE_MS), ...this.some(["NX", "XX", "GT", "LT"])];
      case 19:
        return [this.of(["EXPIRETIME", "PEXPIRETIME", "PTTL"]), key];
      case 20:
        return this.below(2) === 0
          ? ["SETEX", key, this.seconds(), this.of(VALUES)]
          : ["PSETEX", key, this.milliseconds(), this.of(VALUES)];
      case 21:
        return [this.of(["SETNX", "GETSET"]), key, this.of(VALUES)];
      case 22:
      case 23:
        return [this.of(["MULTI", "EXEC", "EXEC", "DISCARD", "UNWATCH"])];
      case 24:
        return ["WATCH", ...this.keys()];
      case 25:
        return this.of([["DBSIZE"], ["FLUSHDB"], ["FLUSHALL", "ASYNC"], ["FLUSHDB", "x"], ["FLUSHDB", "SYNC", "x"]]);
      case 26:
        return this.of([["PING"], ["PING", "x"], ["ECHO", "\r\n"], ["PING", "a", "b"], ["SELECT", "0"], ["ECHO"]]);
      case 27:
        return this.of([
          ["NOSUCH", "a", "b\r\nc"],
          ["no\x00such"],
          [""],
          ["get"],
          ["SET", "a"],
          ["MSET", "a", "b", "c"],
        ]);
      case 28:
        return this.of([
          ["CLIENT", "GETNAME"],
          ["CLIENT", "SETNAME", "me"],
          ["CLIENT", "SETNAME", "m e"],
          ["CLIENT", "SETNAME"],
          ["CLIENT", "nosuch", "x"],
          ["CLIENT"],
          ["CONFIG", "nosuch"],
          ["CONFIG", "GET"],
          ["CONFIG", "GET", "save"],
          ["CONFIG", "GET", "maxmemory-POL*"],
        ]);
      case 29:
        return this.of([
          ["AUTH", "x"],
          ["AUTH", "default", "x"],
          ["AUTH", "someone", "x"],
          ["AUTH", "a", "b", "c"],
          ["HELLO", "x"],
          ["HELLO", "4"],
          ["HELLO", "2", "NOPE"],
          ["HELLO", "3", "SETNAME"],
        ]);
      case 30:
        return this.of([
          ["SCAN", "x"],
          ["SCAN", "0", "COUNT", "0"],
          ["SCAN", "0", "COUNT", "x"],
          ["SCAN", "0", "MATCH"],
          ["SCAN", "0", "nope", "1"],
          ["SCAN"],
        ]);
      case 31:
        return this.of([
          ["COMMAND", "nosuch"],
          ["COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"],
          ["COMMAND", "GETKEYS", "GET"],
          ["COMMAND", "GETKEYS", "PING"],
          ["COMMAND", "GETKEYS", "nosuch", "x"],
        ]);
      case 33:
        return this.below(2) === 0
          ? ["GETDEL", key]
          : ["MSETNX", ...this.keys().flatMap((each) => [each, this.of(VALUES)])];
      case 34:
        return ["GETEX", key, ...this.getexOptions()];
      case 35:
      case 36:
        return [this.of(["GETRANGE", "SUBSTR"]), key, this.of(RANGE), this.of(RANGE)];
      case 37:
        return ["SETRANGE", key, this.of(["0", "1", "3", "12", "-1", "x", "9223372036854775807"]), this.of(VALUES)];
      case 38:
      case 39:
        return this.below(6) === 0
          ? ["SET", "float", this.of(["1.5", "x", "", " 1", "1e2"])]
          : ["INCRBYFLOAT", "float", this.of(FLOATS)];
      case 40:
        return [this.of(["RENAME", "RENAMENX"]), key, this.of(KEYS)];
      case 41:
        return ["COPY", key, this.of(KEYS), ...this.some(["REPLACE", "DB", "0", "what"])];
      case 42:
        return [this.of(["OBJECT", "MEMORY"]), this.of(["FREQ", "nosuch"]), ...this.keys().slice(0, 2)];
      case 32:
        return this.of([
          ["WAIT", "x", "0"],
          ["WAIT", "0", "x"],
          ["WAIT", "0", "-1"],
          ["WAIT", "0"],
          ["TIME", "x"],
        ]);
      default:
        return [this.of(["GET", "SET", "DEL", "EXPIRE", "SCAN", "INCR"]), ...this.keys(), ...this.keys()];
    }
  }
}

/** Two servers answer the same request this much apart at most, on a machine that is busy with other tests. */
const APART_MS = 5_000;
/** Numbers that may be times: from 1,000 s on; among all that a transaction answers, from 100,000. */
const TIMES = /:(\d{4,})/g;
const TIMES_AMONG_OTHERS = /:(\d{6,})/g;

/** A reply without what two servers cannot answer alike: times that count from now. Those of theirs that are near enough stand in it as theirs. */
function comparable(request: readonly string[], reply: string, theirs: string): string {
  const name = request[0].toUpperCase();
  if (!["TTL", "PTTL", "PEXPIRETIME", "EXPIRETIME", "EXEC"].includes(name)) return reply;
  const apart = name.startsWith("P") || name === "EXEC" ? APART_MS : APART_MS / 1_000;
  const pattern = name === "EXEC" ? TIMES_AMONG_OTHERS : TIMES;
  const times = [...theirs.matchAll(pattern)];
  let next = 0;
  return reply.replace(pattern, (whole, digits: string) => {
    const time = times[next];
    next += 1;
    const near = time !== undefined && Number(digits) < 1e13 && Math.abs(Number(digits) - Number(time[1])) <= apart;
    return near ? time[0] : whole;
  });
}

describe.runIf(missing === "")("beside a real Redis", () => {
  let redis: RedisProcess;
  let listener: ClientListener;
  let theirs: RawClient;
  let ours: RawClient;

  besideRedis((pair) => {
    ({ redis, listener, theirs, ours } = pair);
  });

  async function compare(requests: string[][], hint: string): Promise<void> {
    theirs.send(...requests);
    ours.send(...requests);
    const expected = await theirs.replies(requests.length);
    const found = await ours.replies(requests.length);
    for (let i = 0; i < requests.length; i += 1) {
      const told = `${hint}, after ${JSON.stringify(requests.slice(Math.max(0, i - 12), i + 1))}`;
      expect(comparable(requests[i], found[i], expected[i]), told).toBe(expected[i]);
    }
  }

  for (const version of [2, 3]) {
    test(`random commands in RESP${version}`, async () => {
      for (const client of [theirs, ours]) await client.ask(["HELLO", String(version)]);
      const firstSeed = version * 1_000_000;
      for (let seed = firstSeed; seed < firstSeed + 300; seed += 1) {
        const generator = new Generator(seed);
        const requests: string[][] = [["RESET"], ["HELLO", String(version)], ["FLUSHDB"]];
        for (let i = 0; i < 80; i += 1) requests.push(generator.command());
        // Who they are differs; what comes after must not.
        theirs.send(...requests.slice(0, 3));
        ours.send(...requests.slice(0, 3));
        await theirs.replies(3);
        await ours.replies(3);
        await compare(requests.slice(3), `seed ${seed}`);
      }
    });
  }

  test("WATCH notices another connection's write, and nothing else", async () => {
    for (const touched of ["watched", "other"]) {
      const outcomes: string[][] = [];
      for (const [port, client] of [
        [redis.port, theirs],
        [listener.port, ours],
      ] as const) {
        const other = await RawClient.connect(port);
        await client.ask(["SET", "watched", "1"], ["WATCH", "watched", "absent"], ["MULTI"], ["INCR", "n"]);
        await other.ask(["SET", touched, "1"]);
        outcomes.push(await client.ask(["EXEC"], ["GET", "n"], ["MULTI"], ["EXEC"]));
        other.close();
      }
      expect(outcomes[1]).toEqual(outcomes[0]);
    }
  });

  test("COMMAND INFO tells of each command what Redis tells", async () => {
    /** Name, arity, flags and key positions; then the ACL categories. */
    const told = (reply: string): [head: string, categories: string[]] => {
      const words = reply.split("\r\n");
      const first = words.findIndex((word) => word.startsWith("+@"));
      return [words.slice(0, first - 1).join(" "), words.filter((word) => word.startsWith("+@")).sort()];
    };
    const [list] = await ours.ask(["COMMAND", "LIST"]);
    const names = [...list.matchAll(/\$\d+\r\n(\w+)/g)].map((match) => match[1]);
    expect(names.length).toBeGreaterThan(50);
    for (const name of names.filter((each) => each !== "gamut")) {
      const [theirHead, theirCategories] = told((await theirs.ask(["COMMAND", "INFO", name]))[0].split("|")[0]);
      const [head, categories] = told((await ours.ask(["COMMAND", "INFO", name]))[0]);
      expect(head, name).toBe(theirHead);
      // Nothing here is worth Redis' warning.
      const expected = theirCategories.filter((category) => category !== "+@dangerous");
      // A container's subcommands have theirs; here the container has them itself.
      if (!CONTAINERS.includes(name)) expect(categories, name).toEqual(expected);
    }
  });

  test("inline commands and protocol errors", async () => {
    const streams = [
      "PING\r\n",
      "SET a b\nGET a\r\n\r\n  \r\nECHO 'x\\'y' \r\n",
      'ECHO "\\x41\\n"\r\nECHO ""\r\n',
      'PING "unbalanced\r\n',
      "PING\r\n*1\r\n+x\r\n",
      "*0\r\n*-1\r\nPING\r\n",
      "*x\r\n",
      "*1\r\n$x\r\n",
      "*1\r\n$-1\r\n",
      "*1\r\n$4\r\nPING\r\n*3000000000\r\n",
    ];
    for (const stream of streams) {
      const heard: string[] = [];
      for (const port of [redis.port, listener.port]) {
        const client = await RawClient.connect(port);
        // The first line decides the wire here, so an upper-case verb comes first.
        client.sendBytes(`*1\r\n$4\r\nPING\r\n${stream}`);
        client.socket.end();
        heard.push(await client.untilEnd());
        client.close();
      }
      expect(heard[1], JSON.stringify(stream)).toBe(heard[0]);
    }
  });

  test("redis-cli", async () => {
    const run = promisify(execFile);
    const cli = async (port: number, ...words: string[]): Promise<string> =>
      (await run("redis-cli", ["-p", String(port), ...words], { timeout: 10_000 })).stdout;
    for (const words of [
      ["SET", "k", "v", "EX", "100"],
      ["-3", "GET", "nothing"],
      ["TTL", "k"],
      ["MGET", "k", "nothing"],
      ["INCRBY", "n", "5"],
      ["INCR", "k"],
      ["--no-raw", "EXISTS", "k", "k"],
    ]) {
      expect(await cli(listener.port, ...words), words.join(" ")).toBe(await cli(redis.port, ...words));
    }
    expect(await cli(listener.port, "INFO", "server")).toMatch(/^# Server\r?\nredis_version:7\.0\.15/);
    expect((await cli(listener.port, "--scan")).split("\n").sort()).toEqual(["", "k", "n"]);
    // Its hints come from COMMAND DOCS, its prompt from HELLO.
    const typed = run("redis-cli", ["-p", String(listener.port), "-3"], { timeout: 10_000 });
    typed.child.stdin?.end("SELECT 0\nMULTI\nINCR n\nEXEC\nCLIENT INFO\nGAMUT LEVEL eventual\n");
    expect((await typed).stdout).toMatch(/^OK\nOK\nQUEUED\n.*6\nid=.*resp=3.*\nOK\n$/s);
  });
});

/** The same requests to a real memcached and to us: the replies must be the same bytes. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import { ClientListener } from "./listener.js";
import { MemcachedProcess, memcachedMissing } from "./testing/memcached-process.js";
import { MemoryBackend } from "./testing/memory-backend.js";
import { RawClient } from "./testing/raw-client.js";

const missing = memcachedMissing();

test.runIf(missing !== "")(`memcached is there (${missing})`, (context) => {
  if (process.env.CI === undefined) context.skip(missing);
  else expect.fail(missing);
});

const LONG = "k".repeat(251);

/** Each alone, in this order. What differs on purpose is in docs/memcached.md, and not here. */
const FIXED: readonly string[] = [
  "mn x\r\n",
  "version\r\nversion foo bar\r\n",
  "verbosity\r\n",
  "verbosity 1\r\n",
  "verbosity x\r\n",
  "verbosity foo bar my\r\n",
  "verbosity noreply\r\nverbosity 0 noreply\r\n",
  "shutdown\r\n",
  "stats foo\r\n",
  "stats noreply\r\n",
  "stats reset\r\n",
  "stats sizes\r\n",
  "stats cachedump\r\nstats cachedump 1\r\nstats cachedump 1 x\r\nstats cachedump x 1\r\nstats cachedump -1 1\r\n",
  "stats cachedump 64 1\r\nstats cachedump 1 -1\r\nstats cachedump 0 0\r\nstats cachedump 63 0 x\r\n",
  "\r\n",
  "foo\r\n",
  "foo noreply\r\n",
  "get\r\ngets\r\nset\r\nmg\r\nmd\r\nma\r\nme\r\ntouch\r\nincr\r\ndelete\r\n",
  "gat x a\r\n",
  "set a 0 0 5\r\nhello\r\nget  a\r\n get a\r\nget a \r\nget a\n",
  "set a 0 0 5 nope\r\nhello\r\n",
  "set a 4294967295 0 1\r\nx\r\nget a\r\n",
  "set a 0 0 x\r\nset a 0 0 -1\r\nset a 0 0\r\n",
  "set a 0 0 3\r\nhello\r\n",
  "set a 0 0 7\r\nhello\r\nmn\r\nmn\r\n",
  "set a 0 0 0\r\n\r\nget a\r\n",
  "set a 1 2 3 4 5 6\r\n",
  "set a 0 1000000000 1\r\nx\r\nget a\r\n",
  "set a 0 -1 1\r\nx\r\nget a\r\ndelete a\r\ndelete a 0\r\ndelete a 0 noreply\r\ndelete a noreply\r\n",
  "delete a b c d e\r\ndelete a 1\r\ndelete a b c\r\ndelete a 0 x\r\n",
  "cas a 0 0 1\r\n",
  "set n 0 0 2\r\n10\r\nincr n 18446744073709551615\r\nincr n 18446744073709551616\r\nincr n x\r\nincr n -1\r\n",
  "incr n 1 2 3\r\nincr n 1 x\r\nincr none 1\r\ndecr none 1\r\n",
  "set w 0 0 1\r\nx\r\nincr w 1\r\ndecr w 1\r\nma w\r\nma w q\r\n",
  "touch n x\r\ntouch n 1 2 3\r\n",
  "flush_all x\r\nflush_all 0\r\nflush_all noreply\r\nflush_all 0 noreply\r\nflush_all a b c\r\nflush_all 0 0\r\n",
  "ms a 5 T1000 F7\r\nhello\r\nmg a t f v\r\nmg a k f t s\r\nmg a t k\r\n",
  "mg a T0 t\r\nmg a T500 t v\r\nmg none T30\r\n",
  "ms a 5\r\nhel\r\n",
  "ms a S5\r\nms a\r\nms a x\r\nms a -1\r\n",
  "ms b 2 MX\r\nhi\r\n",
  "ms b 2 Tx\r\nhi\r\n",
  "ms b 2 Fx\r\nhi\r\n",
  "ms b 2 Cx\r\nhi\r\n",
  "ms b 2 k k\r\nhi\r\n",
  "ms b 2 !\r\nhi\r\n",
  "mg a !\r\nmg a k k\r\nmg a Tx\r\n",
  `mg a O${"1".repeat(31)}\r\nmg a O${"1".repeat(32)}\r\n`,
  "mg Zm9v b k v\r\nms Zm9v 2 b k\r\nhi\r\nmg Zm9v b k v\r\nget foo\r\nmd Zm9v b k\r\n",
  "mg a k P1 L2 v u\r\n",
  "ma c1 N0 v\r\nma c1 N0 J13 v\r\nma c2 N0 J13 v t\r\nma c1 MX\r\nma c1 M+ v\r\nma c1 M- v\r\nma c1 q\r\n",
  `get ${LONG}\r\nget ${LONG.slice(1)}\r\nget a ${LONG}\r\nmg ${LONG}\r\n`,
  `set ${LONG.slice(1)} 0 0 1\r\nx\r\nget ${LONG.slice(1)}\r\n`,
  `set k 0 0 1048577\r\n${"v".repeat(1_048_577)}\r\n`,
  `set k 0 0 1048577 noreply\r\n${"v".repeat(1_048_577)}\r\n`,
  `ms k 1048577 q\r\n${"v".repeat(1_048_577)}\r\n`,
];

const KEYS = ["a", "b", "c", "key"];
/** Only counted: a decrement leaves spaces behind the number in memcached, and none here. */
const COUNTERS = ["n", "m"];
const EXPTIMES = ["0", "0", "0", "1000", "-1", "3000000", "4000000"];
const VALUES = ["", "v", "a value\r\n", "\x00\xff", "get a\r\n", "x".repeat(300)];

class Generator {
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  command(): string {
    const key = this.of(KEYS);
    const noreply = this.random.below(5) === 0 ? " noreply" : "";
    const value = this.of(VALUES);
    const counter = this.of(COUNTERS);
    const exptime = this.of(EXPTIMES);
    switch (this.random.below(14)) {
      case 0:
      case 1:
        return `get ${this.some(KEYS)}\r\n`;
      case 2:
        return `gat ${exptime} ${this.some(KEYS)}\r\n`;
      case 3:
      case 4: {
        const name = this.of(["set", "add", "replace", "append", "prepend"]);
        return `${name} ${key} ${this.random.below(70_000)} ${exptime} ${value.length}${noreply}\r\n${value}\r\n`;
      }
      case 5:
        return `cas ${key} 1 ${exptime} ${value.length} 999999999999${noreply}\r\n${value}\r\n`;
      case 6:
        return `delete ${this.of([...KEYS, ...COUNTERS])}${noreply}\r\n`;
      case 7:
        return `touch ${key} ${exptime}${noreply}\r\n`;
      case 8:
        return `${this.of(["incr", "decr"])} ${counter} ${this.of(["1", "7", "18446744073709551615"])}${noreply}\r\n`;
      case 9:
        return `set ${counter} 0 0 2${noreply}\r\n${10 + this.random.below(90)}\r\n`;
      case 10:
        return `mg ${key} ${this.flags(["v", "k", "f", "s", "q", "O1", "u"])}\r\n`;
      case 11: {
        const flags = this.flags(["k", "q", "O7", "F9", "MA", "T1000", "C999999999999"]);
        const mode = flags.includes("M") ? "" : this.of(["", " ME", " MR", " MP", " MS"]);
        return `ms ${key} ${value.length} ${flags}${mode}\r\n${value}\r\n`;
      }
      case 12:
        return `md ${key} ${this.flags(["k", "q", "O3", "C999999999999"])}\r\n`;
      default:
        // Of one that is created quietly, newer versions say nothing.
        return `ma ${counter} ${this.flags(["k", "v", this.of(["q", "N0"]), "O4", "MD", "D5", "J7"])}\r\n`;
    }
  }

  private of(choices: readonly string[]): string {
    return choices[this.random.below(choices.length)];
  }

  private some(choices: readonly string[]): string {
    return Array.from({ length: 1 + this.random.below(4) }, () => this.of(choices)).join(" ");
  }

  private flags(choices: readonly string[]): string {
    return choices.filter(() => this.random.below(3) === 0).join(" ");
  }
}

describe.runIf(missing === "")("beside a real memcached", () => {
  let memcached: MemcachedProcess;
  let listener: ClientListener;
  let theirs: RawClient;
  let ours: RawClient;

  beforeAll(async () => {
    memcached = await MemcachedProcess.start();
    listener = await ClientListener.listen({ backend: new MemoryBackend(), host: "127.0.0.1", port: 0 });
  });

  afterAll(async () => {
    await memcached?.close();
    await listener?.close();
  });

  beforeEach(async () => {
    theirs = await RawClient.connect(memcached.port);
    ours = await RawClient.connect(listener.port);
    for (const client of [theirs, ours]) await client.tell("flush_all\r\n");
    return () => {
      theirs.close();
      ours.close();
    };
  });

  test("each request, well formed or not", async () => {
    for (const request of FIXED) {
      const hint = JSON.stringify(request.slice(0, 200));
      expect(await ours.tell(request), hint).toBe(await theirs.tell(request));
    }
  });

  test("random commands", async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const generator = new Generator(seed);
      const commands = Array.from({ length: 60 }, () => generator.command());
      for (const client of [theirs, ours]) {
        client.sendBytes(`flush_all\r\nmn\r\n${commands.map((command) => `${command}mn\r\n`).join("")}`);
        await client.through("MN\r\n");
      }
      for (let i = 0; i < commands.length; i += 1) {
        const hint = `seed ${seed}, after ${JSON.stringify(commands.slice(Math.max(0, i - 8), i + 1))}`;
        expect(await ours.through("MN\r\n"), hint).toBe(await theirs.through("MN\r\n"));
      }
    }
  });
});

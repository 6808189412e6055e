import { afterEach, describe, expect, test } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { Op, setCommand } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { RawClient } from "./testing/raw-client.js";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not reached: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Request lines with their data, and what must be answered. */
type Talk = readonly (readonly [sent: string, heard: string])[];

async function talk(raw: RawClient, lines: Talk): Promise<void> {
  for (const [sent, heard] of lines) expect(await raw.tell(sent), JSON.stringify(sent)).toBe(heard);
}

async function unique(raw: RawClient, key: string): Promise<string> {
  return / (\d+)\r\n/.exec((await raw.tell(`gets ${key}\r\n`)).replace(/^VALUE \S+ \d+ \d+/, ""))![1];
}

describe("classic commands", () => {
  test("store, fetch, change, delete", async () => {
    const { client } = await serve();
    await talk(await client(), [
      ["set a 7 0 5\r\nhello\r\n", "STORED\r\n"],
      ["get a nothing\r\n", "VALUE a 7 5\r\nhello\r\nEND\r\n"],
      ["get a b a\r\n", "VALUE a 7 5\r\nhello\r\nVALUE a 7 5\r\nhello\r\nEND\r\n"],
      ["add a 0 0 1\r\nx\r\nadd b 1 0 1\r\nb\r\n", "NOT_STORED\r\nSTORED\r\n"],
      ["replace a 9 0 2\r\n\r\n\r\nreplace c 0 0 1\r\nx\r\n", "STORED\r\nNOT_STORED\r\n"],
      ["append a 0 0 1\r\nz\r\nprepend a 0 0 1\r\ny\r\nappend c 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\nNOT_STORED\r\n"],
      ["get a\r\n", "VALUE a 9 4\r\ny\r\nz\r\nEND\r\n"],
      ["delete a\r\ndelete a\r\n", "DELETED\r\nNOT_FOUND\r\n"],
      ["set n 0 0 2\r\n10\r\nincr n 5\r\ndecr n 7\r\ndecr n 100\r\n", "STORED\r\n15\r\n8\r\n0\r\n"],
      ["incr n 18446744073709551615\r\nincr n 2\r\n", "18446744073709551615\r\n1\r\n"],
      [
        "incr b 1\r\nincr c 1\r\nincr n x\r\n",
        `${NON_NUMERIC}NOT_FOUND\r\nCLIENT_ERROR invalid numeric delta argument\r\n`,
      ],
      ["flush_all\r\nget b n\r\n", "OK\r\nEND\r\n"],
    ]);
  });

  test("cas: the unique is the record's version", async () => {
    const { client } = await serve();
    const raw = await client();
    await raw.tell("set a 0 0 1\r\n1\r\n");
    const before = await unique(raw, "a");
    await talk(raw, [
      [`cas a 0 0 1 ${before}\r\n2\r\n`, "STORED\r\n"],
      [`cas a 0 0 1 ${before}\r\n3\r\n`, "EXISTS\r\n"],
      [`cas b 0 0 1 ${before}\r\n3\r\n`, "NOT_FOUND\r\n"],
      ["cas a 0 0 1 18446744073709551615\r\n3\r\ncas a 0 0 1 0\r\n3\r\n", "EXISTS\r\nEXISTS\r\n"],
      ["get a\r\n", "VALUE a 0 1\r\n2\r\nEND\r\n"],
    ]);
    expect(Number(await unique(raw, "a"))).toBeGreaterThan(Number(before));
  });

  test("one cas of many wins", async () => {
    const { client } = await serve();
    const clients = await Promise.all(Array.from({ length: 20 }, client));
    await clients[0].tell("set a 0 0 1\r\n0\r\n");
    const version = await unique(clients[0], "a");
    const heard = await Promise.all(clients.map((raw, i) => raw.tell(`cas a 0 0 2 ${version}\r\n${10 + i}\r\n`)));
    expect(heard.filter((line) => line === "STORED\r\n")).toHaveLength(1);
    expect(heard.filter((line) => line === "EXISTS\r\n")).toHaveLength(19);
  });

  test("noreply answers nothing, whatever became of it", async () => {
    const { client, backend } = await serve();
    const raw = await client();
    await talk(raw, [
      ["set a 0 0 1 noreply\r\nx\r\nadd a 0 0 1 noreply\r\ny\r\nappend a 0 0 1 noreply\r\nz\r\n", ""],
      ["get a\r\n", "VALUE a 0 2\r\nxz\r\nEND\r\n"],
      ["incr a 1 noreply\r\ntouch a 5 noreply\r\ndelete b noreply\r\ncas a 0 0 1 5 noreply\r\nx\r\n", ""],
      ["set a 0 0 1 noreply\r\ntoo long\r\n", "ERROR\r\n"],
      [`set a 0 0 1048577 noreply\r\n${"v".repeat(1_048_577)}\r\nverbosity 1 noreply\r\nflush_all noreply\r\n`, ""],
      ["get a\r\n", "END\r\n"],
    ]);
    backend.failures.set(Op.get, new KvError("unavailable"));
    expect(await raw.tell("get a\r\n")).toMatch(/^SERVER_ERROR unavailable: /);
  });

  test("times: never, from now, since 1970, at once", async () => {
    const { client } = await serve();
    const raw = await client();
    const inAnHour = Math.floor(Date.now() / 1000) + 3600;
    await talk(raw, [
      [`set a 0 0 1\r\nx\r\nset b 0 100 1\r\nx\r\nset c 0 ${inAnHour} 1\r\nx\r\n`, "STORED\r\n".repeat(3)],
      ["mg a t\r\nmg b t\r\n", "HD t-1\r\nHD t100\r\n"],
      ["set d 0 -1 1\r\nx\r\nset e 0 2592001 1\r\nx\r\nget d e\r\n", "STORED\r\nSTORED\r\nEND\r\n"],
      [
        "touch a 50\r\nmg a t\r\ntouch a 0\r\nmg a t\r\ntouch none 0\r\n",
        "TOUCHED\r\nHD t50\r\nTOUCHED\r\nHD t-1\r\nNOT_FOUND\r\n",
      ],
      ["gat 30 a\r\nmg a t\r\n", "VALUE a 0 1\r\nx\r\nEND\r\nHD t30\r\n"],
      ["gat 0 a none b\r\nmg a t\r\nmg b t\r\n", "VALUE a 0 1\r\nx\r\nVALUE b 0 1\r\nx\r\nEND\r\nHD t-1\r\nHD t-1\r\n"],
      ["touch a -1\r\nget a\r\ntouch a 9\r\n", "TOUCHED\r\nEND\r\nNOT_FOUND\r\n"],
      [
        "touch b x\r\nset b 0 x 1\r\ny\r\n",
        "CLIENT_ERROR invalid exptime argument\r\nCLIENT_ERROR bad command line format\r\n",
      ],
    ]);
    expect(await raw.tell("mg c t\r\n")).toMatch(/^HD t(3599|3600)\r\n$/);
    expect(await raw.tell("gats 60 c\r\n")).toMatch(/^VALUE c 0 1 \d+\r\nx\r\nEND\r\n$/);
  });

  test("a key is gone when its time has come", async () => {
    const { client } = await serve();
    const raw = await client();
    await raw.tell("set a 0 1 1\r\nx\r\n");
    const deadline = Date.now() + 10_000;
    while ((await raw.tell("get a\r\n")) !== "END\r\n") expect(Date.now()).toBeLessThan(deadline);
  });

  test("errors in memcached's own words; the connection goes on", async () => {
    const { client } = await serve();
    const long = "k".repeat(251);
    await talk(await client(), [
      ["nonsense\r\n\r\nset a\r\nget\r\n", "ERROR\r\n".repeat(4)],
      ["set a 0 0 x\r\nset a 0 0 -1\r\n", `${BAD_FORMAT}${BAD_FORMAT}`],
      ["set a 4294967296 0 1\r\nx\r\nset a x 0 1\r\nx\r\n", `${BAD_FORMAT}${BAD_FORMAT}`],
      ["set a 4294967295 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 4294967295 1\r\nx\r\nEND\r\n"],
      ["set a 0 0 3\r\nfour\r\n", "CLIENT_ERROR bad data chunk\r\nERROR\r\n"],
      [`set ${long} 0 0 8\r\nget a\r\n \r\n`, BAD_FORMAT],
      [`get ${long}\r\ndelete ${long}\r\nincr ${long} 1\r\ntouch ${long} 1\r\nmg ${long}\r\n`, BAD_FORMAT.repeat(5)],
      [`set ${long.slice(1)} 0 0 1\r\nx\r\n`, "STORED\r\n"],
      [`set a 0 0 1048577\r\n${"v".repeat(1_048_577)}\r\n`, "SERVER_ERROR object too large for cache\r\n"],
      [`set a 0 0 1048576\r\n${"v".repeat(1_048_576)}\r\n`, "STORED\r\n"],
      ["append a 0 0 1\r\nx\r\n", "SERVER_ERROR object too large for cache\r\n"],
      ["flush_all 10\r\n", "CLIENT_ERROR flush_all with a delay is not possible here: send it when it is time\r\n"],
      ["shutdown\r\nverbosity\r\nverbosity x\r\n", `ERROR: shutdown not enabled\r\nERROR\r\n${BAD_FORMAT}`],
      [
        `get ${"k ".repeat(1025)}\r\n`,
        "SERVER_ERROR batch_too_large: the command names 1025 keys, 1024 are allowed: split it into several\r\n",
      ],
    ]);
  });

  test("errors of the store: unknown is told from what is definite", async () => {
    const { client, backend } = await serve();
    const raw = await client();
    backend.failures.set(Op.set, new KvError("unknown", "the leader is gone"));
    backend.failures.set(Op.get, new KvError("overloaded", "wait\r\nEND"));
    backend.failures.set(Op.delete, new KvError("session_expired"));
    await talk(raw, [
      ["set a 0 0 1\r\nx\r\n", "SERVER_ERROR unknown the leader is gone\r\n"],
      ["get a\r\n", "SERVER_ERROR overloaded: wait  END\r\n"],
      [
        "mg a v\r\nms a 1 q\r\nx\r\n",
        "SERVER_ERROR overloaded: wait  END\r\nSERVER_ERROR unknown the leader is gone\r\n",
      ],
    ]);
    expect(await raw.tell("delete a\r\n")).toMatch(/^SERVER_ERROR unknown session_expired: /);
  });

  test("stats count what was asked and found", async () => {
    const { client } = await serve();
    const raw = await client();
    await raw.tell(
      "set a 0 0 1\r\n1\r\nget a b\r\nincr a 1\r\nincr b 1\r\ndelete b\r\ncas a 0 0 1 1\r\nx\r\ntouch a 9\r\n",
    );
    const stats = await raw.tell("stats\r\n");
    for (const line of ["get_hits 1", "get_misses 1", "cmd_get 2", "cmd_set 2", "incr_hits 1", "incr_misses 1"]) {
      expect(stats).toContain(`STAT ${line}\r\n`);
    }
    for (const line of ["delete_misses 1", "cas_badval 1", "touch_hits 1", "curr_items 1", "curr_connections 1"]) {
      expect(stats).toContain(`STAT ${line}\r\n`);
    }
    expect(stats.endsWith("END\r\n")).toBe(true);
    expect(await raw.tell("stats settings\r\n")).toMatch(/STAT item_size_max 1048576\r\n[\s\S]*END\r\n$/);
    await talk(raw, [
      ["stats nonsense\r\nstats reset\r\n", "ERROR\r\nRESET\r\n"],
      ["stats detail on\r\n", "CLIENT_ERROR stats detail not allowed\r\n"],
    ]);
    expect(await raw.tell("stats\r\n")).toContain("STAT get_hits 0\r\n");
  });
});

const NON_NUMERIC = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
const BAD_FORMAT = "CLIENT_ERROR bad command line format\r\n";

describe("meta commands", () => {
  test("each shows what was asked for, in the order asked", async () => {
    const { client } = await serve();
    await talk(await client(), [
      ["mg a v\r\nmg a v k Oabc\r\nmg a v q\r\n", "EN\r\nEN ka Oabc\r\n"],
      ["ms a 5 T100 F7 k O9 s\r\nhello\r\n", "HD ka O9 s5\r\n"],
      ["mg a s v k Oabc t f\r\nmg a\r\nmg a f k u P1 L2\r\n", "VA 5 s5 ka Oabc t100 f7\r\nhello\r\nHD\r\nHD f7 ka\r\n"],
      ["mg a T30 t v\r\nmg a T0 t\r\nmg none T30\r\n", "VA 5 t30\r\nhello\r\nHD t-1\r\nEN\r\n"],
      ["ms a 1 ME k\r\nx\r\nms b 2 ME\r\nhi\r\nms c 1 MR O3\r\nx\r\n", "NS ka\r\nHD\r\nNS O3\r\n"],
      ["ms b 2 MA s\r\nxx\r\nms b 2 MP s\r\nyy\r\nmg b v\r\n", "HD s4\r\nHD s6\r\nVA 6\r\nyyhixx\r\n"],
      ["ms c 1 MA\r\nx\r\nms c 1 MA N50 F3 s\r\nx\r\nmg c v t f\r\n", "NS\r\nHD s1\r\nVA 1 t50 f3\r\nx\r\n"],
      ["ms c 1 q\r\ny\r\nmd c q\r\nmd c q\r\nmd c k O1\r\n", "NF\r\nNF kc O1\r\n"],
      ["md b x\r\nmg b v t\r\nmd none x\r\n", "HD\r\nVA 0 t-1\r\n\r\nNF\r\n"],
      [
        "ma n\r\nma n N60 J13 v t\r\nma n v k O1\r\nma n D5 v\r\nma n MD D7 v\r\nma n M- D70 v\r\nma n q\r\n",
        "NF\r\nVA 2 t60\r\n13\r\nVA 2 kn O1\r\n14\r\nVA 2\r\n19\r\nVA 2\r\n12\r\nVA 1\r\n0\r\n",
      ],
      ["ma a\r\n", NON_NUMERIC],
      [
        "ms Zm9vIGJhcg== 2 b k\r\nhi\r\nmg Zm9vIGJhcg== b k v\r\n",
        "HD kZm9vIGJhcg== b\r\nVA 2 kZm9vIGJhcg== b\r\nhi\r\n",
      ],
      ["mg Zm9 b\r\n", "CLIENT_ERROR error decoding key\r\n"],
    ]);
  });

  test("versions are compared, and shown", async () => {
    const { client } = await serve();
    const raw = await client();
    const first = /^HD c(\d+)\r\n$/.exec(await raw.tell("ms a 1 c\r\n1\r\n"))![1];
    expect(await raw.tell("mg a c\r\n")).toBe(`HD c${first}\r\n`);
    expect(await unique(raw, "a")).toBe(first);
    const second = /^HD c(\d+)\r\n$/.exec(await raw.tell(`ms a 1 C${first} c\r\n2\r\n`))![1];
    await talk(raw, [
      [`mg a v C${second}\r\nmg a v C${first}\r\n`, "HD\r\nVA 1\r\n2\r\n"],
      [`ms a 1 C${first} k\r\n3\r\nms b 1 C${first}\r\n3\r\nms a 1 MA C${first}\r\n3\r\n`, "EX ka\r\nNF\r\nEX\r\n"],
      [`ma a C${first}\r\nmd a C${first} O5\r\nmd a x C${first}\r\nmd b C${first}\r\n`, "EX\r\nEX O5\r\nEX\r\nNF\r\n"],
      [`ma a C${second} v\r\n`, "VA 1\r\n3\r\n"],
    ]);
    expect(await raw.tell("me a\r\n")).toBe(`ME a exp=-1 cas=${await unique(raw, "a")} size=1\r\n`);
    expect(await raw.tell(`md a C${await unique(raw, "a")}\r\nme a\r\n`)).toBe("HD\r\nEN\r\n");
  });

  test("what cannot be true here is refused, and does nothing", async () => {
    const { client } = await serve();
    const raw = await client();
    await raw.tell("set a 0 0 1\r\nx\r\n");
    const before = await unique(raw, "a");
    for (const line of ["mg a h", "mg a l", "mg a N30", "mg a R30", "mg a v E5", "mg a C1 T5", "md a I", "ma a T5"]) {
      expect(await raw.tell(`${line}\r\n`), line).toMatch(/^CLIENT_ERROR flag . is not possible here: .+\r\n$/);
    }
    expect(await raw.tell("ms a 1 I C1\r\ny\r\n")).toMatch(/^CLIENT_ERROR flag I is not possible here: .+\r\n$/);
    expect(await unique(raw, "a")).toBe(before);
    await talk(raw, [
      [
        "mg a k k\r\nmg a !\r\nms a 1 Fx\r\ny\r\nmg a Tx\r\n",
        `CLIENT_ERROR duplicate flag\r\nCLIENT_ERROR invalid flag\r\n${BAD_FORMAT}CLIENT_ERROR bad token in command line format\r\n`,
      ],
      [
        "ms a 1 MX\r\ny\r\nma a MX\r\n",
        "CLIENT_ERROR invalid mode for ms M token\r\nCLIENT_ERROR invalid mode for ma M token\r\n",
      ],
      [`mg a O${"1".repeat(32)}\r\n`, "CLIENT_ERROR opaque token too long\r\n"],
      [`mg a ${"abcdefgijkmnopqrstu".split("").join(" ")}\r\n`, "CLIENT_ERROR options flags are too long\r\n"],
      ["get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n"],
    ]);
  });
});

describe("the plain dialect", () => {
  test("begins with a set of two arguments", async () => {
    const { client } = await serve();
    await talk(await client(), [
      ["get k\r\n", "END\r\n"],
      ["set k v\r\n", "STORED\r\n"],
      ["get k\r\n", "VALUE k 1\r\nv\r\n"],
      ["get none\r\n", "KEY NOT FOUND\r\n"],
      ["set k v\nset k w\nset k w\n", "NOT-STORED\r\nSTORED\r\nNOT-STORED\r\n"],
      ["set k a longer value\r\nget k\r\n", "STORED\r\nVALUE k 14\r\na longer value\r\n"],
      ["delete k\r\nget k\r\n", "DELETED\r\nKEY NOT FOUND\r\n"],
      ["dialect memcached\r\nget k\r\n", "OK\r\nEND\r\n"],
      ["dialect plain\r\nget k\r\n", "OK\r\nKEY NOT FOUND\r\n"],
      ["dialect nonsense\r\n", "CLIENT_ERROR there are the dialects plain and memcached\r\n"],
    ]);
    await talk(await client(), [["dialect plain\r\nget k\r\n", "OK\r\nKEY NOT FOUND\r\n"]]);
  });

  test("a value that is there already is not written again", async () => {
    const { client } = await serve();
    const raw = await client();
    await raw.tell("set k v\r\n");
    const before = await unique(raw, "k");
    expect(await raw.tell("set k v\r\n")).toBe("NOT-STORED\r\n");
    expect(await unique(raw, "k")).toBe(before);
    expect(await raw.tell("stats\r\n")).toContain("STAT cmd_set 2\r\n");
  });

  test("another client's write between its read and its write is not written over", async () => {
    const { client, backend } = await serve();
    const raw = await client();
    const other = backend.openSession({ name: "default" });
    const meddle = async (times: number, value: string): Promise<string> => {
      await raw.tell("set k old\r\n");
      let left = times;
      let reads = 0;
      backend.onExecute = ({ command }) => {
        if (command.op !== Op.get) return;
        reads += 1;
        if (left === 0) return;
        left -= 1;
        // Stands in the queue before the write that follows this read.
        other.submit(setCommand("k", latin1Encode(`${value}${left === 0 ? "" : left}`)), { reply: () => {} }, 0);
      };
      const heard = await raw.tell("set k mine\r\n");
      backend.onExecute = null;
      expect(reads).toBe(Math.min(times + 1, 32));
      return heard;
    };
    expect(await meddle(1, "theirs")).toBe("STORED\r\n");
    expect(await meddle(5, "theirs")).toBe("STORED\r\n");
    expect(await raw.tell("get k\r\n")).toBe("VALUE k 4\r\nmine\r\n");
    expect(await meddle(1, "mine")).toBe("NOT-STORED\r\n");
    expect(await meddle(99, "theirs")).toMatch(/^SERVER_ERROR overloaded: /);
    expect(await raw.tell("get k\r\n")).toMatch(/theirs/);
  });

  test("what is sent after a set waits for it", async () => {
    const { client } = await serve();
    const raw = await client();
    let sent = "";
    let heard = "";
    for (let i = 0; i < 200; i += 1) {
      sent += `set k ${i >> 1}\r\nget k\r\n`;
      const value = String(i >> 1);
      heard += `${i % 2 === 0 ? "STORED" : "NOT-STORED"}\r\nVALUE k ${value.length}\r\n${value}\r\n`;
    }
    expect(await raw.tell(sent)).toBe(heard);
  });

  test("errors", async () => {
    const { client, backend } = await serve();
    const raw = await client();
    expect(await raw.tell(`set ${"k".repeat(2049)} v\r\n`)).toBe(BAD_FORMAT);
    backend.failures.set(Op.set, new KvError("unknown", "who knows"));
    expect(await raw.tell("set k v\r\n")).toBe("SERVER_ERROR unknown who knows\r\n");
  });
});

describe("a pipeline", () => {
  test("a set and a get of it in one packet, many times", async () => {
    const { client } = await serve();
    const raw = await client();
    let sent = "";
    let heard = "";
    for (let i = 0; i < 1000; i += 1) {
      sent += `set k ${i} 0 4\r\n${1000 + i}\r\nget k\r\n`;
      heard += `STORED\r\nVALUE k ${i} 4\r\n${1000 + i}\r\nEND\r\n`;
    }
    expect(await raw.tell(sent)).toBe(heard);
  });

  test("answers that come in another order leave in the order asked", async () => {
    const { backend, client } = await serve();
    const raw = await client();
    await raw.tell("set a 0 0 1\r\n1\r\nset b 0 0 1\r\n2\r\n");
    backend.order = (a, b) => b.tag - a.tag;
    const heard = "VALUE a 0 1\r\n1\r\nEND\r\nVERSION 1.6.18\r\nVALUE b 0 1\r\n2\r\nEND\r\nERROR\r\nEND\r\n";
    expect(await raw.tell("get a\r\nversion\r\nget b\r\nnonsense\r\nget c\r\n")).toBe(heard);
  });

  test("an answer inside submit is as good as a later one", async () => {
    const { backend, client } = await serve();
    backend.synchronous = true;
    const raw = await client();
    await talk(raw, [
      ["set a 0 0 1\r\n1\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n"],
      [
        "set a 1\r\nset a 2\r\nget a\r\ngamut keyspace nowhere\r\n",
        `NOT-STORED\r\nSTORED\r\nVALUE a 1\r\n2\r\n${NO_KEYSPACE}`,
      ],
    ]);
  });

  test("of two clients on one port, each in its own protocol", async () => {
    const { client } = await serve();
    const [mine, redis] = [await client(), await client()];
    await mine.tell("set a 5 0 2\r\nhi\r\n");
    expect(await redis.ask(["GET", "a"], ["INCR", "n"])).toEqual(["$2\r\nhi\r\n", ":1\r\n"]);
    expect(await mine.tell("incr n 41\r\nget n\r\n")).toBe("42\r\nVALUE n 0 2\r\n42\r\nEND\r\n");
  });

  test("quit comes after what was asked before it, and ends it", async () => {
    const { client } = await serve();
    const raw = await client();
    raw.sendBytes("get x\r\nquit\r\nget y\r\n");
    expect(await raw.untilEnd()).toBe("END\r\n");
  });

  test("a client that says no more still hears all answers", async () => {
    const { client } = await serve();
    const raw = await client();
    raw.sendBytes(`set n 0 0 1\r\n0\r\n${"incr n 1\r\n".repeat(2000)}`);
    raw.socket.end();
    const numbers = Array.from({ length: 2000 }, (_, i) => `${i + 1}\r\n`).join("");
    expect(await raw.untilEnd()).toBe(`STORED\r\n${numbers}`);
  });
});

const NO_KEYSPACE = "SERVER_ERROR keyspace_unknown: there is no keyspace of that name\r\n";

describe("gamut", () => {
  test("level, keyspace, token, explain", async () => {
    const { client, backend } = await serve();
    backend.addKeyspace("other");
    backend.addKeyspace("late");
    backend.late.add("late");
    const raw = await client();
    await talk(raw, [
      ["gamut level\r\ngamut level sequential\r\ngamut level\r\n", "LEVEL default\r\nOK\r\nLEVEL sequential\r\n"],
      ["gamut level default\r\ngamut level\r\n", "OK\r\nLEVEL default\r\n"],
      [
        "set a 0 0 1\r\n1\r\ngamut keyspace other\r\nget a\r\nset a 0 0 1\r\n2\r\n",
        "STORED\r\nOK\r\nEND\r\nSTORED\r\n",
      ],
      ["gamut keyspace late\r\nget a\r\ngamut keyspace\r\n", "OK\r\nEND\r\nKEYSPACE late\r\n"],
      ["gamut keyspace none\r\ngamut keyspace\r\n", `${NO_KEYSPACE}KEYSPACE late\r\n`],
      ["gamut keyspace default\r\nget a\r\n", "OK\r\nVALUE a 0 1\r\n1\r\nEND\r\n"],
      ["gamut token\r\ngamut token 010203\r\ngamut token\r\n", "TOKEN 0102fa\r\nOK\r\nTOKEN 010203\r\n"],
      ["gamut explain on\r\ngamut explain\r\nget a\r\n", "OK\r\nRECEIPT none yet\r\nVALUE a 0 1\r\n1\r\nEND\r\n"],
    ]);
    expect(await raw.tell("gamut explain\r\n")).toMatch(
      /^RECEIPT level=linearizable asked=linearizable protocol=memory /,
    );
    expect(await raw.tell("gamut level nonsense\r\n")).toMatch(
      /^CLIENT_ERROR there is no level "nonsense"; raft grants /,
    );
    expect(await raw.tell("gamut token zz\r\n")).toMatch(/^SERVER_ERROR bad_token: /);
    for (const line of ["gamut", "gamut nonsense", "gamut level a b", "gamut explain maybe"]) {
      expect(await raw.tell(`${line}\r\n`), line).toMatch(/^CLIENT_ERROR gamut takes: /);
    }
  });
});

describe("limits", () => {
  test("a line that does not end, and data beyond all bounds, end the connection", async () => {
    const { client } = await serve();
    const first = await client();
    first.sendBytes(`get x\r\n${"x".repeat(9000)}`);
    expect(await first.untilEnd()).toBe("END\r\nCLIENT_ERROR the line is longer than 8192 bytes\r\n");
    const second = await client();
    second.sendBytes("set k 0 0 999999999\r\n");
    expect(await second.untilEnd()).toBe("SERVER_ERROR object too large for cache\r\n");
  });

  test("half a request must be whole in time", async () => {
    const { client } = await serve({ requestMsMax: 100 });
    const [line, data, dropped, idle] = [await client(), await client(), await client(), await client()];
    line.sendBytes("get x");
    data.sendBytes("set k 0 0 5\r\nhel");
    dropped.sendBytes("set k 0 0 2000000\r\nhel");
    await idle.tell("get x\r\n");
    const late = "CLIENT_ERROR a request did not arrive whole within 100 ms\r\n";
    expect(await line.untilEnd()).toBe(late);
    expect(await data.untilEnd()).toBe(late);
    expect(await dropped.untilEnd()).toBe(`SERVER_ERROR object too large for cache\r\n${late}`);
    expect(await idle.tell("get x\r\n")).toBe("END\r\n");
  });

  test("a reader that does not read costs a bounded amount, and loses nothing", async () => {
    const { client, backend } = await serve({ outputBytesMax: 1 << 20 });
    const raw = await client();
    const value = "v".repeat(100_000);
    await raw.tell(`set big 0 0 ${value.length}\r\n${value}\r\n`);
    let executed = 0;
    backend.onExecute = () => {
      executed += 1;
    };
    raw.socket.pause();
    raw.sendBytes("get big\r\n".repeat(1000));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(executed).toBeLessThan(200);
    raw.socket.resume();
    const expected = `VALUE big 0 100000\r\n${value}\r\nEND\r\n`;
    let wrong = 0;
    for (let i = 0; i < 1000; i += 1) wrong += (await raw.through("END\r\n")) === expected ? 0 : 1;
    expect(wrong).toBe(0);
  });

  test("when the node stops, what is under way is answered", async () => {
    const { client, listener, backend } = await serve();
    const raw = await client();
    await raw.tell("set a 0 0 1\r\n1\r\n");
    backend.held = true;
    raw.sendBytes("get a\r\nset a 0 0 1\r\n2\r\n");
    await until(() => backend.queuedMost >= 1 && backend.queued === 2, "two requests wait");
    const closed = listener.close();
    backend.release();
    expect(await raw.untilEnd()).toBe("VALUE a 0 1\r\n1\r\nEND\r\nSTORED\r\n");
    raw.close();
    await closed;
  });

  test("what a client that is gone waits for is cancelled", async () => {
    const { client, listener, backend } = await serve();
    const raw = await client();
    await raw.tell("get a\r\n");
    backend.held = true;
    raw.sendBytes("set a 0 0 1\r\n2\r\n");
    await until(() => backend.queued > 0, "a request waits");
    raw.socket.resetAndDestroy();
    await until(() => listener.connectionCount === 0, "gone");
    backend.release();
    await until(() => backend.openSessions === 0, "sessions closed");
    expect(backend.cancelled.length).toBe(1);
  });
});

test("hostile bytes cost nobody else anything", async () => {
  const { client, backend, listener } = await serve();
  const seed = 7;
  const random = new Random(seed);
  const words = [
    "get ",
    "set ",
    "ms ",
    "k ",
    "0 ",
    "5 ",
    "\r\n",
    "\n",
    "noreply",
    "hello\r\n",
    "1048577",
    "99999999999",
    "cas ",
    "mg ",
    "\0",
    "\xff",
    "b ",
    "gamut ",
    "keyspace ",
    "stats ",
    "v\r\n",
    "dialect plain\r\n",
    "quit\r\n",
    "x".repeat(3000),
  ];
  const bystander = await client();
  for (let round = 0; round < 400; round += 1) {
    const raw = await client();
    raw.sendBytes("mn\r\n");
    let bytes = "";
    for (let i = random.below(40); i > 0; i -= 1) bytes += words[random.below(words.length)];
    raw.sendBytes(bytes);
    if (random.below(2) === 0) raw.socket.end();
    if (round % 20 === 0) {
      expect(
        await bystander.tell(`set mine 0 0 ${String(round).length}\r\n${round}\r\nget mine\r\n`),
        `seed ${seed}`,
      ).toBe(`STORED\r\nVALUE mine 0 ${String(round).length}\r\n${round}\r\nEND\r\n`);
    }
    raw.close();
  }
  await until(() => listener.connectionCount === 1 && backend.openSessions === 1, "all gone");
});

test("many clients, each gets its own answers", async () => {
  const { client } = await serve();
  const clients = await Promise.all(Array.from({ length: 50 }, client));
  await Promise.all(
    clients.map(async (raw, mine) => {
      for (let round = 0; round < 10; round += 1) {
        let sent = "";
        let heard = "";
        for (let i = 0; i < 20; i += 1) {
          const value = `${mine}/${round}/${i}`;
          sent += `set k${mine}/${i} ${i} 0 ${value.length}\r\n${value}\r\nget k${mine}/${i}\r\nget none${mine}\r\n`;
          heard += `STORED\r\nVALUE k${mine}/${i} ${i} ${value.length}\r\n${value}\r\nEND\r\nEND\r\n`;
        }
        expect(await raw.tell(sent)).toBe(heard);
      }
    }),
  );
});

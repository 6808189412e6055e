import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Random } from "../core/random.js";
import type { RawClient } from "./testing/raw-client.js";
import { closeOpen, open, type Served, serve } from "./testing/serve.js";
import { nextChangeLine, shownWatchLines } from "./testing/watch-lines.js";

afterEach(closeOpen);

const USAGE = /^CLIENT_ERROR it is gamut watch .+\r\n$/;
const ONLY_WATCHES =
  /^(CLIENT_ERROR this connection watches: it takes gamut unwatch, mn, version and quit alone.+\r\n)+$/;

/** Begins a watch; the position at which it does. */
async function watch(raw: RawClient, options = ""): Promise<string> {
  raw.sendBytes(`gamut watch${options}\r\n`);
  const line = await raw.through("\r\n");
  expect(line).toMatch(/^WATCHING [0-9a-f]+\r\n$/);
  return line.slice("WATCHING ".length, -2);
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not reached: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function watchers({ backend }: Served): number {
  return backend.keyspaces.get("default")!.history.watchers;
}

test("what is put, deleted and expires comes as lines, values as data blocks", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await other.tell("set a1 0 0 6\r\nbefore\r\n");
  await watch(raw, " a values");
  await other.tell("set a1 0 0 6\r\n\r\nEND \r\nset b 0 0 1\r\n2\r\nset a2 0 0 0\r\n\r\ndelete a1\r\n");
  await other.tell("set a3 0 1 4\r\nsoon\r\n");
  expect(await shownWatchLines(raw, 4)).toEqual([
    "PUT a1 c2 p =\r\nEND ",
    "PUT a2 c4 p =",
    "DELETE a1 c5 p",
    "PUT a3 c6 p =soon",
  ]);
  // It expires at a turn of the store.
  await until(async () => {
    await other.tell("get none\r\n");
    return raw.received.includes("EXPIRE");
  }, "its time has come");
  expect(await nextChangeLine(raw)).toMatchObject({ kind: "EXPIRE", key: "a3", version: 7, value: null });
});

test("the lines as they are, byte by byte", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await other.ask(["SET", "a key", "1"]);
  await watch(raw, " none snapshot");
  const end = await nextChangeLine(raw);
  expect(end.kind).toBe("SNAPSHOT-END");
  await raw.tell("gamut unwatch\r\n");
  raw.sendBytes("gamut watch a snapshot values\r\n");
  await raw.through("\r\n");
  expect(await raw.through("\r\n")).toBe("RECORD YSBrZXk= b c1 s1\r\n");
  expect(await raw.through("\r\n")).toBe("1\r\n");
  expect(await raw.through("\r\n")).toBe(`SNAPSHOT-END p${end.position}\r\n`);
  await other.ask(["SET", "a key", "12"], ["SET", "a", "3"], ["DEL", "a key"]);
  expect(await raw.through("\r\n")).toMatch(/^PUT YSBrZXk= b c2 p[0-9a-f]+ s2\r\n$/);
  expect(await raw.through("\r\n")).toBe("12\r\n");
  expect(await raw.through("\r\n")).toMatch(/^PUT a c3 p[0-9a-f]+ s1\r\n$/);
  expect(await raw.through("\r\n")).toBe("3\r\n");
  expect(await raw.through("\r\n")).toMatch(/^DELETE YSBrZXk= b c4 p[0-9a-f]+\r\n$/);
});

test("a snapshot, exact, and going on from a position", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await other.tell("set k 0 0 1\r\n1\r\nset k2 0 0 1\r\n2\r\n");
  await watch(raw, " k exact snapshot values");
  expect(await shownWatchLines(raw, 2)).toEqual(["RECORD k c1 =1", "SNAPSHOT-END p"]);
  await other.tell("set k 0 0 1\r\na\r\nset k2 0 0 1\r\nb\r\nset k 0 0 1\r\nc\r\n");
  const first = await nextChangeLine(raw);
  expect(first).toMatchObject({ kind: "PUT", key: "k", version: 3, value: "a" });
  expect(await shownWatchLines(raw, 1)).toEqual(["PUT k c5 p =c"]);
  const next = await client();
  expect(await watch(next, ` "" from ${first.position}`)).toBe(first.position);
  expect(await shownWatchLines(next, 2)).toEqual(["PUT k2 c4 p", "PUT k c5 p"]);
  await next.tell("gamut unwatch\r\n");
  await watch(next, ` k exact from ${first.position} values`);
  expect(await shownWatchLines(next, 1)).toEqual(["PUT k c5 p =c"]);
});

test("changes within a snapshot have no position", async () => {
  const served = await serve({ outputBytesMax: 16_384 });
  const [raw, other] = [await served.client(), await served.client()];
  const value = "x".repeat(200_000);
  for (let i = 0; i < 80; i += 1) await other.ask(["SET", `k${10 + i}`, value]);
  raw.socket.pause();
  raw.sendBytes('gamut watch "" snapshot values\r\n');
  await until(() => watchers(served) === 1, "the watch has begun");
  // The reader is full long before the last page: these come while the snapshot is under way.
  await other.ask(["SET", "k00", "after its page"], ["SET", "k99", "before its page"]);
  raw.socket.resume();
  expect(await raw.through("\r\n")).toMatch(/^WATCHING /);
  const keys = new Map<string, string>();
  let line = await nextChangeLine(raw);
  while (line.kind !== "SNAPSHOT-END") {
    expect(line.position, line.kind).toBe("");
    keys.set(line.key, `${line.kind} ${line.value}`);
    line = await nextChangeLine(raw);
  }
  expect(line.position).not.toBe("");
  expect(keys.size).toBe(82);
  expect([keys.get("k00"), keys.get("k99")]).toEqual(["PUT after its page", "RECORD before its page"]);
});

test("keys: a snapshot and the changes of those keys alone; any key has a word", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  const long = "l".repeat(251);
  const odd = ["", '""', "two words", "line\r\nbreak", "\x00\x7f\xff", long, "caf\xe9"];
  await other.ask(...odd.map((key, i) => ["SET", key, `${i}`]), ["SET", "other", "x"]);
  const words = odd.map((key) => (key === "" ? '""' : Buffer.from(key, "latin1").toString("base64")));
  await watch(raw, ` "" keys ${odd.length} ${words.join(" ")} b snapshot values`);
  const heard = new Map<string, string | null>();
  for (const _ of odd) {
    const { kind, key, value } = await nextChangeLine(raw);
    expect(kind).toBe("RECORD");
    heard.set(key, value);
  }
  expect(heard).toEqual(new Map(odd.map((key, i) => [key, `${i}`])));
  expect((await nextChangeLine(raw)).kind).toBe("SNAPSHOT-END");
  await other.ask(["SET", "other", "y"], ["DEL", ...odd]);
  for (const key of odd) expect(await nextChangeLine(raw)).toMatchObject({ kind: "DELETE", key });
});

test("what memcached's text can carry is in text, all else in base64", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  await watch(raw);
  await other.ask(["SET", "caf\xe9", ""], ["SET", "l".repeat(250), ""], ["SET", "l".repeat(251), ""], ["SET", "", ""]);
  await other.ask(["SET", '""', ""], ["SET", "a b", ""]);
  const words: string[] = [];
  for (let i = 0; i < 6; i += 1) words.push((await raw.through("\r\n")).replace(/ c\d+ p[0-9a-f]+\r\n$/, ""));
  expect(words).toEqual([
    "PUT caf\xe9",
    `PUT ${"l".repeat(250)}`,
    `PUT ${Buffer.from("l".repeat(251)).toString("base64")} b`,
    'PUT ""',
    "PUT IiI= b",
    "PUT YSBi b",
  ]);
});

test("a connection that watches does nothing else, until it watches no more", async () => {
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  // What comes behind the watch in one packet waits for it.
  raw.sendBytes("gamut watch\r\nget a\r\nmn\r\n");
  expect(await raw.through("MN\r\n")).toMatch(
    /^WATCHING [0-9a-f]+\r\nCLIENT_ERROR this connection watches: .+\r\nMN\r\n$/,
  );
  const refused = ["get a", "set a 0 0 3\r\nget", "mg a", "flush_all", "stats", "gamut", "gamut level", "gamut watch"];
  for (const line of refused) expect(await raw.tell(`${line}\r\n`), line).toMatch(ONLY_WATCHES);
  expect(await raw.tell("version\r\nnonsense\r\n")).toMatch(/^VERSION 1.6.18\r\nERROR\r\n$/);
  expect(await raw.tell("gamut unwatch now\r\n")).toMatch(/^CLIENT_ERROR gamut takes: /);
  expect(await raw.tell("gamut unwatch\r\n")).toBe("OK\r\n");
  await other.tell("set a 0 0 1\r\nx\r\n");
  expect(await raw.tell("get a\r\ngamut unwatch\r\n")).toBe("VALUE a 0 1\r\nx\r\nEND\r\nOK\r\n");
  await watch(raw);
  raw.sendBytes("quit\r\n");
  await raw.untilEnd();
  // Memcached's own watch is another thing.
  expect(await other.tell("watch\r\nwatch mutations\r\n")).toBe("ERROR\r\nERROR\r\n");
});

test("what is not well formed, and what the store refuses", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  const bad = ["k from", "k from 00 snapshot", "k soon", "k keys 1 a", "k exact exact", "k exact keys 1 a", "Zm9 b"];
  for (const options of [...bad, '"" keys', '"" keys 0', '"" keys x a', '"" keys 2 a', '"" keys 1 a! b']) {
    expect(await raw.tell(`gamut watch ${options}\r\n`), options).toMatch(USAGE);
  }
  const many = Array.from({ length: 1_025 }, (_, i) => `${i}`).join(" ");
  expect(await raw.tell(`gamut watch "" keys 1025 ${many}\r\n`)).toMatch(/^SERVER_ERROR batch_too_large: .+\r\n$/);
  const tooLong = "CLIENT_ERROR bad command line format\r\n";
  expect(await raw.tell(`gamut watch ${"k".repeat(2_049)}\r\n`)).toBe(tooLong);
  expect(await raw.tell(`gamut watch "" keys 1 ${"k".repeat(2_049)}\r\n`)).toBe(tooLong);
  expect(await raw.tell("gamut watch k from 0011\r\n")).toMatch(/^SERVER_ERROR bad_token: this is no position.+\r\n$/);
  // A line of many keys is longer than memcached's own may be.
  const longKeys = Array.from({ length: 1_000 }, (_, i) => "k".repeat(200) + i).join(" ");
  await watch(raw, ` "" KEYS 1000 ${longKeys}`);
  expect(await raw.tell("gamut unwatch\r\n")).toBe("OK\r\n");
  backend.keyspaces.delete("default");
  expect(await raw.tell("gamut watch\r\n")).toMatch(/^SERVER_ERROR keyspace_unknown: .+\r\n$/);
  expect(await raw.tell("get a\r\n")).toMatch(/^SERVER_ERROR keyspace_unknown: .+\r\n$/);
});

test("a reader that takes nothing costs no more than its output, and is told what it has missed", async () => {
  const served = await serve({ outputBytesMax: 65_536 });
  const [raw, other] = [await served.client(), await served.client()];
  await watch(raw, ' "" values');
  raw.socket.pause();
  const value = "x".repeat(1_000_000);
  const written = 64;
  for (let i = 0; i < written; i += 1) await other.ask(["SET", `k${i}`, value]);
  // It fell behind what is kept: its watch is over, and no value is kept for it.
  expect(served.backend.keyspaces.get("default")!.history.valueWatchers).toBe(0);
  raw.socket.resume();
  let next = 0;
  let last = await nextChangeLine(raw);
  for (; last.kind !== "WATCH-END"; last = await nextChangeLine(raw)) {
    // What it has heard before that is without a gap.
    if (last.kind !== "PUT") continue;
    expect(last.key).toBe(`k${next}`);
    next += 1;
  }
  expect(next).toBeLessThan(written);
  expect(last.error).toMatch(/^SERVER_ERROR compacted: .* begin anew, with a snapshot$/);
  // It is a connection like any other again.
  expect(await raw.tell("get none\r\n")).toBe("END\r\n");
  await watch(raw, ` "" from ${last.position}`);
  expect(await nextChangeLine(raw)).toMatchObject({ kind: "PUT", key: expect.stringMatching(/^k\d+$/) });
});

test("a connection that closes watches no more, nor does one that is hanging up", async () => {
  const served = await serve();
  const raw = await served.client();
  await watch(raw);
  expect(watchers(served)).toBe(1);
  raw.close();
  await until(() => watchers(served) === 0, "the watch of the closed connection is over");
  const halfOpen = connect({ port: served.listener.port, host: "127.0.0.1", allowHalfOpen: true });
  open.push({ close: () => halfOpen.destroy() });
  halfOpen.resume();
  halfOpen.write("gamut watch\r\n");
  await until(() => watchers(served) === 1, "the second watch has begun");
  halfOpen.write("quit\r\n");
  await once(halfOpen, "end");
  expect(watchers(served)).toBe(0);
});

test("any prefix, key or keys: what is told is what was asked for", async () => {
  const random = new Random(7);
  const { client } = await serve();
  const [raw, other] = [await client(), await client()];
  const ALPHABET = ["a", "b", " ", "\r", "\n", "\x00", "\xff", '"', "=", "keys", "exact", "from", "b"];
  const makeKey = (): string => Array.from({ length: random.below(4) }, () => random.pick(ALPHABET)).join("");
  const wordOf = (key: string, inBase64: boolean): string => {
    if (key === "") return '""';
    return inBase64 ? Buffer.from(key, "latin1").toString("base64") : key;
  };
  for (let round = 0; round < 150; round += 1) {
    const prefix = makeKey();
    const keys = Array.from({ length: 1 + random.below(3) }, makeKey);
    const form = random.below(3);
    const inBase64 = [prefix, ...keys].some((key) => /\s|^""$/.test(key)) || random.below(2) === 0;
    const values = random.below(2) === 0;
    const chosen =
      form === 0
        ? wordOf(prefix, inBase64)
        : form === 1
          ? `${wordOf(prefix, inBase64)} exact`
          : `"" keys ${keys.length} ${keys.map((key) => wordOf(key, inBase64)).join(" ")}`;
    const options = `${chosen}${inBase64 ? " b" : ""}${values ? " values" : ""}`;
    await watch(raw, ` ${options}`);
    const isWanted = (key: string): boolean =>
      form === 0 ? key.startsWith(prefix) : form === 1 ? key === prefix : keys.includes(key);
    const written = [...Array.from({ length: 5 }, makeKey), prefix, ...keys, `${prefix}x`];
    await other.ask(...written.map((key) => ["SET", key, `v${key}`]));
    for (const key of written.filter(isWanted)) {
      const line = await nextChangeLine(raw);
      expect(line, `round ${round}: ${options}`).toMatchObject({ kind: "PUT", key, value: values ? `v${key}` : null });
    }
    expect(await raw.tell("gamut unwatch\r\n"), `round ${round}: ${options}`).toBe("OK\r\n");
  }
});

test("any words: one answer, and the connection goes on", async () => {
  const random = new Random(11);
  const { client } = await serve();
  const raw = await client();
  const WORDS = ["exact", "keys", "from", "snapshot", "values", "b", "B", '""', "0", "1", "2", "-1", "1e3", "Zm9v"];
  const more = ["a", "=", "\xff", "4757", "unwatch", "watch", "99999999999", "k".repeat(300)];
  let begun = 0;
  for (let round = 0; round < 600; round += 1) {
    const words = Array.from({ length: random.below(7) }, () => random.pick(random.below(4) === 0 ? more : WORDS));
    raw.sendBytes(`gamut watch ${words.join(" ")}\r\n`);
    const answer = await raw.through("\r\n");
    expect(answer, words.join(" ")).toMatch(
      /^(WATCHING [0-9a-f]+|CLIENT_ERROR it is gamut watch .+|SERVER_ERROR bad_token: .+)\r\n$/,
    );
    if (answer.startsWith("WATCHING")) begun += 1;
    // Of an empty keyspace a snapshot is its end.
    expect(await raw.tell("gamut unwatch\r\n"), words.join(" ")).toMatch(/^(SNAPSHOT-END p[0-9a-f]+\r\n)?OK\r\n$/);
  }
  expect(begun).toBeGreaterThan(50);
});

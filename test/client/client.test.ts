/** The SDK on three real nodes. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client as RespClient } from "../../src/cli/client.js";
import { bytes, connect, type Gamut, GamutError, json, ok, text } from "../../src/client/index.js";
import { crc32 } from "../../src/core/bytes.js";
import { Cluster } from "../processes/cluster.js";
import { until, within } from "../processes/wait.js";
import { AnswerCutter } from "./answer-cutter.js";

let cluster: Cluster;
let addresses: string[];
const toClose: { close(): unknown }[] = [];

beforeAll(async () => {
  cluster = await Cluster.start();
  addresses = cluster.members.map((member) => `127.0.0.1:${member.clientPort}`);
}, 60_000);
afterAll(() => cluster.close());
afterEach(async () => {
  for (const each of toClose.splice(0)) await each.close();
});

function opened<V>(gamut: Gamut<V>): Gamut<V> {
  toClose.push(gamut);
  return gamut;
}

const client = (): Gamut<string> => opened(connect(addresses, { values: text }));

async function resp(...request: string[]): Promise<void> {
  const raw = await RespClient.connectTo(cluster.member(1).address, 10_000);
  await raw.demand(request);
  raw.close();
}

async function keysOf<K>(list: AsyncIterable<{ readonly key: K }>): Promise<K[]> {
  const keys: K[] = [];
  for await (const { key } of list) keys.push(key);
  return keys;
}

describe("records", () => {
  it("are set, read, counted and deleted", async () => {
    const gamut = client();
    const key = ["users", 42n, true, Uint8Array.of(0, 255), -0.5];
    const { versionstamp } = ok(await gamut.set(key, "Ada"));
    expect(await gamut.get(key)).toEqual({ kind: "ok", key, value: "Ada", versionstamp });
    expect(versionstamp).toMatch(/^[0-9a-f]{16}$/);
    expect(ok(await gamut.set(key, "Bob")).versionstamp > versionstamp).toBe(true);
    expect(ok(await gamut.getMany(["none", key])).entries).toMatchObject([{ value: null }, { value: "Bob" }]);
    expect(await gamut.delete(key)).toEqual({ kind: "ok", existed: true });
    expect(await gamut.delete(key)).toEqual({ kind: "ok", existed: false });
    expect(await gamut.sum("records:n", 3)).toMatchObject({ value: 3n });
    expect(await gamut.sum("records:n", -(2n ** 40n))).toMatchObject({ value: 3n - 2n ** 40n });
  });

  it("are what other wires see, under a bare string's bytes", async () => {
    const gamut = client();
    await resp("SET", "grüße", "hallo");
    expect(await gamut.get("grüße")).toMatchObject({ value: "hallo" });
    expect(await gamut.get(new TextEncoder().encode("grüße"))).toMatchObject({ value: "hallo" });
  });

  it("expire", async () => {
    const gamut = client();
    ok(await gamut.set("short", "x", { expireIn: 60 }));
    ok(await gamut.set("long", "x", { expireIn: 3_600_000 }));
    await until("the record has expired", 10_000, async () => ok(await gamut.get("short")).value === null);
    expect(await gamut.get("long")).toMatchObject({ value: "x" });
  });

  it("have values as the client chooses", async () => {
    const asJson = opened(connect(addresses[0], { values: json }));
    ok(await asJson.set("json", { a: [1, null] }));
    expect(await asJson.get("json")).toMatchObject({ value: { a: [1, null] } });
    expect(await opened(connect(addresses)).get("json")).toMatchObject({
      value: new TextEncoder().encode('{"a":[1,null]}'),
    });
    ok(await client().set("no json", "{"));
    expect(await asJson.get("no json")).toMatchObject({ kind: "error", code: "bad_request" });
    expect(await asJson.set("json", undefined)).toMatchObject({ kind: "error", code: "bad_request", definite: true });
    expect(bytes.encode(Uint8Array.of(1))).toEqual(Uint8Array.of(1));
  });

  it("of the largest size go there and back", async () => {
    const gamut = opened(connect(addresses));
    const value = new Uint8Array(1_048_576).fill(7);
    ok(await gamut.atomic().set("large:1", value).set("large:2", value.subarray(0, 1_000_000)).commit());
    expect(Buffer.compare(ok(await gamut.get("large:1")).value!, value)).toBe(0);
    expect(await gamut.set("large:3", new Uint8Array(1_048_577))).toMatchObject({ code: "value_too_large" });
    expect(await gamut.get("k".repeat(2_049))).toMatchObject({ code: "key_too_long", definite: true });
  });
});

describe("atomic", () => {
  it("does all or nothing, under one versionstamp", async () => {
    const gamut = client();
    const { versionstamp, sums } = ok(
      await gamut
        .atomic()
        .check({ key: "at:a", versionstamp: null })
        .set("at:a", "1")
        .set("at:b", "x")
        .sum("at:a", 4)
        .commit(),
    );
    expect(sums).toEqual([5n]);
    for (const key of ["at:a", "at:b"]) expect(ok(await gamut.get(key)).versionstamp).toBe(versionstamp);
    const failed = await gamut.atomic().set("at:b", "y").delete("at:a").sum("at:b", 1).commit();
    expect(failed).toMatchObject({ kind: "error", code: "not_an_integer", definite: true });
    expect(ok(await gamut.getMany(["at:a", "at:b"])).entries.map((entry) => entry.value)).toEqual(["5", "x"]);
    const conflict = await gamut.atomic().check({ key: "at:b", versionstamp: null }).set("at:b", "z").commit();
    expect(conflict).toMatchObject({ kind: "error", code: "conflict", definite: true });
    expect(await gamut.atomic().check({ key: "at:b", versionstamp: "1" }).commit()).toMatchObject({
      code: "bad_request",
    });
  });

  it("loses no update where many check and set", async () => {
    const gamut = opened(connect(addresses, { values: json }));
    const add = async (): Promise<number> => {
      for (let conflicts = 0; ; conflicts += 1) {
        const entry = ok(await gamut.get("cas"));
        const next = ((entry.value as number | null) ?? 0) + 1;
        const outcome = await gamut.atomic().check(entry).set("cas", next).commit();
        if (outcome.kind === "ok") return conflicts;
        expect(outcome.code).toBe("conflict");
      }
    };
    const worker = async (): Promise<number> => {
      let conflicts = 0;
      for (let i = 0; i < 20; i += 1) conflicts += await add();
      return conflicts;
    };
    const conflicts = await Promise.all(Array.from({ length: 8 }, worker));
    expect(ok(await gamut.get("cas")).value).toBe(160);
    expect(Math.max(...conflicts)).toBeGreaterThan(0);
  });
});

describe("list", () => {
  const COUNT = 12_000;

  beforeAll(async () => {
    const gamut = connect(addresses, { values: text });
    for (let from = 0; from < COUNT; from += 1_000) {
      const atomic = gamut.atomic();
      for (let i = from; i < from + 1_000; i += 1) atomic.set(["list", i], `${i}`);
      ok(await atomic.commit());
    }
    ok(await gamut.atomic().set("list:a", "1").set("list:b", "2").set(Uint8Array.of(0x6c, 0xff), "3").commit());
    gamut.close();
  });

  it("goes through more than 10,000 records in the order of their keys", async () => {
    const keys = await keysOf(client().list({ prefix: ["list"] }));
    expect(keys.length).toBe(COUNT);
    expect(keys.every(([, n], i) => n === i)).toBe(true);
  });

  it("has bounds, a limit, and a cursor to go on with", async () => {
    const gamut = client();
    const numbers = async (list: AsyncIterable<{ readonly key: readonly unknown[] }>) => {
      return (await keysOf(list)).map(([, n]) => n);
    };
    expect(await numbers(gamut.list({ start: ["list", 5], end: ["list", 8] }))).toEqual([5, 6, 7]);
    expect(await numbers(gamut.list({ prefix: ["list"], start: ["list", 11_998] }))).toEqual([11_998, 11_999]);
    expect(await numbers(gamut.list({ prefix: ["list"], end: ["list", 2] }))).toEqual([0, 1]);
    const first = gamut.list({ prefix: ["list"] }, { limit: 7, batchSize: 3 });
    expect(await numbers(first)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const second = gamut.list({ prefix: ["list"] }, { limit: 2, cursor: first.cursor });
    expect(await numbers(second)).toEqual([7, 8]);
    const last = gamut.list({ prefix: ["list"], start: ["list", 11_999] }, {});
    expect(await numbers(last)).toEqual([11_999]);
    expect(last.cursor).toBe("");
    expect(() => gamut.list({ prefix: ["list"] }, { cursor: "zz" })).toThrow("none that a list has given");
  });

  it("shows keys in the form of its bounds, and says so where one has no such form", async () => {
    const gamut = client();
    expect(await keysOf(gamut.list({ prefix: "list:" }))).toEqual(["list:a", "list:b"]);
    expect(await keysOf(gamut.list({ prefix: Uint8Array.of(0x6c, 0xff) }))).toEqual([Uint8Array.of(0x6c, 0xff)]);
    const strings = gamut.list({ start: "list:b", end: "m" });
    await expect(keysOf(strings)).rejects.toThrow("6cff (hex), which is no string");
    await expect(keysOf(gamut.list({ prefix: "list:" }, { level: "eventual" }))).rejects.toBeInstanceOf(GamutError);
  });
});

describe("levels and sessions", () => {
  it("explain what was given", async () => {
    const gamut = client();
    const written = ok(await gamut.set("explained", "x", { explain: true }));
    expect(written.receipt).toMatchObject({ given: "linearizable", evidence: "log", protocol: "raft" });
    const read = ok(await gamut.get("explained", { explain: true, level: "sequential" }));
    expect(read.receipt).toMatchObject({ asked: "sequential", given: "sequential", evidence: "local" });
    expect(read.receipt!.position).toBeGreaterThanOrEqual(written.receipt!.position);
    expect(ok(await gamut.get("explained")).receipt).toBeUndefined();
  });

  it("a level that is not granted is refused, for reads and writes", async () => {
    const gamut = client().at("causal");
    expect(await gamut.get("x")).toMatchObject({ kind: "error", code: "level_unsupported" });
    expect(await gamut.set("refused", "x")).toMatchObject({ kind: "error", code: "level_unsupported" });
    expect(await gamut.set("refused", "y", { level: "sequential" })).toMatchObject({ kind: "ok" });
  });

  it("a session reads its own writes on a node that lags, or is told that it cannot", async () => {
    const leader = await cluster.leader();
    const follower = cluster.others(leader)[0];
    const writer = opened(connect(`127.0.0.1:${leader.clientPort}`, { values: text }));
    const reader = opened(connect(`127.0.0.1:${follower.clientPort}`, { values: text, level: "sequential" }));
    ok(await writer.set("lag", "old"));
    const old = writer.token();
    expect(await reader.withToken(old).get("lag")).toMatchObject({ value: "old" });
    cluster.links.isolate(follower.node, "stalled");
    try {
      ok(await writer.set("lag", "new"));
      const token = writer.token();
      expect(await reader.session().get("lag")).toMatchObject({ value: "old" });
      const waiting = reader.withToken(token).get("lag", { timeoutMs: 20_000 });
      const impatient = await reader.withToken(token).get("lag", { timeoutMs: 300 });
      expect(impatient).toMatchObject({ kind: "error", code: "unavailable", definite: true });
      cluster.links.heal();
      expect(await waiting).toMatchObject({ value: "new" });
    } finally {
      cluster.links.heal();
    }
    await cluster.ready();
  });

  it("a keyspace without an order of writes: sent once, read at its level, and what needs an order is refused", async () => {
    await resp("GAMUT", "KEYSPACE", "CREATE", "feed", "PROTOCOL", "gossip");
    const feed = client().keyspace("feed");
    await until("the keyspace is there", 10_000, async () => (await feed.set("a", "1")).kind === "ok");
    expect(await feed.set("b", "2", { expireIn: 3_600_000 })).toMatchObject({ kind: "ok" });
    const [first, second] = await Promise.all([feed.set("c", "3"), feed.set("d", "4")]);
    expect(ok(first).versionstamp).not.toBe(ok(second).versionstamp);
    await until("all is everywhere", 10_000, async () => (await keysOf(feed.list({ prefix: "" }))).length === 4);
    expect(await feed.get("b")).toMatchObject({ value: "2" });
    expect(await feed.delete("a")).toMatchObject({ kind: "ok" });
    expect(await feed.get("a")).toMatchObject({ value: null });
    for (const refused of [await feed.sum("n", 1), await feed.atomic().set("x", "1").commit()]) {
      expect(refused).toMatchObject({ kind: "error", definite: true, code: "operation_unsupported" });
    }
  });

  it("a keyspace dropped and made again under the other protocol: whoever begins anew notices nothing", async () => {
    const gamut = client();
    for (const protocol of ["raft", "gossip", "raft", "raft"]) {
      await resp("GAMUT", "KEYSPACE", "CREATE", "changing", "PROTOCOL", protocol);
      // The handle's writer is the same all along; a session of its own has seen nothing of the lives before.
      const fresh = gamut.keyspace("changing").session();
      const writes = await Promise.all(Array.from({ length: 20 }, (_, i) => fresh.set(`k${i}`, protocol)));
      expect(writes.map(({ kind }) => kind)).toEqual(new Array(20).fill("ok"));
      const { receipt } = ok(await fresh.set("last", protocol, { explain: true }));
      expect(receipt?.protocol).toBe(protocol);
      if (protocol === "gossip") {
        expect(receipt).toMatchObject({ evidence: "own-log", staleness: { missingWrites: 0, peers: 2 } });
        expect(receipt!.clock!.ms).toBeGreaterThan(1_700_000_000_000);
        expect(receipt!.text).toMatch(/ clock=\d+\.\d+ .* missing-writes=0 peers-heard=\d\/2$/);
      } else {
        expect(receipt).toMatchObject({ evidence: "log" });
        expect(receipt!.position).toBeGreaterThan(0);
        expect(receipt!.clock).toBeUndefined();
      }
      await resp("GAMUT", "KEYSPACE", "DROP", "changing");
    }
  });

  it("tokens: of nowhere, of another cluster, of a keyspace that is gone", async () => {
    const gamut = client();
    expect(client().token()).toBe("");
    expect(() => gamut.withToken("no hex")).toThrow(GamutError);
    const damaged = `${gamut.withToken("").token()}00ff`;
    expect(await gamut.withToken(damaged).get("x")).toMatchObject({ code: "bad_token" });
    const other = `4754010c00${Buffer.from("aaaaaaaaaaaa").toString("hex")}0000`;
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(crc32(Buffer.from(other, "hex")));
    expect(await gamut.withToken(other + sum.toString("hex")).set("x", "y")).toMatchObject({ code: "wrong_cluster" });

    await resp("GAMUT", "KEYSPACE", "CREATE", "shortlived");
    const there = gamut.keyspace("shortlived");
    ok(await there.set("x", "1"));
    await resp("GAMUT", "KEYSPACE", "DROP", "shortlived");
    await until("the keyspace is gone", 10_000, async () => (await there.get("x")).kind === "error");
    expect(await there.set("x", "2")).toMatchObject({ kind: "error" });
    ok(await gamut.set("still", "here"));
    await resp("GAMUT", "KEYSPACE", "CREATE", "shortlived");
    await until("the new one serves", 10_000, async () => (await there.set("x", "3")).kind === "ok");
    expect(await there.get("x")).toMatchObject({ value: "3" });
  });
});

describe("trouble", () => {
  it("a dead address is passed over, and none at all is an error with its reason", async () => {
    const gamut = opened(connect(["127.0.0.1:1", ...addresses], { values: text }));
    ok(await gamut.set("reached", "x"));
    const nobody = opened(connect("127.0.0.1:1", { values: text, timeoutMs: 300 }));
    const [read, written] = await Promise.all([nobody.get("x"), nobody.set("x", "y")]);
    for (const outcome of [read, written]) {
      expect(outcome).toMatchObject({ kind: "error", code: "unavailable", definite: true });
      expect((outcome as { message: string }).message).toContain("127.0.0.1:1: connect ECONNREFUSED");
    }
    expect(() => connect("nonsense")).toThrow('"nonsense" is no address');
    expect(() => connect(addresses, { timeoutMs: 0 })).toThrow("timeoutMs is 0");
  });

  it("one address is enough: linearizable calls find the leader, local reads stay", async () => {
    const leader = await cluster.leader();
    const follower = cluster.others(leader)[0];
    const gamut = opened(connect(`127.0.0.1:${follower.clientPort}`, { values: text }));
    const answeredBy = async (level: "linearizable" | "sequential"): Promise<number> => {
      return ok(await gamut.get("somewhere", { level, explain: true })).receipt!.node;
    };
    await until("the leader is asked", 10_000, async () => (await answeredBy("linearizable")) === leader.node);
    expect(ok(await gamut.set("somewhere", "x", { explain: true })).receipt!.node).toBe(leader.node);
    expect(await answeredBy("sequential")).toBe(follower.node);
  });

  it("an answer that got lost is asked for again, and the write is done once", async () => {
    const leader = await cluster.leader();
    const cutter = await AnswerCutter.before(leader.clientPort);
    toClose.push(cutter);
    const gamut = opened(connect(`127.0.0.1:${cutter.port}`, { values: text }));
    ok(await gamut.set("cut", "0"));
    let last = 0n;
    for (let i = 1; i <= 5; i += 1) {
      cutter.arm(1);
      // The client knows the leader by another address as well; either way it is the same client id.
      const outcomes = await Promise.all([gamut.sum("cut", 1), gamut.sum("cut", 1), gamut.sum("cut", 1)]);
      for (const outcome of outcomes) {
        const { value } = ok(outcome);
        expect(value).toBe(last + 1n);
        last = value;
      }
    }
    expect(await gamut.get("cut")).toMatchObject({ value: "15" });
    expect(cutter.cuts).toBeGreaterThan(0);
  });

  it("a call ends at its deadline: a read is definite, a write that was sent is unknown, and is done later or never", async () => {
    const leader = await cluster.leader();
    const gamut = opened(connect(addresses, { values: text }));
    ok(await gamut.sum("late", 1));
    for (const member of cluster.members) member.pause();
    const written = gamut.sum("late", 1, { timeoutMs: 400 });
    const read = gamut.get("late", { timeoutMs: 400 });
    expect(await within("the read ends", 5_000, read)).toMatchObject({ code: "unavailable", definite: true });
    expect(await within("the write ends", 5_000, written)).toMatchObject({ kind: "unknown", definite: false });
    for (const member of cluster.members) member.resume();
    await cluster.ready();
    // The sequence of the one that was given up is taken, by it or by nothing: the next ones follow.
    const { value } = ok(await gamut.sum("late", 1, { timeoutMs: 20_000 }));
    expect([2n, 3n]).toContain(value);
    expect(await gamut.sum("late", 1)).toMatchObject({ value: value + 1n });
    expect(leader.isRunning).toBe(true);
  });

  it("a caller may give up: before it is sent nothing is done, after that nobody knows", async () => {
    const gamut = client();
    ok(await gamut.sum("aborted", 1));
    const cancelled = { kind: "error", code: "cancelled", definite: true };
    expect(await gamut.get("x", { signal: AbortSignal.abort() })).toMatchObject(cancelled);
    expect(await gamut.sum("aborted", 1, { signal: AbortSignal.abort() })).toMatchObject(cancelled);
    const nobody = opened(connect("127.0.0.1:1", { values: text }));
    const early = new AbortController();
    const queued = [nobody.get("x", { signal: early.signal }), nobody.sum("aborted", 1, { signal: early.signal })];
    early.abort();
    for (const outcome of await Promise.all(queued)) expect(outcome).toMatchObject(cancelled);
    for (const member of cluster.members) member.pause();
    const late = new AbortController();
    const sent = gamut.sum("aborted", 1, { signal: late.signal });
    const reading = gamut.get("aborted", { signal: late.signal });
    late.abort();
    expect(await within("the write ends", 5_000, sent)).toMatchObject({ kind: "unknown" });
    expect(await within("the read ends", 5_000, reading)).toMatchObject(cancelled);
    for (const member of cluster.members) member.resume();
    await cluster.ready();
    const { value } = ok(await gamut.sum("aborted", 1, { timeoutMs: 20_000 }));
    expect([2n, 3n]).toContain(value);
  });

  it("more calls than allowed are refused, and the others are not disturbed", async () => {
    const gamut = opened(connect(addresses, { values: text, maxInFlight: 4, maxInFlightBytes: 1_000 }));
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => gamut.sum("bounded", 1)));
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(["ok", "ok", "ok", "ok", "error", "error"]);
    expect(outcomes[4]).toMatchObject({ code: "overloaded", definite: true });
    expect(await gamut.set("bounded:large", "x".repeat(2_000))).toMatchObject({ code: "overloaded" });
    expect(await gamut.sum("bounded", 0)).toMatchObject({ value: 4n });
  });

  it("a closed client answers at once", async () => {
    const gamut = connect("127.0.0.1:1", { values: text });
    const calls = [gamut.get("x"), gamut.set("x", "y")];
    gamut.close();
    for (const outcome of await Promise.all([...calls, gamut.get("x")])) {
      expect(outcome).toMatchObject({ kind: "error", code: "cancelled", definite: true });
    }
  });
});

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import type { GroupStore, StoreReader } from "../ports.js";
import { type Block, ChangeBlocks, SEAL_BYTES } from "../state/change-blocks.js";
import { CheckpointMeta } from "../state/checkpoint-meta.js";
import { EntrySum } from "../state/entry-sum.js";
import { sealedValue } from "./sealed.js";
import { makeTightWorld, type StoreSuiteOptions, type StoreWorld, tightTest, told, toldValue } from "./store-world.js";

type Changes = Record<string, string | Uint8Array | null>;

const GROUP = 1;

function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? latin1Encode(value) : value;
}

function blocksOf(changes: Changes): readonly Block[] {
  const blocks = new ChangeBlocks();
  for (const [key, value] of Object.entries(changes)) blocks.add(key, value === null ? null : bytesOf(value));
  return blocks.blocks;
}

function entriesOf(entries: Record<string, string>): Map<string, Uint8Array> {
  return new Map(Object.entries(entries).map(([key, value]) => [key, sealedValue(GROUP, key, latin1Encode(value))]));
}

/** A meta as a replacement brings it. */
function metaOf(words: string): Uint8Array {
  return new CheckpointMeta(GROUP, 1, 1, new EntrySum(), latin1Encode(words)).encode();
}

/** The words that a meta was given. */
function wordsOf(meta: Uint8Array | null, group = GROUP): string | null {
  return meta === null ? null : Buffer.from(CheckpointMeta.decode(group, meta).extra).toString("latin1");
}

function commit(store: GroupStore, changes: Changes, meta: string, group = GROUP): Promise<void> {
  const before = store.meta();
  const sum = before === null ? new EntrySum() : CheckpointMeta.decode(group, before).sum;
  const draft = { group, position: 1, epoch: 1, sum, extra: latin1Encode(meta) };
  return told((done) => store.commit(blocksOf(changes), draft, done));
}

/** A stored value without its checksum. */
function text(sealed: Uint8Array | undefined): string | null {
  return sealed === undefined ? null : Buffer.from(sealed.subarray(SEAL_BYTES)).toString("latin1");
}

function contentOf(store: GroupStore, start = "\x00", end = "\xff\xff"): Record<string, string | null> {
  const entries: [string, string | null][] = [];
  store.range(start, end, (key, value) => entries.push([key, text(value)]) > 0);
  const reversed: [string, string | null][] = [];
  store.reverseRange(start, end, (key, value) => reversed.push([key, text(value)]) > 0);
  expect(reversed.reverse()).toEqual(entries);
  return Object.fromEntries(entries);
}

function keysOf(store: GroupStore, start: string, end: string, reverse: boolean, limit = Infinity): string[] {
  const keys: string[] = [];
  const visit = (key: string): boolean => keys.push(key) < limit;
  if (reverse) store.reverseRange(start, end, visit);
  else store.range(start, end, visit);
  return keys;
}

function restOf(reader: StoreReader): Record<string, string | null> {
  const content: Record<string, string | null> = {};
  reader.next((key, value) => {
    content[key] = text(value);
    return true;
  });
  return content;
}

/** What every {@link StateStore} must do. */
export function storeSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name} is a state store`, () => {
    let world: StoreWorld;
    const open = async (group: number): Promise<GroupStore> => {
      const store = await toldValue<GroupStore | null>((done) => world.store.open(group, done));
      if (store === null) throw new Error("no store");
      return store;
    };

    beforeEach(async () => {
      world = await options.makeWorld();
    });
    afterEach(() => world.end());

    it("opens an empty map for a new group, and lists its groups", async () => {
      const store = await open(7);
      expect(store.meta()).toBeNull();
      expect(store.get("a")).toBeUndefined();
      expect(contentOf(store)).toEqual({});
      await open(300);
      expect(await toldValue((done) => world.store.groups(done))).toEqual([7, 300]);
      await world.reopen();
      expect(await toldValue((done) => world.store.groups(done))).toEqual([7, 300]);
      expect((await open(7)).meta()).toBeNull();
    });

    it("makes a commit visible and durable, meta and all", async () => {
      const store = await open(1);
      await commit(store, { a: "1", b: "2", c: "3" }, "first");
      await commit(store, { b: null, c: "30", d: "4", nothing: null }, "second");
      expect(contentOf(store)).toEqual({ a: "1", c: "30", d: "4" });
      expect(wordsOf(store.meta())).toBe("second");
      await world.reopen();
      const again = await open(1);
      expect(contentOf(again)).toEqual({ a: "1", c: "30", d: "4" });
      expect(wordsOf(again.meta())).toBe("second");
      expect(text(again.get("c"))).toBe("30");
      expect(again.get("b")).toBeUndefined();
    });

    it("commits a meta without changes", async () => {
      const store = await open(1);
      await commit(store, { a: "1" }, "first");
      await commit(store, {}, "second");
      expect(wordsOf(store.meta())).toBe("second");
      expect(contentOf(store)).toEqual({ a: "1" });
    });

    it("keeps keys in byte order, whatever the bytes, up to the longest", async () => {
      const store = await open(1);
      const keys = [
        "\x00",
        "\x00\x00",
        "\x01",
        "A",
        "a",
        "a\x00",
        "a\xff",
        "b",
        "\x7f",
        "\x80",
        "\xff",
        "\xff\xff\x00",
      ];
      keys.push("k".repeat(2_099), "k".repeat(2_100), `${"k".repeat(2_099)}\x00`);
      const changes: Changes = {};
      for (const key of keys) changes[key] = `v${key.length}`;
      await commit(store, changes, "m");
      const seen: string[] = [];
      store.range("\x00", "\xff\xff\xff", (key, value) => {
        expect(text(value)).toBe(`v${key.length}`);
        seen.push(key);
        return true;
      });
      const sorted = [...keys].sort((a, b) => (a < b ? -1 : 1));
      expect(seen).toEqual(sorted);
      for (const key of keys) expect(text(store.get(key))).toBe(`v${key.length}`);
      // From and to every key, and right beside each.
      const bounds = [
        "",
        ...keys,
        ...keys.map((key) => `${key}\x00`),
        ...keys.map((key) => key.slice(0, -1)),
        "\xff\xff\xff",
      ];
      for (const start of bounds) {
        for (const end of bounds) {
          const inside = sorted.filter((key) => start <= key && key < end);
          expect(keysOf(store, start, end, false)).toEqual(inside);
          expect(keysOf(store, start, end, true)).toEqual(inside.reverse());
        }
      }
    });

    it("stays inside a range's bounds and stops when told", async () => {
      const store = await open(1);
      await commit(store, { a: "1", b: "2", ba: "3", c: "4" }, "m");
      expect(contentOf(store, "b", "c")).toEqual({ b: "2", ba: "3" });
      expect(contentOf(store, "", "b")).toEqual({ a: "1" });
      expect(contentOf(store, "b\x00", "zz")).toEqual({ ba: "3", c: "4" });
      expect(contentOf(store, "c", "b")).toEqual({});
      expect(contentOf(store, "b", "b")).toEqual({});
      expect(keysOf(store, "a", "z", false, 2)).toEqual(["a", "b"]);
      expect(keysOf(store, "a", "z", true, 2)).toEqual(["c", "ba"]);
      expect(keysOf(store, "a", "c", true, 2)).toEqual(["ba", "b"]);
      expect(keysOf(store, "b", "b\x00", true)).toEqual(["b"]);
    });

    it("lets a visitor look keys up, and keeps what it was shown", async () => {
      const store = await open(1);
      await commit(store, { a: "1", b: "2", c: "3" }, "m");
      const shown: Uint8Array[] = [];
      store.range("a", "z", (_, value) => {
        expect(text(store.get("c"))).toBe("3");
        shown.push(value);
        return true;
      });
      expect(shown.map(text)).toEqual(["1", "2", "3"]);
      store.reverseRange("a", "z", (_, value) => {
        expect(text(store.get("a"))).toBe("1");
        return shown.push(value) > 0;
      });
      expect(shown.map(text)).toEqual(["1", "2", "3", "3", "2", "1"]);
    });

    it("stores empty and large values", async () => {
      const store = await open(1);
      const large = new Uint8Array(1_500_000).map((_, i) => i * 7);
      await commit(store, { empty: "", large, small: "x" }, "m");
      const value = (sealed: Uint8Array): Uint8Array => sealed.subarray(SEAL_BYTES);
      expect(text(store.get("empty"))).toBe("");
      expect(Buffer.compare(value(store.get("large") as Uint8Array), large)).toBe(0);
      expect(text(store.get("small"))).toBe("x");
      store.range(
        "large",
        "m",
        (_, found) => Buffer.compare(value(found), large) === 0 || expect.fail("another value"),
      );
    });

    it("keeps groups apart", async () => {
      const [one, two] = [await open(1), await open(2)];
      await commit(one, { a: "1", only: "1" }, "m1");
      await commit(two, { a: "2" }, "m2", 2);
      expect(contentOf(one)).toEqual({ a: "1", only: "1" });
      expect(contentOf(two)).toEqual({ a: "2" });
      expect(wordsOf(one.meta())).toBe("m1");
    });

    it("puts commits asked for at once into effect in their order", async () => {
      const store = await open(1);
      const order: number[] = [];
      const commits = [];
      for (let i = 0; i < 20; i += 1) {
        commits.push(commit(store, { a: String(i), [`k${i}`]: "x" }, `m${i}`).then(() => order.push(i)));
      }
      await Promise.all(commits);
      expect(order).toEqual([...Array(20).keys()]);
      expect(text(store.get("a"))).toBe("19");
      expect(wordsOf(store.meta())).toBe("m19");
    });

    it("gives a reader one view while commits go on", async () => {
      const store = await open(1);
      const first: Changes = {};
      for (let i = 0; i < 500; i += 1) first[`k${i + 1_000}`] = `old${i}`;
      await commit(store, first, "first");
      const reader = store.openReader();
      const seen: string[] = [];
      expect(reader.next((key) => seen.push(key) < 100)).toBe(true);
      await commit(store, { k1000: null, k1400: "new", k1400a: "new" }, "second");
      for (let i = 0; i < 5; i += 1) await commit(store, { [`z${i}`]: "x".repeat(20_000) }, `more${i}`);
      expect(text(reader.get("k1000"))).toBe("old0");
      expect(text(reader.get("k1400"))).toBe("old400");
      expect(reader.get("k1400a")).toBeUndefined();
      expect(wordsOf(reader.meta)).toBe("first");
      expect(reader.next((key, value) => value.length > 0 && seen.push(key) < 200)).toBe(true);
      expect(seen.length).toBe(200);
      expect(Object.keys(restOf(reader)).length).toBe(300);
      expect(reader.next(() => true)).toBe(false);
      reader.close();
      reader.close();
      expect(text(store.get("k1400"))).toBe("new");
      const next = store.openReader();
      expect(wordsOf(next.meta)).toBe("more4");
      expect(Object.keys(restOf(next)).length).toBe(505);
      next.close();
    });

    it("shows nothing of a replacement before its end, and all of it after", async () => {
      const store = await open(1);
      await commit(store, { a: "old", b: "old" }, "old");
      const reader = store.openReader();
      const replacement = store.beginReplacement();
      await told((done) => replacement.put(entriesOf({ b: "new", x: "new" }), done));
      await commit(store, { c: "old" }, "older");
      expect(contentOf(store)).toEqual({ a: "old", b: "old", c: "old" });
      await told((done) => replacement.put(entriesOf({ y: "new" }), done));
      await told((done) => replacement.finish(metaOf("new"), done));
      expect(contentOf(store)).toEqual({ b: "new", x: "new", y: "new" });
      expect(wordsOf(store.meta())).toBe("new");
      expect(restOf(reader)).toEqual({ a: "old", b: "old" });
      reader.close();
      await commit(store, { z: "newer" }, "newer");
      await world.reopen();
      const again = await open(1);
      expect(contentOf(again)).toEqual({ b: "new", x: "new", y: "new", z: "newer" });
      expect(wordsOf(again.meta())).toBe("newer");
    });

    it("throws an aborted or unfinished replacement away", async () => {
      const store = await open(1);
      await commit(store, { a: "1" }, "m");
      const aborted = store.beginReplacement();
      await told((done) => aborted.put(entriesOf({ bad: "1" }), done));
      aborted.abort();
      const unfinished = store.beginReplacement();
      await told((done) => unfinished.put(entriesOf({ worse: "1" }), done));
      await world.reopen();
      const again = await open(1);
      expect(contentOf(again)).toEqual({ a: "1" });
      const good = again.beginReplacement();
      await told((done) => good.put(entriesOf({ good: "1" }), done));
      await told((done) => good.finish(metaOf("n"), done));
      expect(contentOf(again)).toEqual({ good: "1" });
      const empty = again.beginReplacement();
      await told((done) => empty.finish(metaOf("o"), done));
      expect(contentOf(again)).toEqual({});
    });

    it("drops a group, and may open it anew", async () => {
      const [one, two] = [await open(1), await open(2)];
      await commit(one, { a: "1" }, "m");
      await commit(two, { a: "2" }, "m", 2);
      await told((done) => one.drop(done));
      expect(await toldValue((done) => world.store.groups(done))).toEqual([2]);
      const anew = await open(1);
      expect(anew.meta()).toBeNull();
      expect(contentOf(anew)).toEqual({});
      await told((done) => anew.drop(done));
      await world.reopen();
      expect(await toldValue((done) => world.store.groups(done))).toEqual([2]);
      expect(contentOf(await open(2))).toEqual({ a: "2" });
      expect(contentOf(await open(1))).toEqual({});
    });

    it.skipIf(typeof options.makeTightWorld === "string")(
      tightTest(options, "refuses a commit whole when the disk is full, and goes on when it is not"),
      async () => {
        await world.end();
        world = await makeTightWorld(options);
        const store = await open(1);
        await commit(store, { a: "1" }, "first");
        const big: Changes = { a: "2" };
        for (let i = 0; i < 2_000; i += 1) big[`big${i}`] = "x".repeat(2_000);
        world.setDiskFull(true);
        await expect(commit(store, big, "second")).rejects.toMatchObject({ name: "DiskError", code: "ENOSPC" });
        expect(contentOf(store)).toEqual({ a: "1" });
        expect(wordsOf(store.meta())).toBe("first");
        world.setDiskFull(false);
        await commit(store, { a: "3" }, "third");
        await world.reopen();
        expect(contentOf(await open(1))).toEqual({ a: "3" });
      },
    );

    it("makes a commit of very many changes in one step, and sums up what it holds", async () => {
      let store = await open(1);
      const random = new Random(8);
      const twin = new Map<string, string>();
      for (let round = 0; round < 3; round += 1) {
        const changes: Changes = {};
        for (let i = 0; i < 30_000; i += 1) {
          const key = `${"de"[random.below(2)]}key:${random.below(50_000)}`;
          changes[key] = random.chance(0.2) ? null : `${round}:${random.below(1_000_000)}`;
        }
        await commit(store, changes, `m${round}`);
        for (const [key, value] of Object.entries(changes)) {
          if (value === null) twin.delete(key);
          else twin.set(key, value as string);
        }
        await world.reopen();
        store = await open(1);
        expect(wordsOf(store.meta())).toBe(`m${round}`);
        const sorted = [...twin].sort(([a], [b]) => (a < b ? -1 : 1));
        expect(Object.entries(contentOf(store))).toEqual(sorted);
        const seen = new EntrySum();
        store.range("\x00", "\xff", (_, sealed) => {
          seen.add(sealed);
          return true;
        });
        expect(CheckpointMeta.decode(1, store.meta() as Uint8Array).sum).toEqual(seen);
      }
    });

    it("agrees with a plain map over 200 random commits", async () => {
      const random = new Random(20_261);
      let store = await open(1);
      const twin = new Map<string, string>();
      for (let round = 0; round < 200; round += 1) {
        const changes: Changes = {};
        for (let i = random.below(40); i >= 0; i -= 1) {
          const key = `${"abc"[random.below(3)]}${random.below(300)}`;
          changes[key] = random.chance(0.3) ? null : "v".repeat(random.below(200)) + round;
        }
        await commit(store, changes, `m${round}`);
        for (const [key, value] of Object.entries(changes)) {
          if (value === null) twin.delete(key);
          else twin.set(key, value as string);
        }
        if (random.chance(0.05)) {
          await world.reopen();
          store = await open(1);
        }
        expect(wordsOf(store.meta())).toBe(`m${round}`);
        expect(contentOf(store)).toEqual(Object.fromEntries(twin));
      }
    });
  });
}

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import type { GroupStore } from "../ports.js";
import { BufferedState } from "../state/buffered-state.js";
import { KeptChanges } from "../state/kept-changes.js";
import { ALL, checkpoint, damageOf, rangeOf, reverseRangeOf, TwinRun } from "./state-twin.js";
import { makeTightWorld, type StoreSuiteOptions, type StoreWorld, tightTest, told, toldValue } from "./store-world.js";

/** What {@link BufferedState} must do on every store. */
export function bufferedStateSuite(name: string, options: StoreSuiteOptions): void {
  describe(`a buffered state on ${name}`, () => {
    let world: StoreWorld;
    const openStore = async (group = 7): Promise<GroupStore> =>
      (await toldValue<GroupStore | null>((done) => world.store.open(group, done))) as GroupStore;
    // Room for some checkpoints and not for others, as it comes; each test opens a few.
    let opened = 0;
    const openState = async (group = 7): Promise<BufferedState> => {
      opened += 1;
      return new BufferedState(group, await openStore(group), new KeptChanges([1 << 28, 16_384, 0][opened % 3]));
    };
    const fill = (state: BufferedState, count: number): void => {
      for (let i = 0; i < count; i += 1) state.put(`k${i}`, latin1Encode(`value ${i}`));
    };

    beforeEach(async () => {
      world = await options.makeWorld();
    });
    afterEach(() => world.end());

    it("agrees with a sorted array over 50,000 random operations, checkpoints and reopenings among them", async () => {
      const reopen = async (): Promise<BufferedState> => {
        await world.reopen();
        return openState();
      };
      const run = new TwinRun(new Random(4_711), reopen, await openState());
      for (let round = 0; round < 50_000; round += 1) await run.step(round);
      run.compareAll();
      await run.finishCheckpoint();
      await checkpoint(run.state, 1_000_000);
      expect(damageOf(run.state)).toBeNull();
      run.compareAll();
    });

    it("keeps position, epoch and the node's own words with a checkpoint", async () => {
      const state = await openState();
      expect(state.lastCheckpoint).toBeNull();
      expect(damageOf(state)).toBeNull();
      fill(state, 10);
      await checkpoint(state, 12);
      expect(state.entriesPending).toBe(0);
      expect(state.bytesPending).toBe(0);
      await world.reopen();
      const again = await openState();
      expect(again.lastCheckpoint?.position).toBe(12);
      expect(again.lastCheckpoint?.epoch).toBe(1);
      expect(again.lastCheckpoint?.sum.count).toBe(10);
      expect(Buffer.from(again.lastCheckpoint?.extra ?? []).toString()).toBe("extra");
    });

    it("reads what the last checkpoint has made durable without the store, as far as there is room", async () => {
      const room = new KeptChanges(27_000);
      let reads = 0;
      const open = async (group: number): Promise<BufferedState> => {
        const store = await openStore(group);
        const get = store.get.bind(store);
        store.get = (key) => {
          reads += 1;
          return get(key);
        };
        return new BufferedState(group, store, room);
      };
      const text = (state: BufferedState, key: string): string | null => {
        const value = state.get(key);
        return value === undefined ? null : Buffer.from(value).toString("latin1");
      };
      const one = await open(7);
      fill(one, 200);
      await checkpoint(one, 1);
      one.put("k1", latin1Encode("newer"));
      one.delete("k2");
      expect(["k0", "k1", "k2", "k199"].map((key) => text(one, key))).toEqual(["value 0", "newer", null, "value 199"]);
      expect(reads).toBe(0);
      await checkpoint(one, 2);
      // Of the last checkpoint alone.
      expect(["k1", "k2"].map((key) => text(one, key))).toEqual(["newer", null]);
      expect(reads).toBe(0);
      expect(text(one, "k0")).toBe("value 0");
      expect(reads).toBe(1);
      expect(one.bytesPending).toBe(0);
      // Another one takes the room.
      const two = await open(8);
      fill(two, 500);
      await checkpoint(two, 1);
      expect([text(two, "k0"), reads]).toEqual(["value 0", 1]);
      expect([text(one, "k1"), reads]).toEqual(["newer", 2]);
      two.dropKept();
      expect([text(two, "k0"), reads]).toEqual(["value 0", 3]);
      // More than there is room for.
      fill(one, 5_000);
      await checkpoint(one, 3);
      expect([text(one, "k0"), reads]).toEqual(["value 0", 4]);
      expect(damageOf(one)).toBeNull();
    });

    it("keeps nothing of a state that is closed, though its checkpoint ends later", async () => {
      const room = new KeptChanges(27_000);
      const [living, dropped] = await Promise.all(
        [7, 8].map(async (group) => new BufferedState(group, await openStore(group), room)),
      );
      fill(living, 200);
      fill(dropped, 500);
      await checkpoint(living, 1);
      const ends = checkpoint(dropped, 1);
      dropped.close();
      await ends;
      // There is still room for as much as before.
      expect(room.keep({ letGo: () => {} }, 14_000)).toBe(true);
      expect(living.get("k7")).toBeDefined();
      expect(room.bytes).toBeGreaterThan(14_000);
      expect(room.bytes).toBeLessThan(27_000);
    });

    it("counts what is pending, frozen or not, and each key once", async () => {
      const state = await openState();
      state.put("a", new Uint8Array(1_000));
      const one = state.bytesPending;
      expect(one).toBeGreaterThan(1_000);
      state.put("a", new Uint8Array(1_000));
      expect(state.bytesPending).toBe(one);
      state.delete("a");
      expect(state.entriesPending).toBe(1);
      const done = told((tell) => state.beginCheckpoint(1, 1, new Uint8Array(0), tell));
      state.put("b", new Uint8Array(10));
      expect(state.entriesPending).toBe(2);
      await done;
      expect(state.entriesPending).toBe(1);
    });

    it.skipIf(typeof options.makeTightWorld === "string")(
      tightTest(options, "goes on with all changes when a checkpoint finds the disk full"),
      async () => {
        await world.end();
        world = await makeTightWorld(options);
        const state = await openState();
        fill(state, 100);
        await checkpoint(state, 1);
        world.setDiskFull(true);
        for (let i = 0; i < 2_000; i += 1) state.put(`big${i}`, new Uint8Array(2_000));
        state.delete("k5");
        state.put("k6", latin1Encode("frozen"));
        const failed = told((done) => state.beginCheckpoint(2, 1, new Uint8Array(0), done));
        state.put("k6", latin1Encode("newest"));
        state.put("k7", latin1Encode("newest"));
        await expect(failed).rejects.toMatchObject({ code: "ENOSPC" });
        expect(state.entriesPending).toBe(2_003);
        expect(state.lastCheckpoint?.position).toBe(1);
        expect(state.get("k5")).toBeUndefined();
        expect(rangeOf(state, "k6", "k70")).toEqual([
          ["k6", "newest"],
          ["k60", "value 60"],
          ...[61, 62, 63, 64, 65, 66, 67, 68, 69].map((i) => [`k${i}`, `value ${i}`]),
          ["k7", "newest"],
        ]);
        expect(state.get("big7")?.length).toBe(2_000);
        for (let i = 0; i < 2_000; i += 1) state.delete(`big${i}`);
        world.setDiskFull(false);
        await checkpoint(state, 3);
        expect(damageOf(state)).toBeNull();
        await world.reopen();
        const again = await openState();
        expect(again.get("k5")).toBeUndefined();
        expect(rangeOf(again, "k7", "k70")).toEqual([["k7", "newest"]]);
        expect(again.lastCheckpoint?.sum.count).toBe(99);
      },
    );

    it("streams a checkpoint to another group's store of the same id, chunk by chunk, while writes go on", async () => {
      const other = await options.makeWorld();
      try {
        const source = await openState();
        fill(source, 3_000);
        source.put("large", new Uint8Array(200_000).fill(7));
        await checkpoint(source, 40);
        const before = rangeOf(source, ...ALL);
        const snapshot = source.openSnapshot();
        const target = new BufferedState(
          7,
          (await toldValue<GroupStore | null>((done) => other.store.open(7, done))) as GroupStore,
        );
        target.put("old", latin1Encode("old"));
        await checkpoint(target, 3);
        target.put("pending", latin1Encode("old"));
        const install = target.beginInstall();
        let chunks = 0;
        for (let chunk = snapshot.next(16_384); chunk !== null; chunk = snapshot.next(16_384)) {
          const bytes = chunk;
          expect(bytes.length).toBeLessThanOrEqual(16_384);
          chunks += 1;
          source.put(`k${chunks}`, latin1Encode("changed meanwhile"));
          if (chunks % 7 === 0) await checkpoint(source, 40 + chunks);
          await told((done) => install.accept(bytes, done));
          expect(rangeOf(target, ...ALL)).toEqual([
            ["old", "old"],
            ["pending", "old"],
          ]);
        }
        snapshot.close();
        expect(chunks).toBeGreaterThan(15);
        expect(install.complete).toBe(true);
        await told((done) => install.finish(done));
        expect(rangeOf(target, ...ALL)).toEqual(before);
        expect(target.lastCheckpoint?.position).toBe(40);
        expect(target.entriesPending).toBe(0);
        expect(damageOf(target)).toBeNull();
        target.put("after", latin1Encode("1"));
        await checkpoint(target, 41);
        await other.reopen();
        const again = new BufferedState(
          7,
          (await toldValue<GroupStore | null>((done) => other.store.open(7, done))) as GroupStore,
        );
        expect(rangeOf(again, ...ALL)).toEqual([["after", "1"], ...before]);
        expect(damageOf(again)).toBeNull();
      } finally {
        await other.end();
      }
    });

    it("finds the first key of a prefix after an install has brought it back", async () => {
      const state = await openState();
      fill(state, 300);
      await checkpoint(state, 9);
      const snapshot = state.openSnapshot();
      for (let i = 0; i < 300; i += 1) state.delete(`k${i}`);
      expect(rangeOf(state, "k", "l", 1)).toEqual([]);
      await checkpoint(state, 10);
      expect(rangeOf(state, "k", "l", 1)).toEqual([]);
      const install = state.beginInstall();
      for (let chunk = snapshot.next(1_000); chunk !== null; chunk = snapshot.next(1_000)) {
        const bytes = chunk;
        await told((done) => install.accept(bytes, done));
      }
      snapshot.close();
      await told((done) => install.finish(done));
      expect(rangeOf(state, "k", "l", 1)).toEqual([["k0", "value 0"]]);
    });

    it("lets a checkpoint under way end before an install takes the state's place", async () => {
      const state = await openState();
      fill(state, 500);
      await checkpoint(state, 9);
      const snapshot = state.openSnapshot();
      const install = state.beginInstall();
      for (let chunk = snapshot.next(1_000); chunk !== null; chunk = snapshot.next(1_000)) {
        const bytes = chunk;
        await told((done) => install.accept(bytes, done));
      }
      snapshot.close();
      state.put("k1", latin1Encode("later"));
      const order: string[] = [];
      const later = told((done) => state.beginCheckpoint(10, 1, new Uint8Array(0), done)).then(() =>
        order.push("checkpoint"),
      );
      state.put("k2", latin1Encode("later still"));
      const installed = told((done) => install.finish(done)).then(() => order.push("install"));
      expect(state.mayCheckpoint).toBe(false);
      await Promise.all([later, installed]);
      expect(order).toEqual(["checkpoint", "install"]);
      expect(state.lastCheckpoint?.position).toBe(9);
      expect(Buffer.from(state.get("k1") ?? []).toString()).toBe("value 1");
      expect(Buffer.from(state.get("k2") ?? []).toString()).toBe("value 2");
      expect(damageOf(state)).toBeNull();
    });

    it("refuses a snapshot's chunk that is damaged, out of order or of another snapshot", async () => {
      const state = await openState();
      fill(state, 300);
      await checkpoint(state, 5);
      const chunks: Uint8Array[] = [];
      const snapshot = state.openSnapshot();
      for (let chunk = snapshot.next(2_000); chunk !== null; chunk = snapshot.next(2_000)) chunks.push(chunk);
      snapshot.close();
      const accept = (sent: readonly Uint8Array[]): boolean => {
        const install = state.beginInstall();
        try {
          for (const chunk of sent) install.accept(chunk, () => {});
          return install.complete;
        } finally {
          install.abort();
        }
      };
      expect(accept(chunks)).toBe(true);
      expect(accept(chunks.slice(0, -1))).toBe(false);
      expect(() => accept(chunks.slice(1))).toThrow(/chunk 1 came, chunk 0 was due/);
      expect(() => accept([chunks[0], chunks[0]])).toThrow(/chunk 0 came/);
      const random = new Random(3);
      for (let i = 0; i < 200; i += 1) {
        const which = random.below(chunks.length);
        const flipped = chunks[which].slice();
        flipped[random.below(flipped.length)] ^= 1 << random.below(8);
        expect(() => accept(chunks.map((chunk, at) => (at === which ? flipped : chunk)))).toThrow(/snapshot/);
      }
      state.put("k1", latin1Encode("other"));
      await checkpoint(state, 6);
      const another = state.openSnapshot();
      another.next(2_000);
      const second = another.next(2_000) as Uint8Array;
      another.close();
      expect(() => accept([chunks[0], second])).toThrow(/another snapshot/);
      const elsewhere = await openState(8);
      const install = elsewhere.beginInstall();
      expect(() => install.accept(chunks[0], () => {})).toThrow(/another group/);
      install.abort();
    });

    it("finds the first key of a prefix cheaply after a mass of deletions at its front", async () => {
      const state = await openState();
      const key = (i: number): string => `x${String(i).padStart(6, "0")}`;
      for (let i = 0; i < 20_000; i += 1) state.put(key(i), latin1Encode("t"));
      await checkpoint(state, 1);
      for (let i = 0; i < 19_000; i += 1) state.delete(key(i));
      const first = (): string | undefined => rangeOf(state, "x", "y", 1)[0]?.[0];
      expect(first()).toBe(key(19_000));
      const startedMs = performance.now();
      for (let i = 19_000; i < 19_500; i += 1) {
        expect(first()).toBe(key(i));
        state.delete(key(i));
      }
      // 500 questions over 19,000 dead entries each would take more than ten seconds.
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      state.put(key(7), latin1Encode("back"));
      expect(first()).toBe(key(7));
      await checkpoint(state, 2);
      expect(first()).toBe(key(7));
      state.delete(key(7));
      expect(first()).toBe(key(19_500));
      expect(rangeOf(state, "x", "y").length).toBe(500);
      expect(rangeOf(state, key(6), key(19_000))).toEqual([]);
    });

    it("finds the last key of a prefix cheaply after a mass of deletions at its end", async () => {
      const store = await openStore();
      let visits = 0;
      const reverseRange = store.reverseRange.bind(store);
      store.reverseRange = (start, end, visit) => {
        reverseRange(start, end, (each, value) => {
          visits += 1;
          return visit(each, value);
        });
      };
      const state = new BufferedState(7, store);
      const key = (i: number): string => `x${String(i).padStart(6, "0")}`;
      for (let i = 0; i < 20_000; i += 1) state.put(key(i), latin1Encode("t"));
      await checkpoint(state, 1);
      for (let i = 1_000; i < 20_000; i += 1) state.delete(key(i));
      const last = (): string | undefined => reverseRangeOf(state, "x", "y", 1)[0]?.[0];
      expect(last()).toBe(key(999));
      expect(visits).toBe(19_001);
      for (let i = 999; i >= 500; i -= 1) {
        expect(last()).toBe(key(i));
        state.delete(key(i));
      }
      expect(visits).toBeLessThan(19_001 + 3 * 500);
      state.put(key(19_990), latin1Encode("back"));
      expect(last()).toBe(key(19_990));
      await checkpoint(state, 2);
      expect(last()).toBe(key(19_990));
      state.delete(key(19_990));
      expect(last()).toBe(key(499));
      expect(reverseRangeOf(state, "x", "y").length).toBe(500);
      expect(reverseRangeOf(state, key(500), key(19_999))).toEqual([]);
      expect(rangeOf(state, "x", "y", 1)).toEqual([[key(0), "t"]]);
    });
  });
}

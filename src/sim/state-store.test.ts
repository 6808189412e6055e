import { describe, expect, it } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import type { GroupStore } from "../node/ports.js";
import { BufferedState } from "../node/state/buffered-state.js";
import { StateDamaged } from "../node/state/state-damaged.js";
import { bufferedStateSuite } from "../node/testing/buffered-state-suite.js";
import { checkpoint, damageOf, rangeOf, reverseRangeOf } from "../node/testing/state-twin.js";
import { storeSuite } from "../node/testing/store-suite.js";
import { toldValue } from "../node/testing/store-world.js";
import type { SimStateStore } from "./state-store.js";
import { makeSimStore, SimStoreWorld } from "./testing/sim-store-world.js";

const makeWorld = async (): Promise<SimStoreWorld> => new SimStoreWorld(1);

storeSuite("SimStateStore", { makeWorld, makeTightWorld: makeWorld });
bufferedStateSuite("SimStateStore", { makeWorld, makeTightWorld: makeWorld });

async function open(store: SimStateStore): Promise<BufferedState> {
  return new BufferedState(1, (await toldValue<GroupStore | null>((done) => store.open(1, done))) as GroupStore);
}

async function filled(seed: number, count = 50): Promise<{ store: SimStateStore; state: BufferedState }> {
  const store = makeSimStore(seed);
  const state = await open(store);
  for (let i = 0; i < count; i += 1) state.put(`k${i}`, latin1Encode(`value ${i}`));
  await checkpoint(state, 1);
  return { store, state };
}

/** Ends the process while a checkpoint is at its `turns`th turn; answers the position of the state that is found then. */
async function crashDuringCheckpoint(seed: number, turns: number, end: "kill" | "losePower"): Promise<number> {
  const { store, state } = await filled(seed);
  const before = rangeOf(state, "\x00", "\xff");
  state.put("k3", latin1Encode("new"));
  state.delete("k4");
  const after = rangeOf(state, "\x00", "\xff");
  let told = false;
  state.beginCheckpoint(2, 1, new Uint8Array(0), () => {
    told = true;
  });
  for (let i = 0; i < turns; i += 1) await new Promise(setImmediate);
  const toldBefore = told;
  store[end]();
  const again = await open(store);
  const position = again.lastCheckpoint?.position ?? 0;
  expect(rangeOf(again, "\x00", "\xff")).toEqual(position === 1 ? before : after);
  expect(damageOf(again)).toBeNull();
  expect(toldBefore && position === 1).toBe(false);
  for (let i = 0; i < 5; i += 1) await new Promise(setImmediate);
  expect(told).toBe(toldBefore);
  return position;
}

describe("a crash of the simulated state store", () => {
  it.each(["kill", "losePower"] as const)(
    "by %s takes a commit whole or not at all, and never one that was told",
    async (end) => {
      const untold = new Set<number>();
      for (let seed = 0; seed < 60; seed += 1) {
        untold.add(await crashDuringCheckpoint(seed, 0, end));
        await crashDuringCheckpoint(seed, 1, end);
        expect(await crashDuringCheckpoint(seed, 3, end)).toBe(2);
      }
      expect(untold).toEqual(new Set([1, 2]));
    },
  );

  it("leaves a store that an ended process can no more read or write", async () => {
    const { store, state } = await filled(1);
    store.kill();
    expect(() => state.get("k1")).toThrow(/after its end/);
  });

  it("with the folder lost leaves nothing", async () => {
    const { store } = await filled(1);
    store.losePower();
    store.loseFolder();
    expect((await open(store)).lastCheckpoint).toBeNull();
  });
});

describe("damage at rest", () => {
  it("in any stored value is found by a read of it, by a range, by a snapshot and by a verification", async () => {
    for (let seed = 0; seed < 100; seed += 1) {
      const { store, state } = await filled(seed);
      const place = store.flipBit();
      if (place === null) throw new Error("nothing to flip");
      expect(() => state.get(place.key)).toThrow(StateDamaged);
      expect(() => state.get(place.key)).toThrow(`group 1 is damaged at key "${place.key}"`);
      expect(() => rangeOf(state, "k", "l")).toThrow(StateDamaged);
      expect(() => reverseRangeOf(state, "k", "l")).toThrow(StateDamaged);
      expect(() => state.openSnapshot().next(100_000)).toThrow(StateDamaged);
      expect(damageOf(state)).toContain(place.key);
    }
  });

  it("that hides an entry is found by a verification and stops a snapshot", async () => {
    const { store, state } = await filled(5);
    const place = store.loseEntry();
    expect(state.get(place?.key ?? "")).toBeUndefined();
    expect(damageOf(state)).toMatch(/49 entries are there of its checkpoint, which has 50/);
    expect(() => state.openSnapshot().next(100_000)).toThrow(/not those of its checkpoint/);
  });

  it("that brings an old version of an entry back is found by a verification", async () => {
    const store = makeSimStore(9);
    const state = await open(store);
    state.put("a", latin1Encode("old"));
    state.put("b", latin1Encode("b"));
    await checkpoint(state, 1);
    const old = store.version(1);
    state.put("a", latin1Encode("new"));
    await checkpoint(state, 2);
    const stale = new Map([["a", old.entries.get("a") ?? null]]);
    store.setVersion(1, store.version(1).with(stale, store.version(1).meta));
    expect(Buffer.from(state.get("a") ?? []).toString()).toBe("old");
    expect(damageOf(state)).toMatch(/the entries are not those of its checkpoint/);
  });

  it("in the meta is found when the state is opened", async () => {
    const random = new Random(11);
    for (let i = 0; i < 100; i += 1) {
      const { store } = await filled(i, 3);
      const version = store.version(1);
      const meta = (version.meta ?? new Uint8Array(0)).slice();
      meta[random.below(meta.length)] ^= 1 << random.below(8);
      store.setVersion(1, version.with(new Map(), meta));
      await expect(open(store)).rejects.toThrow(StateDamaged);
    }
  });
});

describe("the simulated state store's hash", () => {
  it("is the same for the same seed, and another for another content", async () => {
    const [one, two] = [await filled(4), await filled(4)];
    expect(one.store.hash()).toBe(two.store.hash());
    one.store.flipBit();
    expect(one.store.hash()).not.toBe(two.store.hash());
  });
});

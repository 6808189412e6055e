import "./fast-bytes.js";
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import type { GroupStore } from "../node/ports.js";
import { BufferedState } from "../node/state/buffered-state.js";
import { bufferedStateSuite } from "../node/testing/buffered-state-suite.js";
import { checkpoint, damageOf } from "../node/testing/state-twin.js";
import { storeSuite } from "../node/testing/store-suite.js";
import { told, toldValue } from "../node/testing/store-world.js";
import { LmdbStoreWorld, tightWorld } from "./testing/lmdb-store-world.js";

const options = { makeWorld: () => LmdbStoreWorld.make(), makeTightWorld: tightWorld() };

storeSuite("LmdbStateStore", options);
bufferedStateSuite("LmdbStateStore", options);

const makeTight = tightWorld();

describe("a large checkpoint", () => {
  it.skipIf(typeof makeTight === "string")(
    "that finds the disk full half-way goes on when there is room, and serves all the while",
    async () => {
      if (typeof makeTight === "string") return;
      const world = await makeTight();
      const open = async (): Promise<BufferedState> =>
        new BufferedState(1, (await toldValue<GroupStore | null>((done) => world.store.open(1, done))) as GroupStore);
      const value = (i: number): string => `${i}:${"v".repeat(300)}`;
      let state = await open();
      state.put("k", latin1Encode("before"));
      await checkpoint(state, 1);
      for (let i = 0; i < 9_000; i += 1) state.put(`k${i}`, latin1Encode(value(i)));
      // Room for twice the changes, and not for the pages that they take.
      world.leaveFree(2 * 9_000 * 321);
      let ended = false;
      const going = told((done) => state.beginCheckpoint(2, 1, new Uint8Array(0), done)).then(() => {
        ended = true;
      });
      while (!readdirSync(world.folder).includes("redo-1")) await new Promise((resolve) => setTimeout(resolve, 10));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(ended).toBe(false);
      expect(world.store.isHalfDone(1)).toBe(true);
      state.put("k7", latin1Encode("meanwhile"));
      for (let i = 8; i < 9_000; i += 100) {
        expect(Buffer.from(state.get(`k${i}`) as Uint8Array).toString()).toBe(value(i));
      }
      world.setDiskFull(false);
      await going;
      expect(damageOf(state, 10_000)).toBeNull();
      expect(readdirSync(world.folder)).not.toContain("redo-1");
      await world.reopen();
      state = await open();
      expect(state.lastCheckpoint?.position).toBe(2);
      expect(Buffer.from(state.get("k7") as Uint8Array).toString()).toBe(value(7));
      await world.end();
    },
  );
});

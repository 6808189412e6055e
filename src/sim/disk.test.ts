import { describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import { call, type DiskWorld, diskSuite } from "../node/testing/disk-suite.js";
import { SimDisk } from "./disk.js";
import { Scheduler } from "./scheduler.js";
import { TraceHash } from "./trace-hash.js";

const OPTIONS = { capacityBytes: Number.POSITIVE_INFINITY, latencyMinUs: 10, latencyMaxUs: 100 };

class SimWorld implements DiskWorld {
  constructor(
    readonly disk: SimDisk,
    readonly scheduler: Scheduler,
  ) {}

  static seeded(seed: number, capacityBytes = Number.POSITIVE_INFINITY): SimWorld {
    const scheduler = new Scheduler();
    return new SimWorld(new SimDisk(scheduler, new Random(seed), { ...OPTIONS, capacityBytes }), scheduler);
  }

  pump(): void {
    this.scheduler.runUntil(this.scheduler.nowUs + 1_000_000);
  }

  reopen(): SimWorld {
    this.disk.kill();
    return this;
  }

  close(): void {}
}

diskSuite("SimDisk", () => SimWorld.seeded(1));

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

describe("SimDisk in trouble", () => {
  test("the power takes any subset of the unsynced sectors, and never a synced one", async () => {
    const lost = new Set<number>();
    for (let seed = 0; seed < 400; seed += 1) {
      const world = SimWorld.seeded(seed);
      await call(world, (done) => world.disk.create("a", 4 * 512, done));
      await call(world, (done) => world.disk.write("a", 0, filled(4 * 512, 1), true, done));
      await call(world, (done) => world.disk.write("a", 512, filled(3 * 512, 2), false, done));
      await call(world, (done) => world.disk.write("a", 1024, filled(512, 3), true, done));
      world.disk.crash();
      const bytes = world.disk.contents("a");
      expect(bytes.subarray(0, 512)).toEqual(filled(512, 1));
      expect(bytes.subarray(1024, 1536)).toEqual(filled(512, 3));
      for (const at of [512, 1536]) {
        expect([filled(512, 1), filled(512, 2)]).toContainEqual(bytes.subarray(at, at + 512));
      }
      lost.add((bytes[512] === 1 ? 1 : 0) + (bytes[1536] === 1 ? 2 : 0));
    }
    expect(lost).toEqual(new Set([0, 1, 2, 3]));
  });

  test("the power takes nothing that a sync has found, and may take what was written after it was asked for", async () => {
    const lost = new Set<boolean>();
    for (let seed = 0; seed < 100; seed += 1) {
      const world = SimWorld.seeded(seed);
      await call(world, (done) => world.disk.create("a", 1024, done));
      await call(world, (done) => world.disk.write("a", 0, filled(512, 1), false, done));
      let answered = 0;
      world.disk.sync("a", () => {
        answered += 1;
      });
      world.disk.write("a", 512, filled(512, 2), false, () => {
        answered += 1;
      });
      world.pump();
      expect(answered).toBe(2);
      world.disk.crash();
      const bytes = world.disk.contents("a");
      expect(bytes.subarray(0, 512)).toEqual(filled(512, 1));
      lost.add(bytes[512] === 0);
    }
    expect(lost).toEqual(new Set([true, false]));
  });

  test("what a failed sync was to bring to the disk may be gone at once", async () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 100; seed += 1) {
      const world = SimWorld.seeded(seed);
      await call(world, (done) => world.disk.create("a", 512, done));
      await call(world, (done) => world.disk.write("a", 0, filled(512, 1), false, done));
      world.disk.failNext("fdatasync", "EIO");
      await expect(call(world, (done) => world.disk.sync("a", done))).rejects.toMatchObject({ code: "EIO" });
      world.disk.kill();
      seen.add(world.disk.contents("a")[0]);
    }
    expect(seen).toEqual(new Set([0, 1]));
  });

  test("a kill keeps what was written", async () => {
    const world = SimWorld.seeded(7);
    await call(world, (done) => world.disk.create("a", 512, done));
    await call(world, (done) => world.disk.write("a", 0, filled(512, 9), false, done));
    world.disk.kill();
    expect(world.disk.contents("a")).toEqual(filled(512, 9));
  });

  test("a death in the middle of a call leaves any part of it, and no answer", () => {
    const seen = new Map<string, number>();
    for (let seed = 0; seed < 300; seed += 1) {
      const world = SimWorld.seeded(seed);
      const never = (): void => expect.unreachable("an answer to a dead process");
      world.disk.create("a", 1000, never);
      world.disk.crash();
      world.pump();
      const names = world.disk.fileNames();
      const size = names.length === 0 ? -1 : world.disk.contents("a").length;
      const shape = size === -1 ? "nothing" : size === 1000 ? "whole" : "part";
      seen.set(shape, (seen.get(shape) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(["nothing", "part", "whole"]);
  });

  test("a failed sync leaves its file refusing, until the process is a new one", async () => {
    const world = SimWorld.seeded(3);
    await call(world, (done) => world.disk.create("a", 512, done));
    world.disk.failNext("sync", "EIO");
    const write = (): Promise<void> => call(world, (done) => world.disk.write("a", 0, filled(512, 1), true, done));
    await expect(write()).rejects.toMatchObject({ code: "EIO", message: "a: planned failure of sync" });
    await expect(write()).rejects.toMatchObject({ code: "EIO", message: expect.stringContaining("failed before") });
    world.disk.kill();
    await write();
  });

  test("a full disk takes no new file, and one more once there is room", async () => {
    const world = SimWorld.seeded(4, 1000);
    const create = (name: string): Promise<void> => call(world, (done) => world.disk.create(name, 400, done));
    await create("a");
    await create("b");
    await expect(create("c")).rejects.toMatchObject({ code: "ENOSPC" });
    expect(world.disk.fileNames()).toEqual(["a", "b"]);
    await call(world, (done) => world.disk.remove("a", done));
    await create("c");
  });

  test("a flipped bit stays flipped, in a sector that held something", async () => {
    const world = SimWorld.seeded(5);
    await call(world, (done) => world.disk.create("a", 100 * 512, done));
    await call(world, (done) => world.disk.write("a", 50 * 512, filled(512, 1), true, done));
    expect(world.disk.perishable).toEqual(["a"]);
    const flip = world.disk.flipBit("a", new Random(1));
    expect(Math.floor(flip.offset / 512)).toBe(50);
    world.disk.crash();
    const expected = filled(100 * 512, 0).fill(1, 50 * 512, 51 * 512);
    expected[flip.offset] ^= 1 << flip.bit;
    expect(world.disk.contents("a")).toEqual(expected);
  });

  test("a caller that changes its bytes too early is found out", () => {
    const world = SimWorld.seeded(6);
    world.disk.create("a", 512, () => {});
    world.pump();
    const bytes = filled(100, 1);
    world.disk.write("a", 0, bytes, true, () => {});
    bytes[0] = 2;
    expect(() => world.pump()).toThrow("changed before it was done");
  });

  test("equal seeds give equal disks", async () => {
    const digest = async (seed: number): Promise<string> => {
      const world = SimWorld.seeded(seed);
      await call(world, (done) => world.disk.create("a", 8192, done));
      for (let i = 0; i < 10; i += 1) world.disk.write("a", i * 700, filled(700, i), i % 3 === 0, () => {});
      world.scheduler.runUntil(world.scheduler.nowUs + 120);
      world.disk.crash();
      const hash = new TraceHash();
      world.disk.addToHash(hash);
      return hash.digest();
    };
    expect(await digest(11)).toBe(await digest(11));
    expect(new Set([await digest(11), await digest(12), await digest(13)]).size).toBe(3);
  });
});

import { describe, expect, test } from "vitest";
import { ByteReader } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { type BatchHeader, readHeader } from "../node/log/format.js";
import { entry, LogWorld, recordWords, SMALL_LOG, words } from "./testing/log-world.js";

/** Five batches of one such entry fill a segment of {@link SMALL_LOG}. */
const LARGE = 1900;

function tickUntilSynced(world: LogWorld): void {
  for (let tick = 0; tick < SMALL_LOG.syncTicks; tick += 1) world.log.tick();
  world.settle();
}

/** A log that syncs later, with entries 1 to `count`, one a batch, none of them synced. */
function laterWorld(count: number, payloadBytes = 10): LogWorld {
  const world = LogWorld.seeded(1);
  world.recover();
  world.log.tick();
  world.log.syncLater(true);
  for (let position = 1; position <= count; position += 1) storeOne(world, position, payloadBytes);
  return world;
}

function storeOne(world: LogWorld, position: number, payloadBytes = 10): void {
  world.store(1, position, entry(position, 1, payloadBytes));
  world.settle();
}

function entries(count: number, payloadBytes = 10): string {
  return Array.from({ length: count }, (_, i) => recordWords(entry(i + 1, 1, payloadBytes))).join(" ");
}

function headerAt(world: LogWorld, offset: number): BatchHeader {
  const bytes = world.disk.contents("log-0000000001").slice(offset);
  return readHeader(new ByteReader(bytes), SMALL_LOG.freshIdentity) as BatchHeader;
}

describe("a log that syncs later", () => {
  test("stores what is written, and syncs it in the background", () => {
    const world = laterWorld(1);
    world.disk.callLog = (call) => world.calls.push(call);
    storeOne(world, 2);
    storeOne(world, 3);
    expect(world.durable.get(1)).toBe(3);
    expect(world.log.status().durableThrough).toBe(0);
    expect(world.calls.splice(0)).toEqual(["write log-0000000001 512+512", "write log-0000000001 1024+512"]);
    tickUntilSynced(world);
    expect(world.log.status().durableThrough).toBe(3);
    expect(world.calls.splice(0)).toEqual(["fdatasync log-0000000001", "write log-marks 0+512"]);
    // Nothing new: nothing to do.
    tickUntilSynced(world);
    expect(world.calls).toEqual([]);
    storeOne(world, 4);
    expect([headerAt(world, 1024).durableThrough, headerAt(world, 1536).durableThrough]).toEqual([0, 3]);
  });

  test("does not count what is written while a sync is under way", () => {
    const world = laterWorld(2);
    for (let tick = 0; tick < SMALL_LOG.syncTicks; tick += 1) world.log.tick();
    world.store(1, 3, entry(3));
    world.settle();
    expect([world.durable.get(1), world.log.status().durableThrough]).toEqual([3, 2]);
    tickUntilSynced(world);
    expect(world.log.status().durableThrough).toBe(3);
  });

  test("syncs every segment that has something unsynced, and removes none from under a sync", () => {
    const world = laterWorld(12, LARGE);
    world.disk.callLog = (call) => world.calls.push(call);
    for (let tick = 0; tick < SMALL_LOG.syncTicks; tick += 1) world.log.tick();
    world.log.cut(1, 12);
    world.settle();
    const [one, two, three] = [1, 2, 3].map((segment) => `log-000000000${segment}`);
    expect(world.calls.filter((call) => !call.includes("marks"))).toEqual([
      `fdatasync ${one}`,
      `fdatasync ${two}`,
      `fdatasync ${three}`,
      `remove ${one}`,
      `remove ${two}`,
    ]);
    expect(world.failure).toBeNull();
  });

  test("does not sync what it has removed", () => {
    const world = laterWorld(12, LARGE);
    world.log.cut(1, 12);
    world.settle();
    world.disk.callLog = (call) => world.calls.push(call);
    tickUntilSynced(world);
    expect(world.calls.filter((call) => call.startsWith("fdatasync"))).toEqual(["fdatasync log-0000000003"]);
    expect(world.log.status().durableThrough).toBe(12);
  });

  test("is synced some time after it was told to sync first again, and not before", () => {
    const world = laterWorld(3);
    world.store(1, 4, entry(4));
    world.log.syncLater(false);
    expect(world.log.isSynced).toBe(false);
    world.store(1, 5, entry(5));
    world.settle();
    expect(world.durable.get(1)).toBe(5);
    tickUntilSynced(world);
    expect([world.log.isSynced, world.log.status().durableThrough]).toEqual([true, 5]);
    storeOne(world, 6);
    expect([world.log.isSynced, world.log.status().durableThrough]).toEqual([true, 6]);
    world.die(true);
    expect(words(world.recover().groups.get(1), 0)).toBe(entries(6));
  });

  test("stops at a failed sync", () => {
    const world = laterWorld(2);
    world.disk.failNext("fdatasync", "EIO");
    tickUntilSynced(world);
    expect(world.failure).toMatchObject({ code: "EIO", message: "log-0000000001: planned failure of fdatasync" });
  });

  test("stops at a failed write", () => {
    const world = laterWorld(2);
    world.disk.failNext("write", "EIO");
    storeOne(world, 3);
    expect([world.failure?.code, world.durable.get(1)]).toEqual(["EIO", 2]);
  });
});

describe("its recovery after a kill", () => {
  test("has all that was stored, and syncs it before it says so, over several segments", () => {
    const world = laterWorld(3, LARGE);
    tickUntilSynced(world);
    for (let position = 4; position <= 12; position += 1) storeOne(world, position, LARGE);
    world.die(false);
    world.disk.callLog = (call) => world.calls.push(call);
    expect(words(world.recover().groups.get(1), 0)).toBe(entries(12, LARGE));
    expect(world.calls.filter((call) => !call.startsWith("read"))).toEqual([
      "list",
      // From the first batch on that nothing vouches for, to the last.
      "sync log-0000000001 6144+4096",
      "sync log-0000000002 0+10240",
      "sync log-0000000003 0+4096",
      "sync log-marks 4096+512",
    ]);
    world.die(true);
    expect(words(world.recover().groups.get(1), 0)).toBe(entries(12, LARGE));
  });

  test("cuts what was being written, and nothing else", () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const world = laterWorld(4);
      const killed = world.fork();
      killed.recover();
      killed.log.syncLater(true);
      killed.store(1, 5, entry(5, 1, 1500));
      const random = new Random(seed);
      killed.scheduler.runUntil(killed.scheduler.nowUs + random.below(80));
      const stored = killed.durable.get(1) === 5;
      killed.die(false);
      const recovered = words(killed.recover().groups.get(1), 0);
      const whole = `${entries(4)} ${recordWords(entry(5, 1, 1500))}`;
      expect(recovered === whole || (!stored && recovered === entries(4)), `seed ${seed}`).toBe(true);
    }
  });

  test("a rotten batch with others behind it is damage; the last one passes for one that was being written", () => {
    const world = laterWorld(4);
    world.die(false);
    const verdicts: string[] = [];
    for (const offset of [0, 512, 1024, 1536]) {
      const flipped = world.fork();
      flipped.disk.flipBitAt({ name: "log-0000000001", offset: offset + 70, bit: 1 });
      const { kind, reason, groups } = flipped.recover();
      verdicts.push(
        kind === "damaged" ? reason.slice(0, reason.indexOf(". ")) : `${kind} ${groups.get(1)?.records.length}`,
      );
    }
    const what = "The log is damaged: log-0000000001 at";
    const why = "the payload's checksum does not match, although the batch in log-0000000001 at";
    expect(verdicts).toEqual([
      `${what} 0: ${why} 512 says that record 1 was stored`,
      `${what} 512: ${why} 1024 says that record 2 was stored`,
      `${what} 1024: ${why} 1536 says that record 3 was stored`,
      "ok 3",
    ]);
  });

  test("what a sync has vouched for is damage when it rots, the last batch too", () => {
    const world = laterWorld(4);
    tickUntilSynced(world);
    world.die(false);
    world.disk.flipBitAt({ name: "log-0000000001", offset: 1536 + 70, bit: 1 });
    expect(world.recover()).toMatchObject({
      kind: "damaged",
      reason: expect.stringContaining("a mark in log-marks says that record 4 was durable"),
    });
  });
});

test("whichever way the setting goes from life to life, by kills all stays, and what was synced stays by power losses", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = new Random(seed);
    const world = LogWorld.seeded(seed);
    let position = 0;
    world.recover();
    for (let life = 0; life < 6; life += 1) {
      const later = random.chance(0.5);
      world.log.syncLater(later);
      for (let left = random.below(8); left > 0; left -= 1) {
        position += 1;
        storeOne(world, position, random.pick([10, LARGE]));
        if (random.chance(0.2)) tickUntilSynced(world);
        // Cutting takes segments away, synced or not.
        if (random.chance(0.2)) {
          world.log.cut(1, position - 1);
          world.settle();
        }
      }
      const synced = world.log.isSynced;
      world.die(synced && random.chance(0.5));
      const outcome = world.recover();
      const last = outcome.groups.get(1)?.records.at(-1)?.position ?? 0;
      expect([seed, life, outcome.kind === "damaged" ? outcome.reason : "", last]).toEqual([seed, life, "", position]);
      // From here on it is on the disk, whatever it was before.
      world.die(true);
      world.recover();
      expect(world.outcome?.groups.get(1)?.records.at(-1)?.position ?? 0).toBe(position);
    }
  }
});

import { describe, expect, test } from "vitest";
import { ByteReader } from "../core/bytes.js";
import { type BatchHeader, RECORD_OVERHEAD_BYTES, readHeader } from "../node/log/format.js";
import { entry, hardState, LogWorld, reset, SMALL_LOG, words } from "./testing/log-world.js";

/** Five batches of one such entry fill a segment of {@link SMALL_LOG}. */
const LARGE = 1900;

describe("the calls of a log to its disk", () => {
  test("from its creation, over a new segment and the deletion of an old one, to its recovery", () => {
    const world = LogWorld.seeded(1);
    world.disk.callLog = (call) => world.calls.push(call);
    const take = (): string[] => world.calls.splice(0);

    world.recover();
    expect(take()).toEqual(["list", "create log-marks 8192", "sync log-marks 0+512", "create log-0000000001 10240"]);

    world.store(1, 1, hardState(1), entry(1));
    expect(take()).toEqual(["sync log-0000000001 0+512"]);
    world.settle();
    // The first batch of a segment is marked durably, and the next segment is made.
    expect(take()).toEqual(["sync log-marks 4096+512", "create log-0000000002 10240"]);

    world.store(1, 3, entry(2, 1, LARGE));
    world.settle();
    expect(take()).toEqual(["sync log-0000000001 512+2048", "write log-marks 0+512"]);

    // A second turn while the first one's batch is on its way: one mark for both.
    world.store(1, 4, entry(3, 1, LARGE));
    world.store(1, 5, entry(4, 1, LARGE));
    world.store(1, 6, entry(5, 1, 10));
    expect(take()).toEqual(["sync log-0000000001 2560+2048"]);
    world.settle();
    expect(take()).toEqual(["sync log-0000000001 4608+2048", "write log-marks 4096+512"]);

    world.store(1, 7, entry(6, 1, LARGE));
    world.settle();
    world.store(1, 8, entry(7, 1, LARGE));
    world.settle();
    expect(take()).toEqual([
      "sync log-0000000001 6656+2048",
      "write log-marks 0+512",
      // No room for this one: the segment that was made ahead takes it.
      "sync log-0000000002 0+2048",
      "sync log-marks 4096+512",
      "create log-0000000003 10240",
    ]);

    world.log.cut(1, 5);
    world.settle();
    expect(take()).toEqual([]);
    world.log.cut(1, 6);
    world.settle();
    expect(take()).toEqual(["sync log-marks 0+512", "remove log-0000000001"]);

    world.store(1, 9, entry(8));
    world.settle();
    expect(take()).toEqual(["sync log-0000000002 2048+512", "write log-marks 4096+512"]);

    world.die(false);
    world.recover();
    expect(take().filter((call) => !call.startsWith("read"))).toEqual(["list", "sync log-marks 0+512"]);
  });

  test("a batch without a mark is written again when the log is recovered, and what is torn behind it is zeroed", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.store(1, 1, entry(1));
    world.settle();
    world.store(1, 2, entry(2));
    world.settle();
    const whole = world.disk.contents("log-0000000001").slice(512, 1024);
    // Half of a third batch, and the mark that vouched for the second one lost.
    const killed = world.fork();
    killed.disk.write("log-0000000001", 1024, new Uint8Array(1300).fill(7), false, () => {});
    killed.disk.write("log-marks", 0, new Uint8Array(512), false, () => {});
    killed.settle();
    killed.disk.callLog = (call) => killed.calls.push(call);
    const outcome = killed.recover();
    expect(outcome.cutTail).toEqual({
      name: "log-0000000001",
      offset: 1024,
      bytes: 1536,
      problem: "no batch begins here (wrong magic)",
    });
    expect(killed.calls.filter((call) => !call.startsWith("read"))).toEqual([
      "list",
      "sync log-0000000001 512+2048",
      "sync log-marks 0+512",
    ]);
    expect(words(outcome.groups.get(1), 0)).toBe(words({ hardState: null, records: [entry(1), entry(2)] }, 0));
    const after = killed.disk.contents("log-0000000001");
    expect(after.slice(512, 1024)).toEqual(whole);
    expect(after.slice(1024).every((byte) => byte === 0)).toBe(true);
  });
});

describe("a log at work", () => {
  test("raises its generation with every start", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    const generations: number[] = [];
    for (let position = 1; position <= 3; position += 1) {
      world.store(1, position, entry(position));
      world.settle();
      const batch = world.disk.contents("log-0000000001").slice((position - 1) * 512);
      generations.push((readHeader(new ByteReader(batch), SMALL_LOG.freshIdentity) as BatchHeader).generation);
      world.die(false);
      world.recover();
      world.die(true);
      world.recover();
    }
    expect(generations).toEqual([1, 3, 5]);
  });

  test("splits what is too much for one batch, and tells each group how far it is durable", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    for (let position = 1; position <= 7; position += 1) {
      world.log.append(position % 2, entry(position, 1, 900), position);
    }
    world.log.submit();
    world.settle();
    expect([...world.durable]).toEqual([
      [1, 7],
      [0, 6],
    ]);
    expect(world.log.status()).toMatchObject({ durableThrough: 7, pendingBytes: 0 });
  });

  test("writes nothing before the end of the turn, and nothing for an empty one", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.disk.callLog = (call) => world.calls.push(call);
    world.log.append(1, entry(1), 1);
    world.log.cut(1, 0);
    expect(world.calls).toEqual([]);
    world.log.submit();
    world.settle();
    world.calls.length = 0;
    world.log.submit();
    expect(world.calls).toEqual([]);
  });

  test("keeps no bytes of its caller", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    const vote = hardState(3);
    const first = entry(1);
    const expected = words({ hardState: hardState(3), records: [entry(1)] }, 0);
    world.log.append(1, vote, 1);
    world.log.append(1, first, 2);
    vote.payload.fill(0);
    first.payload.fill(0);
    world.log.submit();
    world.settle();
    world.die(true);
    expect(words(world.recover().groups.get(1), 0)).toBe(expected);
  });

  test("stops at a failed sync, reports nothing more and writes nothing more", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.store(1, 1, entry(1));
    world.settle();
    world.disk.failNext("sync", "EIO");
    world.store(1, 2, entry(2));
    world.store(1, 3, entry(3));
    world.settle();
    expect(world.failure).toMatchObject({ code: "EIO", message: "log-0000000001: planned failure of sync" });
    expect(world.durable.get(1)).toBe(1);
    world.disk.callLog = (call) => world.calls.push(call);
    world.store(1, 4, entry(4));
    world.log.cut(1, 1);
    world.log.tick();
    expect(world.calls).toEqual([]);
  });

  test("stops at a failed mark, too", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.disk.failNext("write", "EIO");
    world.store(1, 1, entry(1));
    world.settle();
    world.store(1, 2, entry(2));
    world.settle();
    expect(world.failure).toMatchObject({ code: "EIO", message: "log-marks: planned failure of write" });
  });

  test("a disk that cannot be read or written when the log is opened is named, and nothing is lost", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.store(1, 1, entry(1));
    world.settle();
    world.die(false);
    world.disk.failNext("list", "EACCES");
    expect(world.recover()).toMatchObject({
      kind: "failed",
      reason: "The log cannot be opened: list: planned failure of list",
    });
    world.disk.failNext("sync", "EIO");
    expect(world.recover()).toMatchObject({ kind: "failed" });
    world.disk.kill();
    expect(world.recover()).toMatchObject({ kind: "ok" });
  });
});

describe("old segments", () => {
  function filledLog(): LogWorld {
    const world = LogWorld.seeded(1);
    world.recover();
    world.store(5, 1, hardState(9));
    for (let position = 1; position <= 30; position += 1) {
      world.store(1, position, entry(position, 1, LARGE));
      world.settle();
    }
    return world;
  }

  test("go when every group has cut its entries in them, and the hard states of idle groups stay", () => {
    const world = filledLog();
    expect(world.log.status()).toMatchObject({ segments: 7, oldestHeldBy: [1] });
    world.log.cut(1, 30);
    world.settle();
    expect(world.log.status()).toMatchObject({ segments: 1 });
    expect(world.disk.fileNames()).toEqual(["log-0000000007", "log-0000000008", "log-marks"]);
    world.die(true);
    const { groups } = world.recover();
    expect(words(groups.get(5), 0)).toBe(words({ hardState: hardState(9), records: [] }, 0));
  });

  test("are kept by a group that has not cut, until it is forgotten", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.store(2, 1, hardState(4), entry(1));
    for (let position = 1; position <= 12; position += 1) {
      world.store(1, position, entry(position, 1, LARGE));
      world.settle();
    }
    world.log.cut(1, 12);
    world.settle();
    expect(world.log.status()).toMatchObject({ segments: 3, oldestHeldBy: [2] });
    world.log.forget(2);
    world.settle();
    expect(world.log.status().segments).toBe(1);
    for (let position = 13; position <= 20; position += 1) {
      world.store(1, position, entry(position, 1, LARGE));
      world.settle();
    }
    world.log.cut(1, 20);
    world.settle();
    world.die(true);
    expect([...world.recover().groups.keys()]).toEqual([1]);
  });

  test("are not kept by entries that have been replaced, or voided by a snapshot", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.store(2, 1, ...Array.from({ length: 20 }, (_, i) => entry(i + 1)));
    world.store(3, 1, ...Array.from({ length: 20 }, (_, i) => entry(i + 1)));
    for (let position = 1; position <= 6; position += 1) {
      world.store(1, position, entry(position, 1, LARGE));
      world.settle();
    }
    world.store(2, 21, entry(5, 2));
    world.store(3, 21, reset(8, 2));
    world.settle();
    world.log.cut(1, 6);
    world.log.cut(2, 4);
    world.settle();
    // Group 2 ends with 5 and group 3 with 8 now, both in the newest segment.
    expect(world.log.status()).toMatchObject({ segments: 1, oldestHeldBy: [2, 3] });
  });

  test("stay while the one that repeats their hard states is not yet durable", () => {
    const world = LogWorld.seeded(1);
    world.recover();
    world.store(5, 1, hardState(9));
    for (let position = 1; position <= 4; position += 1) {
      world.store(1, position, entry(position, 1, LARGE));
      world.settle();
    }
    world.store(1, 5, entry(5, 1, LARGE));
    world.disk.callLog = (call) => world.calls.push(call);
    world.log.cut(1, 4);
    expect(world.calls).toEqual([]);
    world.settle();
    expect(world.calls.at(-1)).toBe("remove log-0000000001");
  });

  test("that cannot be removed are removed later", () => {
    const world = filledLog();
    world.disk.failNext("remove", "EIO");
    world.log.cut(1, 30);
    world.settle();
    expect(world.disk.fileNames()).toContain("log-0000000001");
    for (let tick = 0; tick < world.options.spaceRetryTicks; tick += 1) world.log.tick();
    world.settle();
    expect(world.disk.fileNames()).toEqual(["log-0000000007", "log-0000000008", "log-marks"]);
  });

  test("that were no longer needed are removed by the next recovery", () => {
    const world = filledLog();
    world.disk.failNext("remove", "EIO");
    world.log.cut(1, 30);
    world.settle();
    world.die(true);
    expect(world.recover().kind).toBe("ok");
    expect(world.disk.fileNames()).toEqual(["log-0000000007", "log-0000000008", "log-marks"]);
  });
});

describe("a full disk", () => {
  const room = 8192 + 2 * SMALL_LOG.segmentBytes;

  function tick(world: LogWorld): void {
    for (let i = 0; i < SMALL_LOG.spaceRetryTicks; i += 1) world.log.tick();
    world.settle();
  }

  test("is noticed while the segment still takes what is under way; writes go on when there is room", () => {
    const world = LogWorld.seeded(1, SMALL_LOG, room);
    world.recover();
    let position = 0;
    const store = (): void => {
      position += 1;
      world.store(1, position, entry(position, 1, LARGE));
      world.settle();
    };
    for (let i = 0; i < 8; i += 1) store();
    expect(world.refusals).toEqual([]);
    store();
    expect(world.refusals.length).toBe(1);
    expect(world.refusals[0]).toMatch(/no room for the next 10240 bytes of the log: log-0000000003: the disk is full/);
    // What is left takes one more.
    store();
    expect(world.durable.get(1)).toBe(10);
    // The next waits; it is neither lost nor acknowledged.
    store();
    tick(world);
    expect(world.durable.get(1)).toBe(10);
    expect(world.refusals.length).toBe(1);
    world.disk.setCapacity(2 * room);
    tick(world);
    expect(world.durable.get(1)).toBe(11);
    expect(world.refusals.slice(1)).toEqual([""]);
    world.die(true);
    expect(world.recover().groups.get(1)?.records.length).toBe(11);
  });

  test("gets room from the log's own old segments", () => {
    const world = LogWorld.seeded(1, SMALL_LOG, room);
    world.recover();
    for (let position = 1; position <= 9; position += 1) {
      world.store(1, position, entry(position, 1, LARGE));
      world.settle();
    }
    expect(world.refusals.length).toBe(1);
    world.log.cut(1, 5);
    world.settle();
    expect(world.refusals.slice(1)).toEqual([""]);
  });
});

describe("entries that are logged again", () => {
  const AGAIN = 400;
  const again = [1, 2, 3, 4].map((position) => entry(position, 1, AGAIN));

  /** The fewest entries of group 1 that a power loss leaves, at whatever moment of the second logging it comes. */
  function fewestLeft(together: boolean): number {
    let fewest = again.length;
    for (let crashUs = 0; crashUs <= 400; crashUs += 10) {
      const world = LogWorld.seeded(crashUs + 1);
      world.recover();
      again.forEach((record, i) => {
        world.store(1, i + 1, record);
        world.settle();
      });
      world.log.append(2, entry(1, 1, 900), 1);
      if (together) world.log.keepTogether(again.length * (RECORD_OVERHEAD_BYTES + AGAIN));
      world.store(1, again.length + 1, ...again);
      world.scheduler.runUntil(world.scheduler.nowUs + crashUs);
      world.die(true);
      const outcome = world.recover();
      expect(outcome.kind).toBe("ok");
      fewest = Math.min(fewest, outcome.groups.get(1)?.records.length ?? 0);
    }
    return fewest;
  }

  test("are all there after a crash at any moment, for all of them become durable at once", () => {
    expect(fewestLeft(true)).toBe(again.length);
    // The first one of two batches voids what is to be in the second.
    expect(fewestLeft(false)).toBeLessThan(again.length);
  });
});

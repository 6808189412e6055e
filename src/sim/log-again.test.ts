import { expect, test } from "vitest";
import { entry, LogWorld, SMALL_LOG } from "./testing/log-world.js";

/** Group 1 holds all of the log with one entry that it cannot cut, until that is logged again (Raft's logAgain). */
function logAgain(base: number, capacity: number): LogWorld {
  const world = LogWorld.seeded(1, SMALL_LOG, capacity);
  world.recover();
  let seq1 = 0;
  for (let i = 1; i <= base + 1; i += 1) {
    seq1 += 1;
    world.store(1, seq1, entry(i));
  }
  world.settle();
  if (base > 0) world.log.cut(1, base);
  let seq = 0;
  while (world.refusals.length === 0 && seq < 18) {
    seq += 1;
    world.store(2, seq, entry(seq, 1, 1500));
    world.settle();
  }
  world.log.cut(2, seq);
  world.settle();
  expect(world.log.status().oldestHeldBy).toEqual([1]);
  const { segments } = world.log.status();
  world.log.keepTogether(100);
  world.store(1, seq1 + 1, entry(base + 1));
  world.settle();
  for (let i = 0; i < 100; i += 1) {
    world.log.tick();
    world.settle();
  }
  expect(world.log.status().segments).toBeLessThan(segments);
  return world;
}

test("a group that was never cut: logged again, it holds the old segments no longer", () => {
  const world = logAgain(0, Number.POSITIVE_INFINITY);
  expect(world.log.status().segments).toBeLessThanOrEqual(2);
});

test("what is logged again frees the old segments on a full disk", () => {
  const world = logAgain(3, 512 * 8 + 3 * SMALL_LOG.segmentBytes + 2000);
  expect(world.log.status().segments).toBeLessThanOrEqual(2);
  expect(world.refusals.at(-1)).toBe("");
});

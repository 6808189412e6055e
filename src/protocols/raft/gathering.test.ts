import { beforeEach, describe, expect, test } from "vitest";
import { describeSections, QueueBench } from "./testing/queue-bench.js";

let bench: QueueBench;

test("while writes are under way, newer ones gather: until the answer, a number of bytes, or for a time", () => {
  bench = new QueueBench({ gatherBytes: 60, gatherMs: 10 });
  bench.add("a");
  expect(bench.queue.hasUnsent, "nothing is under way").toBe(true);
  const [first] = bench.send();
  bench.add("b");
  expect(bench.queue.hasUnsent, "a is under way").toBe(false);
  bench.add("c");
  bench.apply(first);
  expect(bench.queue.hasUnsent, "a is answered").toBe(true);
  expect(describeSections(bench.send())).toEqual(["session 1 2+2"]);

  bench.add("d");
  bench.monotonicMs = 9;
  expect([bench.queue.hasUnsent, bench.queue.waitMs], "a turn is wanted when that is over").toEqual([false, 1]);
  bench.monotonicMs = 10;
  expect(bench.queue.hasUnsent, "the answer takes long").toBe(true);
  bench.send();
  while (!bench.queue.hasUnsent) bench.add("e");
  expect(bench.send()[0].requests.length, "enough of them").toBeGreaterThan(1);

  bench.add("f");
  bench.queue.resendAll();
  expect(bench.queue.hasUnsent, "others go again").toBe(true);
});

describe("after an answer", () => {
  beforeEach(() => {
    bench = new QueueBench({ gatherBytes: 1_000, gatherMs: 10, returnMs: 1 });
    round(8, 8);
  });

  /** So many leave and are answered; then so many come. */
  function round(sent: number, back: number): void {
    for (let i = 0; i < sent; i += 1) bench.add(`${i}`);
    bench.apply(...bench.send());
    for (let i = 0; i < back; i += 1) bench.add(`${i}`);
  }

  test("new writes wait a moment for the clients that it went to", () => {
    bench.apply(...bench.send());
    for (let back = 1; back < 6; back += 1) {
      bench.add(`${back}`);
      expect([bench.queue.hasUnsent, bench.queue.waitMs], `${back} of 8 are back`).toEqual([false, 1]);
    }
    bench.add("6");
    expect([bench.queue.hasUnsent, bench.queue.waitMs], "6 of 8 are back").toEqual([true, 0]);
    bench.apply(...bench.send());
    bench.add("7");
    bench.monotonicMs += 1;
    expect([bench.queue.hasUnsent, bench.queue.waitMs], "the moment is over").toEqual([true, 0]);
  });

  test("who had come before the answer counts as a client too", () => {
    const first = bench.send();
    for (let i = 0; i < 7; i += 1) bench.add(`early ${i}`);
    bench.apply(...first);
    expect(bench.queue.hasUnsent, "7 of 15").toBe(false);
    for (let i = 0; i < 5; i += 1) bench.add(`back ${i}`);
    expect(bench.queue.hasUnsent, "12 of 15").toBe(true);
  });

  test("which is tried less and less often while it is in vain, and always where it is not", () => {
    /** Entries that waited for nobody; the one that leaves first is not counted. */
    const roundsWithout = (): number => {
      for (let rounds = 0; ; rounds += 1) {
        bench.apply(...bench.send());
        for (let i = 0; i < 4; i += 1) bench.add(`${i}`);
        if (!bench.queue.hasUnsent) return rounds;
        for (let i = 0; i < 4; i += 1) bench.add(`${i}`);
      }
    };
    const found: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      found.push(roundsWithout());
      bench.monotonicMs += 1;
      bench.apply(...bench.send());
      for (let n = 0; n < 8; n += 1) bench.add(`${n}`);
    }
    expect(found).toEqual([0, 0, 1, 3, 7, 15, 31, 63, 63]);
    roundsWithout();
    for (let i = 0; i < 4; i += 1) bench.add(`${i}`);
    expect(roundsWithout(), "they came").toBe(0);
  });

  test("those who wait while others are answered are counted once", () => {
    const first = bench.send();
    bench.queue.resendAll();
    for (let i = 0; i < 8; i += 1) bench.add(`second ${i}`);
    const [, second] = bench.send();
    bench.apply(...first);
    for (let i = 0; i < 8; i += 1) bench.add(`back ${i}`);
    bench.apply(second);
    expect(bench.queue.hasUnsent, "8 of 16").toBe(false);
    for (let i = 0; i < 4; i += 1) bench.add(`too ${i}`);
    expect(bench.queue.hasUnsent, "12 of 16").toBe(true);
  });

  test("what was not tried is no success", () => {
    const vain = (): void => {
      round(8, 1);
      expect(bench.queue.hasUnsent).toBe(false);
      bench.monotonicMs += 1;
      bench.apply(...bench.send());
    };
    vain();
    // Two clients, now and then: nobody waits for them.
    for (let i = 0; i < 3; i += 1) round(2, 0);
    vain();
    round(8, 1);
    expect(bench.queue.hasUnsent, "two entries without, after the second time in vain").toBe(true);
  });

  test("a few clients are not waited for", () => {
    bench.apply(...bench.send());
    round(3, 1);
    expect(bench.queue.hasUnsent).toBe(true);
  });
});

test("none waits where few writes are answered, and it ends when they become few", () => {
  bench = new QueueBench({ gatherBytes: 10_000, gatherMs: 10, gatherWritesPerMs: 2 });
  /** So many writes a ms for a while. Answers whether any waited. */
  const gathersAt = (perMs: number): boolean => {
    let waited = false;
    for (let ms = 0; ms < 120; ms += 1) {
      bench.monotonicMs += 1;
      for (let i = 0; i < perMs; i += 1) bench.add(`${i}`);
      const sections = bench.send();
      bench.add("meanwhile");
      waited = ms > 60 && !bench.queue.hasUnsent;
      bench.apply(...sections);
      bench.apply(...bench.send());
    }
    return waited;
  };
  expect(gathersAt(0)).toBe(false);
  expect(gathersAt(4)).toBe(true);
  expect(gathersAt(0)).toBe(false);
});

test("none waits with gatherBytes 0", () => {
  bench = new QueueBench({ gatherBytes: 0 });
  bench.add("a");
  bench.send();
  bench.add("b");
  expect(bench.queue.hasUnsent).toBe(true);
});

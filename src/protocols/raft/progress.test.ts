import { expect, test } from "vitest";
import { Random } from "../../core/random.js";
import { Progress, ProgressState } from "./progress.js";

test("bytes in flight are those of the appends that are not acknowledged, whatever the order of the answers", () => {
  const random = new Random(11);
  for (let life = 0; life < 500; life += 1) {
    const start = 1 + random.below(20);
    const progress = new Progress(2, start);
    let inFlight: { index: number; bytes: number }[] = [];
    let match = 0;
    for (let step = 0; step < 100; step += 1) {
      const roll = random.below(100);
      if (roll < 50) {
        const index = progress.next + random.below(3);
        const bytes = random.below(1_000);
        progress.sent(index, bytes);
        inFlight.push({ index, bytes });
        expect(progress.next).toBe(index + 1);
      } else if (roll < 85 && progress.next > 1) {
        const index = random.below(progress.next);
        expect(progress.acknowledged(index)).toBe(index > match);
        match = Math.max(match, index);
        inFlight = inFlight.filter((append) => append.index > index);
      } else if (roll < 90) {
        const next = 1 + random.below(progress.next);
        progress.becomeProbe(next);
        expect(progress.next).toBe(Math.max(next, match + 1));
        inFlight = [];
      } else if (roll < 95) {
        progress.becomeReplicate();
        expect(progress.next).toBe(match + 1);
        inFlight = [];
      }
      expect(progress.match).toBe(match);
      expect(progress.next).toBeGreaterThan(match);
      expect(progress.inflightBytes).toBe(inFlight.reduce((sum, { bytes }) => sum + bytes, 0));
    }
  }
});

test("an acknowledgement from before a probe moves the probe on", () => {
  const progress = new Progress(2, 5);
  progress.paused = true;
  expect(progress.acknowledged(8)).toBe(true);
  expect([progress.match, progress.next]).toEqual([8, 9]);
});

test("who has lost its memory has acknowledged nothing", () => {
  const progress = new Progress(2, 5);
  progress.becomeReplicate();
  progress.sent(9, 100);
  progress.acknowledged(7);
  progress.round = 3;
  progress.forget(10);
  expect(progress).toMatchObject({ state: ProgressState.probe, match: 0, round: 0, next: 10, inflightBytes: 0 });
});

test("a snapshot ends what was in flight", () => {
  const progress = new Progress(2, 5);
  progress.sent(9, 100);
  progress.becomeSnapshot(8);
  expect(progress).toMatchObject({ state: ProgressState.snapshot, snapshotIndex: 8, inflightBytes: 0 });
});

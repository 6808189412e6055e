import { describe, expect, test } from "vitest";
import { Random } from "../../core/random.js";
import { ClusterClock } from "./cluster-clock.js";
import type { Configuration } from "./quorum.js";

const DAY_MS = 86_400_000;

function configurationOf(voters: number): Configuration {
  return { voters: Array.from({ length: voters }, (_, i) => i + 1), learners: [9], outgoing: [] };
}

describe("the cluster's clock", () => {
  test("goes on between messages", () => {
    const clock = new ClusterClock(configurationOf(1));
    clock.note(1, 5_000, 100);
    expect(clock.nowMs(100)).toBe(5_000);
    expect(clock.nowMs(350)).toBe(5_250);
  });

  test("of two is the slower one", () => {
    const clock = new ClusterClock(configurationOf(3));
    clock.note(1, DAY_MS, 0);
    clock.note(2, 1_000, 0);
    expect(clock.nowMs(0)).toBe(1_000);
  });

  test("does not ask learners", () => {
    const clock = new ClusterClock(configurationOf(1));
    clock.note(1, 1_000, 0);
    clock.note(9, 0, 0);
    expect(clock.nowMs(0)).toBe(1_000);
  });

  test("lies within the right ones as long as a majority is right", () => {
    const random = new Random(7);
    for (let round = 0; round < 2_000; round += 1) {
      const voters = 1 + 2 * random.below(4);
      const wrong = random.below((voters - 1) / 2 + 1);
      const clock = new ClusterClock(configurationOf(voters));
      const right: number[] = [];
      for (let node = 1; node <= voters; node += 1) {
        const isWrong = node <= wrong;
        const wallMs = 10 * DAY_MS + (isWrong ? (random.below(2) * 2 - 1) * 9 * DAY_MS : random.below(1_000));
        if (!isWrong) right.push(wallMs);
        clock.note(node, wallMs, 0);
      }
      expect(clock.nowMs(0)).toBeGreaterThanOrEqual(Math.min(...right));
      expect(clock.nowMs(0)).toBeLessThanOrEqual(Math.max(...right));
    }
  });
});

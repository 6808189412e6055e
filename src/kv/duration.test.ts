import { expect, it } from "vitest";
import { parseDuration } from "./duration.js";

it("durations have a unit, or count seconds", () => {
  expect(["250ms", "30s", "30", "1.5s", "5m", "12h", "7d"].map(parseDuration)).toEqual([
    250, 30_000, 30_000, 1_500, 300_000, 43_200_000, 604_800_000,
  ]);
  expect(["", "s", "-1s", "0s", "1 s", "1w", "1e3", "0.1ms", "999999999999d"].map(parseDuration)).toEqual(
    Array.from({ length: 9 }, () => null),
  );
});

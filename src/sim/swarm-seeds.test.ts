import { expect, test } from "vitest";
import { runSwarm } from "./swarm.js";

const FIRST = Number(process.env.GAMUT_FIRST_SEED ?? 1_001);
const SEEDS = Number(process.env.GAMUT_SEEDS ?? 1_600);
/** A bound for hangs: a seed takes some 90 ms. */
const TIMEOUT_MS = 60_000 + SEEDS * 300;

// With those of swarm.test.ts, its canaries' and gossip's these are over 2,000 in all.
test(`${SEEDS} seeds from ${FIRST} on keep every promise`, { timeout: TIMEOUT_MS }, () => {
  const { seedsRun, failures } = runSwarm({ protocol: "raft", firstSeed: FIRST, seeds: SEEDS });
  expect(failures).toEqual([]);
  expect(seedsRun).toBe(SEEDS);
});

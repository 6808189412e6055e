import { describe, expect, test } from "vitest";
import { GOSSIP_CANARIES } from "./gossip-canaries.js";
import { runSeed, runSwarm } from "./swarm.js";

const SEEDS = Number(process.env.GAMUT_SEEDS ?? 80);
const CANARY_SEEDS = 200;

/** What the swarm must have come across: a path that is never walked is not tested. */
const MUST_BE_REACHED = [
  "fault blackout",
  "fault clock",
  "fault cut",
  "fault flip",
  "fault full",
  "fault kill",
  "fault pause",
  "fault power",
  "fault storm",
  "fault wipe",
  "frames duplicated",
  "frames lost",
  "lost folders noticed",
  "machine crashes noticed",
  "memories regained",
  "operations changesTold",
  "operations ok",
  "operations snapshotsTold",
  "operations tokensTaken",
  "operations unknown",
  "operations watchesBegun",
  "operations watchesCompacted",
  "operations watchesResumed",
  "segments cut",
  "state commits",
  "syncs in the background",
  "tombstones collected",
  "worlds with durability os",
  "worlds with learners",
  "writes brought by trees",
  "writes lost with a memory",
  "writes overwritten unseen",
  "writes parked",
];

describe("swarm of gossip", () => {
  test(`${SEEDS} seeds keep every promise and walk every path`, { timeout: 60_000 + SEEDS * 5_000 }, () => {
    const report = runSwarm({ protocol: "gossip", firstSeed: 1, seeds: SEEDS });
    for (const { violation, replay, shrunk } of report.failures) {
      expect.fail(
        `${violation}\nreplay: ${replay}\nshrunk in ${shrunk.runs} runs to ${JSON.stringify(shrunk.plan)}: ${shrunk.violation}`,
      );
    }
    expect(report.seedsRun).toBe(SEEDS);
    expect(MUST_BE_REACHED.filter((what) => !(what in report.coverage))).toEqual([]);
  });

  test("the same seed is the same run, another is another", { timeout: 60_000 }, () => {
    for (const seed of [2, 11]) expect(runSeed(seed, "gossip")).toEqual(runSeed(seed, "gossip"));
    expect(runSeed(2, "gossip").hash).not.toBe(runSeed(11, "gossip").hash);
  });

  test("knows its canaries", () => {
    expect(() => runSeed(1, "gossip", "unheld-vote")).toThrow(
      "there is no canary unheld-vote; there are answer-before",
    );
    expect(GOSSIP_CANARIES.length).toBeGreaterThanOrEqual(8);
  });
});

describe("canaries of gossip", () => {
  for (const { name, story } of GOSSIP_CANARIES) {
    test(`${name}: ${story}`, { timeout: 60_000 + CANARY_SEEDS * 5_000 }, () => {
      let caught: string | null = null;
      for (let seed = 1; seed <= CANARY_SEEDS && caught === null; seed += 1)
        caught = runSeed(seed, "gossip", name).violation;
      expect(caught).not.toBeNull();
    });
  }
});

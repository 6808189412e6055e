import { describe, expect, test } from "vitest";
import { CANARIES, canaryByName } from "./canaries.js";
import { planOf } from "./plan.js";
import { shrink } from "./shrink.js";
import { Simulation } from "./simulation.js";
import { runSeed, runSwarm } from "./swarm.js";

const SEEDS = Number(process.env.GAMUT_SEEDS ?? 120);
const CANARY_SEEDS = 200;

/** What the swarm must have come across: a path that is never walked is not tested. */
const MUST_BE_REACHED = [
  "damaged data set aside",
  "disks full",
  "disks with room again",
  "elections won",
  "fault ambush",
  "fault blackout",
  "fault clock",
  "fault clog",
  "fault cut",
  "fault flip",
  "fault full",
  "fault kill",
  "fault leader",
  "fault mute",
  "fault pause",
  "fault power",
  "fault stall",
  "fault stop",
  "fault storm",
  "fault wipe",
  "fault writeError",
  "frames duplicated",
  "frames lost",
  "histories valid",
  "leaderships handed over",
  "log damage found",
  "log tails cut",
  "lost folders noticed",
  "machine crashes noticed",
  "memories regained",
  "nodes stopped by their disk",
  "operations bursts",
  "operations changesTold",
  "operations conditionsFailed",
  "operations counts",
  "operations flushes",
  "operations keyspaceReads",
  "operations keyspaceWrites",
  "operations keyspacesDropped",
  "operations keyspacesMade",
  "operations keyspacesMissed",
  "operations localReads",
  "operations retries",
  "operations retriesAnswered",
  "operations snapshotsTold",
  "operations tokensRefused",
  "operations tokensTaken",
  "operations unknown",
  "operations waitsMet",
  "operations waitsOverdue",
  "operations walks",
  "operations walksMoved",
  "operations walksOvertaken",
  "operations watchesBegun",
  "operations watchesCompacted",
  "operations watchesResumed",
  "power lost with nothing unsynced",
  "replicas dropped",
  "segments cut",
  "snapshots installed",
  "state commits",
  "syncs in the background",
  "worlds with durability os",
  "worlds with learners",
];

describe("swarm", () => {
  test(`${SEEDS} seeds keep every promise and walk every path`, { timeout: 240_000 }, () => {
    const report = runSwarm({ protocol: "raft", firstSeed: 1, seeds: SEEDS });
    for (const { violation, replay, shrunk } of report.failures) {
      expect.fail(
        `${violation}\nreplay: ${replay}\nshrunk in ${shrunk.runs} runs to ${JSON.stringify(shrunk.plan)}: ${shrunk.violation}`,
      );
    }
    expect(report.seedsRun).toBe(SEEDS);
    expect(MUST_BE_REACHED.filter((what) => !(what in report.coverage))).toEqual([]);
  });

  test("the same seed is the same run, another is another", () => {
    for (const seed of [3, 11, 14]) expect(runSeed(seed, "raft")).toEqual(runSeed(seed, "raft"));
    expect(runSeed(3, "raft").hash).not.toBe(runSeed(4, "raft").hash);
  });

  test("knows its protocols and canaries", () => {
    expect(() => runSeed(1, "paxos")).toThrow("knows no protocol paxos; it knows raft, gossip");
    expect(() => runSeed(1, "raft", "parrot")).toThrow("there is no canary parrot; there are unheld-vote");
    expect(canaryByName("")).toBeNull();
  });
});

describe("canaries", () => {
  for (const { name, story } of CANARIES) {
    test(`${name}: ${story}`, { timeout: 120_000 }, () => {
      let caught: string | null = null;
      for (let seed = 1; seed <= CANARY_SEEDS && caught === null; seed += 1)
        caught = runSeed(seed, "raft", name).violation;
      expect(caught).not.toBeNull();
    });
  }
});

describe("shrink", () => {
  test("finds a smaller plan that fails, the same one every time", { timeout: 120_000 }, () => {
    let seed = 1;
    let violation: string | null = null;
    for (; violation === null; seed += 1) violation = runSeed(seed, "raft", "stale-leader-read").violation;
    const plan = planOf(seed - 1, "raft", "stale-leader-read");
    const shrunk = shrink(plan, violation);
    expect(shrunk.violation).toBe(new Simulation(shrunk.plan).run().violation);
    expect(shrunk.plan.faults.length).toBeLessThanOrEqual(plan.faults.length);
    expect(JSON.stringify(shrunk.plan).length).toBeLessThan(JSON.stringify(plan).length);
    expect(shrink(plan, violation)).toEqual(shrunk);
  });
});

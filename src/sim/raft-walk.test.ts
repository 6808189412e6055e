import { describe, expect, test } from "vitest";
import { Raft } from "../protocols/raft/raft.js";
import { canaryByName } from "./canaries.js";
import { Walk } from "./testing/walk.js";

const WALKS = Number(process.env.GAMUT_WALKS ?? 300);
const FIRST = Number(process.env.GAMUT_SEED ?? 1);
const STEPS = 1_200;

/** What the walks must have done, or they have shown nothing. */
const MUST_BE_REACHED = ["applied", "answers", "cuts", "snapshots installed", "linearizable valid", "drop", "dup"];

test(`${WALKS} random walks of three raft machines keep every promise`, () => {
  const reached = new Set<string>();
  for (let seed = FIRST; seed < FIRST + WALKS; seed += 1) {
    const { problem, script, counts } = new Walk(seed, (options, state) => new Raft(options, state)).run(STEPS);
    const replay = `GAMUT_WALKS=1 GAMUT_SEED=${seed} npx vitest run raft-walk`;
    if (problem !== null) expect.fail(`${problem}\nreplay: ${replay}\nas a trace:\n${script}`);
    for (const name of counts.keys()) reached.add(name);
  }
  if (WALKS >= 100) expect(MUST_BE_REACHED.filter((name) => !reached.has(name))).toEqual([]);
});

describe("canaries that a walk alone must catch", () => {
  const names = [
    "unheld-vote",
    "stale-leader-read",
    "read-index-before-own-term",
    "recovering-replica-votes",
    "dedup-not-in-snapshot",
  ];
  test.each(names)("%s", (name) => {
    const makeRaft = canaryByName(name)!.makeRaft!;
    let caught: string | null = null;
    for (let seed = 1; seed <= 1_500 && caught === null; seed += 1)
      caught = new Walk(seed, makeRaft).run(STEPS).problem;
    expect(caught).not.toBeNull();
  });
});

import { describe, expect, test } from "vitest";
import { Raft } from "../protocols/raft/raft.js";
import { CANARIES } from "./canaries.js";
import { Walk } from "./testing/wander.js";

const WALKS = Number(process.env.GAMUT_WALKS ?? 100);
const FIRST = Number(process.env.GAMUT_SEED ?? 1);
const STEPS = 1_200;

test(`${WALKS} random walks of three raft machines keep every promise`, () => {
  const totals = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + WALKS; seed += 1) {
    const walk = new Walk(seed, (options, state) => new Raft(options, state));
    const verdict = walk.run(STEPS);
    if (verdict.problem !== null) {
      if (WALKS === 1) console.log(walk.transcript().split("\n").slice(-400).join("\n"));
      expect.fail(`seed ${seed}: ${verdict.problem}\nreplay: GAMUT_WALKS=1 GAMUT_SEED=${seed} npx vitest run raft-walk`);
    }
    for (const [name, count] of verdict.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  }
  if (process.env.GAMUT_COUNTS) console.log(totals);
});

describe("canaries", () => {
  for (const { name, makeRaft } of CANARIES) {
    if (makeRaft === undefined) continue;
    test(name, () => {
      for (let seed = 1; seed < 1000; seed += 1) {
        const { problem } = new Walk(seed, makeRaft).run(STEPS);
        if (problem !== null) {
          console.log(`${name} caught by seed ${seed}: ${problem.slice(0, 300)}`);
          return;
        }
      }
      expect.fail("not caught");
    });
  }
});

import { describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import type { LogOptions } from "../node/log/options.js";
import { LogModel } from "./testing/log-model.js";
import { LogWorld, SMALL_LOG } from "./testing/log-world.js";

/** A life of some turns that ends in the middle of things. Answers what the next life could not find. */
function liveAndDie(world: LogWorld, model: LogModel, random: Random, turns: number): string | null {
  for (let turn = 0; turn < turns; turn += 1) {
    model.turn(world);
    const steps = random.below(4);
    for (let i = 0; i < steps; i += 1) world.scheduler.step(world.scheduler.nowUs + 1_000_000);
  }
  return dieAndRecover(world, model, random);
}

function dieAndRecover(world: LogWorld, model: LogModel, random: Random): string | null {
  if (world.failure !== null) return `failed: ${world.failure.message}`;
  const durable = model.durableCount(world);
  world.die(random.chance(0.5));
  // Every third recovery dies, too, once or twice, before it is done.
  while (random.chance(0.3)) {
    world.startRecovery();
    const steps = random.below(12);
    for (let i = 0; i < steps; i += 1) world.scheduler.step(world.scheduler.nowUs + 1_000_000);
    world.die(random.chance(0.5));
  }
  const problem = model.judge(world.recover(), durable);
  model.tellCuts(world);
  return problem;
}

/** What happened in the lives: a test that never meets a torn tail shows nothing about them. */
class Tally {
  tails = 0;
  deletions = 0;
}

function severalLives(seed: number, options: LogOptions = SMALL_LOG, tally = new Tally()): string | null {
  const random = new Random(seed);
  const world = LogWorld.seeded(seed, options);
  const model = new LogModel(random.fork("model"));
  let problem = model.judge(world.recover(), 0);
  for (let life = 0; life < 6 && problem === null; life += 1) {
    problem = liveAndDie(world, model, random, random.below(25));
    if (world.outcome !== null && world.outcome.cutTail !== null) tally.tails += 1;
  }
  if (!world.disk.fileNames().includes("log-0000000001")) tally.deletions += 1;
  return problem ?? afterwards(world, model);
}

/** Left in peace, the log goes on as if nothing had been. */
function afterwards(world: LogWorld, model: LogModel): string | null {
  for (let turn = 0; turn < 10; turn += 1) {
    model.turn(world);
    world.settle();
  }
  if (model.durableCount(world) < model.count) return "goes on without making durable what it is given";
  return world.refusals.length > 0 ? `refuses: ${world.refusals[0]}` : null;
}

describe("a log whose process is killed or whose power fails", () => {
  test("recovers, life after life, what it had reported, in order, and nothing invented", () => {
    const tally = new Tally();
    for (let seed = 0; seed < 500; seed += 1) expect(severalLives(seed, SMALL_LOG, tally), `seed ${seed}`).toBe(null);
    expect(tally.tails).toBeGreaterThan(100);
    expect(tally.deletions).toBeGreaterThan(300);
  });

  test("so it does from a death at every single step of a life", () => {
    for (let steps = 0; steps < 160; steps += 1) {
      for (let dice = 0; dice < 10; dice += 1) {
        // One and the same life each time; only its last moment differs.
        const world = LogWorld.seeded(1);
        const model = new LogModel(new Random(2));
        runSteps(world, model, steps);
        const problem = dieAndRecover(world, model, new Random(1000 * steps + dice));
        expect(problem, `steps ${steps}, dice ${dice}`).toBe(null);
      }
    }
  });

  test("canary: a log that takes what is torn for damage is found out", () => {
    const verdict = (): "damaged" => "damaged";
    const problems = Array.from({ length: 30 }, (_, seed) => severalLives(seed, { ...SMALL_LOG, verdict }));
    expect(problems.find((problem) => problem !== null)).toMatch(/damaged: The log is damaged/);
  });
});

/** Lives on for so many answers of the disk, with a turn behind each. */
function runSteps(world: LogWorld, model: LogModel, steps: number): void {
  world.startRecovery();
  for (let i = 0; i < steps; i += 1) {
    world.scheduler.step(world.scheduler.nowUs + 1_000_000);
    if (world.outcome !== null) model.turn(world);
  }
}

import { expect, test } from "vitest";
import { CodecError } from "../core/bytes.js";
import { MapState } from "../core/map-state.js";
import { Random } from "../core/random.js";
import { writeBatch } from "./batch.js";
import { Store } from "./store.js";
import { CommandGenerator } from "./testing/generator.js";
import { CLIENT, hashState, OTHER_CLIENT, Recorder, section } from "./testing/harness.js";
import { plain } from "./testing/twin.js";

/** A batch of two sections, its bytes then changed at random places. */
function mutatedBatch(random: Random, generator: CommandGenerator, sequences: number[]): Uint8Array {
  const sections = [CLIENT, OTHER_CLIENT].map((client, i) => {
    const commands = Array.from({ length: 1 + random.below(4) }, () => generator.next());
    return section(commands, { client, firstSequence: sequences[i] + 1, flags: random.below(2) });
  });
  const batch = writeBatch(generator.timeMs, sections);
  for (let flips = random.below(4); flips > 0; flips -= 1) batch[random.below(batch.length)] = random.below(256);
  return batch;
}

test("whatever stands in the log: a codec error that changes nothing, or the same on every replica", () => {
  let refused = 0;
  let unreadable = 0;
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = new Random(seed);
    const generator = new CommandGenerator(random.fork("commands"));
    const states = [new MapState(), new MapState()];
    const lasting = new Store(states[0]);
    for (let i = 0; i < 200; i += 1) {
      generator.timeMs += random.below(30);
      const sequences = [CLIENT, OTHER_CLIENT].map((client) => lasting.lastSequence(client));
      const batch = mutatedBatch(random, generator, sequences);
      const before = hashState(states[0]);
      const recorders = [new Recorder(), new Recorder()];
      try {
        lasting.applyBatch(batch, recorders[0]);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
        expect(hashState(states[0])).toBe(before);
        refused += 1;
        continue;
      }
      new Store(states[1]).applyBatch(batch, recorders[1]);
      expect(hashState(states[1])).toBe(hashState(states[0]));
      const [answers, again] = recorders.map(({ sections }) => sections.flatMap(({ results }) => results.map(plain)));
      expect(again).toEqual(answers);
      unreadable += answers.filter((answer) => answer.error === "bad_request").length;
    }
  }
  expect(refused).toBeGreaterThan(500);
  expect(unreadable).toBeGreaterThan(100);
});

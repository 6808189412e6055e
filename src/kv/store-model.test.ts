import { expect, test } from "vitest";
import { MapState } from "../core/map-state.js";
import { Random } from "../core/random.js";
import { writeBatch } from "./batch.js";
import { type Command, isWrite } from "./command.js";
import type { Result } from "./result.js";
import { Store } from "./store.js";
import { CommandGenerator } from "./testing/generator.js";
import { CLIENT, hashState, Recorder, section } from "./testing/harness.js";
import { StrictState } from "./testing/strict-state.js";
import { plain, Twin } from "./testing/twin.js";

const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1);
const BATCHES = 150;

function noteVersions(generator: CommandGenerator, result: Result): void {
  if (result.version !== 0) generator.versions.push(result.version);
  for (const item of result.items ?? []) noteVersions(generator, item);
  if (generator.versions.length > 40) generator.versions.splice(1, 20);
}

/** Random batches of one seed with what applies to them. */
function* batchesOf(seed: number): Generator<{ timeMs: number; commands: Command[]; generator: CommandGenerator }> {
  const random = new Random(seed);
  const generator = new CommandGenerator(random.fork("commands"));
  for (let i = 0; i < BATCHES; i += 1) {
    generator.timeMs += random.below(40) - 10;
    const commands = Array.from({ length: 1 + random.below(12) }, () => generator.next());
    yield { timeMs: generator.timeMs, commands, generator };
  }
}

test.each(SEEDS)("answers as the naive twin does, seed %i", (seed) => {
  const expiriesPerBatch = seed % 2 === 0 ? 1 : 1_000;
  const state = new StrictState();
  let store = new Store(state, { expiriesPerBatch });
  const twin = new Twin(expiriesPerBatch);
  let sequence = 1;
  for (const { timeMs, commands, generator } of batchesOf(seed)) {
    if (sequence % 7 === 0) store = new Store(state, { expiriesPerBatch });
    const recorder = new Recorder();
    store.applyBatch(writeBatch(timeMs, [section(commands, { firstSequence: sequence })]), recorder);
    twin.beginBatch(timeMs);
    const { results } = recorder.sections[0];
    for (const [i, command] of commands.entries()) {
      expect(plain(results[i]), `op ${command.op} of batch at ${timeMs}`).toEqual(twin.execute(command));
      noteVersions(generator, results[i]);
    }
    expect(store.revision).toBe(twin.revision);
    expect(store.timeMs).toBe(twin.timeMs);
    const deadlines = [...twin.entries.values()].map((entry) => entry.deadlineMs ?? Number.POSITIVE_INFINITY);
    expect(store.nextDeadlineMs()).toBe(Math.min(...deadlines, Number.POSITIVE_INFINITY));
    // A read outside of the log sees what one inside of it would.
    const read = commands.find((command) => !isWrite(command.op));
    if (read !== undefined) expect(plain(store.read(read))).toEqual(twin.execute(read));
    sequence += commands.length;
  }
});

test("the model test meets every kind of result", () => {
  const kinds = new Set<string>();
  for (const seed of SEEDS.slice(0, 5)) {
    const store = new Store(new MapState());
    let sequence = 1;
    for (const { timeMs, commands } of batchesOf(seed)) {
      const recorder = new Recorder();
      store.applyBatch(writeBatch(timeMs, [section(commands, { firstSequence: sequence })]), recorder);
      for (const result of recorder.sections[0].results) kinds.add(result.error?.code ?? plain(result).kind);
      sequence += commands.length;
    }
  }
  expect([...kinds].sort()).toEqual([
    "absent",
    "integer",
    "list",
    "notDone",
    "not_a_decimal",
    "not_an_integer",
    "ok",
    "overflow",
    "value",
  ]);
});

test.each(SEEDS.slice(0, 10))("the same batches make the same state, also in a store made anew, seed %i", (seed) => {
  const states = [new MapState(), new MapState(), new MapState()];
  const stores = states.map((state) => new Store(state, { expiriesPerBatch: 2 }));
  let sequence = 1;
  for (const { timeMs, commands } of batchesOf(seed)) {
    const batch = writeBatch(timeMs, [
      section(commands, {
        client: CLIENT,
        firstSequence: sequence,
        flags: seed % 2,
        acknowledgedThrough: sequence >> 1,
      }),
    ]);
    // The third is another store for each batch, and nobody listens to the second: neither may matter.
    stores[2] = new Store(states[2], { expiriesPerBatch: 2 });
    stores[0].applyBatch(batch, new Recorder());
    stores[1].applyBatch(batch, { wants: () => false, applied: () => {}, changed: () => {} });
    stores[2].applyBatch(batch, new Recorder());
    stores[0].nextDeadlineMs();
    sequence += commands.length;
    const hash = hashState(states[0]);
    expect(hashState(states[1])).toBe(hash);
    expect(hashState(states[2])).toBe(hash);
  }
});

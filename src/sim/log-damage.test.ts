import { describe, expect, test } from "vitest";
import { ByteWriter, crc32 } from "../core/bytes.js";
import { Random } from "../core/random.js";
import type { LogOptions } from "../node/log/options.js";
import type { RecoveryOutcome } from "../node/log/outcome.js";
import { entry, hardState, LogWorld, SMALL_LOG, words } from "./testing/log-world.js";

/** So small that every byte can be tried. */
const TINY_LOG: LogOptions = { ...SMALL_LOG, segmentBytes: 2048, batchBytesMax: 600, reserveBytes: 600 };
const LAST = 7;
const MARK_SLOTS = [0, 4096];

/** Two groups, one batch an entry, four batches a segment: the log ends in its second segment, with a spare behind. */
function tinyLog(): LogWorld {
  const world = LogWorld.seeded(1, TINY_LOG);
  world.recover();
  world.store(2, 1, hardState(1));
  world.settle();
  for (let position = 1; position < LAST; position += 1) {
    world.store(1, position, entry(position, 1, 300));
    world.settle();
  }
  world.die(false);
  return world;
}

function allWords(outcome: RecoveryOutcome): string {
  return [...outcome.groups.keys()]
    .sort((a, b) => a - b)
    .map((group) => `${group}> ${words(outcome.groups.get(group), 0)}`)
    .join("\n");
}

function wordsOf(world: LogWorld): string {
  return allWords(world.fork().recover());
}

/** The state in which a power failure has taken every mark but those of the start. */
function withoutMarks(world: LogWorld): void {
  const writer = new ByteWriter();
  for (const offset of MARK_SLOTS) {
    const bytes = world.disk.contents("log-marks").slice(offset, offset + 36);
    bytes.fill(0, 24, 32);
    writer.reset();
    writer.raw(bytes);
    writer.u32(crc32(writer.written()));
    overwrite(world, "log-marks", offset, writer.copy());
  }
}

function overwrite(world: LogWorld, name: string, offset: number, bytes: Uint8Array): void {
  world.disk.write(name, offset, bytes, true, (error) => expect(error).toBe(null));
  world.settle();
}

interface Verdicts {
  readonly damaged: number;
  readonly same: number;
  readonly cut: number;
  readonly wrong: string[];
}

/** Flips a bit of every byte in turn; a log without its last batch counts as `cut`. */
function flipEveryByte(world: LogWorld, name: string, from: number, to: number, options = world.options): Verdicts {
  const intact = wordsOf(world);
  const shortened = intact.slice(0, intact.lastIndexOf(` 1:1/${LAST - 1}:`));
  const verdicts = { damaged: 0, same: 0, cut: 0, wrong: [] as string[] };
  for (let offset = from; offset < to; offset += 1) {
    const flipped = world.fork(options);
    flipped.disk.flipBitAt({ name, offset, bit: offset % 8 });
    const outcome = flipped.recover();
    const recovered = allWords(outcome);
    if (outcome.kind === "damaged") verdicts.damaged += 1;
    else if (outcome.kind === "ok" && recovered === intact) verdicts.same += 1;
    else if (outcome.kind === "ok" && recovered.startsWith(shortened) && outcome.cutTail !== null) verdicts.cut += 1;
    else verdicts.wrong.push(`${name} at ${offset}: ${outcome.kind} ${outcome.reason}`);
  }
  return verdicts;
}

/** Header, record overhead and payload of one batch; the rest of its sector is not looked at. */
const ENTRY_BATCH_BYTES = 68 + 25 + 300;

describe("a bit that has flipped", () => {
  test("in what is acknowledged is damage, and changes nothing elsewhere", () => {
    const world = tinyLog();
    const first = flipEveryByte(world, "log-0000000001", 0, 2048);
    expect(first).toEqual({
      damaged: 68 + 25 + 6 + 3 * ENTRY_BATCH_BYTES,
      same: 2048 - (68 + 25 + 6 + 3 * ENTRY_BATCH_BYTES),
      cut: 0,
      wrong: [],
    });
    // The second segment repeats the hard state: 31 bytes.
    const second = flipEveryByte(world, "log-0000000002", 0, 2048);
    expect(second).toEqual({
      damaged: 31 + 3 * ENTRY_BATCH_BYTES,
      same: 2048 - (31 + 3 * ENTRY_BATCH_BYTES),
      cut: 0,
      wrong: [],
    });
    const spare = flipEveryByte(world, "log-0000000003", 0, 2048);
    expect(spare).toEqual({ damaged: 0, same: 2048, cut: 0, wrong: [] });
  });

  test("in one of the marks changes nothing", () => {
    const world = tinyLog();
    for (const offset of MARK_SLOTS) {
      expect(flipEveryByte(world, "log-marks", offset, offset + 512)).toEqual({
        damaged: 0,
        same: 512,
        cut: 0,
        wrong: [],
      });
    }
  });

  test("in the very last batch, when the power has taken the marks too, passes for an unsynced tail: the one in doubt", () => {
    const world = tinyLog();
    withoutMarks(world);
    const before = flipEveryByte(world, "log-0000000002", 0, 1024);
    expect(before).toMatchObject({ damaged: 31 + 2 * ENTRY_BATCH_BYTES, cut: 0, wrong: [] });
    const last = flipEveryByte(world, "log-0000000002", 1024, 1536);
    expect(last).toEqual({ damaged: 0, same: 512 - ENTRY_BATCH_BYTES, cut: ENTRY_BATCH_BYTES, wrong: [] });
  });

  test("canary: a log that takes damage for what is torn is found out", () => {
    const verdicts = flipEveryByte(tinyLog(), "log-0000000001", 0, 512, { ...TINY_LOG, verdict: () => "tail" });
    expect(verdicts.wrong.length).toBeGreaterThan(50);
  });

  test("is found wherever it falls, in larger logs", () => {
    let damaged = 0;
    for (let seed = 0; seed < 300; seed += 1) {
      const random = new Random(seed);
      const world = LogWorld.seeded(seed);
      world.recover();
      for (let turn = 1; turn < 20; turn += 1) {
        world.store(1, turn, entry(turn, 1, random.below(1900)));
        world.settle();
      }
      world.die(false);
      const intact = wordsOf(world);
      world.disk.flipBit(random.pick(world.disk.perishable), random);
      const outcome = world.recover();
      if (outcome.kind === "damaged") damaged += 1;
      else expect(allWords(outcome), `seed ${seed}`).toBe(intact);
    }
    expect(damaged).toBeGreaterThan(150);
  });
});

describe("a file", () => {
  const first = "log-0000000001";
  const second = "log-0000000002";
  const spare = "log-0000000003";

  function outcomeAfter(harm: (world: LogWorld) => void): RecoveryOutcome {
    const world = tinyLog();
    harm(world);
    return world.recover();
  }

  test.each([
    ["the oldest segment", first, "log-0000000001 is missing"],
    ["the newest segment", second, "log-0000000002 is missing"],
    ["the marks", "log-marks", "log-marks is missing"],
  ])("that somebody deleted is named: %s", (_, name, reason) => {
    const outcome = outcomeAfter((world) => world.disk.deleteFile(name));
    expect(outcome).toMatchObject({ kind: "damaged", reason: expect.stringContaining(reason) });
    expect(outcome.reason).toContain("only as a new incarnation");
  });

  test("deleted from the end, segments are missed by the marks", () => {
    const outcome = outcomeAfter((world) => {
      world.disk.deleteFile(second);
      world.disk.deleteFile(spare);
    });
    expect(outcome).toMatchObject({
      kind: "damaged",
      reason: expect.stringMatching(
        /log-0000000001 at 2048: the file ends, although a mark in log-marks says that record \d+ was durable/,
      ),
    });
  });

  test("deleted, all segments are missed", () => {
    const outcome = outcomeAfter((world) => {
      for (const name of [first, second, spare]) world.disk.deleteFile(name);
    });
    expect(outcome).toMatchObject({ kind: "damaged", reason: expect.stringContaining("log-0000000001 is missing") });
  });

  test("of zeros in the newest segment's place is found by the spare behind it, even without marks", () => {
    const outcome = outcomeAfter((world) => {
      withoutMarks(world);
      overwrite(world, second, 0, new Uint8Array(2048));
    });
    expect(outcome).toMatchObject({
      kind: "damaged",
      reason: expect.stringContaining(
        "log-0000000001 at 2048: the file ends, although log-0000000003 exists, which is created only when log-0000000002 is in use",
      ),
    });
  });

  test("that is the spare may be missing", () => {
    const world = tinyLog();
    const intact = wordsOf(world);
    world.disk.deleteFile(spare);
    expect(allWords(world.recover())).toBe(intact);
    expect(world.disk.fileNames()).toContain(spare);
  });

  test("that bears another segment's name is found", () => {
    const outcome = outcomeAfter((world) => {
      world.disk.renameFile(second, "aside");
      world.disk.renameFile(first, second);
      world.disk.renameFile("aside", first);
    });
    expect(outcome).toMatchObject({
      kind: "damaged",
      reason: expect.stringContaining("log-0000000001 at 0: the batch was written for log-0000000002"),
    });
  });

  test("of another log is found", () => {
    const other = LogWorld.seeded(1, { ...TINY_LOG, freshIdentity: 77 });
    other.recover();
    other.store(1, 1, entry(1));
    other.settle();
    const outcome = outcomeAfter((world) => overwrite(world, first, 0, other.disk.contents(first)));
    expect(outcome).toMatchObject({
      kind: "damaged",
      reason: expect.stringContaining("log-0000000001 at 0: the batch belongs to another log"),
    });
  });

  test("of garbage is found, and a truncated one", () => {
    const random = new Random(1);
    const garbage = Uint8Array.from({ length: 2048 }, () => random.below(256));
    expect(outcomeAfter((world) => overwrite(world, first, 0, garbage)).kind).toBe("damaged");
    expect(outcomeAfter((world) => overwrite(world, second, 0, garbage)).kind).toBe("damaged");
    expect(outcomeAfter((world) => overwrite(world, "log-marks", 0, new Uint8Array(8192).fill(3)))).toMatchObject({
      kind: "damaged",
      reason: expect.stringContaining("both marks in log-marks are unreadable"),
    });
    const truncated = outcomeAfter((world) => {
      const bytes = world.disk.contents(second).slice(0, 800);
      world.disk.replace(second, bytes, () => {});
      world.settle();
    });
    expect(truncated).toMatchObject({ kind: "damaged", reason: expect.stringContaining("log-0000000002 at 512") });
  });

  test("that cannot be read any more is damage", () => {
    const outcome = outcomeAfter((world) => world.disk.failNext("read", "EIO"));
    expect(outcome).toMatchObject({ kind: "damaged", reason: expect.stringContaining("log-marks cannot be read") });
  });

  test("with a client's copy of a log in it is still its own log, though torn", () => {
    const world = LogWorld.seeded(1, { ...TINY_LOG, freshIdentity: 77 });
    world.recover();
    world.store(1, 1, entry(1));
    world.settle();
    const copied = world.disk.contents(first).slice(0, 512);
    const victim = LogWorld.seeded(1, TINY_LOG);
    victim.recover();
    victim.store(1, 1, entry(1));
    victim.settle();
    const intact = wordsOf(victim);
    // A torn batch whose payload holds, just at a sector, a sound batch of another log, and one of a future format.
    overwrite(victim, first, 512, new Uint8Array(100).fill(1));
    overwrite(victim, first, 1024, copied);
    overwrite(victim, first, 1536, asVersion(copied, 9));
    victim.die(false);
    const outcome = victim.recover();
    expect(outcome).toMatchObject({ kind: "ok", cutTail: { offset: 512, bytes: 1536 } });
    expect(allWords(outcome)).toBe(intact);
  });
});

/** The same batch as a later build might write it. */
function asVersion(batch: Uint8Array, version: number): Uint8Array {
  const changed = batch.slice();
  const view = new DataView(changed.buffer);
  view.setUint16(4, version, true);
  view.setUint32(64, crc32(changed.subarray(0, 64)), true);
  return changed;
}

describe("another version's log", () => {
  test("is refused by name and left alone: a batch", () => {
    const world = tinyLog();
    const bytes = asVersion(world.disk.contents("log-0000000002").slice(512, 1024), 2);
    overwrite(world, "log-0000000002", 512, bytes);
    const outcome = world.recover();
    expect(outcome).toMatchObject({
      kind: "unsupported",
      reason:
        "log-0000000002 at 512 is in log format 2; this build reads log format 1. Start the build that wrote it, or a newer one.",
    });
    expect(world.disk.contents("log-0000000002").slice(512, 1024)).toEqual(bytes);
  });

  test("is refused by name and left alone: the marks", () => {
    const world = tinyLog();
    const bytes = world.disk.contents("log-marks").slice(0, 40);
    const view = new DataView(bytes.buffer);
    view.setUint16(4, 3, true);
    view.setUint32(36, crc32(bytes.subarray(0, 36)), true);
    overwrite(world, "log-marks", 0, bytes);
    expect(world.recover()).toMatchObject({ kind: "unsupported", reason: expect.stringContaining("log format 3") });
  });
});

describe("a damaged log", () => {
  function damagedLog(): LogWorld {
    const world = tinyLog();
    world.disk.deleteFile("log-0000000002");
    expect(world.recover().kind).toBe("damaged");
    return world;
  }

  test("takes no record", () => {
    expect(() => damagedLog().log.append(1, entry(1), 1)).toThrow("before recovery is done");
  });

  test("is set aside, and an empty one takes its place", () => {
    const world = damagedLog();
    expect(world.startOver().kind).toBe("empty");
    expect(world.disk.fileNames()).toEqual([
      "log-0000000001",
      "log-marks",
      "lost-log-0000000001",
      "lost-log-0000000003",
      "lost-log-marks",
    ]);
    world.store(1, 1, entry(1));
    world.settle();
    world.die(true);
    expect(world.recover()).toMatchObject({ kind: "ok" });
    expect(world.disk.fileNames()).toContain("lost-log-0000000001");
  });

  /** By name: what is kept of damaged logs. */
  function keptFiles(world: LogWorld): Map<string, string> {
    const names = world.disk.fileNames().filter((name) => name.startsWith("lost-"));
    return new Map(names.map((name) => [name, String(crc32(world.disk.contents(name)))]));
  }

  /** Writes a little, and loses a file of it. */
  function damageAgain(world: LogWorld): void {
    world.store(1, 1, entry(1));
    world.settle();
    world.die(false);
    world.disk.deleteFile("log-marks");
    expect(world.recover().kind).toBe("damaged");
  }

  test("of an earlier time is never touched by a later one", () => {
    const world = damagedLog();
    world.startOver();
    for (const number of [2, 3, 4]) {
      const before = keptFiles(world);
      damageAgain(world);
      world.startOver();
      const after = keptFiles(world);
      for (const [name, checksum] of before) expect([name, after.get(name)]).toEqual([name, checksum]);
      const added = [...after.keys()].filter((name) => !before.has(name));
      expect(added).toContain(`lost-${number}-log-0000000001`);
      expect(added.every((name) => name.startsWith(`lost-${number}-log-`))).toBe(true);
    }
  });

  test("is set aside under one number, also when that is interrupted at any step", () => {
    let interrupted = 0;
    for (let seed = 0; seed < 100; seed += 1) {
      const random = new Random(seed);
      const world = damagedLog();
      world.startOver();
      const before = keptFiles(world);
      damageAgain(world);
      world.log.startOver(() => {});
      const steps = random.below(14);
      for (let i = 0; i < steps; i += 1) world.scheduler.step(world.scheduler.nowUs + 1_000_000);
      world.die(random.chance(0.5));
      if (world.recover().kind === "damaged") {
        interrupted += 1;
        expect(world.startOver().kind).toBe("empty");
      }
      const after = keptFiles(world);
      for (const [name, checksum] of before) expect([seed, name, after.get(name)]).toEqual([seed, name, checksum]);
      const numbers = [...after.keys()].filter((name) => !before.has(name)).map((name) => name.slice(0, 7));
      expect([seed, new Set(numbers)]).toEqual([seed, new Set(["lost-2-"])]);
    }
    expect(interrupted).toBeGreaterThan(10);
  });

  test("set aside only in part, by a death at any step, never passes for a sound one", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 400; seed += 1) {
      const random = new Random(seed);
      const world = damagedLog();
      world.log.startOver(() => {});
      const steps = random.below(14);
      for (let i = 0; i < steps; i += 1) world.scheduler.step(world.scheduler.nowUs + 1_000_000);
      world.die(random.chance(0.5));
      const { kind } = world.recover();
      expect(["damaged", "empty"]).toContain(kind);
      seen.add(kind);
      if (kind === "damaged") expect(world.startOver().kind).toBe("empty");
    }
    expect(seen.size).toBe(2);
  });
});

import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, CodecError, latin1Decode, latin1Encode } from "../../core/bytes.js";
import { MapState } from "../../core/map-state.js";
import { Random } from "../../core/random.js";
import { SeenOrigin } from "../../kv/seen.js";
import { checkBatch, decodeItems, encodeItems, Item } from "./item.js";
import { GossipMessage, gossipCodec, MessageKind } from "./message.js";
import { Vector, VectorEntry } from "./origins.js";
import { Replica } from "./replica.js";
import { readSections, type Section, SectionKind, writeSection } from "./section.js";
import { SequenceSet } from "./sequence-set.js";
import { compareStamps, getStamp, putStamp, Stamp } from "./stamp.js";

function drawItem(random: Random, sequence: number): Item {
  const stamp = new Stamp(
    1_000 + random.below(20),
    random.below(3),
    1 + random.below(3),
    1 + random.below(2),
    sequence,
    random.below(2) * 77,
  );
  const item = new Item(stamp, `k${random.below(6)}`, random.chance(0.3));
  if (!item.isDelete) {
    item.value = latin1Encode(`v${sequence}`.repeat(random.below(3)));
    if (random.chance(0.3)) item.deadlineMs = 1_000 + random.below(100);
    if (random.chance(0.3)) item.recordFlags = 1 + random.below(1_000);
  }
  if (random.chance(0.3)) item.dependencies = [new SeenOrigin(4, 1, 1 + random.below(9)), new SeenOrigin(1, 2, 3)];
  return item;
}

function drawVector(random: Random): Vector {
  const vector = new Vector();
  const sequences = new SequenceSet();
  for (let i = 0; i < 6; i += 1) sequences.add(1 + random.below(12));
  vector.entries.push(new VectorEntry(1 + random.below(3), 1, sequences));
  return vector;
}

function drawSection(random: Random, sequence: number): Section {
  const items = [drawItem(random, sequence), drawItem(random, sequence + 1)];
  switch (random.below(9)) {
    case 0:
      return { kind: SectionKind.park, batch: encodeItems(items) };
    case 1:
      return { kind: SectionKind.covers, covers: [{ node: 1, incarnation: 1, sequence, key: "k1" }] };
    case 2:
      return { kind: SectionKind.merge, vector: drawVector(random) };
    case 3:
      return { kind: SectionKind.expire, expiries: [{ key: "k2", version: items[0].stamp.version }] };
    case 4:
      return { kind: SectionKind.trim, node: 1 + random.below(3), incarnation: 1, through: random.below(sequence) };
    case 5:
      return { kind: SectionKind.floor, node: 1 + random.below(3), incarnation: 1, through: random.below(sequence) };
    case 6:
      return { kind: SectionKind.barrier, vector: drawVector(random) };
    case 7:
      return { kind: SectionKind.found, batch: encodeItems(items) };
    default:
      return { kind: SectionKind.writes, batch: encodeItems(items) };
  }
}

function contents(state: MapState): string[] {
  const rows: string[] = [];
  state.range("", "\u0100", (key, value) => {
    rows.push(`${JSON.stringify(key)}=${latin1Decode(value)}`);
    return true;
  });
  return rows;
}

function bytesOf(sections: readonly Section[]): Uint8Array {
  const writer = new ByteWriter(256);
  for (const section of sections) writeSection(section, writer);
  return writer.copy();
}

describe("replica", () => {
  test("keeps of each key the write with the greatest stamp, in whatever order they come", () => {
    const random = new Random(3);
    for (let run = 0; run < 500; run += 1) {
      const items = Array.from({ length: 12 }, (_, i) => drawItem(random, i + 1));
      const twin = new Map<string, Item>();
      for (const item of items) {
        const before = twin.get(item.key);
        if (before === undefined || compareStamps(item.stamp, before.stamp) > 0) twin.set(item.key, item);
      }
      const digests = new Set<string>();
      for (let order = 0; order < 3; order += 1) {
        const replica = new Replica(new MapState());
        while (!replica.entries.treeIsBuilt) replica.entries.buildTree(10);
        for (const item of random.shuffle([...items])) replica.applyItem(item);
        for (const [key, item] of twin) {
          const kept = replica.entries.item(key)!;
          expect(kept.stamp).toEqual(item.stamp);
          expect([kept.isDelete, kept.deadlineMs, kept.recordFlags]).toEqual([
            item.isDelete,
            item.deadlineMs,
            item.recordFlags,
          ]);
          expect(latin1Decode(kept.value)).toBe(latin1Decode(item.value));
        }
        const live = [...twin.values()].filter((item) => !item.isDelete);
        expect([replica.meta.recordCount, replica.counters.tombstones]).toEqual([live.length, twin.size - live.length]);
        digests.add(JSON.stringify(replica.entries.digest(0, 0xffff_ffff)));
      }
      expect(digests.size).toBe(1);
    }
  });

  test("is what its log makes of nothing, wherever a restart falls; its tree counts what is there", () => {
    const random = new Random(4);
    for (let run = 0; run < 300; run += 1) {
      const records = Array.from({ length: 15 }, (_, i) =>
        bytesOf([drawSection(random, 2 * i + 1), drawSection(random, 2 * i + 20)]),
      );
      const whole = new MapState();
      const restarted = new MapState();
      const steady = new Replica(whole);
      let broken = new Replica(restarted);
      while (!steady.entries.treeIsBuilt) steady.entries.buildTree(10);
      for (const record of records) {
        if (random.chance(0.3)) {
          broken.index.save();
          broken = new Replica(restarted);
        }
        for (const replica of [steady, broken]) {
          for (const section of readSections(record)) replica.apply(section);
          replica.save();
        }
        broken.entries.buildTree(1 + random.below(3));
      }
      for (const replica of [steady, broken]) replica.index.save();
      expect(contents(restarted)).toEqual(contents(whole));
      while (!broken.entries.treeIsBuilt) broken.entries.buildTree(2);
      const root = steady.entries.digest(0, 0xffff_ffff);
      expect(broken.entries.digest(0, 0xffff_ffff)).toEqual(root);
      // Summed up leaf by leaf from the rows.
      const half = steady.entries.digest(0, 0x8000_0000);
      const rest = steady.entries.digest(0x8000_0001, 0xffff_ffff);
      expect([(half.low ^ rest.low) >>> 0, half.count + rest.count]).toEqual([root.low, root.count]);
    }
  });
});

describe("bytes", () => {
  test("writes and sections are read as they were written", () => {
    const random = new Random(5);
    for (let run = 0; run < 2_000; run += 1) {
      const items = Array.from({ length: random.below(4) }, (_, i) => drawItem(random, i + 1));
      expect(decodeItems(encodeItems(items))).toEqual(items);
      const sections = [drawSection(random, 5), drawSection(random, 9)];
      expect(readSections(bytesOf(sections))).toEqual(sections);
      for (const { stamp } of items) {
        const bytes = new Uint8Array(44);
        putStamp(bytes, 3, stamp);
        expect(getStamp(Stamp, bytes, 3)).toEqual(stamp);
      }
    }
  });

  test("bad bytes are refused, and nothing else is thrown", () => {
    const random = new Random(6);
    let refused = 0;
    for (let run = 0; run < 20_000; run += 1) {
      const bytes = bytesOf([drawSection(random, 5)]);
      const cut = bytes.slice(0, random.chance(0.5) ? bytes.length : random.below(bytes.length));
      for (let flips = random.below(4); flips >= 0 && cut.length > 0; flips -= 1) {
        cut[random.below(cut.length)] ^= 1 << random.below(8);
      }
      try {
        readSections(cut);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(5_000);
  });

  test("a message of bad bytes is refused when it is decoded, and nothing else is thrown", () => {
    const random = new Random(8);
    let refused = 0;
    for (let run = 0; run < 20_000; run += 1) {
      const message = new GossipMessage(random.pick(Object.values(MessageKind)), 1 + random.below(9));
      message.payload = encodeItems([drawItem(random, 3), drawItem(random, 4)]);
      message.have = drawVector(random);
      message.covers = [{ node: 1, incarnation: 1, sequence: 7, key: "k1" }];
      message.stretches = [{ first: 1, last: 9, low: 0, high: 0, versions: [5, 6] }];
      message.lives = [1, 7];
      const writer = new ByteWriter(256);
      gossipCodec.encode(message, writer);
      const bytes = writer.copy();
      const cut = bytes.slice(0, random.chance(0.5) ? bytes.length : random.below(bytes.length));
      for (let flips = random.below(4); flips >= 0 && cut.length > 0; flips -= 1) {
        cut[random.below(cut.length)] ^= 1 << random.below(8);
      }
      try {
        expect(gossipCodec.decode(new ByteReader(cut)).writes.length).toBeGreaterThanOrEqual(0);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(5_000);
  });

  test("one write has one version, and another has another", () => {
    const random = new Random(7);
    const seen = new Map<number, string>();
    for (let run = 0; run < 20_000; run += 1) {
      const { stamp } = drawItem(random, 1 + random.below(100));
      const name = [stamp.ms, stamp.logical, stamp.node, stamp.incarnation, stamp.sequence].join();
      expect(seen.get(stamp.version) ?? name).toBe(name);
      seen.set(stamp.version, name);
    }
  });
});

test("a delete whose key goes beyond the batch's end", () => {
  const item = new Item(new Stamp(1, 0, 1, 1, 1, 0), "key", true);
  const bytes = encodeItems([item]);
  // Behind the batch's head, one origin, and 31 bytes of the item.
  const at = 17 + 31;
  expect(bytes[at]).toBe(3);
  const bad = bytes.slice();
  bad[at] = 200;
  expect(() => checkBatch(bad)).toThrow(CodecError);
});

import { describe, expect, it } from "vitest";
import { crc32, latin1Encode } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import { sealedValue } from "../testing/sealed.js";
import { forEachChange } from "./change-blocks.js";
import { CheckpointMeta } from "./checkpoint-meta.js";
import { DeadStretches } from "./dead-stretches.js";
import { EntrySeal } from "./entry-seal.js";
import { EntrySum } from "./entry-sum.js";
import { Overlay } from "./overlay.js";
import { OverlayCursor } from "./overlay-cursor.js";
import { sealChanges } from "./seal-changes.js";
import { escapeKey, StateDamaged, StateFormatUnknown } from "./state-damaged.js";

describe("a sealed entry", () => {
  it("is right under its own key and in its own group only", () => {
    const seal = new EntrySeal(3);
    const sealed = sealedValue(3, "key", latin1Encode("value"));
    expect(Buffer.from(seal.open("key", sealed)).toString()).toBe("value");
    expect(() => seal.open("kex", sealed)).toThrow(StateDamaged);
    expect(() => new EntrySeal(4).open("key", sealed)).toThrow("the state of group 4 is damaged");
    expect(() => seal.open("key", sealed.subarray(0, 3))).toThrow(StateDamaged);
  });

  it("tells every single flipped bit, cut and extension", () => {
    const seal = new EntrySeal(3);
    const sealed = sealedValue(3, "key", latin1Encode("a value of some bytes"));
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const flipped = sealed.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      expect(seal.intact("key", flipped)).toBe(false);
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(seal.intact("key", sealed.subarray(0, length))).toBe(false);
    }
    expect(seal.intact("key", Uint8Array.from([...sealed, 0]))).toBe(false);
  });

  it("is looked at before another one takes its place", () => {
    const overlay = new Overlay();
    overlay.set("key", latin1Encode("new"));
    const sealed = sealedValue(3, "key", latin1Encode("old"));
    const sum = new EntrySum();
    sum.add(sealed);
    const seal = (old: Uint8Array): CheckpointMeta =>
      sealChanges(
        (visit) => forEachChange(overlay.changes.blocks, visit),
        { group: 3, position: 2, epoch: 1, sum, extra: new Uint8Array(0) },
        () => old,
      );
    expect(seal(sealed).sum.count).toBe(1);
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const flipped = sealed.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      expect(() => seal(flipped)).toThrow('damaged at key "key"');
    }
  });

  it("shows a damaged key so that a person can read it", () => {
    expect(escapeKey('a"\\\x00\xffz')).toBe("a\\x22\\x5c\\x00\\xffz");
    expect(new StateDamaged(2, "k\x01", "why").message).toBe('the state of group 2 is damaged at key "k\\x01": why');
  });
});

describe("a checkpoint's meta", () => {
  const meta = new CheckpointMeta(9, 2 ** 40, 17, EntrySum.of(3, 4, 5), latin1Encode("extra"));

  it("survives encoding", () => {
    expect(CheckpointMeta.decode(9, meta.encode())).toEqual(meta);
  });

  it("tells every flipped bit and every cut, and another group's meta", () => {
    const bytes = meta.encode();
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      expect(() => CheckpointMeta.decode(9, flipped)).toThrow(StateDamaged);
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => CheckpointMeta.decode(9, bytes.subarray(0, length))).toThrow(StateDamaged);
    }
    expect(() => CheckpointMeta.decode(8, bytes)).toThrow(/names another group/);
  });

  it("of another format is refused by name, not taken for damage", () => {
    const bytes = meta.encode();
    bytes[4] = 2;
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)), true);
    expect(() => CheckpointMeta.decode(9, bytes)).toThrow(StateFormatUnknown);
    expect(() => CheckpointMeta.decode(9, bytes)).toThrow(/has format 2; this build reads format 1/);
  });
});

describe("the sum of entries", () => {
  it("does not depend on order, and forgets what was removed", () => {
    const entries = Array.from({ length: 200 }, (_, i) => sealedValue(1, `k${i}`, latin1Encode(`v${i}`)));
    const [forwards, backwards] = [new EntrySum(), new EntrySum()];
    for (const entry of entries) forwards.add(entry);
    for (const entry of [...entries].reverse()) backwards.add(entry);
    expect(forwards.equals(backwards)).toBe(true);
    backwards.remove(entries[7]);
    expect(forwards.equals(backwards)).toBe(false);
    backwards.add(sealedValue(1, "k7", latin1Encode("v8")));
    expect(backwards.count).toBe(200);
    expect(forwards.equals(backwards)).toBe(false);
  });
});

describe("dead stretches", () => {
  it("never skip a live key, against a twin that remembers all", () => {
    const random = new Random(77);
    const live = new Set<string>();
    const stretches = new DeadStretches();
    const draw = (): string => `${"wxy"[random.below(3)]}${String(random.below(60)).padStart(2, "0")}`;
    let skipped = 0;
    let skippedBack = 0;
    for (let round = 0; round < 50_000; round += 1) {
      const key = draw();
      const what = random.below(4);
      if (what === 0) {
        live.add(key);
        stretches.revive(key);
      } else if (what === 1) {
        live.delete(key);
      } else {
        const start = random.chance(0.5) ? key[0] : key;
        const end = random.chance(0.5) ? String.fromCharCode(start.charCodeAt(0) + 1) : draw();
        const alive = [...live].filter((one) => start <= one && one < end).sort();
        if (random.chance(0.5)) {
          const from = stretches.skip(start);
          skipped += from === start ? 0 : 1;
          expect(alive.length === 0 || from <= alive[0]).toBe(true);
          if (from < end) stretches.learn(start, alive[0] ?? end);
        } else {
          const to = stretches.skipBack(end);
          skippedBack += to === end ? 0 : 1;
          const last = alive.at(-1);
          expect(last === undefined || last < to).toBe(true);
          if (start < to) stretches.learn(last === undefined ? start : `${last}\x00`, end);
        }
      }
    }
    expect(skipped).toBeGreaterThan(1_000);
    expect(skippedBack).toBeGreaterThan(1_000);
  });
});

describe("an overlay's cursor", () => {
  it("walks keys of all first bytes in order, from and to anywhere, either way", () => {
    const random = new Random(12);
    const overlay = new Overlay();
    const keys = new Set<string>();
    for (let round = 0; round < 300; round += 1) {
      for (let i = 0; i < 10; i += 1) {
        const key = String.fromCharCode(random.below(256)).repeat(1 + random.below(2)) + random.below(900);
        keys.add(key);
        overlay.set(key, random.chance(0.3) ? null : new Uint8Array(1));
      }
      const [start, end] = [...keys]
        .filter(() => random.chance(0.1))
        .concat("", "\xff\xff")
        .slice(0, 2)
        .sort();
      const walk = (reverse: boolean): string[] => {
        const walked: string[] = [];
        const cursor = new OverlayCursor(overlay, start, end, reverse);
        for (; cursor.key !== null; cursor.next()) walked.push(cursor.key);
        return walked;
      };
      const sorted = [...keys].filter((key) => start <= key && key < end).sort((a, b) => (a < b ? -1 : 1));
      expect(walk(false)).toEqual(sorted);
      expect(walk(true)).toEqual(sorted.reverse());
    }
    expect(overlay.entryCount).toBe(keys.size);
  });
});

describe("an overlay", () => {
  const draw = (random: Random): string =>
    `${"dm\x00\xff"[random.below(4)]}${"k".repeat(random.below(3))}${random.below(3_000)}`;
  const text = (value: Uint8Array | null | undefined): string | null | undefined =>
    value ? Buffer.from(value).toString("latin1") : (value as null | undefined);

  it("agrees with a map, in blocks that others have used before", () => {
    const random = new Random(5);
    for (let life = 0; life < 6; life += 1) {
      const overlay = new Overlay();
      const twin = new Map<string, string | null>();
      for (let round = 0; round < 20_000; round += 1) {
        const key = draw(random);
        if (random.chance(0.4)) {
          expect(text(overlay.get(key))).toBe(twin.get(key));
          continue;
        }
        const value = random.chance(0.2)
          ? null
          : `${round}${"v".repeat(random.below(random.chance(0.01) ? 90_000 : 90))}`;
        overlay.set(key, value === null ? null : latin1Encode(value));
        twin.set(key, value);
      }
      expect(overlay.entryCount).toBe(twin.size);
      const later = new Overlay();
      const changed = draw(random);
      later.set(changed, latin1Encode("later"));
      overlay.absorb(later);
      twin.set(changed, "later");
      for (const [key, value] of twin) expect(text(overlay.get(key))).toBe(value);
      overlay.release();
    }
  });

  it("holds values larger than a block, and gives one of equal length the old one's place", () => {
    const overlay = new Overlay();
    const large = new Uint8Array(3_000_000).map((_, i) => i * 7);
    overlay.set("large", large);
    overlay.set("small", latin1Encode("1"));
    const taken = overlay.byteCount;
    for (let i = 0; i < 1_000; i += 1) overlay.set("small", latin1Encode(String(i % 10)));
    overlay.set(
      "large",
      large.map((byte) => byte ^ 1),
    );
    expect(overlay.byteCount).toBe(taken);
    expect(text(overlay.get("small"))).toBe("9");
    expect(
      Buffer.compare(
        overlay.get("large") as Uint8Array,
        large.map((byte) => byte ^ 1),
      ),
    ).toBe(0);
  });
});

import { describe, expect, test } from "vitest";
import { AssertionError } from "../../core/assert.js";
import { Random } from "../../core/random.js";
import { Entry, EntryLog } from "./entry-log.js";

/** A log as an array of everything that was ever in it; place 0 stands for the beginning. */
class PlainLog {
  entries: Entry[] = [new Entry(0, 0, new Uint8Array(0))];
  base = 0;

  get last(): number {
    return this.entries.length - 1;
  }

  termAt(index: number): number {
    return index < this.base || index > this.last ? -1 : this.entries[index].term;
  }

  held(): Entry[] {
    return this.entries.slice(this.base + 1);
  }

  /** A snapshot: what lies below was never here, and cannot be asked for. */
  reset(index: number, term: number): void {
    this.entries = Array.from({ length: index + 1 }, (_, i) => new Entry(term, i, new Uint8Array(0)));
    this.base = index;
  }

  slice(index: number, maxBytes: number): Entry[] {
    const out: Entry[] = [];
    for (const entry of this.entries.slice(index)) {
      const bytes = [...out, entry].reduce((sum, { payload }) => sum + payload.length + 64, 0);
      if (out.length > 0 && bytes > maxBytes) return out;
      out.push(entry);
    }
    return out;
  }
}

function compare(log: EntryLog, plain: PlainLog, random: Random): void {
  expect([log.baseIndex, log.baseTerm, log.firstIndex]).toEqual([
    plain.base,
    plain.entries[plain.base].term,
    plain.base + 1,
  ]);
  expect([log.lastIndex, log.lastTerm]).toEqual([plain.last, plain.entries[plain.last].term]);
  const index = random.below(plain.last + 3);
  expect(log.termAt(index)).toBe(plain.termAt(index));
  if (index > plain.base && index <= plain.last) expect(log.at(index)).toBe(plain.entries[index]);
}

function compareSearch(log: EntryLog, plain: PlainLog, random: Random): void {
  const from = plain.base + 1 + random.below(plain.last - plain.base + 1);
  const maxBytes = random.below(60);
  expect(log.slice(from, maxBytes)).toEqual(plain.slice(from, maxBytes));
  const term = random.below(plain.entries[plain.last].term + 2);
  const index = plain.base + random.below(plain.last - plain.base + 3);
  const at = plain.entries.findLastIndex((entry) => entry.index <= index && entry.term <= term);
  const found = log.lastIndexWithTermAtMost(index, term);
  // Below the base nothing is known but that the base's term is not exceeded.
  if (at >= plain.base) expect(found).toBe(at);
  else expect(found).toBeLessThan(plain.base);
  const { term: lastTerm } = plain.entries[plain.last];
  expect(log.isUpToDate(term, index)).toBe(term > lastTerm || (term === lastTerm && index >= plain.last));
}

test("50,000 operations agree with a plain array", () => {
  const random = new Random(7);
  const log = new EntryLog();
  let plain = new PlainLog();
  for (let i = 0; i < 50_000; i += 1) {
    const roll = random.below(1_000);
    if (roll < 600) {
      const term = plain.entries[plain.last].term + (random.chance(0.1) ? 1 + random.below(3) : 0);
      const entry = new Entry(term, plain.last + 1, new Uint8Array(random.below(20)));
      log.append(entry);
      plain.entries.push(entry);
    } else if (roll < 750 && plain.last > plain.base) {
      // Mostly short: logs of thousands are to be seen, too.
      const index = Math.max(plain.base + 1, plain.last - random.below(random.chance(0.02) ? 3_000 : 8));
      log.truncateFrom(index);
      plain.entries.length = index;
    } else if (roll < 780) {
      const index = Math.min(plain.last, plain.base + random.below(random.chance(0.1) ? 3_000 : 20));
      log.compactThrough(index);
      plain.base = index;
    } else if (roll < 781 && random.chance(0.3)) {
      const index = plain.last + random.below(5);
      const { term } = plain.entries[plain.last];
      plain = new PlainLog();
      plain.reset(index, term);
      log.reset(index, term);
    }
    compare(log, plain, random);
    if (i % 10 === 0) compareSearch(log, plain, random);
    if (i % 100 === 0) {
      expect(log.slice(log.firstIndex, Number.POSITIVE_INFINITY)).toEqual(plain.held());
      expect(log.byteLength).toBe(plain.held().reduce((sum, { payload }) => sum + payload.length, 0));
    }
  }
});

describe("an entry log refuses what would break it", () => {
  const log = new EntryLog();
  for (const [i, term] of [1, 1, 2, 2].entries()) log.append(new Entry(term, i + 1, new Uint8Array(1)));
  log.compactThrough(2);

  test.each([
    ["a gap", () => log.append(new Entry(2, 6, new Uint8Array(0)))],
    ["a term that falls", () => log.append(new Entry(1, 5, new Uint8Array(0)))],
    ["truncating what is compacted", () => log.truncateFrom(2)],
    ["compacting what is not there", () => log.compactThrough(5)],
    ["an entry that is compacted", () => log.at(2)],
    ["an entry that is not there", () => log.at(5)],
  ])("%s", (_name, act) => {
    expect(act).toThrow(AssertionError);
    expect([log.baseIndex, log.lastIndex, log.byteLength]).toEqual([2, 4, 2]);
  });
});

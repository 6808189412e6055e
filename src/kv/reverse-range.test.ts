import { beforeEach, expect, test } from "vitest";
import { latin1Decode, latin1Encode } from "../core/bytes.js";
import { MapState } from "../core/map-state.js";
import { Random } from "../core/random.js";
import { Command, CommandFlag, NO_DEADLINE, Op, setCommand } from "./command.js";
import type { Result } from "./result.js";
import { Store } from "./store.js";
import { Driver } from "./testing/harness.js";

let driver: Driver;

beforeEach(() => {
  driver = new Driver(new Store(new MapState()));
});

function set(key: string, text: string, deadlineMs: number = NO_DEADLINE): Command {
  return Object.assign(setCommand(key, latin1Encode(text)), { deadlineMs });
}

function make(op: Op, fields: Partial<Command>): Command {
  return Object.assign(new Command(op), fields);
}

test("a reverse scan pages from the last live key down to the first, the empty one included", () => {
  const keys = ["", "\u0000", "a", "a\u0000", "ab", "b", "\u00ff", "\u00ff".repeat(2_048)];
  for (const key of keys) driver.one(set(key, "v"));
  driver.one(set("aa", "v", 1_001));
  driver.advance(1_001);
  const scan = (key: string, limit: number, pattern = ""): Result =>
    driver.store.read(make(Op.scan, { key, limit, value: latin1Encode(pattern), flags: CommandFlag.reverse }));
  for (const limit of [1, 2, 3, 8, 100]) {
    const found: string[] = [];
    let cursor = "";
    do {
      const page = scan(cursor, limit);
      for (const item of page.items!) found.push(item.key);
      cursor = page.key;
    } while (cursor !== "");
    expect(found).toEqual([...keys].reverse());
  }
  expect(scan("b", 100).items!.map((item) => item.key)).toEqual(["ab", "a\u0000", "a", "\u0000", ""]);
  const page = scan("b", 3, "?");
  expect([page.items!.map((item) => item.key), page.key]).toEqual([["a"], "\u0000\u0000"]);
});

test("a reverse range shows what the range does in the other order, over pages of any size", () => {
  const random = new Random(91);
  const draw = (): string => "\u0000ab\u00ff"[random.below(4)].repeat(random.below(3)) + "aq\u00ff"[random.below(3)];
  const pages = (start: string, end: string, limit: number, flags: number): [string, string][] => {
    const found: [string, string][] = [];
    let [key, value] = [start, end];
    for (let more = true; more; ) {
      const page = driver.store.read(make(Op.range, { key, value: latin1Encode(value), limit, flags }));
      for (const item of page.items!) found.push([item.key, latin1Decode(item.value)]);
      more = page.key !== "";
      if (flags === 0) key = page.key;
      else value = page.key;
    }
    return found;
  };
  driver.one(set("", "the empty key"));
  for (let round = 0; round < 400; round += 1) {
    const key = draw();
    if (random.chance(0.6)) driver.one(set(key, `${round}`, random.chance(0.3) ? driver.timeMs + 20 : undefined));
    else driver.one(make(Op.delete, { keys: [key] }));
    if (random.chance(0.3)) driver.advance(driver.timeMs + 10);
    const [start, end] = [random.chance(0.3) ? "" : draw(), random.chance(0.3) ? "" : draw()];
    const forward = pages(start, end, 1 + random.below(5), 0);
    expect(pages(start, end, 1 + random.below(5), CommandFlag.reverse)).toEqual(forward.reverse());
  }
});

test("a reverse range ends early where its bytes would be too many", () => {
  for (const key of ["a", "b", "c"]) driver.one(set(key, "x".repeat(700_000)));
  const page = driver.store.read(make(Op.range, { limit: 10, flags: CommandFlag.reverse }));
  expect([page.items!.map((item) => item.key), page.key]).toEqual([["c"], "b\u0000"]);
});

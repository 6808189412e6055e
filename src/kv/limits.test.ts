import { expect, test } from "vitest";
import { Random } from "../core/random.js";
import { Command, CommandFlag, getCommand, Op, setCommand } from "./command.js";
import { COMMAND_LIMITS, checkCommand } from "./limits.js";
import { CommandGenerator } from "./testing/generator.js";

const LIMITS = { keyBytesMax: 4, valueBytesMax: 8, keysMax: 3, childrenMax: 2, commandBytesMax: 20 };

function make(op: Op, fields: Partial<Command>): Command {
  return Object.assign(new Command(op), fields);
}

function code(command: Command): string | null {
  return checkCommand(command, LIMITS)?.code ?? null;
}

test("accepts what is just inside, refuses what is just outside", () => {
  const value = (length: number): Uint8Array => new Uint8Array(length);
  expect(code(getCommand("1234"))).toBe(null);
  expect(code(getCommand("12345"))).toBe("key_too_long");
  expect(code(setCommand("k", value(8)))).toBe(null);
  expect(code(setCommand("k", value(9)))).toBe("value_too_large");
  expect(code(make(Op.delete, { keys: ["a", "b", "c"] }))).toBe(null);
  expect(code(make(Op.delete, { keys: ["a", "b", "c", "d"] }))).toBe("batch_too_large");
  expect(code(make(Op.getMany, { keys: ["12345"] }))).toBe("key_too_long");
  expect(code(make(Op.setMany, { keys: ["a", "b"], values: [value(8), value(8)] }))).toBe(null);
  expect(code(make(Op.setMany, { keys: ["a"], values: [value(9)] }))).toBe("value_too_large");
  expect(code(make(Op.setMany, { keys: ["a", "b", "c"], values: [value(8), value(8), value(2)] }))).toBe(
    "batch_too_large",
  );
  const child = setCommand("k", value(8));
  expect(code(make(Op.atomic, { children: [child, child] }))).toBe(null);
  expect(code(make(Op.atomic, { children: [child, child, child] }))).toBe("batch_too_large");
  expect(code(make(Op.atomic, { keys: ["1234"], versions: [0], children: [child, child] }))).toBe("batch_too_large");
  expect(code(make(Op.atomic, { children: [getCommand("12345")] }))).toBe("key_too_long");
  expect(code(make(Op.setRange, { offset: 6, value: value(2) }))).toBe(null);
  expect(code(make(Op.setRange, { offset: 7, value: value(2) }))).toBe("value_too_large");
  expect(code(make(Op.setRange, { offset: 9 }))).toBe(null);
  expect(code(make(Op.rename, { key: "a", keys: ["12345"] }))).toBe("key_too_long");
});

test("refuses what is not well formed", () => {
  for (const command of [
    new Command(Op.delete),
    new Command(Op.getMany),
    make(Op.setMany, { keys: ["a"] }),
    make(Op.setMany, { keys: ["a"], values: [] }),
    make(Op.atomic, { keys: ["a"], versions: [] }),
    make(Op.atomic, { keys: ["a"], versions: [-1] }),
    make(Op.atomic, { keys: ["a"], versions: [0.5] }),
    make(Op.atomic, { children: [new Command(Op.atomic)] }),
    make(Op.atomic, { children: [new Command(Op.progress)] }),
    make(Op.scan, { limit: 0 }),
    make(Op.scan, { limit: 1.5 }),
    make(Op.scan, { limit: 1, flags: CommandFlag.ifPresent }),
    make(Op.range, { limit: 1, flags: CommandFlag.reverse | CommandFlag.ifVersion, versions: [1] }),
    make(Op.set, { key: "k", flags: CommandFlag.reverse }),
    make(Op.flush, { flags: CommandFlag.reverse }),
    make(Op.atomic, { children: [make(Op.scan, { limit: 1, flags: CommandFlag.reverse })] }),
    make(Op.expire, { key: "k", deadlineMs: Number.NaN }),
    make(Op.set, { key: "k", deadlineMs: 2 ** 53 }),
    make(Op.set, { key: "k", flags: CommandFlag.ifVersion }),
    make(Op.set, { key: "k", flags: CommandFlag.ifVersion, versions: [] }),
    make(Op.set, { key: "k", flags: CommandFlag.ifVersion, versions: [0.5] }),
    make(Op.set, { key: "k", flags: CommandFlag.ifVersion | CommandFlag.returnPrevious, versions: [1] }),
    make(Op.delete, { keys: [], flags: CommandFlag.ifVersion, versions: [1] }),
    make(Op.setMany, { keys: [], values: [], flags: CommandFlag.ifVersion, versions: [1] }),
    make(Op.rename, { keys: ["a"], flags: CommandFlag.ifVersion, versions: [1] }),
    make(Op.rename, { keys: [] }),
    new Command(Op.copy),
    make(Op.getRange, { offset: 0.5 }),
    make(Op.getRange, { limit: Number.NaN }),
    make(Op.setRange, { offset: -1 }),
    make(Op.setRange, { offset: 2 ** 53 }),
    make(Op.countUp, { integer: -1n }),
    make(Op.countDown, { integer: 2n ** 64n }),
    make(Op.countUp, { flags: CommandFlag.orCreate }),
  ]) {
    expect(code(command), `op ${command.op}`).toBe("bad_request");
  }
  expect(checkCommand(make(Op.scan, { limit: 1, value: new Uint8Array(1_025) }))?.code).toBe("bad_request");
});

test("says how much there was and how much is allowed", () => {
  expect(checkCommand(getCommand("k".repeat(2_049)))?.message).toBe("the key has 2049 bytes, 2048 are allowed");
  expect(checkCommand(make(Op.atomic, { children: [getCommand("k".repeat(2_049))] }))?.message).toBe(
    "child 1 of the atomic command: the key has 2049 bytes, 2048 are allowed",
  );
});

test("accepts every generated command", () => {
  const generator = new CommandGenerator(new Random(30));
  for (let i = 0; i < 5_000; i += 1) expect(checkCommand(generator.next(), COMMAND_LIMITS)).toBe(null);
});

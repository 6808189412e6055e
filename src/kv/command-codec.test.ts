import fc from "fast-check";
import { expect, test } from "vitest";
import { AssertionError } from "../core/assert.js";
import { ByteReader, ByteWriter, CodecError, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { Command, CommandFlag, NO_DEADLINE, Op, setCommand } from "./command.js";
import { decodeCommand, encodeCommand } from "./command-codec.js";
import { CommandGenerator } from "./testing/generator.js";

const key = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});
const bytes = fc.uint8Array({ maxLength: 60 });
const deadlineMs = fc.oneof(fc.constant(NO_DEADLINE), fc.maxSafeInteger());
const keys = fc.array(key, { maxLength: 6 });

function build(op: Op, fields: Partial<Command>): Command {
  return Object.assign(new Command(op), fields);
}

const options = {
  flags: fc.integer({ min: 0, max: 8191 }),
  recordFlags: fc.nat(0xffffffff),
  deadlineMs,
  versions: fc.option(fc.tuple(fc.maxSafeNat())),
};

function only(ops: readonly Op[], fields: { [K in keyof Command]?: fc.Arbitrary<Command[K]> }): fc.Arbitrary<Command> {
  return fc
    .tuple(fc.constantFrom(...ops), fc.record(fields))
    .map(([op, values]) => build(op, values as Partial<Command>));
}

const simple: fc.Arbitrary<Command> = fc.oneof(
  only([Op.get, Op.length, Op.deadline, Op.persist], { key }),
  only([Op.persist], { key, ...options }),
  only([Op.getMany, Op.exists, Op.versions, Op.delete], { keys }),
  only([Op.delete], { keys, ...options }),
  only([Op.getRange], { key, offset: fc.maxSafeInteger(), limit: fc.maxSafeInteger() }),
  only([Op.setRange], { key, offset: fc.maxSafeInteger(), value: bytes, ...options }),
  only([Op.countUp, Op.countDown], {
    key,
    integer: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    value: bytes,
    ...options,
  }),
  only([Op.rename, Op.copy], { key, keys: fc.tuple(key), ...options }),
  only([Op.scan, Op.range], { key, limit: fc.nat(0xffffffff), value: bytes }),
  only([Op.scan, Op.range], { key, limit: fc.nat(0xffffffff), value: bytes, flags: fc.constant(CommandFlag.reverse) }),
  only([Op.set, Op.append, Op.incrementDecimal], { key, value: bytes, ...options }),
  only([Op.increment], { key, integer: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), ...options }),
  only([Op.expire], { key, ...options }),
  only([Op.progress], { limit: fc.nat(0xffffffff), ...options }),
  only([Op.count, Op.time, Op.flush, Op.advance], {}),
  fc
    .tuple(fc.array(fc.tuple(key, bytes), { maxLength: 5 }), fc.record(options))
    .map(([pairs, rest]) =>
      build(Op.setMany, { keys: pairs.map(([k]) => k), values: pairs.map(([, v]) => v), ...rest }),
    ),
);
const atomic = fc
  .tuple(fc.array(fc.tuple(key, fc.maxSafeNat()), { maxLength: 4 }), fc.array(simple, { maxLength: 5 }))
  .map(([checks, children]) =>
    build(checks.length % 2 === 0 ? Op.atomic : Op.transaction, {
      keys: checks.map(([k]) => k),
      versions: checks.map(([, v]) => v),
      children,
    }),
  );
const anyCommand = fc.oneof({ weight: 4, arbitrary: simple }, { weight: 1, arbitrary: atomic });

function encode(command: Command): Uint8Array {
  const writer = new ByteWriter(1);
  encodeCommand(command, writer);
  return writer.copy();
}

test("every command comes back as it was", () => {
  const ops = new Set<Op>();
  fc.assert(
    fc.property(fc.array(anyCommand, { minLength: 1, maxLength: 4 }), (commands) => {
      const writer = new ByteWriter(1);
      for (const command of commands) encodeCommand(command, writer);
      const reader = new ByteReader(writer.copy());
      for (const command of commands) {
        ops.add(command.op);
        expect(decodeCommand(reader)).toEqual(command);
      }
      expect(reader.remaining).toBe(0);
    }),
    { seed: 1, numRuns: 3_000 },
  );
  expect([...ops].sort((a, b) => a - b)).toEqual(Object.values(Op).sort((a, b) => a - b));
});

test("a plain SET takes 8 bytes beside key and value", () => {
  expect(encode(setCommand("key", latin1Encode("value"))).length).toBe(8 + 3 + 5);
});

test("a DEL without options is as long as the keys that it names", () => {
  expect(encode(build(Op.delete, { keys: ["key"] })).length).toBe(1 + 4 + 2 + 3);
  expect(encode(build(Op.delete, { keys: ["key"], flags: 512 })).length).toBe(1 + 3 + 4 + 2 + 3);
});

test("a range that is not reversed has no options, as it was before there were reversed ones", () => {
  const range = build(Op.range, { key: "a", value: latin1Encode("b"), limit: 3 });
  expect([...encode(range)]).toEqual([11, 1, 0, 97, 3, 0, 0, 0, 1, 0, 0, 0, 98]);
  range.flags = CommandFlag.reverse;
  expect([...encode(range)]).toEqual([11 | 128, 1, 0, 32, 1, 0, 97, 3, 0, 0, 0, 1, 0, 0, 0, 98]);
  const scan = build(Op.scan, { key: "a", limit: 3 });
  expect([...encode(scan)]).toEqual([6, 1, 0, 97, 3, 0, 0, 0, 0, 0, 0, 0]);
});

test("a command cut short is a codec error at every length", () => {
  const generator = new CommandGenerator(new Random(1));
  for (let i = 0; i < 300; i += 1) {
    const whole = encode(generator.next());
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeCommand(new ByteReader(whole.subarray(0, length)))).toThrow(CodecError);
    }
  }
});

/** Whatever the bytes: a codec error, or a command that can be written and read again. */
function survives(hostile: Uint8Array): boolean {
  let command: Command;
  try {
    command = decodeCommand(new ByteReader(hostile));
  } catch (error) {
    if (error instanceof CodecError) return false;
    throw error;
  }
  expect(decodeCommand(new ByteReader(encode(command)))).toEqual(command);
  return true;
}

test("random and mutated bytes make a codec error or a valid command", () => {
  const random = new Random(2);
  const generator = new CommandGenerator(random);
  let valid = 0;
  for (let i = 0; i < 30_000; i += 1) {
    const noise = Uint8Array.from({ length: random.below(40) }, () => random.below(256));
    if (noise.length > 0 && random.chance(0.7)) noise[0] = random.pick(Object.values(Op));
    if (survives(noise)) valid += 1;
    const mutated = encode(generator.next());
    for (let flips = 1 + random.below(3); flips > 0; flips -= 1)
      mutated[random.below(mutated.length)] = random.below(256);
    if (survives(mutated)) valid += 1;
  }
  expect(valid).toBeGreaterThan(5_000);
  expect(valid).toBeLessThan(55_000);
});

test("refuses by name what it does not know", () => {
  const decode = (...hostile: number[]): (() => Command) => {
    return () => decodeCommand(new ByteReader(Uint8Array.from(hostile)));
  };
  expect(decode(0)).toThrow("unknown op");
  expect(decode(255)).toThrow("unknown op");
  expect(decode(Op.get | 128, 0)).toThrow("unknown op");
  expect(decode(Op.delete | 128, 16)).toThrow("unknown options");
  expect(decode(Op.expire, 16)).toThrow("unknown options");
  expect(decode(Op.expire, 1, 0, 64)).toThrow("unknown flags");
  expect(decode(Op.getRange, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f)).toThrow("offset is not a safe integer");
  expect(decode(Op.expire, 4, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f, 0, 0)).toThrow("deadline is not a safe integer");
  expect(decode(Op.atomic, 0, 0, 0, 0, 1, 0, 0, 0, Op.atomic, 0, 0, 0, 0, 0, 0, 0, 0)).toThrow("inside another");
  expect(decode(Op.delete, 255, 255, 255, 255)).toThrow("ends too early");
});

test("a command that is not whole is our own mistake", () => {
  expect(() => encode(new Command(Op.delete))).toThrow(AssertionError);
  expect(() => encode(build(Op.setMany, { keys: ["a"], values: [] }))).toThrow(AssertionError);
  expect(() => encode(build(Op.atomic, { children: [new Command(Op.atomic)] }))).toThrow(AssertionError);
  expect(() => encode(build(Op.atomic, { keys: ["a"], versions: [] }))).toThrow(AssertionError);
  expect(() => encode(new Command(Op.rename, "a"))).toThrow(AssertionError);
  expect(() => encode(build(Op.set, { versions: [1, 2] }))).toThrow(AssertionError);
});

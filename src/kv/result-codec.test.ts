import { expect, test } from "vitest";
import { ByteReader, ByteWriter, CodecError, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { ERRORS, type ErrorCode, KvError } from "./errors.js";
import { errorResult, Result, ResultKind } from "./result.js";
import { decodeResult, encodeResult } from "./result-codec.js";

function randomResult(random: Random, depth: number): Result {
  const kind = random.pick(Object.values(ResultKind).filter((k) => depth > 0 || k !== ResultKind.list));
  const result = new Result(kind);
  if (random.chance(0.5)) result.value = latin1Encode("v".repeat(random.below(9)));
  if (random.chance(0.5)) result.version = random.u48();
  if (random.chance(0.3)) result.recordFlags = random.u32();
  if (random.chance(0.5)) result.integer = BigInt.asIntN(64, BigInt(random.u48()) << BigInt(random.below(17)));
  if (random.chance(0.3)) result.key = "\u00ff".repeat(random.below(5));
  if (random.chance(0.4)) result.deadlineMs = random.pick([-2, 0, random.u48()]);
  if (kind === ResultKind.error) {
    result.error = new KvError(random.pick(Object.keys(ERRORS) as ErrorCode[]), random.chance(0.5) ? "why" : undefined);
  }
  if (kind === ResultKind.list) {
    result.items = Array.from({ length: random.below(4) }, () => randomResult(random, depth - 1));
  }
  return result;
}

function encode(result: Result): Uint8Array {
  const writer = new ByteWriter();
  encodeResult(result, writer);
  return writer.copy();
}

test("every result comes back as it was, and is cut short nowhere", () => {
  const random = new Random(4);
  for (let i = 0; i < 3_000; i += 1) {
    const result = randomResult(random, 2);
    const bytes = encode(result);
    const reader = new ByteReader(bytes);
    expect(decodeResult(reader)).toEqual(result);
    expect(reader.remaining).toBe(0);
    const cut = bytes.subarray(0, random.below(bytes.length));
    expect(() => decodeResult(new ByteReader(cut))).toThrow(CodecError);
  }
});

test("mutated bytes make a codec error or a valid result", () => {
  const random = new Random(5);
  for (let i = 0; i < 30_000; i += 1) {
    const bytes = encode(randomResult(random, 2));
    for (let flips = 1 + random.below(3); flips > 0; flips -= 1) bytes[random.below(bytes.length)] = random.below(256);
    try {
      const result = decodeResult(new ByteReader(bytes));
      expect(decodeResult(new ByteReader(encode(result)))).toEqual(result);
    } catch (error) {
      expect(error).toBeInstanceOf(CodecError);
    }
  }
});

test("bounds the nesting and knows every code", () => {
  let nested = new Result(ResultKind.ok);
  for (let i = 0; i < 3; i += 1) {
    const outer = new Result(ResultKind.list);
    outer.items = [nested];
    nested = outer;
  }
  expect(() => decodeResult(new ByteReader(encode(nested)))).toThrow("nested too deep");
  const unknown = errorResult(new KvError("unknown"));
  (unknown.error as { code: string }).code = "toString";
  expect(() => decodeResult(new ByteReader(encode(unknown)))).toThrow("unknown error code");
});

import { describe, expect, test } from "vitest";
import { CodecError } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import { HardState } from "./hard-state.js";

function randomHardState(random: Random): HardState {
  const hard = new HardState();
  hard.term = random.pick([0, 1, random.u48(), Number.MAX_SAFE_INTEGER]);
  hard.vote = random.below(65_536);
  hard.incarnation = random.u48();
  hard.recovering = random.chance(0.5);
  hard.compactedIndex = random.u48();
  for (let i = random.below(6); i > 0; i -= 1) hard.known.set(1 + random.below(7), random.u48());
  return hard;
}

describe("hard state", () => {
  test("comes back as it was", () => {
    const random = new Random(31);
    for (let i = 0; i < 10_000; i += 1) {
      const hard = randomHardState(random);
      expect(HardState.decode(hard.encode())).toEqual(hard);
    }
  });

  test("cut off anywhere is a codec error", () => {
    const bytes = randomHardState(new Random(32)).encode();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => HardState.decode(bytes.subarray(0, length))).toThrow(CodecError);
    }
  });

  test("with bytes changed is a codec error or another hard state, and nothing else", () => {
    const random = new Random(33);
    for (let i = 0; i < 20_000; i += 1) {
      const bytes = randomHardState(random).encode();
      bytes[random.below(bytes.length)] = random.below(256);
      try {
        const hard = HardState.decode(bytes);
        expect(HardState.decode(hard.encode())).toEqual(hard);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
      }
    }
  });

  test("of another version is named", () => {
    const bytes = new HardState().encode();
    bytes[0] = 2;
    expect(() => HardState.decode(bytes)).toThrow("raft hard state version 2; this build reads 1");
  });
});

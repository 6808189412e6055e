/** What every implementation of {@link ByteFunctions} must do. */
import { describe, expect, it } from "vitest";
import type { ByteFunctions } from "../bytes.js";

/** CRC-32 one bit at a time, straight from the definition: the dumb twin. */
function crc32Bitwise(bytes: Uint8Array, seed: number): number {
  let c = ~seed >>> 0;
  for (const byte of bytes) {
    c = (c ^ byte) >>> 0;
    for (let bit = 0; bit < 8; bit += 1) c = (c & 1) === 1 ? ((c >>> 1) ^ 0xedb88320) >>> 0 : c >>> 1;
  }
  return ~c >>> 0;
}

function pattern(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + salt * 17 + (i >> 3)) & 0xff);
}

function allChars(length: number): string {
  return Array.from({ length }, (_, i) => String.fromCharCode((i * 7) & 0xff)).join("");
}

/** Around every length at which an implementation may switch its way of working. */
const LENGTHS = [
  0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 21, 22, 23, 31, 32, 33, 63, 64, 111, 112, 113, 128, 129, 255, 256, 2047,
];

export function bytesSuite(name: string, functions: ByteFunctions): void {
  const crc32 = (bytes: Uint8Array, seed: number): number => functions.crc32(bytes, seed, 0, bytes.length);
  describe(`byte functions: ${name}`, () => {
    it("crc32 gives the check value of the standard", () => {
      expect(crc32(new TextEncoder().encode("123456789"), 0)).toBe(0xcbf43926);
      expect(crc32(new Uint8Array(0), 0)).toBe(0);
    });

    it("crc32 agrees with the bit-by-bit definition at every length, offset and seed", () => {
      for (const length of [...LENGTHS, 4096, 65_537]) {
        for (const seed of [0, 1, 0xffffffff, 0x80000000, 0x12345678]) {
          const bytes = pattern(length + 3, length).subarray(3);
          expect(crc32(bytes, seed)).toBe(crc32Bitwise(bytes, seed));
        }
      }
    });

    it("crc32 goes on from an earlier result, at every split", () => {
      const bytes = pattern(300, 5);
      const whole = crc32(bytes, 0);
      for (let split = 0; split <= bytes.length; split += 1) {
        const first = crc32(bytes.subarray(0, split), 0);
        expect(crc32(bytes.subarray(split), first)).toBe(whole);
        expect(functions.crc32(bytes, functions.crc32(bytes, 0, 0, split), split, bytes.length)).toBe(whole);
      }
    });

    it("crc32 notices every single flipped bit", () => {
      for (const length of [16, 200]) {
        const bytes = pattern(length, 9);
        const good = crc32(bytes, 0);
        for (let bit = 0; bit < length * 8; bit += 1) {
          bytes[bit >> 3] ^= 1 << (bit & 7);
          expect(crc32(bytes, 0)).not.toBe(good);
          bytes[bit >> 3] ^= 1 << (bit & 7);
        }
      }
    });

    it("latin1Decode makes one char of each byte of the range", () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const text = functions.latin1Decode(bytes, 0, 256);
      expect([...text].map((char) => char.charCodeAt(0))).toEqual([...bytes]);
      expect(functions.latin1Decode(bytes, 65, 68)).toBe("ABC");
      expect(functions.latin1Decode(bytes, 7, 7)).toBe("");
      expect(functions.latin1Decode(bytes.subarray(60), 5, 8)).toBe("ABC");
    });

    it("latin1Write puts one byte a char and touches nothing else", () => {
      for (const length of LENGTHS) {
        const text = allChars(length);
        const target = new Uint8Array(length + 10).fill(0xee);
        functions.latin1Write(text, target, 4);
        expect([...target.subarray(0, 4)]).toEqual([0xee, 0xee, 0xee, 0xee]);
        expect([...target.subarray(4 + length)]).toEqual(new Array(6).fill(0xee));
        expect(functions.latin1Decode(target, 4, 4 + length)).toBe(text);
      }
    });

    it("latin1Write works on a view into a larger buffer", () => {
      const outer = new Uint8Array(100).fill(1);
      functions.latin1Write(allChars(40), outer.subarray(30, 90), 5);
      expect(functions.latin1Decode(outer, 35, 75)).toBe(allChars(40));
      expect(outer[34]).toBe(1);
      expect(outer[75]).toBe(1);
    });

    it("allocate gives plain Uint8Arrays of the asked length that share no byte", () => {
      const arrays = [];
      for (let round = 0; round < 40; round += 1) for (const length of LENGTHS) arrays.push(functions.allocate(length));
      arrays.push(functions.allocate(2049), functions.allocate(100_000), functions.allocate(1 << 20));
      for (const [i, bytes] of arrays.entries()) bytes.fill(i & 0xff);
      for (const [i, bytes] of arrays.entries()) {
        expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
        expect(bytes.every((byte) => byte === (i & 0xff))).toBe(true);
      }
      expect(arrays.slice(0, LENGTHS.length).map((bytes) => bytes.length)).toEqual(LENGTHS);
    });
  });
}

import { expect, test } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import { Arguments } from "../resp/index.js";
import { exptime, u32, u64 } from "./numbers.js";

/** The text as a meta flag's token: one byte stands before it. */
function read<T>(by: (request: Arguments, index: number, skip: number) => T, text: string): T {
  const request = new Arguments();
  request.bytes = latin1Encode(`X${text}`);
  request.add(0, text.length + 1);
  return by(request, 0, 1);
}

test("numbers are digits, within their range", () => {
  expect(["0", "7", "007", "4294967295"].map((text) => read(u32, text))).toEqual([0, 7, 7, 4_294_967_295]);
  expect(["", "-1", "+1", "1x", " 1", "4294967296", "99999999999999999999"].map((text) => read(u32, text))).toEqual(
    Array(7).fill(null),
  );
  expect(["0", "999999999999999", "18446744073709551615"].map((text) => read(u64, text))).toEqual([
    0n,
    999_999_999_999_999n,
    2n ** 64n - 1n,
  ]);
  for (const text of ["", "-1", "0x1", "18446744073709551616", "1".repeat(21)])
    expect(read(u64, text), text).toBe(null);
});

test("times may be negative, and no time overflows", () => {
  expect(["0", "-1", "60", "9000000000000"].map((text) => read(exptime, text))).toEqual([0, -1, 60, 9_000_000_000_000]);
  for (const text of ["", "-", "--1", "1.5", "9000000000001"]) expect(read(exptime, text), text).toBe(null);
});

import { expect, test } from "vitest";
import { latin1Decode, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { formatDecimal, isDecimal, parseDecimal } from "./decimal-text.js";

function normal(text: string): string | null {
  const units = parseDecimal(latin1Encode(text));
  return typeof units === "bigint" ? latin1Decode(formatDecimal(units)) : units;
}

test("spells numbers as Redis shows them", () => {
  const cases: Record<string, string> = {
    "10.50": "10.5",
    "5.0e3": "5000",
    "-0": "0",
    "+.5": "0.5",
    "5.": "5",
    "007": "7",
    "3.14159265358979323846": "3.14159265358979324",
    "1e-17": "0.00000000000000001",
    "5e-18": "0.00000000000000001",
    "-5e-18": "-0.00000000000000001",
    "4e-18": "0",
    "1e-999": "0",
    "0e9999": "0",
    "00000000000000000000.25E+2": "25",
  };
  for (const [text, shown] of Object.entries(cases)) expect(normal(text), text).toBe(shown);
});

test("spells nothing else", () => {
  for (const text of [
    "",
    ".",
    "+",
    "e5",
    " 1",
    "1 ",
    "1,5",
    "0x10",
    "nan",
    "--1",
    "1e",
    "1e+",
    "1.2.3",
    "1\n",
    "\u00b2",
  ]) {
    expect(normal(text), text).toBe(null);
  }
  for (const text of ["inf", "-Infinity", "1e308", "-9e9999"]) expect(normal(text), text).toBe("infinity");
  expect(normal("9".repeat(308))).toBe("9".repeat(308));
  expect(normal("9".repeat(309))).toBe("infinity");
  expect(normal(`${"9".repeat(308)}.999999999999999995`)).toBe("infinity");
  expect(normal("1".repeat(513))).toBe(null);
});

test("what is shown is read as the same number", () => {
  const random = new Random(5);
  for (let i = 0; i < 10_000; i += 1) {
    let units = BigInt(random.u48());
    for (let grow = random.below(20); grow > 0; grow -= 1) units = units * BigInt(random.u32()) + 1n;
    if (random.chance(0.5)) units = -units;
    expect(isDecimal(units)).toBe(true);
    expect(parseDecimal(formatDecimal(units))).toBe(units);
  }
  expect([10n ** 325n - 1n, 10n ** 325n, -(10n ** 325n)].map(isDecimal)).toEqual([true, false, false]);
});

/**
 * Decimal numbers as exact fixed-point integers, in units of 10^-17: Redis shows as many places. Redis itself computes
 * them as the C compiler's long double; two builds may differ in that, and replicas may not.
 */
import { latin1Decode, latin1Encode } from "../core/bytes.js";

const PLACES = 17;
const ONE = tenTo(PLACES);
/** Digits before the point. */
const WHOLE_DIGITS_MAX = 308;
const UNITS_END = tenTo(WHOLE_DIGITS_MAX + PLACES);
const CHARS_MAX = 512;
const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;
const INFINITY = /^[+-]?inf(inity)?$/i;

/**
 * The number that a value spells (sign, digits, point, exponent), rounded to units, half away from zero; `null` if it
 * spells none, "infinity" if it is beyond what {@link isDecimal} allows.
 */
export function parseDecimal(bytes: Uint8Array): bigint | "infinity" | null {
  if (bytes.length > CHARS_MAX) return null;
  const text = latin1Decode(bytes);
  const match = NUMBER.exec(text);
  if (match === null) return INFINITY.test(text) ? "infinity" : null;
  const whole = match[2];
  const fraction = match[3] ?? "";
  if (whole.length + fraction.length === 0) return null;
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return 0n;
  const shift = PLACES - fraction.length + Number(match[4] ?? "0");
  if (digits.length + shift > WHOLE_DIGITS_MAX + PLACES) return "infinity";
  const units = digits.length + shift < 0 ? 0n : shifted(BigInt(digits), shift);
  if (units >= UNITS_END) return "infinity";
  return match[1] === "-" ? -units : units;
}

function tenTo(power: number): bigint {
  return BigInt(`1${"0".repeat(power)}`);
}

/** `value` × 10^`shift`, rounded half up. */
function shifted(value: bigint, shift: number): bigint {
  if (shift >= 0) return value * tenTo(shift);
  const divisor = tenTo(-shift);
  return (value + divisor / 2n) / divisor;
}

export function isDecimal(units: bigint): boolean {
  return units < UNITS_END && units > -UNITS_END;
}

/** No exponent, no needless zero. */
export function formatDecimal(units: bigint): Uint8Array {
  const size = units < 0n ? -units : units;
  const whole = (size / ONE).toString();
  const fraction = (size % ONE).toString().padStart(PLACES, "0").replace(/0+$/, "");
  const text = fraction === "" ? whole : `${whole}.${fraction}`;
  return latin1Encode(units < 0n ? `-${text}` : text);
}

import { latin1Decode, latin1Encode } from "../core/bytes.js";

const ZERO = 0x30;
const MINUS = 0x2d;
const SPACE = 0x20;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
/** "-9223372036854775808" */
const CHARS_MAX = 20;
/** Memcached keeps a counter in at most so many: 20 digits, and spaces that a decrement has left. */
const COUNTER_CHARS_MAX = 24;
/** Up to so many digits a number cannot be wrong. */
const DIGITS_SAFE = 15;

export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/**
 * The signed 64-bit integer that a value spells, or null. Strict, as Redis is: digits with at most a minus before them;
 * no plus, no space, no leading zero, no minus zero.
 */
export function parseInt64(bytes: Uint8Array): bigint | null {
  const isNegative = bytes[0] === MINUS;
  const start = isNegative ? 1 : 0;
  const digits = bytes.length - start;
  if (digits < 1 || bytes.length > CHARS_MAX) return null;
  if (bytes[start] === ZERO) return digits === 1 && !isNegative ? 0n : null;
  let small = 0;
  for (let i = start; i < bytes.length; i += 1) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return null;
    small = small * 10 + digit;
  }
  if (digits <= DIGITS_SAFE) return BigInt(isNegative ? -small : small);
  const value = BigInt(latin1Decode(bytes));
  return isInt64(value) ? value : null;
}

export function formatInteger(value: bigint): Uint8Array {
  return latin1Encode(value.toString());
}

export function isUint64(value: bigint): boolean {
  return value >= 0n && value <= UINT64_MAX;
}

/**
 * The unsigned 64-bit integer that a value spells, or null. Lenient as memcached is, whose clients pad their counters:
 * leading zeros and trailing spaces are allowed.
 */
export function parseUint64(bytes: Uint8Array): bigint | null {
  let end = bytes.length;
  if (end > COUNTER_CHARS_MAX) return null;
  while (end > 0 && bytes[end - 1] === SPACE) end -= 1;
  if (end === 0) return null;
  for (let i = 0; i < end; i += 1) if (bytes[i] < ZERO || bytes[i] > ZERO + 9) return null;
  const value = BigInt(latin1Decode(bytes, 0, end));
  return value <= UINT64_MAX ? value : null;
}

/** Numbers as memcached writes them: decimal digits, nothing else. */
import type { Arguments } from "../resp/index.js";

const ZERO = 0x30;
const MINUS = 0x2d;
const DIGITS_SAFE = 15;
const U32_MAX = 4_294_967_295;
const U64_MAX = 2n ** 64n - 1n;
/** A deadline of so many seconds plus any present time stays, in ms, a safe integer: about 285,000 years. */
const EXPTIME_SECONDS_MAX = 9_000_000_000_000;

/** The number that `bytes[start, end)` spell; -1: none, or one of more than 15 digits. */
export function wholeNumber(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9 || at - start >= DIGITS_SAFE) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** `skip`: bytes of the word that stand before the number, as a meta flag does. */
export function u32(request: Arguments, index: number, skip = 0): number | null {
  const value = wholeNumber(request.bytes, request.start(index) + skip, request.end(index));
  return value < 0 || value > U32_MAX ? null : value;
}

export function u64(request: Arguments, index: number, skip = 0): bigint | null {
  const value = wholeNumber(request.bytes, request.start(index) + skip, request.end(index));
  if (value >= 0) return BigInt(value);
  const text = request.text(index).slice(skip);
  if (!/^\d{1,20}$/.test(text)) return null;
  const large = BigInt(text);
  return large > U64_MAX ? null : large;
}

/** Seconds, as {@link applyExptime} takes them. */
export function exptime(request: Arguments, index: number, skip = 0): number | null {
  const start = request.start(index) + skip;
  const isNegative = start < request.end(index) && request.bytes[start] === MINUS;
  const value = wholeNumber(request.bytes, isNegative ? start + 1 : start, request.end(index));
  if (value < 0 || value > EXPTIME_SECONDS_MAX) return null;
  return isNegative ? -value : value;
}

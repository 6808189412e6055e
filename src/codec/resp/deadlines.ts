/** Times as clients give them: seconds or ms, from now or since 1970. */
import type { Arguments } from "./arguments.js";
import { invalidExpireTime, NOT_AN_INTEGER } from "./errors.js";

/** A deadline plus any present time stays a safe integer: about 285,000 years. Redis ends at 292 million. */
const DEADLINE_MS_MAX = 9_000_000_000_000_000n;

export function isDeadline(value: number | string): value is number {
  return typeof value === "number";
}

/** Of SET and its kin: must be positive. The error line otherwise. */
export function expireTime(request: Arguments, index: number, inSeconds: boolean, name: string): number | string {
  const given = request.integer(index);
  if (given === null) return NOT_AN_INTEGER;
  if (given <= 0n) return invalidExpireTime(name);
  const ms = inSeconds ? given * 1000n : given;
  return ms > DEADLINE_MS_MAX ? invalidExpireTime(name) : Number(ms);
}

/** Of EXPIRE and its kin: one that lies in the past is allowed and removes the key, so 0 stands for all of those. */
export function expireTimeOrPast(request: Arguments, index: number, inSeconds: boolean, name: string): number | string {
  const given = request.integer(index);
  if (given === null) return NOT_AN_INTEGER;
  const ms = inSeconds ? given * 1000n : given;
  if (ms > DEADLINE_MS_MAX || ms < -DEADLINE_MS_MAX) return invalidExpireTime(name);
  return ms < 0n ? 0 : Number(ms);
}

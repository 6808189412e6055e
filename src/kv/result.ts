import { EMPTY_BYTES } from "../core/bytes.js";
import type { KvError } from "./errors.js";

export const ResultKind = {
  /** Done; `version` is the write's. */
  ok: 1,
  value: 2,
  absent: 3,
  integer: 4,
  /** `items`: one result a key, child, or (scan) key found. */
  list: 5,
  /** A condition of the command did not hold (NX, XX, a check): nothing was written. Of ifVersion `version` is the record's. */
  notDone: 6,
  error: 7,
} as const;
export type ResultKind = (typeof ResultKind)[keyof typeof ResultKind];

/** What an operation answered. One shape for all; which fields count is told by `kind`. */
export class Result {
  kind: ResultKind;
  value: Uint8Array = EMPTY_BYTES;
  /** Version of the record read or written; 0 where there is none. */
  version = 0;
  recordFlags = 0;
  integer = 0n;
  items: Result[] | null = null;
  /** Scan: where to go on, "" at the end. A scanned key's own name in its item. */
  key = "";
  /** Deadline of the record in replicated ms; -1 none, -2 no such key. */
  deadlineMs = -1;
  error: KvError | null = null;

  constructor(kind: ResultKind) {
    this.kind = kind;
  }
}

export function errorResult(error: KvError): Result {
  const result = new Result(ResultKind.error);
  result.error = error;
  return result;
}

export function integerResult(value: bigint): Result {
  const result = new Result(ResultKind.integer);
  result.integer = value;
  return result;
}

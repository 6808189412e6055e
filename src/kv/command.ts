import { EMPTY_BYTES } from "../core/bytes.js";

/** Reads are below 32, writes above; 64 and up never reach a state machine. */
export const Op = {
  get: 1,
  getMany: 2,
  /** How many of `keys` exist (a key named twice counts twice). */
  exists: 3,
  length: 4,
  /** Deadline of a key in replicated ms. */
  deadline: 5,
  /**
   * Keys in byte order from `key` (inclusive), at most `limit`, glob pattern in `value` applied after that. In reverse:
   * the keys below `key` (empty: from the last one), the highest first.
   */
  scan: 6,
  count: 7,
  /** Versions of `keys`, 0 for an absent one: what WATCH remembers. */
  versions: 8,
  /** The value's bytes from `offset` through `limit`, both inclusive; negative: counted from the end. */
  getRange: 9,
  /** The replicated time, in ms: what a client id's `openedMs` is taken from. */
  time: 10,
  /**
   * Records with their values from `key` (inclusive) to the key in `value` (exclusive; empty: to the end), at most `limit`.
   * In reverse: of the same bounds, the highest first.
   */
  range: 11,

  set: 32,
  delete: 33,
  setMany: 34,
  increment: 35,
  append: 36,
  expire: 37,
  persist: 38,
  flush: 39,
  /** All `children` or, if a check of `keys`/`versions` fails, none. */
  atomic: 40,
  /** Nothing but the passing of replicated time (the leader proposes it when a deadline is due). */
  advance: 41,
  /** Writes `value` over the record's from byte `offset` on; zeros fill a gap. An empty `value` changes nothing. */
  setRange: 42,
  /** Adds the decimal number that `value` spells, exactly (decimal-text.ts): Redis' INCRBYFLOAT. */
  incrementDecimal: 43,
  /** Moves the record, with its deadline and flags, to the key `keys[0]`. */
  rename: 44,
  /** Copies the record, with its deadline and flags, to the key `keys[0]`. */
  copy: 45,
  /** Memcached's incr: unsigned 64-bit, goes on from 0 above 2^64 - 1. */
  countUp: 46,
  /** Memcached's decr: unsigned 64-bit, stops at 0. */
  countDown: 47,
  /**
   * As `atomic`, but none of the children is done either if one of them would fail, and all are done under one version.
   * Children: set, delete and increment, without conditions.
   */
  transaction: 48,

  /** How many replicas hold this session's last write durably: Redis' WAIT. `limit` is the number waited for. */
  progress: 64,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

export function isWrite(op: Op): boolean {
  return op >= 32 && op < 64;
}

/** Whether commands of this op hold others, with checks before them. */
export function holdsChildren(op: Op): boolean {
  return op === Op.atomic || op === Op.transaction;
}

/** Bits of {@link Command.flags}. */
export const CommandFlag = {
  ifAbsent: 1,
  ifPresent: 2,
  /** Answer the previous value (SET … GET). */
  returnPrevious: 4,
  keepDeadline: 8,
  /** `deadlineMs` counts from the replicated time at which the command is applied. */
  deadlineRelative: 16,
  ifDeadlineGreater: 32,
  ifDeadlineLess: 64,
  ifNoDeadline: 128,
  ifHasDeadline: 256,
  /** Of expire, persist and the delete of one key: answer the record. */
  returnValue: 512,
  /** Of a write to one key: only if the record's version is `versions[0]`. */
  ifVersion: 1024,
  /** Append before the value instead of after it. */
  atFront: 2048,
  /** Of countUp and countDown: an absent key gets `value`, the digits of its first number. */
  orCreate: 4096,
  /** Of scan and range: in descending order. */
  reverse: 8192,
} as const;

export const NO_DEADLINE = -1;

/**
 * One operation on one keyspace, the same for every wire. One class with every field always set, so that the hot path
 * sees a single shape. Keys are latin1 strings: one char a byte.
 */
export class Command {
  op: Op;
  key: string;
  value: Uint8Array = EMPTY_BYTES;
  keys: string[] | null = null;
  values: Uint8Array[] | null = null;
  /** One a key of `keys`, for `atomic` and `transaction`: 0 demands absence. With ifVersion the one version. */
  versions: number[] | null = null;
  children: Command[] | null = null;
  /** Delta: signed 64-bit of an increment, unsigned of countUp and countDown. */
  integer = 0n;
  flags = 0;
  /** Memcached's flags, kept with the record. */
  recordFlags = 0;
  deadlineMs: number = NO_DEADLINE;
  limit = 0;
  /** A byte of the value, from 0. */
  offset = 0;

  constructor(op: Op, key = "") {
    this.op = op;
    this.key = key;
  }
}

export function getCommand(key: string): Command {
  return new Command(Op.get, key);
}

export function setCommand(key: string, value: Uint8Array): Command {
  const command = new Command(Op.set, key);
  command.value = value;
  return command;
}

export function incrementCommand(key: string, delta: bigint): Command {
  const command = new Command(Op.increment, key);
  command.integer = delta;
  return command;
}

export function deleteCommand(keys: string[]): Command {
  const command = new Command(Op.delete);
  command.keys = keys;
  return command;
}

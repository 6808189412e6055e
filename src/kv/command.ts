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
  /** Keys in byte order from `key` (inclusive), at most `limit`, glob pattern in `value` applied after that. */
  scan: 6,
  count: 7,
  /** Versions of `keys`, 0 for an absent one: what WATCH remembers. */
  versions: 8,

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

  /** How many replicas hold this session's last write durably: Redis' WAIT. `limit` is the number waited for. */
  progress: 64,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

export function isWrite(op: Op): boolean {
  return op >= 32 && op < 64;
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
  /** One a key of `keys`, for `atomic`: 0 demands absence. */
  versions: number[] | null = null;
  children: Command[] | null = null;
  /** Delta of an increment: signed 64-bit. */
  integer = 0n;
  flags = 0;
  /** Memcached's flags, kept with the record. */
  recordFlags = 0;
  deadlineMs: number = NO_DEADLINE;
  limit = 0;

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

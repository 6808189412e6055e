/** A JSON scalar. As the content of a key, `null` means that the key is absent, which is also every key's initial state. */
export type Value = string | number | boolean | null;

export type EventType = "invoke" | "ok" | "fail" | "info";

export const FUNCTIONS = ["read", "write", "cas", "delete", "increment", "append"] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** What a client did or saw at one moment: one line of a history file. Further fields of the line are kept. */
export interface Event {
  readonly process: number;
  readonly type: EventType;
  readonly f: FunctionName;
  readonly key: string;
  /** `[expected, new]` for a cas, otherwise a scalar. */
  readonly value: Value | readonly [Value, Value];
  /** An integer, in nanoseconds or logical: only the order matters. */
  readonly time: number;
  readonly [field: string]: unknown;
}

/** An invocation paired with its completion. Operations that failed never took effect and do not become one. */
export interface Operation {
  /** Place in the array of its history, in order of invocation. */
  readonly index: number;
  readonly process: number;
  readonly f: FunctionName;
  readonly key: string;
  /** Written by a write, new value of a cas, delta of an increment, suffix of an append; `null` for a read or delete. */
  readonly value: Value;
  /** What a cas compares with; `null` for everything else. */
  readonly expected: Value;
  /**
   * What the client was told; `undefined` when it was told nothing. A read: what it returned. A cas: `true` swapped,
   * `false` proven mismatch. An increment: the new value. Nothing else has an output.
   */
  readonly output: Value | undefined;
  readonly invokeTime: number;
  /** `Infinity` while the outcome is unknown. */
  readonly returnTime: number;
  /** `ok`: took effect. `info`: takes effect at one moment after its invocation, however late, or never. */
  readonly status: "ok" | "info";
  /** Line (or event number) of the invocation, from 1; 0 when made up by an importer. */
  readonly line: number;
  /** Further fields of both lines; the completion's win. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Longer texts are shown by their beginning and end. */
const SHOWN_CHARS_MAX = 64;
const SHOWN_END_CHARS = 16;

/** A value as a person would say it: JSON, long ones shortened; `absent` for no value. */
export function showValue(value: Value | undefined): string {
  if (value === undefined) return "?";
  return value === null ? "absent" : JSON.stringify(typeof value === "string" ? shortened(value) : value);
}

/** What only fills a value up to its size says nothing: of one char many times, three are shown. */
function shortened(text: string): string {
  const unpadded = text.replace(/(.)\1{11,}/gsu, "$1$1$1…");
  if (unpadded.length <= SHOWN_CHARS_MAX) return unpadded;
  return `${unpadded.slice(0, SHOWN_CHARS_MAX - SHOWN_END_CHARS)}…${unpadded.slice(-SHOWN_END_CHARS)}`;
}

/** The call as a person would say it, such as `read → 2`, `cas 1→2`, `append "a"`. */
export function showCall(operation: Operation): string {
  switch (operation.f) {
    case "read":
      return `read → ${showValue(operation.output)}`;
    case "cas": {
      const call = `cas ${showValue(operation.expected)}→${showValue(operation.value)}`;
      return operation.output === false ? `${call} ✗` : call;
    }
    case "delete":
      return "delete";
    case "increment": {
      const call = `increment ${showValue(operation.value)}`;
      return operation.output === undefined ? call : `${call} → ${showValue(operation.output)}`;
    }
    default:
      return `${operation.f} ${showValue(operation.value)}`;
  }
}

/** The operations of each key, keys in order of first use. */
export function groupByKey(operations: readonly Operation[]): Map<string, Operation[]> {
  const groups = new Map<string, Operation[]>();
  for (const operation of operations) {
    const group = groups.get(operation.key);
    if (group === undefined) groups.set(operation.key, [operation]);
    else group.push(operation);
  }
  return groups;
}

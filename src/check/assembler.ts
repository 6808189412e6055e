import type { Event, Operation, Value } from "./operation.js";

/** A history that cannot be read: what is wrong, in which line, and what to do. */
export class HistoryError extends Error {
  /** From 1. */
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.name = "HistoryError";
    this.line = line;
  }
}

interface Draft {
  readonly invocation: Event;
  readonly line: number;
  completion: Event | undefined;
}

const STANDARD_FIELDS: ReadonlySet<string> = new Set(["process", "type", "f", "key", "value", "time"]);

/** Pairs invocations with completions, and refuses what no client could have recorded. */
export class Assembler {
  readonly #drafts: Draft[] = [];
  readonly #open = new Map<number, Draft>();
  /** Process → line at which its outcome became unknown: such a process makes no further call. */
  readonly #gone = new Map<number, number>();
  #time = Number.NEGATIVE_INFINITY;

  /** Throws `HistoryError` when the event cannot follow those before it. */
  add(event: Event, line: number): void {
    if (event.time < this.#time) {
      throw new HistoryError(line, `time goes back from ${this.#time} to ${event.time}; events stand in order of time`);
    }
    if (event.type === "invoke") this.#invoke(event, line);
    else this.#complete(event, line);
    this.#time = event.time;
  }

  /** Operations so far in order of invocation; those still open are `info`. */
  operations(): Operation[] {
    const operations: Operation[] = [];
    for (const draft of this.#drafts) {
      if (draft.completion?.type === "fail" && !provesMismatch(draft.completion)) continue;
      operations.push(toOperation(draft, operations.length));
    }
    return operations;
  }

  #invoke(event: Event, line: number): void {
    const { process } = event;
    const open = this.#open.get(process);
    if (open !== undefined) {
      throw new HistoryError(
        line,
        `process ${process} invokes a ${event.f} while its ${open.invocation.f} of line ${open.line} is still open; ` +
          "a process has one open operation at a time",
      );
    }
    const gone = this.#gone.get(process);
    if (gone !== undefined) {
      throw new HistoryError(
        line,
        `process ${process} goes on although the outcome of its operation became unknown in line ${gone}; ` +
          "let the client go on under a new process number",
      );
    }
    const draft: Draft = { invocation: event, line, completion: undefined };
    this.#drafts.push(draft);
    this.#open.set(process, draft);
  }

  #complete(event: Event, line: number): void {
    const { process } = event;
    const draft = this.#open.get(process);
    if (draft === undefined) {
      throw new HistoryError(line, `process ${process} completes a ${event.f} that it has not invoked`);
    }
    const { f, key } = draft.invocation;
    if (event.f !== f || event.key !== key) {
      throw new HistoryError(
        line,
        `process ${process} completes a ${event.f} of ${JSON.stringify(event.key)}, but its open operation ` +
          `(line ${draft.line}) is a ${f} of ${JSON.stringify(key)}`,
      );
    }
    if (event.type === "ok") requireSameArgument(draft, event, line);
    draft.completion = event;
    this.#open.delete(process);
    if (event.type === "info") this.#gone.set(process, line);
  }
}

/** A failed cas constrains nothing, unless its line says that the store found another value than the expected one. */
function provesMismatch(completion: Event): boolean {
  return completion.f === "cas" && completion.mismatch === true;
}

function requireSameArgument(draft: Draft, completion: Event, line: number): void {
  const { f, value } = draft.invocation;
  if (f === "read" || f === "increment" || completion.value === null) return;
  if (JSON.stringify(value) === JSON.stringify(completion.value)) return;
  throw new HistoryError(
    line,
    `completes a ${f} of ${JSON.stringify(completion.value)}, but line ${draft.line} invoked it with ` +
      `${JSON.stringify(value)}; repeat the value or give null`,
  );
}

function toOperation(draft: Draft, index: number): Operation {
  const { invocation, completion, line } = draft;
  const known = completion !== undefined && completion.type !== "info";
  const argument = invocation.value;
  const pair = typeof argument === "object" && argument !== null ? argument : undefined;
  const takesArgument = invocation.f !== "read" && invocation.f !== "delete";
  return {
    index,
    process: invocation.process,
    f: invocation.f,
    key: invocation.key,
    value: pair !== undefined ? pair[1] : takesArgument ? (argument as Value) : null,
    expected: pair !== undefined ? pair[0] : null,
    output: known ? outputOf(completion) : undefined,
    invokeTime: invocation.time,
    returnTime: known ? completion.time : Number.POSITIVE_INFINITY,
    status: known ? "ok" : "info",
    line,
    fields: furtherFields(invocation, completion),
  };
}

function outputOf(completion: Event): Value | undefined {
  switch (completion.f) {
    case "read":
      return completion.value as Value;
    case "cas":
      return completion.type === "ok";
    case "increment":
      return (completion.value as Value) ?? undefined;
    default:
      return undefined;
  }
}

/** `fromEntries` defines properties, so a field called `__proto__` stays a plain field. */
function furtherFields(invocation: Event, completion: Event | undefined): Readonly<Record<string, unknown>> {
  const entries = Object.entries(invocation);
  if (completion !== undefined) entries.push(...Object.entries(completion));
  return Object.fromEntries(entries.filter(([name]) => !STANDARD_FIELDS.has(name)));
}

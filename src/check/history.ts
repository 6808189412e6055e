import { Assembler, HistoryError } from "./assembler.js";
import { type Event, FUNCTIONS, type FunctionName, type Operation, type Value } from "./operation.js";

/** The version of the history file that this build writes, and the only one that it reads. */
export const HISTORY_VERSION = 1;

const TYPES: ReadonlySet<unknown> = new Set(["invoke", "ok", "fail", "info"]);
const FUNCTION_NAMES: ReadonlySet<unknown> = new Set(FUNCTIONS);

/**
 * Reads a history file: JSON Lines, one event a line in order of time, after an optional header
 * `{"gamut":"history","version":1}`. Throws `HistoryError` with the line number for anything else.
 */
export function parseHistory(text: string): Operation[] {
  const assembler = new Assembler();
  parseEvents(text, (event, line) => assembler.add(event, line));
  return assembler.operations();
}

/** The history file of these events, header first. */
export function formatHistory(events: Iterable<Event>): string {
  const lines = [JSON.stringify({ gamut: "history", version: HISTORY_VERSION })];
  for (const event of events) lines.push(JSON.stringify(event));
  return `${lines.join("\n")}\n`;
}

function parseEvents(text: string, sink: (event: Event, line: number) => void): void {
  let line = 0;
  let first = true;
  // Offsets instead of split(): a long run is hundreds of megabytes, and twice that is too much.
  for (let start = text.charCodeAt(0) === 0xfeff ? 1 : 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const content = text.slice(start, end).trim();
    start = end + 1;
    line++;
    if (content === "") continue;
    const record = parseObject(content, line);
    if (first && "gamut" in record) requireKnownHeader(record, line);
    else sink(toEvent(record, line), line);
    first = false;
  }
}

function parseObject(content: string, line: number): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch {
    throw new HistoryError(line, `not JSON: ${excerpt(content)}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new HistoryError(line, `an event is a JSON object, not ${excerpt(content)}`);
  }
  return parsed as Record<string, unknown>;
}

function requireKnownHeader(header: Record<string, unknown>, line: number): void {
  if (header.gamut !== "history") {
    throw new HistoryError(line, `this is a Gamut file of kind ${JSON.stringify(header.gamut)}, not a history`);
  }
  if (header.version !== HISTORY_VERSION) {
    throw new HistoryError(
      line,
      `history version ${JSON.stringify(header.version)} is unknown; this build reads version ${HISTORY_VERSION}`,
    );
  }
}

function toEvent(record: Record<string, unknown>, line: number): Event {
  const { process, type, f, key, value = null, time } = record;
  if (!isNaturalNumber(process)) {
    throw new HistoryError(line, `"process" must be an integer from 0, not ${show(process)}`);
  }
  if (!TYPES.has(type)) throw new HistoryError(line, `"type" must be invoke, ok, fail or info, not ${show(type)}`);
  if (!FUNCTION_NAMES.has(f))
    throw new HistoryError(line, `"f" must be one of ${FUNCTIONS.join(", ")}, not ${show(f)}`);
  if (typeof key !== "string") throw new HistoryError(line, `"key" must be a string, not ${show(key)}`);
  if (!Number.isSafeInteger(time)) {
    throw new HistoryError(
      line,
      `"time" must be an integer within ±2^53, not ${show(time)}; count from the start of the run`,
    );
  }
  requireValue(type as string, f as FunctionName, value, line);
  return { ...record, value } as Event;
}

/** What `value` may be depends on who carries it: the argument on an invocation, the result on a completion. */
function requireValue(type: string, f: FunctionName, value: unknown, line: number): void {
  if (type === "fail" || type === "info") return;
  if (f === "cas") {
    if (type === "ok" && value === null) return;
    if (!Array.isArray(value) || value.length !== 2) {
      throw new HistoryError(line, `the "value" of a cas must be [expected, new], not ${show(value)}`);
    }
    requireScalar(value[0], line);
    requireScalar(value[1], line);
    return;
  }
  requireScalar(value, line);
  if (f === "increment" && !(typeof value === "number" || (type === "ok" && value === null))) {
    throw new HistoryError(line, `the "value" of an increment must be a number, not ${show(value)}`);
  }
  if (f === "append" && !(typeof value === "string" || (type === "ok" && value === null))) {
    throw new HistoryError(line, `the "value" of an append must be a string, not ${show(value)}`);
  }
  if (f === "delete" && value !== null) {
    throw new HistoryError(line, `the "value" of a delete must be null, not ${show(value)}`);
  }
  if (f === "read" && type === "invoke" && value !== null) {
    throw new HistoryError(line, `the "value" of an invoked read must be null, not ${show(value)}`);
  }
}

function requireScalar(value: unknown, line: number): asserts value is Value {
  const isScalar = value === null || ["string", "number", "boolean"].includes(typeof value);
  if (!isScalar) throw new HistoryError(line, `"value" must be a string, number, boolean or null, not ${show(value)}`);
  // Past 2^53 two different integers read as one number, and the verdict would be about another history.
  if (typeof value === "number" && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)) {
    throw new HistoryError(line, 'the number in "value" is beyond ±2^53 and would lose digits; write it as a string');
  }
}

function isNaturalNumber(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : excerpt(JSON.stringify(value));
}

function excerpt(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

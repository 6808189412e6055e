import { Assembler, HistoryError } from "./assembler.js";
import { type Edn, EdnError, type EdnForm, EdnReader, Keyword } from "./edn.js";
import type { Event, EventType, FunctionName, Operation, Value } from "./operation.js";

export interface KnossosOptions {
  /** What a completed read of nil says: nothing at all (Knossos' own reading) or that the key is absent. */
  readonly nilRead: "unconstrained" | "absent";
  /** What the register holds at first; Knossos' tests check its examples from 0. Default: absent. */
  readonly initial?: Value;
}

const KEY = "register";
const TYPES: ReadonlySet<string> = new Set(["invoke", "ok", "fail", "info"]);
const FUNCTIONS: ReadonlySet<string> = new Set(["read", "write", "cas"]);

/**
 * Imports a history of Knossos or Jepsen over one register: operation maps in a vector, in a list or one after the other,
 * `{:process 0, :type :invoke, :f :write, :value 1}`. Their place is their time. Events of the nemesis are left out, a failed cas
 * never took effect, and a process may go on under its number after `:info` (it is then renumbered).
 */
export function importKnossos(text: string, options: KnossosOptions): Operation[] {
  const assembler = new Assembler();
  let position = 0;
  if (options.initial !== undefined && options.initial !== null) position = addInitial(assembler, options.initial);
  const first = position;
  try {
    for (const form of operationForms(text)) {
      const event = toEvent(form, position);
      if (event === undefined) continue;
      position++;
      assembler.add(event, form.line);
    }
  } catch (error) {
    if (error instanceof EdnError) throw new HistoryError(error.line, error.message.replace(/^line \d+: /, ""));
    throw error;
  }
  if (position === first)
    throw new HistoryError(1, "no operation of a client found; expected maps with :process, :type, :f and :value");
  const operations = assembler.operations();
  if (options.nilRead === "absent") return operations;
  return operations
    .filter(({ f, output }) => f !== "read" || output !== null)
    .map((operation, index) => ({ ...operation, index }));
}

/** The initial state of our keys is absence, so another one is a write that is over before everything else. */
function addInitial(assembler: Assembler, value: Value): number {
  const write = { process: Number.MAX_SAFE_INTEGER, f: "write", key: KEY, value } as const;
  assembler.add({ ...write, type: "invoke", time: 0 }, 0);
  assembler.add({ ...write, type: "ok", time: 1 }, 0);
  return 2;
}

function* operationForms(text: string): Generator<EdnForm> {
  const reader = new EdnReader(text);
  while (reader.peek() === "[" || reader.peek() === "(") yield* reader.elements();
  for (let form = reader.next(); form !== undefined; form = reader.next()) yield form;
}

function toEvent(form: EdnForm, time: number): Event | undefined {
  const { value: map, line } = form;
  if (!(map instanceof Map))
    throw new HistoryError(line, "an operation is a map such as {:process 0, :type :invoke, …}");
  const process = map.get("process");
  if (process instanceof Keyword) return undefined;
  if (!Number.isSafeInteger(process) || (process as number) < 0) {
    throw new HistoryError(line, ":process must be an integer from 0, or a keyword such as :nemesis");
  }
  const type = keywordOf(map, "type", TYPES, line) as EventType;
  const f = keywordOf(map, "f", FUNCTIONS, line) as FunctionName;
  return { process: process as number, type, f, key: KEY, value: eventValue(map, type, f, line), time };
}

function keywordOf(map: ReadonlyMap<string, Edn>, name: string, known: ReadonlySet<string>, line: number): string {
  const value = map.get(name);
  if (value instanceof Keyword && known.has(value.name)) return value.name;
  const shown = value instanceof Keyword ? `:${value.name}` : value === undefined ? "nothing" : "another form";
  throw new HistoryError(
    line,
    `:${name} must be one of ${[...known].map((word) => `:${word}`).join(" ")}, not ${shown}`,
  );
}

/** Only what the event really tells: not the value that a read hoped for, nor the reason of a failure. */
function eventValue(
  map: ReadonlyMap<string, Edn>,
  type: EventType,
  f: FunctionName,
  line: number,
): Value | readonly [Value, Value] {
  const value = map.get("value") ?? null;
  if (type === "fail" || type === "info" || (f === "read" && type === "invoke")) return null;
  if (f !== "cas") return scalar(value, line);
  if (Array.isArray(value) && value.length === 2) return [scalar(value[0], line), scalar(value[1], line)];
  throw new HistoryError(line, "the :value of a cas must be [expected new]");
}

function scalar(value: Edn, line: number): Value {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  if (value instanceof Keyword) return `:${value.name}`;
  throw new HistoryError(line, "a :value must be nil, a number within ±2^53, a string, a keyword or a boolean");
}

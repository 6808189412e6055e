import { Assembler, HistoryError } from "./assembler.js";
import { type Edn, EdnError, EdnReader, Keyword } from "./edn.js";
import type { Event, EventType, FunctionName, Operation, Value } from "./operation.js";

const ETCD_LINE = /^INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.+)$/;
const ETCD_KEY = "register";
const MAX_KV_LINE_LENGTH = 1 << 20;

/**
 * Imports a Jepsen console log of etcd as Porcupine's test data has them: one register, `nil` is absence, and a failed cas
 * proves that the register held another value. Other lines of the log are left out.
 */
export function importPorcupineEtcd(text: string): Operation[] {
  const assembler = new Assembler();
  let time = 0;
  for (const [i, content] of text.split("\n").entries()) {
    const match = ETCD_LINE.exec(content.trimEnd());
    if (match === null) {
      if (/jepsen\.util\s+-\s+\d+\s/.test(content))
        throw new HistoryError(i + 1, `not an operation: ${content.slice(0, 80)}`);
      continue;
    }
    const [, process, type, f, value] = match as unknown as [string, string, EventType, FunctionName, string];
    assembler.add(etcdEvent(Number(process), type, f, value.trim(), time++, i + 1), i + 1);
  }
  if (time === 0) throw new HistoryError(1, "no line such as `INFO  jepsen.util - 0 :invoke :read nil` found");
  return assembler.operations();
}

function etcdEvent(process: number, type: EventType, f: FunctionName, text: string, time: number, line: number): Event {
  const base = { process, type, f, key: ETCD_KEY, time };
  if (type === "info") return { ...base, value: null };
  if (type === "fail") return f === "cas" ? { ...base, value: null, mismatch: true } : { ...base, value: null };
  if (f === "cas") {
    const pair = /^\[(-?\d+) (-?\d+)\]$/.exec(text);
    if (pair === null) throw new HistoryError(line, `the value of a cas must be [expected new], not ${text}`);
    return { ...base, value: [Number(pair[1]), Number(pair[2])] };
  }
  if (text === "nil") return { ...base, value: null };
  if (!/^-?\d+$/.test(text)) throw new HistoryError(line, `the value of a ${f} must be an integer or nil, not ${text}`);
  return { ...base, value: f === "read" && type === "invoke" ? null : Number(text) };
}

/**
 * Imports a key-value log of Porcupine's test data: one EDN map a line, `:f` being `:get`, `:put` or `:append` on strings. There
 * the empty string is what an untouched key holds, so it becomes absence here.
 */
export function importPorcupineKv(text: string): Operation[] {
  const assembler = new Assembler();
  let time = 0;
  for (const [i, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    if (content.length > MAX_KV_LINE_LENGTH)
      throw new HistoryError(i + 1, `longer than ${MAX_KV_LINE_LENGTH} characters`);
    assembler.add(kvEvent(parseMap(content, i + 1), time++, i + 1), i + 1);
  }
  if (time === 0) throw new HistoryError(1, "no operation found");
  // Appending nothing says nothing, and would make a key exist that Porcupine calls untouched.
  return assembler
    .operations()
    .filter(({ f, value }) => f !== "append" || value !== "")
    .map((operation, index) => ({ ...operation, index }));
}

function parseMap(content: string, line: number): ReadonlyMap<string, Edn> {
  try {
    const value = new EdnReader(content).next()?.value;
    if (value instanceof Map) return value;
  } catch (error) {
    if (!(error instanceof EdnError)) throw error;
    throw new HistoryError(line, error.message.replace(/^line \d+: /, ""));
  }
  throw new HistoryError(
    line,
    'an operation is a map such as {:process 0, :type :invoke, :f :get, :key "0", :value nil}',
  );
}

function kvEvent(map: ReadonlyMap<string, Edn>, time: number, line: number): Event {
  const process = map.get("process");
  const type = nameOf(map.get("type"));
  const f = nameOf(map.get("f"));
  const key = map.get("key");
  const value = map.get("value") ?? null;
  if (!Number.isSafeInteger(process) || (process as number) < 0)
    throw new HistoryError(line, ":process must be an integer from 0");
  if (!["invoke", "ok", "fail", "info"].includes(type))
    throw new HistoryError(line, ":type must be :invoke, :ok, :fail or :info");
  if (typeof key !== "string") throw new HistoryError(line, ":key must be a string");
  if (value !== null && typeof value !== "string") throw new HistoryError(line, ":value must be a string or nil");
  const base = { process: process as number, type: type as EventType, key, time };
  const content: Value = value === "" ? null : value;
  const told = type === "invoke" || type === "ok";
  switch (f) {
    case "get":
      return { ...base, f: "read", value: type === "ok" ? content : null };
    case "put":
      return { ...base, f: "write", value: told ? content : null };
    case "append":
      return { ...base, f: "append", value: told ? (value ?? "") : null };
    default:
      throw new HistoryError(line, ":f must be :get, :put or :append");
  }
}

function nameOf(value: Edn | undefined): string {
  return value instanceof Keyword ? value.name : "";
}

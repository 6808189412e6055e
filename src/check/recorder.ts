import { Assembler } from "./assembler.js";
import { formatHistory } from "./history.js";
import type { Event, EventType, FunctionName, Operation, Value } from "./operation.js";

type Fields = Readonly<Record<string, unknown>>;
type Argument = Value | readonly [Value, Value];

/**
 * Writes a history while it happens, for the simulator and for harnesses around real processes. Every call checks what
 * it is given and throws `HistoryError` (its line is the line in the file to be) when no client could have done that:
 * a harness with a bug must not produce a verdict.
 *
 * Equal times count as overlapping, even within one process. A harness whose clock is coarse should count events.
 */
export class HistoryRecorder {
  readonly #events: Event[] = [];
  readonly #assembler = new Assembler();
  readonly #open = new Map<number, Event>();

  get events(): readonly Event[] {
    return this.#events;
  }

  /** `value`: `[expected, new]` for a cas, `null` for a read or delete. */
  invoke(process: number, f: FunctionName, key: string, value: Argument, time: number, fields?: Fields): void {
    this.#open.set(process, this.#record(process, "invoke", f, key, value, time, fields));
  }

  /** `value`: what a read returned, or the new value of an increment; ignored for the rest. */
  ok(process: number, value: Value, time: number, fields?: Fields): void {
    const told = this.#open.get(process)?.f;
    const observes = told === "read" || told === "increment";
    this.#complete(process, "ok", observes ? value : undefined, time, fields);
  }

  /** It never took effect. A cas that the store refused because it found another value: `{mismatch: true}`. */
  fail(process: number, time: number, fields?: Fields): void {
    this.#complete(process, "fail", undefined, time, fields);
  }

  /** Nobody knows; the process makes no further call. */
  info(process: number, time: number, fields?: Fields): void {
    this.#complete(process, "info", undefined, time, fields);
  }

  toJsonl(): string {
    return formatHistory(this.#events);
  }

  /** Operations so far; those still open count as `info`. */
  operations(): Operation[] {
    return this.#assembler.operations();
  }

  #complete(process: number, type: EventType, value: Value | undefined, time: number, fields?: Fields): void {
    const open = this.#open.get(process);
    // The assembler refuses a completion without invocation; the placeholders never reach the file.
    const shown = value === undefined ? (open?.value ?? null) : value;
    this.#record(process, type, open?.f ?? "read", open?.key ?? "", shown, time, fields);
    this.#open.delete(process);
  }

  #record(
    process: number,
    type: EventType,
    f: FunctionName,
    key: string,
    value: Argument,
    time: number,
    fields?: Fields,
  ): Event {
    const event: Event = { process, type, f, key, value, time, ...fields };
    this.#assembler.add(event, this.#events.length + 2);
    this.#events.push(event);
    return event;
  }
}

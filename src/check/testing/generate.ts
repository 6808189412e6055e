import { KeyModel } from "../model.js";
import type { FunctionName, Operation, Value } from "../operation.js";
import type { Random } from "./random.js";

export interface Shape {
  readonly clients: number;
  readonly operations: number;
  readonly keys: number;
  /** Values 1 to this; 0 asks for a fresh one in every write. */
  readonly values: number;
  readonly functions: readonly FunctionName[];
  /** One operation in so many has an unknown outcome; 0: none. */
  readonly unknownOneIn: number;
}

interface Open {
  readonly process: number;
  readonly f: FunctionName;
  readonly key: string;
  readonly value: Value;
  readonly expected: Value;
  readonly invokeTime: number;
  output: Value | undefined;
  effective: boolean;
}

/**
 * Runs an atomic store: each operation takes effect at some moment between invocation and return, so the history is
 * linearizable. Every event has a time of its own. In a run of fresh values, `cas` expects what is there, mostly.
 */
export function generateLinearizable(random: Random, shape: Shape): Operation[] {
  const model = new KeyModel();
  const store = new Map<string, Value>();
  const open: (Open | undefined)[] = new Array(shape.clients).fill(undefined);
  const processes = Array.from({ length: shape.clients }, (_, client) => client);
  const operations: Operation[] = [];
  const finish = (call: Open, time: number, known: boolean): void => {
    operations.push({
      index: -1,
      process: call.process,
      f: call.f,
      key: call.key,
      value: call.value,
      expected: call.expected,
      output: known ? call.output : undefined,
      invokeTime: call.invokeTime,
      returnTime: known ? time : Number.POSITIVE_INFINITY,
      status: known ? "ok" : "info",
      line: 0,
      fields: {},
    });
  };
  let started = 0;
  let fresh = 0;
  let time = 0;
  while (started < shape.operations || open.some((call) => call !== undefined)) {
    const client = random.below(shape.clients);
    const call = open[client];
    time++;
    if (call === undefined) {
      if (started >= shape.operations) continue;
      started++;
      const f = random.pick(shape.functions);
      const key = `k${random.below(shape.keys)}`;
      const strings = shape.functions.includes("append");
      const newValue = (): Value => {
        const number = shape.values === 0 ? ++fresh : 1 + random.below(shape.values);
        return strings ? `${number}.` : number;
      };
      const expected = shape.values === 0 || random.oneIn(2) ? (store.get(key) ?? null) : newValue();
      open[client] = {
        process: processes[client]!,
        f,
        key,
        value:
          f === "read" || f === "delete"
            ? null
            : f === "append"
              ? String.fromCharCode(97 + random.below(26))
              : newValue(),
        expected: f === "cas" ? expected : null,
        invokeTime: time,
        output: undefined,
        effective: false,
      };
      continue;
    }
    if (!call.effective) {
      const before = store.get(call.key) ?? null;
      if (call.f === "read") call.output = before;
      if (call.f === "cas") call.output = before === call.expected;
      const after = model.step(before, call as unknown as Operation) as Value;
      if (call.f === "increment") call.output = after;
      // A failed cas is kept as a proven mismatch only where values repeat; with fresh values it is simply not recorded.
      store.set(call.key, after);
      call.effective = true;
      if (random.oneIn(2)) continue;
    }
    const unknown = shape.unknownOneIn > 0 && random.oneIn(shape.unknownOneIn);
    const unrecorded = call.f === "cas" && call.output === false && shape.values === 0;
    if (!unrecorded) finish(call, time, !unknown);
    if (unknown) processes[client]! += shape.clients;
    open[client] = undefined;
  }
  return reindexed(operations);
}

/** Changes one output, one argument or one time, so that many histories become wrong, and some do not. */
export function mutate(random: Random, operations: readonly Operation[]): Operation[] {
  const mutant = [...operations];
  const place = random.below(mutant.length);
  const victim = mutant[place]!;
  const donor = random.pick(operations);
  if (victim.f === "read" && victim.status === "ok" && !random.oneIn(4)) {
    const seen = donor.f === "read" ? donor.output : donor.value;
    mutant[place] = { ...victim, output: seen === undefined ? null : seen };
  } else if (random.oneIn(2) && victim.status === "ok") {
    mutant[place] = { ...victim, returnTime: victim.invokeTime };
  } else if (victim.status === "ok" && victim.f !== "read") {
    mutant[place] = { ...victim, status: "info", returnTime: Number.POSITIVE_INFINITY, output: undefined };
  } else {
    const shift = random.below(9) - 4;
    mutant[place] = {
      ...victim,
      invokeTime: victim.invokeTime + shift,
      returnTime: Math.max(victim.returnTime + shift, victim.invokeTime + shift),
    };
  }
  return reindexed(mutant);
}

/** In order of invocation, numbered. */
export function reindexed(operations: readonly Operation[]): Operation[] {
  const sorted = [...operations].sort((a, b) => a.invokeTime - b.invokeTime);
  return sorted.map((operation, index) => ({ ...operation, index }));
}

import { Cost } from "./cost.js";
import { KeyModel } from "./model.js";
import { groupByKey, type Operation, showCall } from "./operation.js";
import { Timeline } from "./timeline.js";
import type { Verdict } from "./verdict.js";
import { type Budget, DEFAULT_BUDGET, search } from "./wgl.js";
import { findWitness, tryRefute, type Witness } from "./witness.js";
import { checkZones } from "./zones.js";

/** A search that takes longer looks first whether the place where it is stuck is wrong by itself. */
const STEPS_BEFORE_REFUTING = 200_000;

export interface CheckOptions {
  /** Steps are shared by all keys, memo entries are for each. */
  readonly budget?: Partial<Budget>;
}

interface InvalidKey {
  readonly kind: "invalid";
  readonly witness: readonly Operation[];
  readonly since: number | undefined;
  readonly sentence: string;
}

type KeyVerdict =
  | { readonly kind: "valid"; readonly order: readonly Operation[] }
  | InvalidKey
  | { readonly kind: "unknown"; readonly sentence: string };

/**
 * Decides whether one order of all ok operations and some of those with outcome unknown is legal and respects real time (Herlihy
 * & Wing 1990). A history is linearizable iff each key is, so each key is decided alone: by zones where every value names
 * its write, else by search. A key that is wrong outweighs one that could not be decided.
 */
export function checkLinearizable(operations: readonly Operation[], options: CheckOptions = {}): Verdict {
  const model = "linearizable";
  const keys = groupByKey(operations);
  const cost = new Cost(operations.length, keys.size, { ...DEFAULT_BUDGET, ...options.budget });
  const orders: (readonly Operation[])[] = [];
  let undecided: { key: string; sentence: string } | undefined;
  for (const [key, group] of keys) {
    const verdict = checkKey(group, cost);
    if (verdict.kind === "valid") orders.push(verdict.order);
    else if (verdict.kind === "unknown") undecided ??= { key, sentence: verdict.sentence };
    else return { ...verdict, model, key, sentence: withKey(key, verdict.sentence), stats: cost.stats() };
  }
  if (undecided !== undefined) {
    return {
      kind: "unknown",
      model,
      key: undecided.key,
      sentence: withKey(undecided.key, undecided.sentence),
      stats: cost.stats(),
    };
  }
  const sentence = "one order of all operations explains what every client saw and respects real time";
  return { kind: "valid", model, order: mergeOrders(orders), sentence, stats: cost.stats() };
}

/** A linearization, if the budget finds one; for those who do not ask why there is none. */
export function findLinearization(operations: readonly Operation[], budget: Budget): Operation[] | undefined {
  const orders: (readonly Operation[])[] = [];
  for (const group of groupByKey(operations).values()) {
    const found = checkZones(group) ?? search(group, new KeyModel(group), budget);
    if (found.kind !== "valid") return undefined;
    orders.push(found.order.map((i) => group[i]!));
  }
  return mergeOrders(orders);
}

function withKey(key: string, sentence: string): string {
  return `key ${JSON.stringify(key)}: ${sentence}`;
}

function checkKey(operations: readonly Operation[], cost: Cost): KeyVerdict {
  const zones = checkZones(operations);
  if (zones !== undefined) {
    cost.keysByZones++;
    if (zones.kind === "valid") return { kind: "valid", order: zones.order.map((i) => operations[i]!) };
    const witness = zones.witness.map((i) => operations[i]!).sort((a, b) => a.index - b.index);
    return { kind: "invalid", witness, since: undefined, sentence: zones.sentence };
  }
  const budget = cost.remaining();
  const model = new KeyModel(operations);
  let result = search(operations, model, { ...budget, maxSteps: Math.min(budget.maxSteps, STEPS_BEFORE_REFUTING) });
  cost.add(result);
  if (result.kind === "unknown") {
    const refuted = tryRefute(operations, result.stuckAt);
    if (refuted !== undefined) return invalidKey(refuted);
    if (result.steps === STEPS_BEFORE_REFUTING) {
      result = search(operations, model, cost.remaining());
      cost.add(result);
    }
  }
  if (result.kind === "valid") return { kind: "valid", order: result.order.map((i) => operations[i]!) };
  if (result.kind === "invalid") return invalidKey(findWitness(operations, result.stuckAt));
  const stuck = operations[result.stuckAt]!;
  const done = operations.filter((operation) => operation.returnTime < stuck.returnTime).length;
  return {
    kind: "unknown",
    sentence:
      `budget spent after ${result.steps} steps and ${result.memoEntries} configurations, ${done} of ` +
      `${operations.length} operations far, at process ${stuck.process}'s ${showCall(stuck)}; raise maxSteps or maxMemoEntries`,
  };
}

function invalidKey({ operations, since, sentence }: Witness): InvalidKey {
  return { kind: "invalid", witness: operations, since, sentence };
}

/** The point of an operation: the latest invocation up to it in its key's order. By points, all keys become one order. */
function mergeOrders(orders: readonly (readonly Operation[])[]): Operation[] {
  const all = orders.flat();
  const { invokes } = new Timeline(all);
  const points = new Int32Array(all.length);
  let place = 0;
  for (const order of orders) {
    let latest = 0;
    for (let i = 0; i < order.length; i++, place++) {
      latest = Math.max(latest, invokes[place]!);
      points[place] = latest;
    }
  }
  return Array.from(all.keys())
    .sort((a, b) => points[a]! - points[b]! || a - b)
    .map((i) => all[i]!);
}

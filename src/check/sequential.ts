import { Cost } from "./cost.js";
import { type CheckOptions, findLinearization } from "./linearizable.js";
import { KeyModel, OBSERVER } from "./model.js";
import { type Operation, showCall, showValue } from "./operation.js";
import { type Edge, orderSessions } from "./session-order.js";
import { searchSessions } from "./session-search.js";
import { isRelaxed, shrink } from "./shrink.js";
import type { Verdict } from "./verdict.js";
import { verifyOrder } from "./verify.js";
import { type Budget, DEFAULT_BUDGET } from "./wgl.js";

/** For the quick try whether the history is even linearizable. */
const LINEARIZABLE_BUDGET: Budget = { maxSteps: 100_000, maxMemoEntries: 100_000 };
const ATTEMPT_BUDGET: Budget = { maxSteps: 20_000, maxMemoEntries: 20_000 };
const MAX_STEPS_TOTAL = 2_000_000;

/**
 * Decides whether one order of all ok operations and some of those with outcome unknown, over all keys at once, is legal and
 * keeps each process in its own order (Lamport 1979). Deciding this is NP-complete (Gibbons & Korach 1997), so: accept what is even
 * linearizable, refute by a circle of forced orders, and search for the rest within the budget.
 *
 * An operation of unknown outcome must be the last of its process, as the history format demands.
 */
export function checkSequential(operations: readonly Operation[], options: CheckOptions = {}): Verdict {
  const model = "sequential";
  const keys = new Set(operations.map(({ key }) => key)).size;
  const cost = new Cost(operations.length, keys, { ...DEFAULT_BUDGET, ...options.budget });
  const sentence = "one order of all operations explains what every client saw and keeps each process in its order";
  const quick = findLinearization(operations, LINEARIZABLE_BUDGET);
  // Within one process, real time says nothing about equal times.
  if (quick !== undefined && verifyOrder(operations, quick, model) === undefined) {
    return { kind: "valid", model, order: quick, sentence, stats: cost.stats() };
  }
  const heard = operations.filter((operation) => !isUnheard(operation));
  const ordered = orderSessions(heard);
  if (ordered.kind === "unwritten") {
    const culprit = heard[ordered.operation]!;
    const found = culprit.f === "read" ? culprit.output : culprit.expected;
    const thinAir = `${who(culprit)} found ${showValue(found)}, which nobody can have written`;
    return {
      kind: "invalid",
      model,
      key: culprit.key,
      witness: [culprit],
      since: undefined,
      sentence: thinAir,
      stats: cost.stats(),
    };
  }
  if (ordered.kind === "cycle") {
    const { witness, sentence: circle } = explainCycle(heard, ordered.cycle);
    return {
      kind: "invalid",
      model,
      key: onlyKey(witness),
      witness,
      since: undefined,
      sentence: circle,
      stats: cost.stats(),
    };
  }
  const result = searchSessions(heard, ordered.order, cost.remaining());
  cost.add(result);
  if (result.kind === "valid") {
    return { kind: "valid", model, order: result.order.map((i) => heard[i]!), sentence, stats: cost.stats() };
  }
  if (result.kind === "unknown") {
    const far = `budget spent after ${result.steps} steps and ${result.memoEntries} configurations; the best order explains `;
    const advice = `${result.reached} of ${heard.length} operations; raise maxSteps or maxMemoEntries`;
    return { kind: "unknown", model, key: undefined, sentence: far + advice, stats: cost.stats() };
  }
  const witness = shrinkSessions(heard);
  const refuted = "no order of the operations shown, whatever all others did, keeps each process in its order";
  return {
    kind: "invalid",
    model,
    key: onlyKey(witness),
    witness,
    since: undefined,
    sentence: refuted,
    stats: cost.stats(),
  };
}

/** Neither an observer that nobody heard from nor a cas that changes nothing. */
function isUnheard(operation: Operation): boolean {
  return operation.status === "info" && new KeyModel().kindOf(operation) === OBSERVER;
}

function shrinkSessions(operations: readonly Operation[]): Operation[] {
  let steps = 0;
  const originals = new Map(operations.map((operation) => [operation.index, operation]));
  const shrunk = shrink(operations, (candidate) => {
    const ordered = orderSessions(candidate);
    if (ordered.kind !== "ordered") return true;
    const maxSteps = Math.min(ATTEMPT_BUDGET.maxSteps, MAX_STEPS_TOTAL - steps);
    const result = searchSessions(candidate, ordered.order, { ...ATTEMPT_BUDGET, maxSteps });
    steps += result.steps;
    return result.kind === "invalid";
  });
  return shrunk.filter((operation) => !isRelaxed(operation)).map(({ index }) => originals.get(index)!);
}

function explainCycle(operations: readonly Operation[], cycle: readonly Edge[]) {
  const places = [...new Set(cycle.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const reasons = cycle.map(({ from, to, cause }) => {
    const [first, second] = [who(operations[from]!), who(operations[to]!)];
    switch (cause) {
      case "same process":
        return `${first} comes before its ${showCall(operations[to]!)}`;
      case "read from":
        return `${second} saw ${first}`;
      case "initial read":
        return `${first} saw the key absent, so it comes before ${second}`;
      case "read later overwritten":
        return `${first} saw what ${second} replaced`;
      case "overwritten before read":
        return `${first} had been replaced by ${second} when that was read`;
    }
  });
  return { witness: places.map((i) => operations[i]!), sentence: `a circle: ${reasons.join("; ")}` };
}

function onlyKey(operations: readonly Operation[]): string | undefined {
  const keys = new Set(operations.map(({ key }) => key));
  return keys.size === 1 ? operations[0]!.key : undefined;
}

function who(operation: Operation): string {
  return `process ${operation.process}'s ${showCall(operation)} of ${JSON.stringify(operation.key)}`;
}

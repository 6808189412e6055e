import { Cost } from "./cost.js";
import { type CheckOptions, findLinearization } from "./linearizable.js";
import { KeyModel, OBSERVER } from "./model.js";
import { type Operation, showCall, showValue } from "./operation.js";
import { type Cause, orderSessions } from "./session-order.js";
import { searchSessions } from "./session-search.js";
import { isRelaxed, shrink } from "./shrink.js";
import type { Verdict } from "./verdict.js";
import { verifyOrder } from "./verify.js";
import { type Budget, DEFAULT_BUDGET } from "./wgl.js";

/** For the quick try whether the history is even linearizable. */
const LINEARIZABLE_BUDGET: Budget = { maxSteps: 100_000, maxMemoEntries: 100_000 };
const ATTEMPT_BUDGET: Budget = { maxSteps: 20_000, maxMemoEntries: 20_000 };
const MAX_STEPS_TOTAL = 2_000_000;
/** Operations looked at by all attempts together: some seconds. */
const MAX_VISITS_TOTAL = 500_000;

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
  if (ordered.kind === "ordered") {
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
  }
  const found = findSessionWitness(heard);
  return { kind: "invalid", model, key: onlyKey(found.witness), since: undefined, ...found, stats: cost.stats() };
}

/** Neither an observer that nobody heard from nor a cas that changes nothing. */
function isUnheard(operation: Operation): boolean {
  return operation.status === "info" && new KeyModel().kindOf(operation) === OBSERVER;
}

interface SessionWitness {
  readonly witness: readonly Operation[];
  readonly sentence: string;
}

/** Few operations that no order explains, whatever all others did; see shrink.ts. */
function findSessionWitness(operations: readonly Operation[]): SessionWitness {
  let steps = 0;
  let visits = 0;
  const shrunk = shrink(operations, (candidate) => {
    visits += candidate.length;
    if (visits > MAX_VISITS_TOTAL) return false;
    const ordered = orderSessions(candidate);
    if (ordered.kind !== "ordered") return true;
    const maxSteps = Math.min(ATTEMPT_BUDGET.maxSteps, MAX_STEPS_TOTAL - steps);
    const result = searchSessions(candidate, ordered.order, { ...ATTEMPT_BUDGET, maxSteps });
    steps += result.steps;
    return result.kind === "invalid";
  });
  const originals = new Map(operations.map((operation) => [operation.index, operation]));
  const witness = shrunk.filter((operation) => !isRelaxed(operation)).map(({ index }) => originals.get(index)!);
  return { witness, sentence: explain(shrunk) };
}

function explain(shrunk: readonly Operation[]): string {
  const ordered = orderSessions(shrunk);
  if (ordered.kind === "unwritten") {
    const culprit = shrunk[ordered.operation]!;
    const found = culprit.f === "read" ? culprit.output : culprit.expected;
    return `${who(culprit)} found ${showValue(found)}, which nobody can have written`;
  }
  if (ordered.kind === "cycle") {
    const reasons = ordered.cycle.map(({ from, to, cause }) => explainStep(shrunk[from]!, shrunk[to]!, cause));
    return `a circle: ${reasons.join("; ")}`;
  }
  return "no order of the operations shown, whatever all others did, keeps each process in its order";
}

function explainStep(first: Operation, second: Operation, cause: Cause): string {
  switch (cause) {
    case "same process":
      return `${who(first)} comes before its ${showCall(second)} of ${JSON.stringify(second.key)}`;
    case "read from":
      return `${who(second)} saw ${who(first)}`;
    case "initial read":
      return `${who(first)} saw the key absent, so it comes before ${who(second)}`;
    case "read later overwritten":
      return `${who(first)} saw what ${who(second)} replaced`;
    case "overwritten before read":
      return `${who(first)} had been replaced by ${who(second)} when that was read`;
  }
}

function onlyKey(operations: readonly Operation[]): string | undefined {
  const keys = new Set(operations.map(({ key }) => key));
  return keys.size === 1 ? operations[0]!.key : undefined;
}

/** A relaxed operation has lost its process. */
function who(operation: Operation): string {
  if (isRelaxed(operation)) return `some ${showCall(operation)} of ${JSON.stringify(operation.key)}`;
  return `process ${operation.process}'s ${showCall(operation)} of ${JSON.stringify(operation.key)}`;
}

import { ANYTHING, AnyStartModel, KeyModel, type KeyState, OBSERVER, UNSEEN } from "./model.js";
import { type Operation, showCall, showValue, type Value } from "./operation.js";
import { isRelaxed, shrink } from "./shrink.js";
import { Timeline } from "./timeline.js";
import { type Budget, type SearchResult, search } from "./wgl.js";

/** For each attempt to make the witness smaller; an attempt that does not come to an end counts as a failed one. */
const ATTEMPT_BUDGET: Budget = { maxSteps: 20_000, maxMemoEntries: 20_000 };
/** For each attempt to find where the history goes wrong. */
const CUT_BUDGET: Budget = { maxSteps: 500_000, maxMemoEntries: 500_000 };
/** For all attempts together: some seconds. */
const MAX_STEPS_TOTAL = 3_000_000;
const MAX_STATES_NAMED = 4;
const MAX_STATE_LENGTH = 24;

export interface Witness {
  readonly operations: readonly Operation[];
  /** The moment from which the history is wrong whatever the key held; undefined when its beginning matters. */
  readonly since: number | undefined;
  readonly sentence: string;
}

/**
 * The few operations of one key behind a search that ended `invalid`. First the history is cut behind the return that no order
 * got past; then before the latest moment from which it fails whatever the key held; the rest is shrunk.
 */
export function findWitness(operations: readonly Operation[], stuckAt: number): Witness {
  return findPremature(operations) ?? new WitnessFinder(operations).find(stuckAt);
}

/**
 * A witness found without a complete search: what surrounds a return at which a search was stuck may be wrong whatever came
 * before, and costs little to look at. Undefined when it is not, which says nothing about the history.
 */
export function tryRefute(operations: readonly Operation[], stuckAt: number): Witness | undefined {
  return findPremature(operations) ?? new WitnessFinder(operations).refute(stuckAt);
}

/** A register's read or swap of a value that nobody had begun to write: at most two operations, and the usual kind of nonsense. */
function findPremature(operations: readonly Operation[]): Witness | undefined {
  const firstWriters = new Map<Value, Operation>();
  for (const operation of operations) {
    const { f, value, output, invokeTime } = operation;
    if (f === "increment" || f === "append") return undefined;
    if (f === "read" || output === false) continue;
    const first = firstWriters.get(value);
    if (first === undefined || invokeTime < first.invokeTime) firstWriters.set(value, operation);
  }
  for (const operation of operations) {
    const { f, output, expected, status, returnTime, process } = operation;
    const found = f === "read" ? output : f === "cas" && status === "ok" && output !== false ? expected : undefined;
    if (found === undefined || found === null) continue;
    const writer = firstWriters.get(found);
    if (writer !== undefined && writer.invokeTime <= returnTime) continue;
    const subject = `process ${process}'s ${showCall(operation)} found ${showValue(found)}`;
    if (writer === undefined) {
      return { operations: [operation], since: undefined, sentence: `${subject}, which nobody can have written` };
    }
    return {
      operations: [operation, writer],
      since: undefined,
      sentence: `${subject} before anybody began to write it`,
    };
  }
  return undefined;
}

class WitnessFinder {
  readonly #operations: readonly Operation[];
  #since: number | undefined;
  #steps = 0;

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
  }

  find(stuckAt: number): Witness {
    return this.#shrink(this.#cutBefore(this.#cutBehind(stuckAt)));
  }

  refute(stuckAt: number): Witness | undefined {
    const timeline = new Timeline(this.#operations);
    const window = this.#cutBefore(upTo(this.#operations, timeline, timeline.returns[stuckAt]!));
    return this.#since === undefined ? undefined : this.#shrink(window);
  }

  #shrink(window: readonly Operation[]): Witness {
    const shrunk = shrink(window, (candidate) => this.#search(candidate).kind === "invalid");
    const originals = new Map(this.#operations.map((operation) => [operation.index, operation]));
    const strict = shrunk.filter((operation) => !isRelaxed(operation));
    return {
      operations: strict.map((operation) => originals.get(operation.index)!),
      since: this.#since,
      sentence: explain(shrunk, this.#searchInFull(shrunk), this.#since),
    };
  }

  /** With all contents told apart, so that those that nobody read can be named; that costs more, so it may come to no end. */
  #searchInFull(shrunk: readonly Operation[]): SearchResult<KeyState> {
    const model = this.#since === undefined ? new KeyModel() : new AnyStartModel();
    const result = search<KeyState>(shrunk, model, ATTEMPT_BUDGET);
    return result.kind === "invalid" ? result : this.#search(shrunk);
  }

  /**
   * The beginning that is already invalid: up to the return that no order got past. Only of strings that grow it may be
   * a later read that ruled the orders out (see KeyModel), so there the shortest invalid beginning is looked for.
   */
  #cutBehind(stuckAt: number): readonly Operation[] {
    const timeline = new Timeline(this.#operations);
    let low = timeline.returns[stuckAt]!;
    if (!this.#operations.some(({ f }) => f === "append")) return upTo(this.#operations, timeline, low);
    let high = timeline.events.length - 1;
    for (let end = low; low < high; end = (low + high) >> 1) {
      if (this.#search(upTo(this.#operations, timeline, end), CUT_BUDGET).kind === "invalid") high = end;
      else low = end + 1;
    }
    return upTo(this.#operations, timeline, high);
  }

  /**
   * The shortest end of a history that is invalid from every state. Windows double in length until one is, as the short ones
   * are cheap to search; between it and the last that was not, halving works: a shorter end is never worse.
   */
  #cutBefore(operations: readonly Operation[]): readonly Operation[] {
    const timeline = new Timeline(operations);
    const count = timeline.events.length;
    let length = 2;
    while (length < count && !this.#isInvalidSince(operations, timeline, count - length)) length *= 2;
    let best: number | undefined;
    for (let low = Math.max(0, count - length), high = count - (length >> 1); low < high; ) {
      const start = (low + high) >> 1;
      if (this.#isInvalidSince(operations, timeline, start)) {
        best = start;
        low = start + 1;
      } else {
        high = start;
      }
    }
    this.#since = best === undefined ? undefined : timeOfEvent(operations, timeline.events[best]!);
    return best === undefined ? operations : from(operations, timeline, best);
  }

  #isInvalidSince(operations: readonly Operation[], timeline: Timeline, start: number): boolean {
    this.#since = timeOfEvent(operations, timeline.events[start]!);
    return this.#search(from(operations, timeline, start), CUT_BUDGET).kind === "invalid";
  }

  /** The model knows the candidate only: what is ruled out must be ruled out by what is shown. */
  #search(candidate: readonly Operation[], budget = ATTEMPT_BUDGET): SearchResult<KeyState> {
    const model = this.#since === undefined ? new KeyModel(candidate) : new AnyStartModel(candidate);
    const maxSteps = Math.min(budget.maxSteps, MAX_STEPS_TOTAL - this.#steps);
    const result = search<KeyState>(candidate, model, { ...budget, maxSteps });
    this.#steps += result.steps;
    return result;
  }
}

/** What was known at a moment: later operations are gone, those still open need not have taken effect. */
function upTo(operations: readonly Operation[], timeline: Timeline, end: number): Operation[] {
  return operations.flatMap((operation, i) => {
    if (timeline.invokes[i]! > end) return [];
    return timeline.returns[i]! <= end ? [operation] : forgotten(operation);
  });
}

/** An operation that need not have taken effect; as an observer it then constrains nothing. What it returned, if it did, stays. */
function forgotten(operation: Operation): Operation[] {
  if (new KeyModel().kindOf(operation) === OBSERVER) return [];
  return [{ ...operation, status: "info", returnTime: Number.POSITIVE_INFINITY }];
}

function from(operations: readonly Operation[], timeline: Timeline, start: number): Operation[] {
  return operations.flatMap((operation, i) => {
    if (timeline.invokes[i]! >= start) return [operation];
    return timeline.returns[i]! < start ? [] : forgotten(operation);
  });
}

function timeOfEvent(operations: readonly Operation[], code: number): number {
  const operation = operations[code >> 1]!;
  return (code & 1) === 0 ? operation.invokeTime : operation.returnTime;
}

function explain(operations: readonly Operation[], failed: SearchResult<KeyState>, since: number | undefined): string {
  const stuck = operations[failed.stuckAt]!;
  const states = failed.stuckStates.map(showState);
  const nameable = states.length <= MAX_STATES_NAMED && states.every((state) => state.length <= MAX_STATE_LENGTH);
  const finding = nameable ? `the key could only ${listStates(failed.stuckStates)}` : "nothing explains it";
  const others = operations.some(isRelaxed);
  const freedom = [
    ...(since === undefined ? [] : [`whatever it held at ${since}`]),
    ...(others ? [`whatever ${since === undefined ? "else ran" : "else ran since"}`] : []),
  ];
  const scope = freedom.length === 0 ? "" : `, ${freedom.join(" and ")}`;
  return `process ${stuck.process}'s ${showCall(stuck)} is impossible: in every order of the operations shown ${finding}${scope}`;
}

/** `hold 1 or 2, or be absent` */
function listStates(states: readonly KeyState[]): string {
  const held = states.filter((state) => state !== null).map(showState);
  const ways = held.length === 0 ? [] : [`hold ${held.join(" or ")}`];
  if (held.length < states.length) ways.push("be absent");
  return ways.join(", or ");
}

function showState(state: KeyState): string {
  if (state === ANYTHING) return "anything";
  return state === UNSEEN ? "what nobody read" : showValue(state);
}

import { ANYTHING, AnyStartModel, KeyModel, type KeyState, type Model, OBSERVER, UNSEEN } from "./model.js";
import { type Operation, showCall, showValue, type Value } from "./operation.js";
import { isRelaxed, shrink } from "./shrink.js";
import { Timeline } from "./timeline.js";
import { type Budget, type SearchResult, search } from "./wgl.js";

/** For each attempt to make the witness smaller; an attempt that does not come to an end counts as a failed one. */
const ATTEMPT_BUDGET: Budget = { maxSteps: 20_000, maxMemoEntries: 20_000 };
/** For all attempts together: some seconds. */
const MAX_STEPS_TOTAL = 2_000_000;
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
  const unwritten = findUnwritten(operations);
  if (unwritten !== undefined) return unwritten;
  return new WitnessFinder(operations).find(stuckAt);
}

/** A register's read or swap of a value that is nowhere written needs no further operation to be wrong. */
function findUnwritten(operations: readonly Operation[]): Witness | undefined {
  const written = new Set<Value>([null]);
  for (const { f, value } of operations) {
    if (f === "increment" || f === "append") return undefined;
    if (f !== "read") written.add(value);
  }
  for (const operation of operations) {
    const { f, output, expected, status, process } = operation;
    const found = f === "read" ? output : f === "cas" && status === "ok" && output !== false ? expected : undefined;
    if (found === undefined || written.has(found)) continue;
    const sentence = `process ${process}'s ${showCall(operation)} found ${showValue(found)}, which nobody can have written`;
    return { operations: [operation], since: undefined, sentence };
  }
  return undefined;
}

class WitnessFinder {
  readonly #operations: readonly Operation[];
  #model: Model<KeyState>;
  #since: number | undefined;
  #steps = 0;

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
    this.#model = new KeyModel(operations);
  }

  find(stuckAt: number): Witness {
    const window = this.#cutBefore(cutBehind(this.#operations, stuckAt));
    const shrunk = shrink(window, (candidate) => this.#search(candidate).kind === "invalid");
    const originals = new Map(this.#operations.map((operation) => [operation.index, operation]));
    const strict = shrunk.filter((operation) => !isRelaxed(operation));
    return {
      operations: strict.map((operation) => originals.get(operation.index)!),
      since: this.#since,
      sentence: explain(shrunk, this.#search(shrunk), this.#since),
    };
  }

  /** The shortest end of a history that is invalid from every state: halving works, as a shorter end is never worse. */
  #cutBefore(operations: readonly Operation[]): readonly Operation[] {
    const known = this.#model;
    this.#model = new AnyStartModel(this.#operations);
    const timeline = new Timeline(operations);
    let best: readonly Operation[] | undefined;
    let low = 0;
    let high = timeline.events.length;
    while (low < high) {
      const start = (low + high) >> 1;
      const window = from(operations, timeline, start);
      if (this.#search(window).kind === "invalid") {
        best = window;
        this.#since = timeOfEvent(operations, timeline.events[start]!);
        low = start + 1;
      } else {
        high = start;
      }
    }
    if (best === undefined) this.#model = known;
    return best ?? operations;
  }

  #search(operations: readonly Operation[]): SearchResult<KeyState> {
    const maxSteps = Math.min(ATTEMPT_BUDGET.maxSteps, MAX_STEPS_TOTAL - this.#steps);
    const result = search(operations, this.#model, { ...ATTEMPT_BUDGET, maxSteps });
    this.#steps += result.steps;
    return result;
  }
}

/** What was known at the return of `last`: later operations are gone, those still open are of unknown outcome. */
function cutBehind(operations: readonly Operation[], last: number): Operation[] {
  const timeline = new Timeline(operations);
  const end = timeline.returns[last]!;
  const known: Operation[] = [];
  operations.forEach((operation, i) => {
    if (timeline.invokes[i]! > end) return;
    if (timeline.returns[i]! <= end) known.push(operation);
    else known.push(...forgotten(operation));
  });
  return known;
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
  const finding = nameable ? `the key could only hold ${states.join(" or ")}` : "nothing explains it";
  const others = operations.some(isRelaxed);
  const freedom = [
    ...(since === undefined ? [] : [`whatever it held at ${since}`]),
    ...(others ? [`whatever ${since === undefined ? "else ran" : "else ran since"}`] : []),
  ];
  const scope = freedom.length === 0 ? "" : `, ${freedom.join(" and ")}`;
  return `process ${stuck.process}'s ${showCall(stuck)} is impossible: in every order of the operations shown ${finding}${scope}`;
}

function showState(state: KeyState): string {
  if (state === ANYTHING) return "anything";
  return state === UNSEEN ? "what nobody read" : showValue(state);
}

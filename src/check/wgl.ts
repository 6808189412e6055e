import { ConfigurationSet } from "./configuration-set.js";
import { BLIND, type Model, OBSERVER, UPDATE } from "./model.js";
import type { Operation } from "./operation.js";
import { SearchPlan } from "./search-plan.js";

/** Limits in steps and entries rather than seconds: the same history gives the same verdict on every machine. */
export interface Budget {
  /** Operations tried at some place of some order; a million take about a second. */
  readonly maxSteps: number;
  /** Configurations remembered, at some 40 bytes each. */
  readonly maxMemoEntries: number;
}

export const DEFAULT_BUDGET: Budget = { maxSteps: 20_000_000, maxMemoEntries: 5_000_000 };

export interface SearchResult<State> {
  readonly kind: "valid" | "invalid" | "unknown";
  /** Indices into the operations given, in an order that explains them; only when valid. */
  readonly order: readonly number[];
  /** The operation whose return no order got past, an index into the operations given; -1 when valid. */
  readonly stuckAt: number;
  /** Some states in which the search stood there. */
  readonly stuckStates: readonly State[];
  readonly steps: number;
  readonly memoEntries: number;
}

const MAX_STUCK_STATES = 16;
// A frame of the depth-first stack; the words of the used set follow.
const POSITION = 0;
const STATE = 1;
const COVER = 2;
const MODE = 3;
const ORDER_LENGTH = 4;
const NEXT = 5;
const END = 6;
const USED = 7;

/** Nothing was taken at this frontier yet. */
const FRESH = 0;
/** Something was, so the operation of the frontier must follow: whatever need not come before it is left for later. */
const ENGAGED = 1;
/** A blind write was, and nobody has seen its value yet. */
const HUNGRY = 2;
/** The candidate that passes the return of a covered write without using it. */
const SKIP = -1;

/**
 * Is there an order of these operations of one key that is legal for the model and respects real time?
 *
 * Wing & Gong's search with Lowe's memo ("Testing for linearizability", 2017), just in time: the events are walked in
 * order, and an operation is put into the order only when the return at hand (the frontier) demands it. A configuration
 * is the frontier, the state, and the used ones among the operations open there: its size follows the concurrency, not
 * the length, and where nothing is open (a quiescent point) only the state is left. Four rules cut orders that cannot matter:
 *
 * 1. An observer that is legal now is taken now. Doing it earlier than planned disturbs nothing.
 * 2. Of open operations with the same effect, the one that returns first is used first; they could be swapped.
 * 3. A blind write that was open when another took effect may have hidden right before it. It is then *covered*: it may
 *    still be used for its own value until it returns, but its return can be passed without. So nobody ever tries the
 *    orders of writes that no one saw.
 * 4. Hence a blind write is used before its return only if somebody open sees its value at once: until then the
 *    configuration is *hungry*, and only an update may follow.
 *
 * Operations with outcome unknown may be used at any time after their invocation, or never.
 */
export function search<State>(
  operations: readonly Operation[],
  model: Model<State>,
  budget: Budget = DEFAULT_BUDGET,
): SearchResult<State> {
  return new Search(operations, model, budget).run();
}

class Search<State> {
  readonly #operations: readonly Operation[];
  readonly #model: Model<State>;
  readonly #budget: Budget;

  // The plan, which never changes during the search; see there.
  readonly #events: Int32Array;
  readonly #invokes: Int32Array;
  readonly #returns: Int32Array;
  readonly #kinds: Uint8Array;
  readonly #labels: Int32Array;
  readonly #slots: Int32Array;
  readonly #words: number;

  // The configuration at hand.
  #position = 0;
  #state = 0;
  /** Blind writes invoked before this position are covered. */
  #cover = 0;
  #mode = FRESH;
  readonly #used: Int32Array;
  /** The operation open in each slot at `#position`, or -1. */
  readonly #occupants: Int32Array;
  readonly #order: number[] = [];
  /** The frontier at which each operation of `#order` was taken. */
  readonly #takenAt: number[] = [];

  // States by small integers.
  readonly #states: State[] = [];
  readonly #stateIds = new Map<State, number>();

  readonly #memo: ConfigurationSet;
  readonly #tuple: Int32Array;
  readonly #stride: number;
  #frames: Int32Array;
  #depth = 0;
  #candidates = new Int32Array(256);
  readonly #bestOfLabel: Int32Array;
  #steps = 0;
  #stuckPosition = -1;
  #stuckStates = new Set<number>();

  constructor(operations: readonly Operation[], model: Model<State>, budget: Budget) {
    this.#operations = operations;
    this.#model = model;
    this.#budget = budget;
    const plan = new SearchPlan(operations, model);
    this.#events = plan.events;
    this.#invokes = plan.invokes;
    this.#returns = plan.returns;
    this.#kinds = plan.kinds;
    this.#labels = plan.labels;
    this.#slots = plan.slots;
    this.#bestOfLabel = new Int32Array(plan.labelCount).fill(-1);
    this.#occupants = new Int32Array(plan.slotCount).fill(-1);
    this.#words = (plan.slotCount + 31) >> 5;
    this.#used = new Int32Array(this.#words);
    this.#tuple = new Int32Array(3 + this.#words);
    this.#memo = new ConfigurationSet(this.#tuple.length);
    this.#stride = USED + this.#words;
    this.#frames = new Int32Array(this.#stride * 64);
  }

  run(): SearchResult<State> {
    this.#state = this.#idOf(this.#model.initial);
    this.#advance();
    if (this.#isDone()) return this.#result("valid");
    this.#remember();
    this.#push();
    return this.#result(this.#descend());
  }

  /** Depth first from the frame on the stack. */
  #descend(): "valid" | "invalid" | "unknown" {
    while (this.#depth > 0) {
      const frame = (this.#depth - 1) * this.#stride;
      const next = this.#frames[frame + NEXT]!;
      if (next === this.#frames[frame + END]) {
        this.#depth--;
        continue;
      }
      if (this.#steps >= this.#budget.maxSteps || this.#memo.size >= this.#budget.maxMemoEntries) return "unknown";
      this.#steps++;
      this.#frames[frame + NEXT] = next + 1;
      this.#restore(frame);
      this.#take(this.#candidates[next]!);
      if (this.#isDone()) return "valid";
      if (this.#remember()) this.#push();
    }
    return "invalid";
  }

  /** Puts an operation next in the order, with all that follows from it. */
  #take(operation: number): void {
    const frontier = this.#events[this.#position]! >> 1;
    if (operation === SKIP) {
      this.#pass(frontier);
      this.#advance();
      return;
    }
    this.#use(operation);
    this.#state = this.#idOf(this.#model.step(this.#states[this.#state]!, this.#operations[operation]!)!);
    if (this.#kinds[operation] === BLIND) this.#cover = this.#position;
    const seen = this.#takeObservers();
    if (this.#kinds[operation] === BLIND && operation !== frontier && !seen) {
      this.#mode = HUNGRY;
    } else {
      this.#mode = this.#kinds[frontier] === BLIND ? ENGAGED : FRESH;
      this.#advance();
    }
  }

  /** Walks on over invocations, and over returns of operations that are used. */
  #advance(): void {
    while (this.#position < this.#events.length) {
      const code = this.#events[this.#position]!;
      const operation = code >> 1;
      if ((code & 1) === 1) {
        if (!this.#isUsed(this.#slots[operation]!)) return;
        this.#pass(operation);
        continue;
      }
      this.#occupants[this.#slots[operation]!] = operation;
      if (this.#kinds[operation] === OBSERVER && this.#isLegal(operation)) this.#use(operation);
      this.#position++;
    }
  }

  /** Over the return at the frontier. */
  #pass(operation: number): void {
    const slot = this.#slots[operation]!;
    this.#occupants[slot] = -1;
    this.#used[slot >> 5]! &= ~(1 << (slot & 31));
    this.#position++;
    this.#mode = FRESH;
  }

  #takeObservers(): boolean {
    let taken = false;
    for (let slot = 0; slot < this.#occupants.length; slot++) {
      const operation = this.#occupants[slot]!;
      if (operation === -1 || this.#kinds[operation] !== OBSERVER || this.#isUsed(slot)) continue;
      if (!this.#isLegal(operation)) continue;
      this.#use(operation);
      taken = true;
    }
    return taken;
  }

  /** False when this configuration was there before. Equal futures must give equal tuples, so the cover is normalised. */
  #remember(): boolean {
    this.#noteStuck();
    let cover = 0;
    for (let slot = 0; slot < this.#occupants.length; slot++) {
      const operation = this.#occupants[slot]!;
      if (operation === -1 || this.#isUsed(slot) || !this.#isCovered(operation)) continue;
      if (this.#operations[operation]!.status === "info") continue;
      cover = Math.max(cover, this.#invokes[operation]! + 1);
    }
    this.#cover = cover;
    this.#tuple[0] = this.#position;
    this.#tuple[1] = this.#state * 3 + this.#mode;
    this.#tuple[2] = cover;
    this.#tuple.set(this.#used, 3);
    return this.#memo.add(this.#tuple);
  }

  #push(): void {
    if ((this.#depth + 1) * this.#stride > this.#frames.length) this.#frames = grown(this.#frames);
    const frame = this.#depth * this.#stride;
    const start = this.#depth === 0 ? 0 : this.#frames[frame - this.#stride + END]!;
    this.#frames[frame + POSITION] = this.#position;
    this.#frames[frame + STATE] = this.#state;
    this.#frames[frame + COVER] = this.#cover;
    this.#frames[frame + MODE] = this.#mode;
    this.#frames[frame + ORDER_LENGTH] = this.#order.length;
    this.#frames[frame + NEXT] = start;
    this.#frames[frame + END] = this.#collectCandidates(start);
    this.#frames.set(this.#used, frame + USED);
    this.#depth++;
  }

  #restore(frame: number): void {
    this.#walkBackTo(this.#frames[frame + POSITION]!);
    this.#state = this.#frames[frame + STATE]!;
    this.#cover = this.#frames[frame + COVER]!;
    this.#mode = this.#frames[frame + MODE]!;
    this.#order.length = this.#frames[frame + ORDER_LENGTH]!;
    this.#takenAt.length = this.#order.length;
    for (let word = 0; word < this.#words; word++) this.#used[word] = this.#frames[frame + USED + word]!;
  }

  #walkBackTo(position: number): void {
    while (this.#position > position) {
      const code = this.#events[--this.#position]!;
      this.#occupants[this.#slots[code >> 1]!] = (code & 1) === 0 ? -1 : code >> 1;
    }
  }

  /** Rule 2 and legality. The earliest deadline comes first, which is how most valid histories pass without a step back. */
  #collectCandidates(base: number): number {
    while (base + this.#occupants.length + 1 > this.#candidates.length) this.#candidates = grown(this.#candidates);
    let start = base;
    if (this.#mode === FRESH && this.#isCovered(this.#events[this.#position]! >> 1)) this.#candidates[start++] = SKIP;
    let end = start;
    for (let slot = 0; slot < this.#occupants.length; slot++) {
      const operation = this.#occupants[slot]!;
      if (operation === -1 || this.#isUsed(slot)) continue;
      const kind = this.#kinds[operation];
      if (kind === OBSERVER || (this.#mode === HUNGRY && kind !== UPDATE)) continue;
      const label = this.#labels[operation]!;
      const best = this.#bestOfLabel[label]!;
      if (best === -1) this.#candidates[end++] = operation;
      if (best === -1 || this.#returns[operation]! < this.#returns[best]!) this.#bestOfLabel[label] = operation;
    }
    let kept = start;
    for (let i = start; i < end; i++) {
      const label = this.#labels[this.#candidates[i]!]!;
      const operation = this.#bestOfLabel[label]!;
      this.#bestOfLabel[label] = -1;
      if (this.#isLegal(operation)) this.#insertByReturn(operation, start, kept++);
    }
    return kept;
  }

  #insertByReturn(operation: number, start: number, end: number): void {
    let place = end;
    while (place > start && this.#returns[this.#candidates[place - 1]!]! > this.#returns[operation]!) {
      this.#candidates[place] = this.#candidates[place - 1]!;
      place--;
    }
    this.#candidates[place] = operation;
  }

  #use(operation: number): void {
    const slot = this.#slots[operation]!;
    this.#used[slot >> 5]! |= 1 << (slot & 31);
    this.#order.push(operation);
    this.#takenAt.push(this.#position);
  }

  #isUsed(slot: number): boolean {
    return (this.#used[slot >> 5]! & (1 << (slot & 31))) !== 0;
  }

  #isCovered(operation: number): boolean {
    return this.#kinds[operation] === BLIND && this.#invokes[operation]! < this.#cover;
  }

  #isLegal(operation: number): boolean {
    return this.#model.step(this.#states[this.#state]!, this.#operations[operation]!) !== undefined;
  }

  #isDone(): boolean {
    return this.#position === this.#events.length;
  }

  #idOf(state: State): number {
    const known = this.#stateIds.get(state);
    if (known !== undefined) return known;
    this.#states.push(state);
    this.#stateIds.set(state, this.#states.length - 1);
    return this.#states.length - 1;
  }

  #noteStuck(): void {
    if (this.#position < this.#stuckPosition) return;
    if (this.#position > this.#stuckPosition) this.#stuckStates.clear();
    this.#stuckPosition = this.#position;
    if (this.#stuckStates.size < MAX_STUCK_STATES) this.#stuckStates.add(this.#state);
  }

  #result(kind: "valid" | "invalid" | "unknown"): SearchResult<State> {
    const valid = kind === "valid";
    return {
      kind,
      order: valid ? this.#fullOrder() : [],
      stuckAt: valid ? -1 : this.#events[this.#stuckPosition]! >> 1,
      stuckStates: valid ? [] : Array.from(this.#stuckStates, (id) => this.#states[id]!),
      steps: this.#steps,
      memoEntries: this.#memo.size,
    };
  }

  /** Puts every covered write that was never used right before the first blind write that covered it. */
  #fullOrder(): number[] {
    const taken = new Set(this.#order);
    const hidden: number[] = [];
    for (const code of this.#events) {
      const operation = code >> 1;
      if ((code & 1) === 0 && this.#operations[operation]!.status === "ok" && !taken.has(operation))
        hidden.push(operation);
    }
    const full: number[] = [];
    let next = 0;
    for (let i = 0; i < this.#order.length; i++) {
      if (this.#kinds[this.#order[i]!] === BLIND) {
        while (next < hidden.length && this.#invokes[hidden[next]!]! < this.#takenAt[i]!) full.push(hidden[next++]!);
      }
      full.push(this.#order[i]!);
    }
    return full;
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

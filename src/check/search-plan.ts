import { type Model, OBSERVER } from "./model.js";
import type { Operation } from "./operation.js";
import { Timeline } from "./timeline.js";

type Labelling = Pick<Model<unknown>, "kindOf" | "labelOf">;

/** What the search needs to know of each operation, by its index, in flat arrays. */
export class SearchPlan {
  /** In order: `operation * 2` for an invocation, `operation * 2 + 1` for a return. Unheard observers are left out. */
  readonly events: Int32Array;
  /** Positions in `events`; without a return a position past its end. */
  readonly invokes: Int32Array;
  readonly returns: Int32Array;
  readonly kinds: Uint8Array;
  /** Equal for operations with equal effect and output. */
  readonly labels: Int32Array;
  readonly labelCount: number;
  /** Where an operation's bit is while it is open; as many slots as operations are open at once. */
  readonly slots: Int32Array;
  readonly slotCount: number;

  constructor(operations: readonly Operation[], model: Labelling) {
    const timeline = new Timeline(operations);
    const { invokes, returns } = timeline;
    const kinds = Uint8Array.from(operations, (operation) => model.kindOf(operation));
    // An observer that nobody heard from constrains nothing. It has no return, so only later positions move down.
    const isHeard = (operation: number) => kinds[operation] !== OBSERVER || operations[operation]!.status === "ok";
    this.events = timeline.events.filter((code) => isHeard(code >> 1));
    this.events.forEach((code, position) => {
      ((code & 1) === 0 ? invokes : returns)[code >> 1] = position;
    });
    this.invokes = invokes;
    this.returns = returns;
    this.kinds = kinds;
    [this.labels, this.labelCount] = numberLabels(operations, model);
    [this.slots, this.slotCount] = assignSlots(this.events, operations.length);
  }
}

function numberLabels(operations: readonly Operation[], model: Labelling): [Int32Array, number] {
  const numbers = new Map<string, number>();
  const labels = Int32Array.from(operations, (operation) => {
    const label = model.labelOf(operation);
    const number = numbers.get(label) ?? numbers.size;
    numbers.set(label, number);
    return number;
  });
  return [labels, numbers.size];
}

/** Slots are used again after a return; an operation without a return keeps its slot for good. */
function assignSlots(events: Int32Array, count: number): [Int32Array, number] {
  const slots = new Int32Array(count);
  const free: number[] = [];
  let slotCount = 0;
  for (const code of events) {
    if ((code & 1) === 0) slots[code >> 1] = free.pop() ?? slotCount++;
    else free.push(slots[code >> 1]!);
  }
  return [slots, slotCount];
}

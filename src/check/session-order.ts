import type { Operation, Value } from "./operation.js";

/** Why one operation must come before another. */
export type Cause =
  | "same process"
  | "read from"
  | "read later overwritten"
  | "overwritten before read"
  | "initial read";

export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly cause: Cause;
}

export type SessionOrderResult =
  | { readonly kind: "ordered"; readonly order: SessionOrder }
  | { readonly kind: "unwritten"; readonly operation: number }
  | { readonly kind: "cycle"; readonly cycle: readonly Edge[] };

/**
 * What every order must respect that explains a history session by session, as far as it can be told in polynomial time. Where a
 * read can have its value from one write w only, w comes first; and of each other write v to the key: if v is before the read
 * then v is before w, and if v is after w then it is after the read. Repeated until nothing new follows. A circle refutes the
 * history; no circle proves nothing (the problem is NP-complete), but what was found narrows the search.
 *
 * `before[o][s]`: how many operations of session s come before o. Sessions are rows of operation indices.
 */
export class SessionOrder {
  readonly sessions: readonly (readonly number[])[];
  readonly before: readonly Int32Array[];
  readonly #sessionOf: Int32Array;
  readonly #placeOf: Int32Array;
  readonly #edges: Edge[][];
  readonly #known = new Set<number>();
  #changed = false;

  constructor(operations: readonly Operation[]) {
    const rows = new Map<number, number[]>();
    operations.forEach(({ process }, i) => {
      const row = rows.get(process);
      if (row === undefined) rows.set(process, [i]);
      else row.push(i);
    });
    this.sessions = [...rows.values()];
    this.#sessionOf = new Int32Array(operations.length);
    this.#placeOf = new Int32Array(operations.length);
    this.#edges = operations.map(() => []);
    this.before = operations.map(() => new Int32Array(this.sessions.length));
    this.sessions.forEach((row, session) => {
      row.forEach((operation, place) => {
        this.#sessionOf[operation] = session;
        this.#placeOf[operation] = place;
      });
    });
  }

  isBefore(a: number, b: number): boolean {
    return this.before[b]![this.#sessionOf[a]!]! > this.#placeOf[a]!;
  }

  add(from: number, to: number, cause: Cause): void {
    const code = from * this.#edges.length + to;
    if (this.#known.has(code)) return;
    this.#known.add(code);
    this.#edges[from]!.push({ from, to, cause });
    this.#changed = true;
  }

  /** Closes the order under what was added. False when nothing was. */
  close(): boolean {
    if (!this.#changed) return false;
    this.#changed = false;
    for (let moved = true; moved; ) {
      moved = false;
      for (const row of this.sessions) {
        for (let place = 0; place < row.length; place++) {
          const operation = row[place]!;
          if (place > 0) moved = this.#inherit(row[place - 1]!, operation) || moved;
          // On a circle the counts reach their limits and stay there, so this ends.
          for (const { to } of this.#edges[operation]!) moved = this.#inherit(operation, to) || moved;
        }
      }
    }
    return true;
  }

  /** The shortest circle, if there is one. */
  findCycle(): Edge[] | undefined {
    for (let operation = 0; operation < this.before.length; operation++) {
      if (this.isBefore(operation, operation)) return this.#shortestWay(operation);
    }
    return undefined;
  }

  #inherit(from: number, to: number): boolean {
    const source = this.before[from]!;
    const target = this.before[to]!;
    let moved = false;
    for (let session = 0; session < source.length; session++) {
      const reach =
        session === this.#sessionOf[from] ? Math.max(source[session]!, this.#placeOf[from]! + 1) : source[session]!;
      if (reach <= target[session]!) continue;
      target[session] = reach;
      moved = true;
    }
    return moved;
  }

  /** Breadth first from an operation back to itself; a way along a session counts as one edge. */
  #shortestWay(start: number): Edge[] {
    const cameBy = new Map<number, Edge>();
    let layer = [start];
    while (layer.length > 0) {
      const next: number[] = [];
      for (const operation of layer) {
        for (const edge of this.#out(operation)) {
          if (cameBy.has(edge.to)) continue;
          cameBy.set(edge.to, edge);
          if (edge.to === start) return unwind(cameBy, start);
          next.push(edge.to);
        }
      }
      layer = next;
    }
    throw new Error("an operation before itself must lie on a circle");
  }

  *#out(operation: number): Generator<Edge> {
    yield* this.#edges[operation]!;
    const row = this.sessions[this.#sessionOf[operation]!]!;
    for (let place = this.#placeOf[operation]! + 1; place < row.length; place++) {
      yield { from: operation, to: row[place]!, cause: "same process" };
    }
  }
}

function unwind(cameBy: ReadonlyMap<number, Edge>, start: number): Edge[] {
  const way: Edge[] = [];
  for (let edge = cameBy.get(start)!; ; edge = cameBy.get(edge.from)!) {
    way.unshift(edge);
    if (edge.from === start) return way;
  }
}

interface KeyWrites {
  /** Value → its only writer; `MANY` when there are several, `BEGINNING` for absence that only the beginning gives. */
  readonly writerOf: Map<Value, number>;
  /** Those that certainly took effect, for each session in its order. */
  readonly writersOfSession: Map<number, number[]>;
}

interface SourcedRead {
  readonly read: number;
  readonly writer: number;
  readonly writes: KeyWrites;
}

const BEGINNING = -1;
const MANY = -2;

/** Takes reads at their word: `operations` must be free of reads that nobody heard the result of. */
export function orderSessions(operations: readonly Operation[]): SessionOrderResult {
  const order = new SessionOrder(operations);
  const keys = collectWrites(operations);
  const reads: SourcedRead[] = [];
  for (let i = 0; i < operations.length; i++) {
    const writes = keys.get(operations[i]!.key);
    const found = foundValue(operations[i]!);
    if (writes === undefined || found === undefined) continue;
    const writer = writes.writerOf.get(found);
    if (writer === undefined || writer === i) return { kind: "unwritten", operation: i };
    if (writer === BEGINNING) {
      for (const row of writes.writersOfSession.values()) {
        const first = row.find((other) => other !== i);
        if (first !== undefined) order.add(i, first, "initial read");
      }
    } else if (writer !== MANY) {
      order.add(writer, i, "read from");
      reads.push({ read: i, writer, writes });
    }
  }
  while (order.close()) {
    const cycle = order.findCycle();
    if (cycle !== undefined) return { kind: "cycle", cycle };
    for (const read of reads) addConsequences(order, read);
  }
  return { kind: "ordered", order };
}

/** Of each session only the write next to the read or its writer counts: session order brings the others. */
function addConsequences(order: SessionOrder, { read, writer, writes }: SourcedRead): void {
  for (const row of writes.writersOfSession.values()) {
    let last = firstWhere(row, (other) => !order.isBefore(other, read)) - 1;
    while (row[last] === read || row[last] === writer) last--;
    if (last >= 0) order.add(row[last]!, writer, "overwritten before read");
    let first = firstWhere(row, (other) => order.isBefore(writer, other));
    while (row[first] === read || row[first] === writer) first++;
    if (first < row.length) order.add(read, row[first]!, "read later overwritten");
  }
}

/** The first place where a condition holds that holds from some place on. */
function firstWhere(row: readonly number[], holds: (operation: number) => boolean): number {
  let low = 0;
  let high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(row[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function foundValue({ f, status, output, expected }: Operation): Value | undefined {
  if (f === "read") return output;
  return f === "cas" && status === "ok" && output !== false ? expected : undefined;
}

/** Counters and growing strings are left to the search: their values do not name their writers. */
function collectWrites(operations: readonly Operation[]): Map<string, KeyWrites> {
  const keys = new Map<string, KeyWrites>();
  const excluded = new Set<string>();
  operations.forEach(({ f, key, value, output, status, process }, i) => {
    if (f === "increment" || f === "append") excluded.add(key);
    let writes = keys.get(key);
    if (writes === undefined) {
      writes = { writerOf: new Map([[null, BEGINNING]]), writersOfSession: new Map() };
      keys.set(key, writes);
    }
    if (f === "read" || output === false) return;
    writes.writerOf.set(value, writes.writerOf.has(value) ? MANY : i);
    // A write of unknown outcome may never have been made, so it is no obstacle.
    if (status === "info") return;
    const row = writes.writersOfSession.get(process);
    if (row === undefined) writes.writersOfSession.set(process, [i]);
    else row.push(i);
  });
  for (const key of excluded) keys.delete(key);
  return keys;
}

import { ConfigurationSet } from "./configuration-set.js";
import { KeyModel, type KeyState, OBSERVER } from "./model.js";
import { groupByKey, type Operation } from "./operation.js";
import type { SessionOrder } from "./session-order.js";
import type { Budget } from "./wgl.js";

export interface SessionSearchResult {
  readonly kind: "valid" | "invalid" | "unknown";
  /** Indices into the operations given; when valid. */
  readonly order: readonly number[];
  /** The most operations that any order explained. */
  readonly reached: number;
  readonly steps: number;
  readonly memoEntries: number;
}

interface Frame {
  readonly configuration: Int32Array;
  readonly pathLength: number;
  readonly missing: number;
  /** The session to try next. */
  session: number;
}

/**
 * Depth-first search for one order of all sessions over all keys. A configuration is a place in each session and a state of each
 * key, and is never entered twice. Reads that are legal now are taken at once: earlier than planned does no harm.
 */
export function searchSessions(
  operations: readonly Operation[],
  order: SessionOrder,
  budget: Budget,
): SessionSearchResult {
  return new SessionSearch(operations, order, budget).run();
}

class SessionSearch {
  readonly #operations: readonly Operation[];
  readonly #order: SessionOrder;
  readonly #budget: Budget;
  readonly #models: readonly KeyModel[];
  readonly #keyOf: Int32Array;
  readonly #isObserver: Uint8Array;
  /** Operations that took effect and are not yet in the path. */
  #missing: number;

  readonly #sessionCount: number;
  /** Places in the sessions, then state numbers of the keys. */
  readonly #configuration: Int32Array;
  readonly #states: KeyState[] = [];
  readonly #stateIds = new Map<KeyState, number>();
  readonly #memo: ConfigurationSet;
  readonly #path: number[] = [];
  #steps = 0;
  #reached = 0;

  constructor(operations: readonly Operation[], order: SessionOrder, budget: Budget) {
    this.#operations = operations;
    this.#order = order;
    this.#budget = budget;
    const groups = [...groupByKey(operations)];
    const keyIds = new Map(groups.map(([key], id) => [key, id]));
    this.#models = groups.map(([, group]) => new KeyModel(group));
    this.#keyOf = Int32Array.from(operations, ({ key }) => keyIds.get(key)!);
    this.#isObserver = Uint8Array.from(operations, (operation, i) =>
      this.#models[this.#keyOf[i]!]!.kindOf(operation) === OBSERVER ? 1 : 0,
    );
    this.#missing = operations.filter(({ status }) => status === "ok").length;
    this.#sessionCount = order.sessions.length;
    this.#configuration = new Int32Array(this.#sessionCount + groups.length);
    this.#memo = new ConfigurationSet(this.#configuration.length);
    this.#idOf(null);
  }

  run(): SessionSearchResult {
    const frames: Frame[] = [];
    this.#takeObservers();
    if (this.#missing === 0) return this.#result("valid");
    this.#memo.add(this.#configuration);
    frames.push(this.#frame());
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      if (frame.session === this.#sessionCount) {
        frames.pop();
        continue;
      }
      if (this.#steps >= this.#budget.maxSteps || this.#memo.size >= this.#budget.maxMemoEntries)
        return this.#result("unknown");
      const session = frame.session++;
      this.#configuration.set(frame.configuration);
      this.#path.length = frame.pathLength;
      this.#missing = frame.missing;
      this.#steps++;
      if (!this.#tryNext(session)) continue;
      this.#takeObservers();
      this.#reached = Math.max(this.#reached, this.#path.length);
      if (this.#missing === 0) return this.#result("valid");
      if (!this.#memo.add(this.#configuration)) continue;
      frames.push(this.#frame());
    }
    return this.#result("invalid");
  }

  #frame(): Frame {
    const configuration = this.#configuration.slice();
    return { configuration, pathLength: this.#path.length, missing: this.#missing, session: 0 };
  }

  #takeObservers(): void {
    for (let taken = true; taken; ) {
      taken = false;
      for (let session = 0; session < this.#sessionCount; session++) {
        for (
          let next = this.#nextOf(session);
          next !== undefined && this.#isObserver[next] === 1;
          next = this.#nextOf(session)
        ) {
          if (!this.#tryNext(session)) break;
          taken = true;
        }
      }
    }
  }

  #tryNext(session: number): boolean {
    const operation = this.#nextOf(session);
    if (operation === undefined || !this.#isReady(operation)) return false;
    const cell = this.#sessionCount + this.#keyOf[operation]!;
    const model = this.#models[this.#keyOf[operation]!]!;
    const after = model.step(this.#states[this.#configuration[cell]!]!, this.#operations[operation]!);
    if (after === undefined) return false;
    this.#configuration[cell] = this.#idOf(after);
    this.#configuration[session]!++;
    this.#path.push(operation);
    if (this.#operations[operation]!.status === "ok") this.#missing--;
    return true;
  }

  /** Whether all that must come before it is done. What may never have been made, nothing waits for. */
  #isReady(operation: number): boolean {
    const before = this.#order.before[operation]!;
    for (let session = 0; session < before.length; session++) {
      if (before[session]! > this.#configuration[session]!) return false;
    }
    return true;
  }

  #nextOf(session: number): number | undefined {
    return this.#order.sessions[session]![this.#configuration[session]!];
  }

  #idOf(state: KeyState): number {
    const known = this.#stateIds.get(state);
    if (known !== undefined) return known;
    this.#states.push(state);
    this.#stateIds.set(state, this.#states.length - 1);
    return this.#states.length - 1;
  }

  #result(kind: "valid" | "invalid" | "unknown"): SessionSearchResult {
    return {
      kind,
      order: kind === "valid" ? [...this.#path] : [],
      reached: this.#reached,
      steps: this.#steps,
      memoEntries: this.#memo.size,
    };
  }
}

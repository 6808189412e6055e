import { EMPTY_BYTES } from "../core/bytes.js";
import type { State } from "../core/state.js";
import { endOfTable, ORDERED_INTEGER_CHARS, orderedInteger, parseOrderedInteger, Table } from "./tables.js";

const END = endOfTable(Table.expiry);
const KEY_AT = Table.expiry.length + ORDERED_INTEGER_CHARS;

/** Deadline and key of every record that has a deadline, in order of deadlines. */
export class ExpiryIndex {
  /**
   * A cache: no deadline of the index is earlier. Where it is not exact it is too early, which costs a look-up and
   * nothing else; so a new index on an old state may begin with 0.
   */
  private earliestBoundMs = 0;
  private isExact = false;

  constructor(private readonly state: State) {}

  add(deadlineMs: number, key: string): void {
    this.state.put(Table.expiry + orderedInteger(deadlineMs) + key, EMPTY_BYTES);
    if (deadlineMs < this.earliestBoundMs) {
      this.earliestBoundMs = deadlineMs;
      this.isExact = true;
    }
  }

  remove(deadlineMs: number, key: string): void {
    this.state.delete(Table.expiry + orderedInteger(deadlineMs) + key);
    if (deadlineMs === this.earliestBoundMs) this.isExact = false;
  }

  /** The earliest deadline; Infinity if there is none. */
  earliestMs(): number {
    if (!this.isExact) {
      this.earliestBoundMs = Number.POSITIVE_INFINITY;
      this.state.range(Table.expiry, END, (entry) => {
        this.earliestBoundMs = parseOrderedInteger(entry, 1);
        return false;
      });
      this.isExact = true;
    }
    return this.earliestBoundMs;
  }

  /** Keys whose deadline is at or before `timeMs`, the earliest first, at most `limit`; null if there are none. */
  due(timeMs: number, limit: number): string[] | null {
    if (this.earliestBoundMs > timeMs || this.earliestMs() > timeMs) return null;
    const keys: string[] = [];
    this.state.range(Table.expiry, Table.expiry + orderedInteger(timeMs + 1), (entry) => {
      if (keys.length === limit) return false;
      keys.push(entry.slice(KEY_AT));
      return true;
    });
    return keys;
  }
}

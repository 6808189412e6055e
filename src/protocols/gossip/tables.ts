/** The tables of a gossip group's state, besides those that it shares with every keyspace (kv/tables.ts). */
import { ORDERED_INTEGER_CHARS, orderedInteger, parseOrderedInteger } from "../../kv/tables.js";

export const GossipTable = {
  /** What writes that repair has brought may depend on (replica.ts). */
  barrier: "b",
  /** Clock, counters, what was collected (replica.ts). */
  counters: "g",
  /** + key hash (4) + key → nothing. One for each record and tombstone: what the hash tree is made of. */
  hash: "h",
  /** + origin → its sequence set and marks (origins.ts). */
  origin: "o",
  /** + stamp → a batch with one write that waits for the clock. */
  parked: "p",
  /** + key → what the write there depends on and is not held here. */
  dependencies: "q",
  /** + key → stamp of a delete, or of what has expired, with the deadline (u53). */
  tombstone: "t",
  /** + origin + first sequence → keys of writes: what repair by vector looks up (write-index.ts). */
  write: "w",
} as const;
export type GossipTable = (typeof GossipTable)[keyof typeof GossipTable];

export function endOf(table: GossipTable): string {
  return String.fromCharCode(table.charCodeAt(0) + 1);
}

/** An origin inside a state's key: node, then incarnation. */
export const ORIGIN_CHARS = 2 * ORDERED_INTEGER_CHARS;

export function originKey(node: number, incarnation: number): string {
  return orderedInteger(node) + orderedInteger(incarnation);
}

export function parseOrigin(text: string, at: number): { readonly node: number; readonly incarnation: number } {
  return {
    node: parseOrderedInteger(text, at),
    incarnation: parseOrderedInteger(text, at + ORDERED_INTEGER_CHARS),
  };
}

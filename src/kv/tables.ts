/**
 * The tables of a keyspace's state: every key of the {@link State} begins with one of these chars. Numbers inside keys
 * are big-endian, so that string order is numeric order.
 */
export const Table = {
  /** + key → record (record.ts). */
  data: "d",
  /** + deadline + key → nothing. One for each record with a deadline. */
  expiry: "e",
  /** Time, revision and counters (meta.ts). */
  meta: "m",
  /** + client + sequence → result (result-codec.ts). */
  result: "r",
  /** + client → session (session-table.ts). */
  session: "s",
  /** + last use + client → nothing. One for each session. */
  sessionUse: "u",
} as const;
export type Table = (typeof Table)[keyof typeof Table];

/** The first key after all of a table. */
export function endOfTable(table: Table): string {
  return String.fromCharCode(table.charCodeAt(0) + 1);
}

/** A safe integer from 0 as eight chars, most significant first. */
export function orderedInteger(value: number): string {
  const high = Math.floor(value / 4294967296);
  const low = value >>> 0;
  return String.fromCharCode(
    0,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  );
}

export const ORDERED_INTEGER_CHARS = 8;

/** Reads what {@link orderedInteger} wrote, from `at` on. */
export function parseOrderedInteger(text: string, at: number): number {
  let value = 0;
  for (let i = at; i < at + ORDERED_INTEGER_CHARS; i += 1) value = value * 256 + text.charCodeAt(i);
  return value;
}

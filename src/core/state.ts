/**
 * The ordered map that a machine owns. Synchronous: what is not in memory is in a memory-mapped file.
 * Keys are latin1 strings (one char a byte, so string order is byte order). A value given to `put` belongs to the state
 * from then on; a value returned is valid until the next call that changes the state and must not be written to.
 */
export interface State {
  get(key: string): Uint8Array | undefined;
  put(key: string, value: Uint8Array): void;
  delete(key: string): void;
  /** Visits `start <= key < end` in ascending order until `visit` answers false. The state must not change meanwhile. */
  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void;
  /** As {@link range}, of the same bounds, in descending order. */
  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void;
}

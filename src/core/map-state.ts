import { SortedKeys } from "./sorted-keys.js";
import type { State } from "./state.js";

/** A {@link State} in memory: for the simulator, golden traces, the browser and tests. */
export class MapState implements State {
  private readonly values = new Map<string, Uint8Array>();
  private readonly keys = new SortedKeys();

  get size(): number {
    return this.values.size;
  }

  get(key: string): Uint8Array | undefined {
    return this.values.get(key);
  }

  put(key: string, value: Uint8Array): void {
    if (!this.values.has(key)) this.keys.add(key);
    this.values.set(key, value);
  }

  delete(key: string): void {
    if (this.values.delete(key)) this.keys.remove(key);
  }

  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.keys.range(start, end, (key) => visit(key, this.values.get(key)!));
  }

  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.keys.reverseRange(start, end, (key) => visit(key, this.values.get(key)!));
  }
}

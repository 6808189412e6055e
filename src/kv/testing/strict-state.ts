import { MapState } from "../../core/map-state.js";
import type { State } from "../../core/state.js";

/**
 * A state that takes its contract at its word: what it handed out turns to rubbish at the next change, it may not
 * change while it is visited, and nobody may write to what it hands out or was given.
 */
export class StrictState implements State {
  readonly map = new MapState();
  private lent: { given: Uint8Array; original: Uint8Array }[] = [];
  private isVisited = false;

  get(key: string): Uint8Array | undefined {
    const value = this.map.get(key);
    return value === undefined ? undefined : this.lend(value);
  }

  put(key: string, value: Uint8Array): void {
    this.revoke();
    this.map.put(key, value.slice());
    if (value.length > 0) value.fill(0xee);
  }

  delete(key: string): void {
    this.revoke();
    this.map.delete(key);
  }

  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.isVisited = true;
    this.map.range(start, end, (key, value) => visit(key, this.lend(value)));
    this.isVisited = false;
  }

  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.isVisited = true;
    this.map.reverseRange(start, end, (key, value) => visit(key, this.lend(value)));
    this.isVisited = false;
  }

  private lend(value: Uint8Array): Uint8Array {
    const given = value.slice();
    this.lent.push({ given, original: value });
    return given;
  }

  private revoke(): void {
    if (this.isVisited) throw new Error("the state was changed while it was visited");
    for (const { given, original } of this.lent) {
      if (!Buffer.from(given).equals(original)) throw new Error("a value that the state had lent was written to");
      given.fill(0xee);
    }
    this.lent = [];
  }
}

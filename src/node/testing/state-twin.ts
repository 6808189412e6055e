import { expect } from "vitest";
import { latin1Encode } from "../../core/bytes.js";
import type { Random } from "../../core/random.js";
import type { BufferedState } from "../state/buffered-state.js";
import { told, turn } from "./store-world.js";

/** The dumb twin: one sorted array. */
class SortedArrayState {
  entries: [string, string][] = [];

  private find(key: string): number {
    let at = 0;
    while (at < this.entries.length && this.entries[at][0] < key) at += 1;
    return at;
  }

  get(key: string): string | null {
    const entry = this.entries[this.find(key)];
    return entry !== undefined && entry[0] === key ? entry[1] : null;
  }

  put(key: string, value: string): void {
    const at = this.find(key);
    this.entries.splice(at, this.get(key) === null ? 0 : 1, [key, value]);
  }

  delete(key: string): void {
    if (this.get(key) !== null) this.entries.splice(this.find(key), 1);
  }

  range(start: string, end: string): [string, string][] {
    return this.entries.filter(([key]) => start <= key && key < end);
  }

  copy(): SortedArrayState {
    const copy = new SortedArrayState();
    copy.entries = [...this.entries];
    return copy;
  }
}

export function rangeOf(state: BufferedState, start: string, end: string, limit = Infinity): [string, string][] {
  const found: [string, string][] = [];
  state.range(start, end, (key, value) => found.push([key, Buffer.from(value).toString("latin1")]) < limit);
  return found;
}

export function reverseRangeOf(state: BufferedState, start: string, end: string, limit = Infinity): [string, string][] {
  const found: [string, string][] = [];
  state.reverseRange(start, end, (key, value) => found.push([key, Buffer.from(value).toString("latin1")]) < limit);
  return found;
}

export async function checkpoint(state: BufferedState, position: number): Promise<void> {
  await told((tell) => state.beginCheckpoint(position, 1, latin1Encode("extra"), tell));
}

export function damageOf(state: BufferedState, entriesPerStep = 100): string | null {
  const steps = state.verify(entriesPerStep);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value.damage;
}

export const ALL: readonly [string, string] = ["\x00", "\xff\xff"];

/**
 * Few enough keys that most are met again; "x" as an expiry index has them: ever growing, deleted from the front; "s" as
 * a stack has them: deleted from the end.
 */
function drawKey(random: Random, round: number): string {
  if (random.chance(0.2)) return `x${String(Math.floor(round / 8) - random.below(40)).padStart(6, "0")}`;
  if (random.chance(0.1)) return `s${random.below(400)}`;
  return `${"adz\x00\xff"[random.below(5)]}${random.below(120)}`;
}

/** One run of random operations on a state and its twin, with checkpoints and reopenings on the way. */
export class TwinRun {
  twin = new SortedArrayState();
  private durableTwin = new SortedArrayState();
  private running: Promise<void> | null = null;
  private position = 0;

  constructor(
    private readonly random: Random,
    private readonly reopen: () => Promise<BufferedState>,
    public state: BufferedState,
  ) {}

  async step(round: number): Promise<void> {
    const { random } = this;
    const what = random.below(1_000);
    if (what < 450) this.put(round);
    else if (what < 620) this.delete(round);
    else if (what < 800) this.compareGet(round);
    else if (what < 980) this.compareRange(round);
    else if (what < 985) this.beginCheckpoint();
    else if (what < 999) await turn();
    else if (random.chance(0.25)) await this.start();
  }

  private put(round: number): void {
    const key = drawKey(this.random, round);
    const value = `${round}:${"v".repeat(this.random.below(60))}`;
    this.state.put(key, latin1Encode(value));
    this.twin.put(key, value);
  }

  private delete(round: number): void {
    const { random, twin } = this;
    const isStack = random.chance(0.2);
    const [start, end] = random.chance(0.5) ? ["x", "y"] : [drawKey(random, round), "\xff\xff"];
    const chosen = isStack ? twin.range("s", "t").at(-1) : twin.range(start, end)[0];
    const key = chosen?.[0] ?? drawKey(random, round);
    this.state.delete(key);
    this.twin.delete(key);
  }

  private compareGet(round: number): void {
    const key = drawKey(this.random, round);
    const value = this.state.get(key);
    expect(value === undefined ? null : Buffer.from(value).toString("latin1")).toBe(this.twin.get(key));
  }

  private compareRange(round: number): void {
    const { random } = this;
    const limit = 1 + random.below(12);
    const ranges = [
      ["x", "y"],
      ["s", "t"],
      ALL,
      [drawKey(random, round), drawKey(random, round)],
      [drawKey(random, round), "\xff"],
    ];
    const [start, end] = ranges[random.below(ranges.length)];
    const inside = this.twin.range(start, end);
    if (random.chance(0.5)) expect(rangeOf(this.state, start, end, limit)).toEqual(inside.slice(0, limit));
    else expect(reverseRangeOf(this.state, start, end, limit)).toEqual(inside.reverse().slice(0, limit));
  }

  private beginCheckpoint(): void {
    if (!this.state.mayCheckpoint) return;
    this.position += 1;
    const frozen = this.twin.copy();
    this.running = told((done) => this.state.beginCheckpoint(this.position, 1, new Uint8Array(0), done)).then(() => {
      this.durableTwin = frozen;
      this.running = null;
    });
  }

  async finishCheckpoint(): Promise<void> {
    while (this.running !== null) await turn();
  }

  /** The process ends and starts again: what no checkpoint had is gone. */
  private async start(): Promise<void> {
    if (this.random.chance(0.5)) await this.finishCheckpoint();
    else if (this.running !== null) return;
    this.state = await this.reopen();
    this.twin = this.durableTwin.copy();
    expect(damageOf(this.state)).toBeNull();
    this.compareAll();
  }

  compareAll(): void {
    expect(rangeOf(this.state, ...ALL)).toEqual(this.twin.entries);
    expect(reverseRangeOf(this.state, ...ALL)).toEqual([...this.twin.entries].reverse());
  }
}

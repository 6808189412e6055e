import { Random } from "../../core/random.js";
import type { StoreWorld } from "../../node/testing/store-world.js";
import { SimStateStore } from "../state-store.js";

interface Event {
  readonly timeMs: number;
  readonly run: () => void;
}

/** Simulated time that goes on by itself, one event a turn of the event loop. */
class RunningTime {
  private nowMs = 0;
  private readonly events: Event[] = [];

  readonly schedule = (delayMs: number, run: () => void): void => {
    const event = { timeMs: this.nowMs + delayMs, run };
    let at = this.events.length;
    while (at > 0 && this.events[at - 1].timeMs > event.timeMs) at -= 1;
    this.events.splice(at, 0, event);
    setImmediate(() => {
      const next = this.events.shift() as Event;
      this.nowMs = next.timeMs;
      next.run();
    });
  };
}

export function makeSimStore(seed: number): SimStateStore {
  const { schedule } = new RunningTime();
  return new SimStateStore({ schedule, random: new Random(seed), delayMsMin: 1, delayMsMax: 20 });
}

export class SimStoreWorld implements StoreWorld {
  readonly store: SimStateStore;

  constructor(seed: number) {
    this.store = makeSimStore(seed);
  }

  async reopen(): Promise<void> {
    this.store.kill();
  }

  setDiskFull(full: boolean): void {
    this.store.setDiskFull(full);
  }

  async end(): Promise<void> {}
}

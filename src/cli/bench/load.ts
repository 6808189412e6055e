// The load loop: keeps every connection as busy as its mode says. All work happens in the callbacks of arriving bytes
// (and, in an open loop, of one timer); a request in flight costs no promise and no closure.

import type { Address } from "../address.js";
import type { Connection, Driver, Outcome, ReplySink } from "./driver.js";
import type { Recorder } from "./recorder.js";
import { Schedule } from "./schedule.js";
import type { Workload } from "./workload.js";

/** How often an open loop looks for operations that have become due; arriving replies look as well. */
const TICK_MS = 1;

export interface LoadOptions {
  readonly driver: Driver;
  readonly workload: Workload;
  readonly recorder: Recorder;
  /** Operations a second over all connections, or 0 for a closed loop. */
  readonly rate: number;
  /** Called after each turn in which something completed. */
  readonly onProgress: () => void;
}

export class Load {
  readonly options: LoadOptions;
  readonly lanes: Lane[] = [];
  nowUs = readClockUs();
  schedule: Schedule | null = null;
  /** Nothing that starts (open loop: is due) at or after this is sent. */
  stopUs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: LoadOptions) {
    this.options = options;
  }

  /** Opens `count` connections, dealt round to the addresses. */
  async connect(addresses: readonly Address[], count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) this.lanes.push(new Lane(this, i));
    const opened = await Promise.allSettled(
      this.lanes.map(async (lane, i) => {
        lane.connection = await this.options.driver.connect(addresses[i % addresses.length]!, lane);
      }),
    );
    const refused = opened.find((result) => result.status === "rejected");
    if (refused === undefined) return;
    this.close();
    throw refused.reason;
  }

  start(): void {
    this.nowUs = readClockUs();
    if (this.options.rate === 0) {
      for (const lane of this.lanes) lane.refill();
      return;
    }
    this.schedule = new Schedule(this.options.rate, this.lanes.length, this.nowUs);
    const tick = () => {
      this.nowUs = readClockUs();
      this.release();
      this.#timer = setTimeout(tick, TICK_MS);
    };
    tick();
  }

  /** Open loop: hands the operations that have become due to their lanes. */
  release(): void {
    const schedule = this.schedule!;
    const before = schedule.arrived;
    const due = schedule.arrive(this.nowUs, this.stopUs);
    const count = this.lanes.length;
    for (let i = 0; i < due && i < count; i += 1) {
      const lane = this.lanes[(before + i) % count]!;
      // Of `due` operations dealt round, the i-th lane from the first gets every count-th.
      lane.due += Math.ceil((due - i) / count);
      lane.sendDue();
    }
  }

  /** Starts nothing from now on; what was due before is still sent and answered. */
  stop(nowUs: number): void {
    this.stopUs = nowUs;
    this.nowUs = nowUs;
    if (this.schedule !== null) this.release();
  }

  /** Operations in flight, or due and not yet sent. */
  get unfinished(): number {
    let count = 0;
    for (const lane of this.lanes) count += lane.inFlight + lane.due;
    return count;
  }

  get connected(): number {
    let count = 0;
    for (const lane of this.lanes) if (lane.connection !== null) count += 1;
    return count;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const lane of this.lanes) lane.connection?.close();
  }
}

/** One connection and what is in flight on it. */
class Lane implements ReplySink {
  connection: Connection | null = null;
  inFlight = 0;
  /** Open loop: operations due and not yet sent. */
  due = 0;
  readonly #load: Load;
  readonly #index: number;
  #sent = 0;

  constructor(load: Load, index: number) {
    this.#load = load;
    this.#index = index;
  }

  /** Closed loop: sends as much as the pipeline takes, when it is time to. */
  refill(): void {
    const load = this.#load;
    const connection = this.connection;
    if (connection === null || load.nowUs >= load.stopUs) return;
    if (this.inFlight > 0 && load.options.driver.refill === "batch") return;
    const workload = load.options.workload;
    while (connection.ready()) {
      workload.advance();
      connection.send(workload.kind, workload.key, load.nowUs);
      this.inFlight += 1;
    }
    connection.flush();
  }

  /** Open loop: sends what is due, as far as the pipeline takes it. */
  sendDue(): void {
    if (this.due === 0) return;
    const load = this.#load;
    const { workload, recorder } = load.options;
    const connection = this.connection;
    if (connection === null) {
      recorder.fail("due on a connection that was lost", this.due);
      this.due = 0;
      return;
    }
    while (this.due > 0 && connection.ready()) {
      const dueUs = load.schedule!.laneDueUs(this.#index, this.#sent);
      workload.advance();
      connection.send(workload.kind, workload.key, dueUs);
      recorder.sent(dueUs, load.nowUs);
      this.#sent += 1;
      this.due -= 1;
      this.inFlight += 1;
    }
    connection.flush();
  }

  received(): void {
    this.#load.nowUs = readClockUs();
  }

  completed(startedUs: number, outcome: Outcome, reason: string): void {
    this.inFlight -= 1;
    this.#load.options.recorder.completed(startedUs, this.#load.nowUs, outcome, reason);
  }

  settled(): void {
    const load = this.#load;
    if (load.schedule === null) this.refill();
    else {
      this.sendDue();
      load.release();
    }
    load.options.onProgress();
  }

  lost(reason: string, inFlight: number): void {
    const { recorder } = this.#load.options;
    this.connection = null;
    this.inFlight -= inFlight;
    recorder.connectionsLost += 1;
    recorder.fail(reason, inFlight);
    this.sendDue();
    this.#load.options.onProgress();
  }
}

export function readClockUs(): number {
  return Math.round(performance.now() * 1000);
}

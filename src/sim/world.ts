import type { NodeId } from "../core/machine.js";
import { Random } from "../core/random.js";
import type { GamutNode } from "../node/node.js";
import type { Ports } from "../node/ports.js";
import { SimClock } from "./clock.js";
import { Computer } from "./computer.js";
import { SimDisk } from "./disk.js";
import { SimNetwork } from "./network.js";
import type { SimulationPlan } from "./plan.js";
import { Scheduler } from "./scheduler.js";
import { SimStateStore } from "./state-store.js";
import { TraceHash } from "./trace-hash.js";

/** The disk of one computer: latencies as of a slow SSD, room without end until a fault takes it. */
const DISK = { capacityBytes: Number.POSITIVE_INFINITY, latencyMinUs: 20, latencyMaxUs: 1_500 } as const;
const STORE_DELAY_MS_MAX = 6;

/** Who watches a world. All calls come in the order of the run. */
export interface WorldObserver {
  makeNode(computer: Computer, ports: Ports): GamutNode;
  turned(computer: Computer): void;
  started(computer: Computer): void;
  ended(computer: Computer): void;
  /** The process ended at its start and said why. */
  notStarted(computer: Computer, problem: string): void;
}

/**
 * A cluster of computers on one network in simulated time. It does what it is told and draws its chances from the seed;
 * what must hold in it is the business of others.
 */
export class World {
  readonly scheduler = new Scheduler();
  readonly hash = new TraceHash();
  readonly network: SimNetwork;
  readonly computers: Computer[] = [];
  /** The first promise that was broken; nothing after it counts. */
  violation: string | null = null;

  constructor(
    readonly plan: SimulationPlan,
    private readonly observer: WorldObserver,
  ) {
    const random = new Random(plan.seed);
    this.network = new SimNetwork(plan.nodes, this.scheduler, random.fork("network"), plan.network);
    for (let node = 1; node <= plan.nodes; node += 1)
      this.computers.push(this.build(node, random.fork(`node ${node}`)));
  }

  private build(number: NodeId, random: Random): Computer {
    const { skewMs, driftPpm } = this.plan.clocks[number - 1];
    // What a completion throws ends the process that it was for.
    const timer = {
      after: (delayUs: number, run: () => void): void => {
        this.scheduler.after(computer.diskStallUs + delayUs, () => computer.guard(run));
      },
    };
    const parts = {
      clock: new SimClock(this.scheduler, skewMs, driftPpm, () => computer.wake()),
      disk: new SimDisk(timer, random.fork("disk"), DISK),
      store: new SimStateStore({
        schedule: (delayMs, run) => timer.after(delayMs * 1_000, run),
        random: random.fork("store"),
        delayMsMin: 0,
        delayMsMax: STORE_DELAY_MS_MAX,
      }),
      random: random.fork("process"),
    };
    const owner = {
      makeNode: (ports: Ports) => this.observer.makeNode(computer, ports),
      turned: (it: Computer) => this.observer.turned(it),
      started: (it: Computer) => this.observer.started(it),
      ended: (it: Computer) => this.observer.ended(it),
      notStarted: (it: Computer, problem: string) => this.observer.notStarted(it, problem),
      failed: (_it: Computer, problem: string) => this.violate(problem),
    };
    const { tickMs } = this.plan.node;
    const computer: Computer = new Computer(number, parts, this.scheduler, this.network, tickMs, owner, this.hash);
    return computer;
  }

  computer(node: NodeId): Computer {
    return this.computers[node - 1];
  }

  get running(): Computer[] {
    return this.computers.filter((computer) => computer.state === "running");
  }

  violate(problem: string): void {
    this.violation ??= `at ${(this.scheduler.nowUs / 1_000).toFixed(3)} ms: ${problem}`;
  }

  /** Runs until that time, or until a promise is broken. */
  runUntil(timeUs: number): void {
    while (this.violation === null && this.scheduler.step(timeUs));
  }

  runFor(forUs: number): void {
    this.runUntil(this.scheduler.nowUs + forUs);
  }

  /** As {@link runFor}, but ends as soon as `isDone` holds; it is asked every `stepUs`. Answers whether it did. */
  runUntilHolds(forUs: number, stepUs: number, isDone: () => boolean): boolean {
    const endUs = this.scheduler.nowUs + forUs;
    while (this.violation === null && this.scheduler.nowUs < endUs) {
      if (isDone()) return true;
      this.runFor(stepUs);
    }
    return isDone();
  }
}

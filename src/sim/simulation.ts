import { checkLinearizable } from "../check/linearizable.js";
import { CATALOG_GROUP } from "../cluster/catalog.js";
import { latin1Encode } from "../core/bytes.js";
import type { NodeId } from "../core/machine.js";
import { getCommand, setCommand } from "../kv/command.js";
import { Level } from "../kv/level.js";
import type { Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { canaryByName } from "./canaries.js";
import type { Computer } from "./computer.js";
import { DEFAULT_GROUP, Fleet } from "./fleet.js";
import type { SimulationPlan } from "./plan.js";
import { Rig, type Verdict } from "./rig.js";

const MENDED_FOR_US = 20_000_000;
const PROBE_EVERY_US = 50_000;
/** Steps of the checker for one history: what is not decided by then is counted as undecided, not as wrong. */
const CHECK_BUDGET = { maxSteps: 300_000, maxMemoEntries: 300_000 } as const;

/** One run: faults and clients, then peace, in which everything must come right. */
export class Simulation extends Rig {
  readonly fleet: Fleet;

  constructor(plan: SimulationPlan) {
    super(plan, canaryByName(plan.canary));
    this.fleet = new Fleet(this.world, this.safety);
  }

  run(): Verdict {
    const { world } = this;
    this.startAll();
    this.fleet.begin();
    this.nemesis.begin();
    world.runUntil(this.plan.faultyUs);
    this.fleet.working = false;
    if (world.violation === null) this.demandRecovery();
    if (world.violation === null) this.judgeHistory();
    this.coverage.take(this.world, this.fleet, this.safety, this.nemesis);
    return this.verdict();
  }

  protected override isSettledNode(node: NodeId): boolean {
    return this.safety.isSettled(node);
  }

  protected override processEnded(computer: Computer): void {
    this.fleet.processEnded(computer);
  }

  // WorldObserver

  turned(computer: Computer): void {
    this.safety.turned(computer.number);
    if (this.nemesis.isWhole(computer.number)) return;
    const replicas = this.safety.replicasOn(computer.number);
    if (!replicas.has(DEFAULT_GROUP)) return;
    for (const { raft } of replicas.values()) if (raft.recovering) return;
    // A keyspace that it has not heard of yet has no replica here to recover.
    for (const group of this.safety.keyspaceGroups()) if (!replicas.has(group)) return;
    if (this.nemesis.isAmnesiac(computer.number)) this.coverage.add("memories regained");
    this.nemesis.seenWhole(computer.number);
  }

  // The peace

  /** All faults are mended: within bounded time each node serves, and all replicas are the same. */
  private demandRecovery(): void {
    this.nemesis.mend();
    const { world } = this;
    const problems = new Set<number>(world.computers.map((computer) => computer.number));
    for (const computer of world.computers) this.probe(computer, problems);
    const served = world.runUntilHolds(MENDED_FOR_US, 10_000, () => problems.size === 0);
    if (!served) {
      world.violate(`all is mended for ${MENDED_FOR_US / 1_000_000} s, and yet ${this.describe()}`);
      return;
    }
    const settled = world.runUntilHolds(MENDED_FOR_US, 10_000, () => this.isSettled());
    if (!settled) world.violate(`all is mended, nobody writes, and yet the replicas do not settle: ${this.describe()}`);
    else for (const computer of world.computers) this.compareStates(computer);
    const { watchers } = this.fleet;
    const told = world.runUntilHolds(MENDED_FOR_US, 10_000, () => watchers.every((watcher) => watcher.isUpToDate));
    if (!told && world.violation === null)
      world.violate("nothing happens any more, and yet a watcher has not been told of all that did");
  }

  /** One write and one linearizable read at a node, again and again until both succeed. */
  private probe(computer: Computer, problems: Set<number>): void {
    const { world } = this;
    const key = `probe${computer.number}`;
    const value = this.fleet.newValue();
    const again = (): void => {
      world.scheduler.after(PROBE_EVERY_US, () => this.probe(computer, problems));
    };
    if (computer.state !== "running" || computer.node === null) {
      again();
      return;
    }
    const session = computer.node.openSession({ name: "probe" });
    let failed = false;
    let written = 0;
    const sink = {
      reply: (request: Request, result: Result): void => {
        if (result.kind === ResultKind.error) failed = true;
        if (request.tag === 1) {
          written = request.position;
          return;
        }
        const removed = result.kind === ResultKind.absent;
        // The last flush of the clients may take effect as late as that.
        if (failed || (removed && this.fleet.reference().flushedBetween(written, request.position))) again();
        else if (removed) world.violate(`${key} was written and then read as absent`);
        else problems.delete(computer.number);
      },
    };
    const { life } = computer;
    computer.guard(() => {
      session.level = Level.linearizable;
      session.submit(setCommand(key, latin1Encode(value)), sink, 1);
      session.submit(getCommand(key), sink, 2);
    });
    world.scheduler.after(MENDED_FOR_US / 2, () => {
      if (computer.life !== life) again();
    });
  }

  private isSettled(): boolean {
    const groups = [CATALOG_GROUP, ...this.safety.keyspaceGroups()];
    for (const { number } of this.world.computers) {
      if (this.safety.replicasOn(number).size !== groups.length) return false;
    }
    for (const group of groups) {
      const { position } = this.safety.reference(group);
      for (const { number } of this.world.computers) {
        const raft = this.safety.replicasOn(number).get(group)?.raft;
        if (raft === undefined || raft.recovering || raft.appliedIndex !== position) return false;
        if (raft.log.lastIndex !== position) return false;
      }
    }
    return true;
  }

  private compareStates(computer: Computer): void {
    for (const [group, replica] of this.safety.replicasOn(computer.number)) {
      this.safety.compareState(computer.number, group, replica);
    }
  }

  private describe(): string {
    const parts = this.world.computers.map((computer) => {
      const replicas = [...this.safety.replicasOn(computer.number)].map(([group, { raft }]) => {
        const d = raft.describe();
        return `group ${group} ${d.role} term ${d.epoch} leader ${d.leader} last ${d.lastPosition} commit ${d.commitPosition} applied ${d.appliedPosition}`;
      });
      const waiting = computer.node?.waitingFor ?? [];
      const forming = waiting.length > 0 ? ` waits for ${waiting.join(",")}` : "";
      return `node ${computer.number} is ${computer.state}${forming} (${replicas.join("; ")})`;
    });
    return parts.join(", ");
  }

  private judgeHistory(): void {
    const verdict = checkLinearizable(this.fleet.history.operations(), { budget: CHECK_BUDGET });
    this.coverage.add(`histories ${verdict.kind}`);
    if (verdict.kind === "invalid") this.world.violate(`the history is not linearizable: ${verdict.sentence}`);
  }
}

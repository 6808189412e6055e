import { CATALOG_GROUP } from "../cluster/catalog.js";
import { latin1Encode } from "../core/bytes.js";
import type { NodeId } from "../core/machine.js";
import { Random } from "../core/random.js";
import type { State } from "../core/state.js";
import { getCommand, setCommand } from "../kv/command.js";
import { Level } from "../kv/level.js";
import type { Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { NodeOptions } from "../node/options.js";
import { Gossip } from "../protocols/gossip/gossip.js";
import type { GossipOptions } from "../protocols/gossip/options.js";
import { canaryByName } from "./canaries.js";
import type { Computer } from "./computer.js";
import { DEFAULT_GROUP } from "./fleet.js";
import { GOSSIP_CANARIES } from "./gossip-canaries.js";
import { GOSSIP_KEYSPACE, GossipFleet } from "./gossip-client.js";
import { GossipJudge } from "./gossip-judge.js";
import type { SimulationPlan } from "./plan.js";
import { Rig, type Verdict } from "./rig.js";

const FOUNDED_WITHIN_US = 20_000_000;
const MENDED_FOR_US = 30_000_000;
const STEP_US = 10_000;
const RETRY_US = 50_000;
const PATIENCE_US = 2_000_000;

/** One run of a gossip keyspace on whole nodes: faults and clients, then peace, in which all replicas become the same. */
export class GossipSimulation extends Rig {
  private readonly judge: GossipJudge;
  private readonly fleet: GossipFleet;
  /** The replica of the keyspace that runs on each node. */
  private readonly replicas = new Map<NodeId, Gossip>();
  private probes = 0;

  constructor(plan: SimulationPlan) {
    super(plan, canaryByName(plan.canary, GOSSIP_CANARIES));
    this.judge = new GossipJudge((problem) => this.world.violate(problem));
    this.fleet = new GossipFleet(this.world, this.safety, this.judge, new Random(plan.seed).fork("gossip clients"));
  }

  run(): Verdict {
    const { world } = this;
    this.startAll();
    this.createKeyspace();
    const founded = world.runUntilHolds(FOUNDED_WITHIN_US, STEP_US, () => this.isFounded());
    if (!founded) world.violate("the keyspace is not made");
    this.fleet.begin();
    this.nemesis.begin();
    world.runFor(this.plan.faultyUs);
    this.fleet.working = false;
    if (world.violation === null) this.demandConvergence();
    this.cover();
    return this.verdict();
  }

  private cover(): void {
    const { coverage, judge } = this;
    coverage.take(this.world, this.fleet, this.safety, this.nemesis);
    coverage.add("writes parked", judge.parked);
    coverage.add("writes brought by trees", judge.treeWrites);
    coverage.add("tombstones collected", judge.collected);
    coverage.add("writes lost with a memory", judge.lostWrites);
    for (const gossip of this.replicas.values()) {
      coverage.add("writes overwritten unseen", gossip.replica.counters.overwritten);
    }
  }

  // Rig

  protected override nodeOptions(node: number): NodeOptions {
    const options = super.nodeOptions(node);
    const random = new Random(this.plan.seed).fork("gossip options");
    return {
      ...options,
      gossip: {
        ...options.gossip,
        maxOffsetMs: random.pick([300, 1_000, 3_000]),
        digestTicks: random.pick([2, 5, 10]),
        maxExceptions: random.pick([2, 64]),
        maxIndexed: random.pick([4, 30, 1_000]),
        maxSweep: random.pick([2, 20, 500]),
        maxParked: random.pick([3, 1_000]),
        maxAnswerBytes: random.pick([200, 2_048]),
        maxRecordBytes: 2_048,
      },
    };
  }

  protected override makeGossip(computer: Computer, options: GossipOptions, state: State): Gossip {
    const gossip = this.canary?.makeGossip?.(options, state) ?? new Gossip(options, state);
    this.judge.watch(computer.number, gossip);
    this.replicas.set(computer.number, gossip);
    return gossip;
  }

  protected override processEnded(computer: Computer): void {
    this.replicas.delete(computer.number);
    this.fleet.processEnded(computer);
  }

  protected override isSettledNode(node: NodeId): boolean {
    const own = this.safety.replicasOn(node);
    for (const group of [CATALOG_GROUP, DEFAULT_GROUP]) {
      const raft = own.get(group)?.raft;
      if (raft === undefined || raft.recovering) return false;
    }
    const gossip = this.replicas.get(node);
    return gossip !== undefined && gossip.hard.incarnation > 0 && !gossip.recovering;
  }

  override turned(computer: Computer): void {
    const { number } = computer;
    this.safety.turned(number);
    this.judge.turned(number, this.replicas.get(number));
    if (this.nemesis.isWhole(number) || !this.isSettledNode(number)) return;
    if (this.nemesis.isAmnesiac(number)) this.coverage.add("memories regained");
    this.nemesis.seenWhole(number);
  }

  // The beginning

  private createKeyspace(): void {
    const { world } = this;
    const [computer] = world.computers;
    const again = (): void => world.scheduler.after(RETRY_US, () => this.createKeyspace()) as unknown as undefined;
    if (computer.state !== "running" || computer.node === null) {
      again();
      return;
    }
    const { node } = computer;
    computer.guard(() =>
      node.createKeyspace(GOSSIP_KEYSPACE, "gossip", Level.session, (error) => {
        if (error !== null && error.code !== "keyspace_exists") again();
      }),
    );
  }

  private isFounded(): boolean {
    return this.world.computers.every(({ number }) => this.isSettledNode(number) && this.nemesis.isWhole(number));
  }

  // The peace

  private demandConvergence(): void {
    this.nemesis.mend();
    this.setClocks();
    const { world } = this;
    const silent = new Set<NodeId>(world.computers.map(({ number }) => number));
    for (const computer of world.computers) this.probe(computer, silent);
    if (!world.runUntilHolds(MENDED_FOR_US, STEP_US, () => silent.size === 0)) {
      world.violate(`all is mended, and yet node ${[...silent].join(", ")} does not serve: ${this.describe()}`);
      return;
    }
    if (!world.runUntilHolds(MENDED_FOR_US, STEP_US, () => this.isConverged())) {
      world.violate(`all is mended, nobody writes, and yet the replicas do not settle: ${this.describe()}`);
      return;
    }
    const replicas = world.computers.map(({ number }) => this.replicas.get(number)!);
    for (const gossip of replicas) this.judge.check(gossip.node, gossip);
    this.judge.compare(replicas);
    const { watchers, folds } = this.fleet;
    if (world.runUntilHolds(MENDED_FOR_US, STEP_US, () => watchers.every((watcher) => watcher.isUpToDate))) return;
    const problems = folds.map(({ problem }) => problem).filter((problem) => problem !== "");
    world.violate(`nothing happens any more, and yet a watcher is not up to date: ${problems.join("; ")}`);
  }

  /** All wall clocks show what the one that is furthest ahead shows. */
  private setClocks(): void {
    const clocks = this.world.computers.map(({ parts }) => parts.clock);
    const latest = Math.max(...clocks.map((clock) => clock.wallMs()));
    for (const clock of clocks) clock.jump(latest - clock.wallMs());
  }

  /** A write and a read of one session at a node, again and again until both succeed. */
  private probe(computer: Computer, silent: Set<NodeId>): void {
    const { world } = this;
    const again = (): void => {
      world.scheduler.after(RETRY_US, () => this.probe(computer, silent));
    };
    if (computer.state !== "running" || computer.node === null) {
      again();
      return;
    }
    const session = computer.node.openSession({ name: "probe" });
    const key = `probe${computer.number}`;
    this.probes += 1;
    const value = `probe ${this.probes}`;
    let failed = false;
    let answered = false;
    const sink = {
      reply: (request: Request, result: Result): void => {
        if (result.kind === ResultKind.error) failed = true;
        if (request.tag === 1) return;
        answered = true;
        if (failed) again();
        else silent.delete(computer.number);
      },
    };
    computer.guard(() => {
      session.keyspace = GOSSIP_KEYSPACE;
      session.submit(setCommand(key, latin1Encode(value)), sink, 1);
      session.submit(getCommand(key), sink, 2);
    });
    const { life } = computer;
    world.scheduler.after(PATIENCE_US, () => {
      if (!answered && computer.life !== life) again();
    });
  }

  private isConverged(): boolean {
    const [first, ...others] = this.world.computers.map(({ number }) => this.replicas.get(number));
    if (first === undefined || !isQuiet(first)) return false;
    const vector = first.replica.origins.vector(false);
    return others.every((it) => it !== undefined && isQuiet(it) && it.replica.origins.vector(false).equals(vector));
  }

  private describe(): string {
    const parts = this.world.computers.map((computer) => {
      const gossip = this.replicas.get(computer.number);
      if (gossip === undefined) return `node ${computer.number} is ${computer.state}`;
      const vector = gossip.replica.origins
        .vector(false)
        .entries.map(
          ({ node, incarnation, sequences }) => `${node}.${incarnation}:${sequences.contiguous}+[${sequences.ranges}]`,
        );
      const { role, counters } = gossip.describe();
      return `node ${computer.number} is ${computer.state}, ${role} ${JSON.stringify(counters)} ${vector.join(" ")}`;
    });
    return parts.join("; ");
  }
}

/** Nothing on its way, nothing parked, no tombstone left: all members have everything. */
function isQuiet(gossip: Gossip): boolean {
  const { counters, entries, origins } = gossip.replica;
  if (gossip.recovering || !gossip.log.isIdle || !entries.treeIsBuilt) return false;
  if (counters.parked > 0 || counters.tombstones > 0) return false;
  // A deadline that one clock has passed and another has not: wait for it.
  if (entries.due(Number.MAX_SAFE_INTEGER - 1, 1).length > 0) return false;
  for (const origin of origins.all()) if (origin.have.rangeCount > 0) return false;
  return true;
}

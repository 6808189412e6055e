import { checkLinearizable } from "../check/linearizable.js";
import { CATALOG_GROUP } from "../cluster/catalog.js";
import { latin1Encode } from "../core/bytes.js";
import { getCommand, setCommand } from "../kv/command.js";
import { Level } from "../kv/level.js";
import type { Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { soundVerdict } from "../node/log/options.js";
import { GamutNode } from "../node/node.js";
import { NODE_DEFAULTS, type NodeOptions } from "../node/options.js";
import type { Ports } from "../node/ports.js";
import type { BufferedState } from "../node/state/buffered-state.js";
import type { RaftOptions } from "../protocols/raft/options.js";
import { Raft } from "../protocols/raft/raft.js";
import { type Canary, canaryByName } from "./canaries.js";
import type { Computer } from "./computer.js";
import { Coverage } from "./coverage.js";
import { Nemesis } from "./faults.js";
import { DEFAULT_GROUP, Fleet } from "./fleet.js";
import type { SimulationPlan } from "./plan.js";
import { Safety } from "./safety.js";
import { World, type WorldObserver } from "./world.js";

const MENDED_FOR_US = 20_000_000;
const PROBE_EVERY_US = 50_000;
/** A process that gave up is started again by whoever runs the machine. */
const RESTART_US = 150_000;
/** Steps of the checker for one history: what is not decided by then is counted as undecided, not as wrong. */
const CHECK_BUDGET = { maxSteps: 300_000, maxMemoEntries: 300_000 } as const;

export interface Verdict {
  readonly seed: number;
  /** Null when every promise was kept. */
  readonly violation: string | null;
  /** The same for the same plan: what was delivered, answered and decided, in order. */
  readonly hash: string;
  readonly simulatedMs: number;
  readonly coverage: Readonly<Record<string, number>>;
}

/** One run: faults and clients, then peace, in which everything must come right. */
export class Simulation implements WorldObserver {
  readonly world: World;
  readonly fleet: Fleet;
  private readonly safety: Safety;
  private readonly nemesis: Nemesis;
  private readonly coverage = new Coverage();
  private readonly canary: Canary | null;

  constructor(readonly plan: SimulationPlan) {
    this.canary = canaryByName(plan.canary);
    this.world = new World(plan, this);
    this.safety = new Safety(plan.nodes, (problem) => this.world.violate(problem));
    this.nemesis = new Nemesis(
      this.world,
      () => this.leader(),
      (node) => this.safety.isSettled(node),
    );
    this.fleet = new Fleet(this.world, this.safety);
  }

  run(): Verdict {
    const { world } = this;
    for (const computer of world.computers) {
      computer.parts.disk.callLog = (words) => this.coverage.diskCalled(words);
      computer.start();
    }
    this.fleet.begin();
    this.nemesis.begin();
    world.runUntil(this.plan.faultyUs);
    this.fleet.working = false;
    if (world.violation === null) this.demandRecovery();
    if (world.violation === null) this.judgeHistory();
    this.coverage.take(this.world, this.fleet, this.safety, this.nemesis);
    return {
      seed: this.plan.seed,
      violation: world.violation,
      hash: world.hash.digest(),
      simulatedMs: Math.floor(world.scheduler.nowUs / 1_000),
      coverage: this.coverage.counts(),
    };
  }

  // WorldObserver

  makeNode(computer: Computer, ports: Ports): GamutNode {
    const node = computer.number;
    const { life } = computer;
    const watched: Ports = {
      ...ports,
      net: {
        send: (peer, frame) => {
          this.safety.frameSent(node, peer, frame);
          ports.net.send(peer, frame);
        },
      },
    };
    const made = new GamutNode(
      this.nodeOptions(node),
      watched,
      {
        identityChanged: () => {},
        notice: (message) => this.noticed(node, message),
        fatal: (reason, rebuild) => this.nodeGaveUp(computer, life, reason, rebuild),
      },
      {
        verifyStates: true,
        onApply: (group, index, term, payload) => this.safety.applied(node, group, index, term, payload),
        createRaft: (options, state) => this.makeRaft(node, options, state),
      },
    );
    this.canary?.tamper?.(made);
    return made;
  }

  /** What a log's recovery makes of bytes that no sound batch explains. */
  private judgeBytes(provenDurable: boolean): "damaged" | "tail" {
    const verdict = (this.canary?.logVerdict ?? soundVerdict)(provenDurable);
    this.coverage.add(verdict === "tail" ? "log tails cut" : "log damage found");
    return verdict;
  }

  /** Where the default keyspace is led, as the newest term has it. */
  private leader(): Computer | null {
    let found: Computer | null = null;
    let term = 0;
    for (const computer of this.world.running) {
      const raft = this.safety.replicasOn(computer.number).get(DEFAULT_GROUP)?.raft;
      if (raft === undefined || raft.role !== "leader" || raft.term <= term) continue;
      found = computer;
      term = raft.term;
    }
    return found;
  }

  private noticed(node: number, message: string): void {
    const kind = this.coverage.noticed(message);
    if (kind === "damaged data set aside" && !this.nemesis.isAmnesiac(node)) {
      this.world.violate(`node ${node} throws a memory away that nobody had touched: ${message}`);
    }
  }

  private makeRaft(node: number, options: RaftOptions, state: BufferedState): Raft {
    const raft = this.canary?.makeRaft?.(options, state) ?? new Raft(options, state);
    this.safety.replicaStarts(node, state.group, raft, state);
    return raft;
  }

  private nodeOptions(node: number): NodeOptions {
    const { plan } = this;
    const members = Array.from({ length: plan.nodes }, (_, i) => ({
      node: i + 1,
      peerAddress: `sim${i + 1}:1`,
      clientAddress: `sim${i + 1}:2`,
    }));
    return {
      ...NODE_DEFAULTS,
      node,
      members,
      buildVersion: "sim",
      tickMs: plan.node.tickMs,
      requestTimeoutMs: plan.node.requestTimeoutMs,
      checkpointBytes: plan.node.checkpointBytes,
      quietCheckpointBytes: 1_024,
      quietTicks: 15,
      snapshotChunkBytes: plan.node.snapshotChunkBytes,
      log: {
        ...NODE_DEFAULTS.log,
        segmentBytes: plan.node.segmentBytes,
        batchBytesMax: 6_144,
        reserveBytes: 6_144,
        spaceRetryTicks: 5,
        verdict: (provenDurable) => this.judgeBytes(provenDurable),
      },
      raft: {
        ...NODE_DEFAULTS.raft,
        electionTicks: plan.node.electionTicks,
        heartbeatTicks: plan.node.heartbeatTicks,
        maxEntryBytes: 4_096,
        maxApplyBytes: 1_024,
        maxAppendBytes: 8_192,
        maxInflightBytes: 32_768,
        maxUncommittedBytes: 131_072,
        retainedBytes: plan.node.retainedBytes,
        retainedBytesWhileSending: 65_536,
      },
    };
  }

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

  started(): void {
    this.coverage.add("starts");
  }

  ended(computer: Computer): void {
    this.safety.processEnds(computer.number);
    this.fleet.processEnded(computer);
    if (this.nemesis.isOver) this.restart(computer);
  }

  /** The node found that it cannot go on. Without a fault that excuses it, that is a failure of ours. */
  private nodeGaveUp(computer: Computer, life: number, reason: string, rebuild: boolean): void {
    this.coverage.add(rebuild ? "rebuilds asked for" : "nodes stopped by their disk");
    if (!this.nemesis.excuses(computer.number)) this.world.violate(`node ${computer.number} gives up: ${reason}`);
    this.world.scheduler.after(0, () => {
      if (computer.life === life) computer.kill();
    });
    this.restart(computer);
  }

  notStarted(computer: Computer, problem: string): void {
    this.coverage.add("starts refused");
    if (!this.nemesis.excuses(computer.number)) {
      this.world.violate(`node ${computer.number} does not start: ${problem}`);
    }
    this.restart(computer);
  }

  private restart(computer: Computer): void {
    this.world.scheduler.after(RESTART_US, () => computer.start());
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

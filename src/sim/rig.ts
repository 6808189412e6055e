import type { NodeId } from "../core/machine.js";
import type { State } from "../core/state.js";
import { soundVerdict } from "../node/log/options.js";
import { GamutNode } from "../node/node.js";
import { NODE_DEFAULTS, type NodeOptions } from "../node/options.js";
import type { Ports } from "../node/ports.js";
import type { BufferedState } from "../node/state/buffered-state.js";
import { Gossip } from "../protocols/gossip/gossip.js";
import type { GossipOptions } from "../protocols/gossip/options.js";
import type { RaftOptions } from "../protocols/raft/options.js";
import { Raft } from "../protocols/raft/raft.js";
import type { Canary } from "./canaries.js";
import type { Computer } from "./computer.js";
import { Coverage } from "./coverage.js";
import { Nemesis } from "./faults.js";
import { DEFAULT_GROUP } from "./fleet.js";
import type { SimulationPlan } from "./plan.js";
import { Safety } from "./safety.js";
import { World, type WorldObserver } from "./world.js";

/** A process that gave up is started again by whoever runs the machine. */
const RESTART_US = 150_000;
export interface Verdict {
  readonly seed: number;
  /** Null when every promise was kept. */
  readonly violation: string | null;
  /** The same for the same plan: what was delivered, answered and decided, in order. */
  readonly hash: string;
  readonly simulatedMs: number;
  readonly coverage: Readonly<Record<string, number>>;
}

/** What every run has: a world with nodes in it, somebody who does them harm, and what must hold of each of them. */
export abstract class Rig implements WorldObserver {
  readonly world: World;
  protected readonly safety: Safety;
  protected readonly nemesis: Nemesis;
  protected readonly coverage = new Coverage();

  constructor(
    readonly plan: SimulationPlan,
    protected readonly canary: Canary | null,
  ) {
    this.world = new World(plan, this);
    this.safety = new Safety(plan.nodes, (problem) => this.world.violate(problem));
    this.nemesis = new Nemesis(
      this.world,
      () => this.leader(),
      (node) => this.isSettledNode(node),
    );
  }

  /** Whether nobody counts on the node to be rebuilt. */
  protected abstract isSettledNode(node: NodeId): boolean;

  /** Its sessions are gone. */
  protected abstract processEnded(computer: Computer): void;

  abstract turned(computer: Computer): void;

  protected startAll(): void {
    for (const computer of this.world.computers) {
      computer.parts.disk.callLog = (words) => this.coverage.diskCalled(words);
      computer.start();
    }
  }

  protected verdict(): Verdict {
    return {
      seed: this.plan.seed,
      violation: this.world.violation,
      hash: this.world.hash.digest(),
      simulatedMs: Math.floor(this.world.scheduler.nowUs / 1_000),
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
        createGossip: (_group, options, state) => this.makeGossip(computer, options, state),
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
  protected leader(): Computer | null {
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
    this.coverage.noticed(message);
    if (message.includes("set aside") && !this.nemesis.mayLoseMemory(node)) {
      this.world.violate(`node ${node} throws a memory away that nobody had touched: ${message}`);
    }
  }

  private makeRaft(node: number, options: RaftOptions, state: BufferedState): Raft {
    const raft = this.canary?.makeRaft?.(options, state) ?? new Raft(options, state);
    this.safety.replicaStarts(node, state.group, raft, state);
    return raft;
  }

  /** Overridden where gossip is what is tried. */
  protected makeGossip(_computer: Computer, options: GossipOptions, state: State): Gossip {
    return new Gossip(options, state);
  }

  protected nodeOptions(node: number): NodeOptions {
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
      durability: plan.os.includes(node) ? "os" : "sync",
      bootId: `boot ${this.world.computer(node).boots}`,
      checkpointBytes: plan.node.checkpointBytes,
      keptChangesBytes: plan.node.keptChangesBytes,
      quietCheckpointBytes: 1_024,
      quietTicks: 15,
      snapshotChunkBytes: plan.node.snapshotChunkBytes,
      log: {
        ...NODE_DEFAULTS.log,
        segmentBytes: plan.node.segmentBytes,
        batchBytesMax: 8_000,
        reserveBytes: 8_000,
        spaceRetryTicks: 5,
        syncTicks: plan.node.syncTicks,
        verdict: (provenDurable) => this.judgeBytes(provenDurable),
      },
      watch: {
        ...NODE_DEFAULTS.watch,
        changesPerTurn: plan.node.watchChangesPerTurn,
        recordsPerTurn: plan.node.watchRecordsPerTurn,
        progressMs: 100,
        history: { ...NODE_DEFAULTS.watch.history, changesMax: plan.node.watchChanges },
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
        gatherBytes: plan.node.gatherBytes,
        gatherMs: plan.node.gatherMs,
        returnMs: plan.node.returnMs,
        gatherWritesPerMs: 0,
        retainedBytes: plan.node.retainedBytes,
        retainedBytesWhileSending: 65_536,
      },
    };
  }

  started(): void {
    this.coverage.add("starts");
  }

  ended(computer: Computer): void {
    this.safety.processEnds(computer.number);
    this.processEnded(computer);
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
}

import { HYBRID_ZERO, type HybridTime, mergeHybrid } from "../../core/hybrid-clock.js";
import {
  type LogRecord,
  type Machine,
  type MachineDescription,
  MemoryLost,
  type NodeId,
  RecordKind,
  type ReplicaProgress,
  type StartState,
} from "../../core/machine.js";
import { Outbox } from "../../core/outbox.js";
import type { State } from "../../core/state.js";
import type { ErrorCode } from "../../kv/errors.js";
import type { Request } from "../../kv/request.js";
import type { Result } from "../../kv/result.js";
import { AntiEntropy } from "./anti-entropy.js";
import { ChangeRecorder } from "./change-recorder.js";
import { Gateway } from "./gateway.js";
import { HardState } from "./hard-state.js";
import { type GossipMessage, gossipCodec, MessageKind } from "./message.js";
import type { GossipOptions } from "./options.js";
import type { Vector } from "./origins.js";
import { Replica } from "./replica.js";
import { readSections, type Section, SectionKind } from "./section.js";
import { type PendingRecord, type PendingSection, SectionLog } from "./section-log.js";
import { Sweeper } from "./sweeper.js";

/**
 * Gossip for one group: every replica takes writes, answers when they are durable in its own log, and tells the others.
 * The last writer wins, by stamps that are unique. DESIGN.md tells what is promised, and why it holds.
 */
export class Gossip implements Machine<GossipMessage, Request, Result> {
  readonly outbox = new Outbox<GossipMessage, Request, Result>();
  readonly codec = gossipCodec;
  readonly node: NodeId;
  hard = new HardState();
  replica: Replica;
  readonly log: SectionLog;
  readonly gateway: Gateway;
  readonly antiEntropy: AntiEntropy;
  readonly sweeper: Sweeper;
  /** For those who watch; null where nobody can. */
  readonly changes: ChangeRecorder | null;
  /** No stamp heard of within the bound, or given out here, is later. */
  clock: HybridTime = HYBRID_ZERO;
  monotonicMs = 0;
  wallMs = 0;
  ticks = 0;
  /** Counts the turns of the host. */
  turn = 0;
  /** The newest record that is durable. */
  storedSeq = 0;
  /** Of the newest hard state. */
  private hardSeq = 0;
  appliedPosition = 0;
  /** Requests that wait may be answered now: something took effect, a peer has told what it holds, or time has passed. */
  private news = false;

  constructor(
    readonly options: GossipOptions,
    readonly state: State,
  ) {
    this.node = options.node;
    this.replica = this.createReplica(state);
    this.log = new SectionLog(this.outbox, options.maxRecordBytes);
    this.antiEntropy = this.createAntiEntropy();
    this.gateway = this.createGateway();
    this.sweeper = this.createSweeper();
    this.changes = options.changes === undefined ? null : new ChangeRecorder(this, options.changes);
  }

  // Parts that a planted bug replaces in the simulator.
  protected createReplica(state: State): Replica {
    return new Replica(state);
  }

  protected createGateway(): Gateway {
    return new Gateway(this);
  }

  protected createAntiEntropy(): AntiEntropy {
    return new AntiEntropy(this);
  }

  protected createSweeper(): Sweeper {
    return new Sweeper(this);
  }

  get recovering(): boolean {
    return this.hard.recovering;
  }

  /** What the hard state says can be told to others: it will not be forgotten. */
  get hardStateIsDurable(): boolean {
    return this.storedSeq >= this.hardSeq;
  }

  /** What deadlines are compared with, and new stamps are not below. */
  get nowMs(): number {
    return Math.max(this.clock.ms, this.wallMs);
  }

  // Start

  start(from: StartState, tail: readonly LogRecord[]): void {
    let hard: HardState | null = null;
    this.log.lastPosition = this.appliedPosition = from.position;
    for (const record of tail) if (record.kind === RecordKind.hardState) hard = HardState.decode(record.payload);
    if (hard !== null && from.position < hard.compactedIndex) {
      throw new MemoryLost(`the state ends at ${from.position}, the log begins after ${hard.compactedIndex}`);
    }
    for (const record of tail) {
      if (record.kind !== RecordKind.entry || record.position <= from.position) continue;
      if (record.position !== this.log.lastPosition + 1) {
        throw new MemoryLost(`the log goes from record ${this.log.lastPosition} to ${record.position}`);
      }
      this.log.restored(record);
      for (const section of readSections(record.payload)) this.replica.apply(section);
      this.replica.save();
      this.appliedPosition = record.position;
    }
    this.replica.onApply = this.options.onApply ?? null;
    this.outbox.appliedPosition = this.appliedPosition;
    this.outbox.appliedEpoch = this.appliedPosition > 0 ? 1 : 0;
    this.clock = this.replica.counters.clock;
    if (hard !== null) this.hard = hard;
    else {
      this.hard.incarnation = from.incarnation;
      this.hard.recovering = from.recovering && this.options.members.length > 1;
      this.persistHardState();
    }
    this.outbox.cutThrough = this.hard.compactedIndex;
    this.gateway.started();
    this.antiEntropy.started();
    this.sweeper.started();
    this.changes?.started();
  }

  persistHardState(): void {
    this.hardSeq = this.outbox.append(RecordKind.hardState, 1, 0, this.hard.encode());
  }

  /**
   * Peers know more of this replica than it does itself: it becomes a newer life yet. If it believes to have its memory,
   * that is an old copy: what is live there may have been deleted since, and its tombstone collected. Throws
   * {@link MemoryLost}.
   */
  beginLife(incarnation: number): void {
    if (!this.hard.recovering && this.options.members.length > 1) {
      throw new MemoryLost(
        `peers know of life ${this.hard.incarnation} of this replica more than is here: an older copy`,
      );
    }
    this.hard.incarnation = incarnation;
    this.persistHardState();
    this.gateway.lifeBegins();
  }

  /**
   * Nothing is told to anybody before it is durable here: whoever holds writes of this very life that are not here proves
   * that its memory was set back. Throws {@link MemoryLost}.
   */
  checkOwnWrites(peer: NodeId, have: Vector): void {
    const held = have.find(this.node, this.hard.incarnation)?.highest ?? 0;
    const written = this.replica.origins.find(this.node, this.hard.incarnation)?.have.highest ?? 0;
    if (held <= written) return;
    throw new MemoryLost(
      `node ${peer} holds write ${held} of life ${this.hard.incarnation} of this replica, which has ${written}: an older copy`,
    );
  }

  /** All that the others held is held here again. */
  recovered(): void {
    this.hard.recovering = false;
    this.persistHardState();
  }

  // Inputs

  now(monotonicMs: number, wallMs: number): void {
    this.turn += 1;
    this.monotonicMs = monotonicMs;
    this.wallMs = Math.max(0, Math.floor(wallMs));
  }

  tick(): void {
    this.ticks += 1;
    this.news = true;
    this.antiEntropy.tick();
    this.sweeper.tick();
    this.gateway.tick();
    this.changes?.tick();
  }

  receive(peer: NodeId, message: GossipMessage): void {
    if (message.kind !== MessageKind.push) this.news = true;
    this.antiEntropy.receive(peer, message);
  }

  request(request: Request): void {
    this.gateway.request(request);
  }

  cancel(request: Request): void {
    request.cancelled = true;
  }

  flush(): void {
    this.gateway.flush();
    this.log.finish();
    this.antiEntropy.flush();
    if (this.news) this.gateway.evaluateWaits();
    this.news = false;
  }

  // Durability

  stored(seq: number): void {
    this.storedSeq = seq;
    let applied = false;
    for (;;) {
      const record = this.log.takeDurable(seq);
      if (record === null) break;
      this.applyRecord(record);
      applied = true;
    }
    if (!applied) return;
    this.replica.save();
    this.changes?.settle();
    this.news = true;
  }

  protected applyRecord({ position, sections }: PendingRecord): void {
    this.replica.meta.timeMs = this.nowMs;
    for (const section of sections) this.applySection(section);
    this.clock = mergeHybrid(this.clock, this.replica.counters.clock);
    this.appliedPosition = position;
    this.outbox.appliedPosition = position;
    this.outbox.appliedEpoch = 1;
  }

  private applySection({ section, own }: PendingSection): void {
    if (own === null || section.kind !== SectionKind.writes) this.applyOthers(section);
    else {
      this.gateway.applyOwn(own, section.batch);
      this.antiEntropy.push(section.batch);
    }
    this.antiEntropy.applied(section);
  }

  private applyOthers(section: Section): void {
    const { changes } = this;
    changes?.begins(section);
    const counted = changes?.counts(section) ?? false;
    this.replica.apply(section);
    changes?.applied(section, counted);
  }

  checkpointing(): void {
    this.replica.index.save();
  }

  checkpointed(position: number): void {
    this.hard.compactedIndex = Math.max(this.hard.compactedIndex, position);
    this.persistHardState();
    this.outbox.cutThrough = this.hard.compactedIndex;
  }

  diskRefused(reason: string, full: boolean): void {
    this.gateway.refusal = reason;
    this.antiEntropy.takesNothing = full;
  }

  // There are no leaders here, and no snapshots: who lacks much is brought up by comparing trees.

  snapshotFailed(_peer: NodeId): void {}

  snapshotSent(_peer: NodeId, _position: number): void {}

  snapshotInstalled(_epoch: number, _position: number): void {}

  mayLead(_allowed: boolean): void {}

  stepAside(): void {
    this.antiEntropy.leave();
  }

  abandon(code: ErrorCode): void {
    this.gateway.abandon(code);
  }

  // What others want to know

  /** How many of this replica's own writes each replica holds, as far as this one knows. */
  progress(): ReplicaProgress[] {
    const origin = this.replica.origins.find(this.node, this.hard.incarnation);
    const own = origin === undefined ? 0 : origin.have.contiguous;
    const replicas = [{ node: this.node, durablePosition: own, recovering: this.recovering }];
    for (const peer of this.antiEntropy.peers.values()) {
      const held = peer.have.find(this.node, this.hard.incarnation)?.contiguous ?? 0;
      replicas.push({ node: peer.node, durablePosition: held, recovering: peer.recovering });
    }
    return replicas;
  }

  describe(): MachineDescription {
    const { counters, origins } = this.replica;
    return {
      role: this.recovering ? "recovering" : "replica",
      leader: 0,
      epoch: 0,
      lastPosition: this.log.lastPosition,
      commitPosition: this.appliedPosition,
      appliedPosition: this.appliedPosition,
      recovering: this.recovering,
      counters: {
        overwritten: counters.overwritten,
        tombstones: counters.tombstones,
        parked: counters.parked,
        origins: origins.size,
        waiting: this.gateway.waitingCount,
        ...this.antiEntropy.reach(),
      },
    };
  }
}

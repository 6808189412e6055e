import { assert } from "../../core/assert.js";
import {
  type LogRecord,
  type Machine,
  type MachineDescription,
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
import { Store } from "../../kv/store.js";
import { applyCommitted } from "./apply.js";
import { ClusterClock } from "./cluster-clock.js";
import { compactionPoint, logAgain } from "./compaction.js";
import { describe, replicaProgress } from "./describe.js";
import { Election } from "./election.js";
import { Entry, EntryLog } from "./entry-log.js";
import { Follower } from "./follower.js";
import { Gateway } from "./gateway.js";
import { HardState } from "./hard-state.js";
import { Inbox } from "./inbox.js";
import { Leader } from "./leader.js";
import { MessageFlag, MessageKind, RaftMessage, raftCodec } from "./message.js";
import type { RaftOptions } from "./options.js";
import { type Configuration, configurationMembers, isVoter } from "./quorum.js";
import { isRecoveryRound, Recovery } from "./recovery.js";
import { restore } from "./restore.js";

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** A record handed to the disk whose entry counts as held here once it is durable. */
export interface PendingEntry {
  readonly seq: number;
  readonly index: number;
}

/**
 * Raft (Ongaro & Ousterhout 2014; thesis: Ongaro 2014) for one group. DESIGN.md lists what is done differently.
 * Requests enter at any replica: this one passes writes on to the leader, asks it for read indexes, and answers from
 * its own applied state.
 */
export class Raft implements Machine<RaftMessage, Request, Result> {
  readonly outbox = new Outbox<RaftMessage, Request, Result>();
  readonly codec = raftCodec;
  readonly node: NodeId;
  readonly configuration: Configuration;
  readonly log = new EntryLog();
  hard = new HardState();
  store: Store;

  role: Role = "follower";
  leaderId: NodeId = 0;
  commitIndex = 0;
  /** What the newest message of a leader has called committed, be it here or not. */
  leaderCommit = 0;
  appliedIndex = 0;
  /** Entries up to here are durable in this replica's log. */
  durableIndex = 0;
  checkpointIndex = 0;
  uncommittedBytes = 0;
  monotonicMs = 0;
  wallMs = 0;
  readonly clock: ClusterClock;

  leader: Leader | null = null;
  readonly election: Election;
  readonly gateway: Gateway;
  readonly follower = new Follower(this);
  readonly recovery: Recovery;
  private readonly inbox = new Inbox(this);
  private readonly members: ReadonlySet<NodeId>;
  private pendingEntries: PendingEntry[] = [];
  /** Why nothing is to be proposed here: the disk is short of room; "" when it is not. */
  refusal = "";
  /** Nor is there room for writes that others propose. */
  diskFull = false;
  private leadAllowed = true;

  constructor(
    readonly options: RaftOptions,
    private readonly state: State,
  ) {
    this.node = options.node;
    this.configuration = options.configuration;
    this.members = new Set(configurationMembers(options.configuration));
    this.store = new Store(state);
    this.clock = new ClusterClock(options.configuration);
    this.recovery = new Recovery(this);
    this.election = this.createElection();
    this.gateway = new Gateway(this);
  }

  // Parts that a planted bug replaces in the simulator.
  protected createElection(): Election {
    return new Election(this);
  }

  protected createLeader(): Leader {
    return new Leader(this);
  }

  get term(): number {
    return this.hard.term;
  }

  get recovering(): boolean {
    return this.recovery.isUnderWay;
  }

  get refusesWrites(): boolean {
    return this.refusal !== "";
  }

  get mayCampaign(): boolean {
    return this.leadAllowed && !this.recovering && isVoter(this.configuration, this.node);
  }

  // Start

  start(from: StartState, tail: readonly LogRecord[]): void {
    const hard = restore(this.log, from, tail);
    if (hard !== null) this.hard = hard;
    this.commitIndex = this.appliedIndex = this.checkpointIndex = from.position;
    this.outbox.appliedPosition = from.position;
    this.outbox.appliedEpoch = from.epoch;
    this.outbox.cutThrough = this.hard.compactedIndex;
    this.durableIndex = this.log.lastIndex;
    if (this.hard.term < from.epoch) {
      // The state became durable before the record of its newest term did.
      this.hard.term = from.epoch;
      this.hard.vote = 0;
    }
    this.election.begin();
    if (hard !== null) return;
    this.hard.incarnation = from.incarnation;
    this.hard.recovering = from.recovering;
    this.persistHardState();
  }

  // Inputs

  now(monotonicMs: number, wallMs: number): void {
    this.monotonicMs = monotonicMs;
    this.wallMs = wallMs;
    this.clock.note(this.node, wallMs, monotonicMs);
  }

  tick(): void {
    this.gateway.tick();
    if (this.leader !== null) this.leader.tick();
    else {
      this.election.tick();
      if (this.recovering) this.recovery.tick();
    }
  }

  request(request: Request): void {
    this.gateway.request(request);
  }

  cancel(request: Request): void {
    request.cancelled = true;
  }

  flush(): void {
    applyCommitted(this);
    this.gateway.flush(this.leader);
    this.leader?.flush();
    this.gateway.reads.runThrough(this.appliedIndex);
    if (this.recovering) this.recovery.maybeFinish();
    this.gateway.waits.evaluate();
  }

  askReadIndex(round: number): void {
    const message = this.message(MessageKind.readIndex);
    message.round = round;
    this.outbox.send(this.leaderId, message);
  }

  // Durability

  stored(seq: number): void {
    let done = 0;
    while (done < this.pendingEntries.length && this.pendingEntries[done].seq <= seq) {
      this.durableIndex = Math.max(this.durableIndex, this.pendingEntries[done].index);
      done += 1;
    }
    if (done > 0) {
      this.pendingEntries.splice(0, done);
      this.leader?.advanceCommit();
    }
    this.election.stored(seq);
    this.recovery.stored(seq);
  }

  diskRefused(reason: string, full: boolean): void {
    this.refusal = reason;
    this.diskFull = full;
    if (reason !== "") this.leader?.transferToBest();
  }

  checkpointing(): void {}

  checkpointed(position: number, mayRetain: boolean): void {
    this.checkpointIndex = position;
    const bounds = mayRetain ? this.options : { ...this.options, retainedBytes: 0 };
    const cut = compactionPoint(this.log, position, this.leader?.snapshotFloor() ?? null, bounds);
    if (cut > this.log.baseIndex) {
      this.log.compactThrough(cut);
      this.cutThrough(cut);
    } else if (!mayRetain && this.pendingEntries.length === 0) this.pendingEntries = logAgain(this);
  }

  /** The record goes before the cut, so that a state that lacks what was cut is noticed. */
  private cutThrough(index: number): void {
    this.hard.compactedIndex = Math.max(this.hard.compactedIndex, index);
    this.persistHardState();
    this.outbox.cutThrough = this.hard.compactedIndex;
  }

  snapshotFailed(peer: NodeId): void {
    this.leader?.snapshotFailed(peer);
  }

  snapshotSent(peer: NodeId, position: number): void {
    this.leader?.snapshotSent(peer, position);
  }

  snapshotInstalled(epoch: number, position: number): void {
    assert(position > this.appliedIndex, "raft: a snapshot must not take the state back");
    this.store = new Store(this.state);
    if (this.log.termAt(position) === epoch) this.log.compactThrough(position);
    else {
      this.log.reset(position, epoch);
      this.pendingEntries = [];
      this.durableIndex = position;
      this.outbox.append(RecordKind.reset, epoch, position, new Uint8Array(0));
    }
    this.durableIndex = Math.max(this.durableIndex, position);
    this.commitIndex = Math.max(this.commitIndex, position);
    this.appliedIndex = this.checkpointIndex = position;
    this.outbox.appliedPosition = position;
    this.outbox.appliedEpoch = epoch;
    this.cutThrough(position);
    this.gateway.writes.stateReplaced(this.store, position);
    if (this.leaderId !== 0 && this.leaderId !== this.node) this.follower.acknowledge(this.leaderId, position, 0);
  }

  mayLead(allowed: boolean): void {
    this.leadAllowed = allowed;
  }

  stepAside(): void {
    this.leader?.transferToBest();
  }

  abandon(code: ErrorCode): void {
    this.gateway.abandon(code);
  }

  // Messages

  /** A message of this replica, in its term. */
  message(kind: MessageKind): RaftMessage {
    const message = new RaftMessage(kind, this.term, this.hard.incarnation);
    if (this.recovering) message.flags |= MessageFlag.recovering;
    if (this.leader === null ? this.refusesWrites : this.leader.takesNoWrites) message.flags |= MessageFlag.refusing;
    if (this.diskFull) message.flags |= MessageFlag.full;
    return message;
  }

  tellClock(message: RaftMessage): void {
    message.flags |= MessageFlag.clock;
    message.clockMs = this.wallMs;
  }

  receive(peer: NodeId, message: RaftMessage): void {
    if (this.members.has(peer)) this.inbox.receive(peer, message);
  }

  // The log

  truncateFrom(index: number): void {
    assert(index > this.commitIndex, "raft: a committed entry must not be replaced");
    this.log.truncateFrom(index);
    this.durableIndex = Math.min(this.durableIndex, index - 1);
    this.forgetPendingEntries(index);
  }

  /** Acknowledgements of replaced entries must not be taken for those of their replacements. Overridden by a canary. */
  protected forgetPendingEntries(fromIndex: number): void {
    this.pendingEntries = this.pendingEntries.filter((pending) => pending.index < fromIndex);
  }

  appendEntry(payload: Uint8Array): void {
    const entry = new Entry(this.term, this.log.lastIndex + 1, payload);
    this.uncommittedBytes += payload.length;
    this.appendToLog(entry);
  }

  appendToLog(entry: Entry): void {
    this.log.append(entry);
    const seq = this.outbox.append(RecordKind.entry, entry.term, entry.index, entry.payload);
    this.pendingEntries.push({ seq, index: entry.index });
  }

  refuseSection(peer: NodeId, client: string, expected: number): void {
    if (peer === this.node) {
      this.gateway.writes.refused(client, expected);
      return;
    }
    const message = this.message(MessageKind.forwardRefused);
    message.client = client;
    message.index = expected;
    this.outbox.send(peer, message);
  }

  giveReadIndex(peer: NodeId, round: number, index: number): void {
    if (peer === this.node) {
      this.gateway.reads.indexKnown(round, index);
      return;
    }
    const message = this.message(MessageKind.readIndexResponse);
    message.round = round;
    message.index = index;
    // A recovering replica counts again on the strength of this: what we know of its new life must be durable first.
    if (isRecoveryRound(round)) this.outbox.sendHeld(peer, message);
    else this.outbox.send(peer, message);
  }

  /** A deadline has passed and nothing else carries the time: the leader lets it pass with an entry of its own. */
  timeIsDue(): boolean {
    if (this.refusesWrites || this.appliedIndex !== this.log.lastIndex) return false;
    const deadlineMs = this.store.nextDeadlineMs();
    return deadlineMs !== Number.POSITIVE_INFINITY && deadlineMs <= this.clockMs;
  }

  /** The time that an entry of this leader carries. */
  get clockMs(): number {
    return this.clock.nowMs(this.monotonicMs);
  }

  // Commit and apply

  commitTo(index: number): void {
    if (index > this.commitIndex) this.commitIndex = index;
  }

  // Roles

  becomeFollower(term: number, leader: NodeId): void {
    assert(term >= this.term, "raft: the term must not fall");
    if (term > this.term) {
      this.hard.term = term;
      this.hard.vote = 0;
      this.persistHardState();
      this.follower.termChanged();
      this.leaderId = 0;
    }
    if (this.role !== "follower") this.election.restartTimer();
    this.role = "follower";
    this.leader = null;
    this.setLeader(leader);
  }

  private setLeader(leader: NodeId): void {
    if (leader !== 0) this.election.leaderKnown();
    if (leader !== 0 && (leader !== this.leaderId || leader === this.node)) {
      this.gateway.leaderChanged();
      this.recovery.leaderChanged();
    }
    this.leaderId = leader;
  }

  /** It has been silent for long, and this replica cannot take its place. */
  leaderLost(): void {
    this.leaderId = 0;
  }

  /** No majority answers: others may lead already. */
  stepDown(): void {
    this.becomeFollower(this.term, 0);
  }

  becomePreCandidate(): void {
    this.role = "preCandidate";
    this.setLeader(0);
  }

  /** Answers the write sequence of the vote for itself. */
  becomeCandidate(): number {
    assert(this.leader === null, "raft: a leader does not campaign");
    this.role = "candidate";
    this.setLeader(0);
    this.hard.term += 1;
    this.hard.vote = this.node;
    this.follower.termChanged();
    return this.persistHardState();
  }

  becomeLeader(): void {
    assert(this.role === "candidate", "raft: only a candidate becomes leader");
    assert(!this.recovering, "raft: a recovering replica must not lead");
    this.role = "leader";
    this.election.restartTimer();
    this.uncommittedBytes = 0;
    for (let index = this.appliedIndex + 1; index <= this.log.lastIndex; index += 1) {
      this.uncommittedBytes += this.log.at(index).payload.length;
    }
    this.setLeader(this.node);
    this.leader = this.createLeader();
    this.leader.begin();
  }

  voteFor(peer: NodeId): void {
    if (this.hard.vote === peer) return;
    this.hard.vote = peer;
    this.persistHardState();
  }

  persistHardState(): number {
    return this.outbox.append(RecordKind.hardState, this.hard.term, 0, this.hard.encode());
  }

  // What others want to know

  /** A peer has begun a new life. */
  peerReplaced(peer: NodeId): void {
    this.leader?.peerReplaced(peer);
  }

  knownIncarnations(): number[] {
    const numbers: number[] = [];
    for (const [node, incarnation] of this.hard.known) numbers.push(node, incarnation);
    return numbers;
  }

  progress(): ReplicaProgress[] {
    return replicaProgress(this);
  }

  describe(): MachineDescription {
    return describe(this);
  }
}

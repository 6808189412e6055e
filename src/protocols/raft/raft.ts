import { assert } from "../../core/assert.js";
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
import { isWrite, Op } from "../../kv/command.js";
import { type ErrorCode, KvError } from "../../kv/errors.js";
import { Level } from "../../kv/level.js";
import type { Request } from "../../kv/request.js";
import { errorResult, type Result } from "../../kv/result.js";
import { type ApplyObserver, Store } from "../../kv/store.js";
import { DurabilityWaits } from "./durability-waits.js";
import { Election } from "./election.js";
import { Entry, EntryLog } from "./entry-log.js";
import { HardState } from "./hard-state.js";
import { Leader } from "./leader.js";
import { MessageFlag, MessageKind, RaftMessage, raftCodec } from "./message.js";
import type { RaftOptions } from "./options.js";
import { type Configuration, configurationMembers, isVoter } from "./quorum.js";
import { ReadQueue } from "./read-queue.js";
import { WriteQueue } from "./write-queue.js";

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** Numbers of the questions of a recovering replica, apart from those of its reads. */
const RECOVERY_ROUND_BASE = 2 ** 40;

/** A record handed to the disk whose entry counts as held here once it is durable. */
interface PendingEntry {
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
  appliedIndex = 0;
  /** Entries up to here are durable in this replica's log. */
  durableIndex = 0;
  checkpointIndex = 0;
  uncommittedBytes = 0;
  monotonicMs = 0;
  wallMs = 0;

  private leader: Leader | null = null;
  private readonly election: Election;
  private readonly writes: WriteQueue;
  private readonly reads: ReadQueue;
  private readonly waits: DurabilityWaits;
  private readonly observer: ApplyObserver;
  private readonly members: ReadonlySet<NodeId>;
  private pendingEntries: PendingEntry[] = [];
  /** Entries up to here are known to agree with the log of this term's leader. */
  private verifiedIndex = 0;
  private lastRoundAnswered = 0;
  private refusal = "";
  private leaderRefuses = false;
  private leadAllowed = true;

  private recoveryRound = 0;
  /** Applied and durable up to here, a recovering replica counts again; Infinity until a leader has told. */
  private recoveryIndex = Number.POSITIVE_INFINITY;
  private recoveryAge = 0;
  /** Write sequence of the record that ends the recovery; 0 before. */
  private recoveredSeq = 0;
  /** Durable positions that the leader has reported, for WAIT on a follower. */
  private reportedProgress: ReplicaProgress[] = [];

  constructor(
    readonly options: RaftOptions,
    private readonly state: State,
  ) {
    this.node = options.node;
    this.configuration = options.configuration;
    this.members = new Set(configurationMembers(options.configuration));
    this.store = new Store(state);
    this.election = this.createElection();
    const answer = (request: Request, result: Result): void => this.outbox.reply(request, result);
    this.writes = new WriteQueue(options, this, answer);
    this.reads = new ReadQueue((request) => this.store.read(request.command), answer);
    this.waits = new DurabilityWaits(answer);
    this.observer = {
      wants: (client) => this.writes.wants(client),
      applied: (client, firstSequence, results) =>
        this.writes.applied(client, firstSequence, results, this.appliedIndex),
      changed: () => {},
    };
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
    return this.hard.recovering || this.recoveredSeq !== 0;
  }

  get refusesWrites(): boolean {
    return this.refusal !== "";
  }

  get mayCampaign(): boolean {
    return this.leadAllowed && !this.recovering && !this.refusesWrites && isVoter(this.configuration, this.node);
  }

  // Start

  start(from: StartState, tail: readonly LogRecord[]): void {
    this.log.reset(from.position, from.epoch);
    let known = false;
    for (const record of tail) {
      if (record.kind === RecordKind.hardState) {
        this.hard = HardState.decode(record.payload);
        known = true;
      } else if (record.kind === RecordKind.reset) {
        if (record.position >= this.log.baseIndex) this.log.reset(record.position, record.epoch);
        else this.log.truncateFrom(this.log.firstIndex);
      } else this.recoverEntry(record);
    }
    this.commitIndex = this.appliedIndex = this.checkpointIndex = from.position;
    this.outbox.appliedPosition = from.position;
    this.outbox.appliedEpoch = from.epoch;
    this.durableIndex = this.log.lastIndex;
    if (from.position < this.hard.compactedIndex) {
      throw new MemoryLost(`the state ends at ${from.position}, the log begins after ${this.hard.compactedIndex}`);
    }
    if (this.hard.term < from.epoch) {
      // The state became durable before the record of its newest term did.
      this.hard.term = from.epoch;
      this.hard.vote = 0;
    }
    if (!known) {
      this.hard.incarnation = from.incarnation;
      this.hard.recovering = from.recovering;
      this.persistHardState();
    }
  }

  private recoverEntry(record: LogRecord): void {
    const { position, epoch } = record;
    if (position <= this.log.baseIndex) {
      // Rewritten below the checkpoint: what followed the old one is void.
      return;
    }
    if (position <= this.log.lastIndex) this.log.truncateFrom(position);
    if (position !== this.log.lastIndex + 1) {
      throw new MemoryLost(`the log goes from entry ${this.log.lastIndex} to ${position}: what is between is lost`);
    }
    this.log.append(new Entry(epoch, position, record.payload));
  }

  // Inputs

  now(monotonicMs: number, wallMs: number): void {
    this.monotonicMs = monotonicMs;
    this.wallMs = wallMs;
  }

  tick(): void {
    const silentWrites = this.writes.tick(this.monotonicMs, this.options.resendTicks, this.whyUnavailable);
    if (silentWrites) this.writes.resendAll();
    if (this.reads.tick(this.monotonicMs, this.options.resendTicks, this.whyUnavailable)) this.reads.askAgain();
    if (this.waits.size > 0) this.tickWaits();
    if (this.leader !== null) this.leader.tick();
    else {
      this.election.tick();
      if (this.recovering) this.tickRecovery();
    }
  }

  private get whyUnavailable(): ErrorCode {
    return this.recovering ? "recovering" : "unavailable";
  }

  request(request: Request): void {
    const { op } = request.command;
    const pending = this.writes.size + this.reads.size + this.waits.size;
    const { maxPendingRequests, maxPendingBytes } = this.options;
    if (pending >= maxPendingRequests || this.writes.byteLength >= maxPendingBytes) this.refuse(request, "overloaded");
    else if (op === Op.progress) this.waits.add(request);
    else if (isWrite(op)) this.writes.add(request);
    else if (request.level === Level.linearizable) this.reads.addLinearizable(request);
    else if (request.level === Level.sequential) this.reads.addAt(request.minimumPosition, request);
    else this.refuse(request, "level_unsupported");
  }

  private refuse(request: Request, code: ErrorCode, message?: string): void {
    this.outbox.reply(request, errorResult(new KvError(code, message)));
  }

  cancel(request: Request): void {
    request.cancelled = true;
  }

  flush(): void {
    this.applyCommitted();
    this.flushWrites();
    this.flushReads();
    this.leader?.flush();
    this.reads.runThrough(this.appliedIndex);
    if (this.recovering) this.maybeRecovered();
    if (this.waits.size > 0) this.evaluateWaits();
  }

  private flushWrites(): void {
    if (!this.writes.hasUnsent) return;
    if (this.leader !== null) {
      if (this.refusesWrites || !this.leader.quorumHasRoom)
        this.writes.refuseQueued("disk_full", this.refusal || undefined);
      else if (this.leader.uncommittedIsFull) this.writes.refuseQueued("overloaded");
      for (const section of this.writes.takeUnsent()) this.leader.offerSections(this.node, section.bytes);
    } else if (this.leaderId !== 0) {
      if (this.leaderRefuses) this.writes.refuseQueued("disk_full");
      this.forwardWrites();
    }
  }

  private forwardWrites(): void {
    const sections = this.writes.takeUnsent();
    let start = 0;
    while (start < sections.length) {
      let end = start;
      let bytes = 0;
      while (
        end < sections.length &&
        (end === start || bytes + sections[end].bytes.length <= this.options.maxAppendBytes)
      ) {
        bytes += sections[end].bytes.length;
        end += 1;
      }
      const message = this.message(MessageKind.forward);
      const payload = new Uint8Array(bytes);
      let at = 0;
      for (let i = start; i < end; i += 1) {
        payload.set(sections[i].bytes, at);
        at += sections[i].bytes.length;
      }
      message.payload = payload;
      this.outbox.send(this.leaderId, message);
      start = end;
    }
  }

  private flushReads(): void {
    if (this.leaderId === 0) return;
    const round = this.reads.nextRound();
    if (round === 0) return;
    if (this.leader !== null) this.leader.askReadIndex(this.node, round);
    else this.askReadIndex(round);
  }

  private askReadIndex(round: number): void {
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
    if (this.recoveredSeq !== 0 && seq >= this.recoveredSeq) this.recoveredSeq = 0;
  }

  diskRefused(reason: string): void {
    this.refusal = reason;
    if (reason !== "") this.leader?.transferToBest();
  }

  checkpointed(position: number): void {
    this.checkpointIndex = position;
    const floor = this.leader?.snapshotFloor() ?? Number.POSITIVE_INFINITY;
    const sending = floor < position && this.log.byteLength < this.options.retainedBytesWhileSending;
    let cut = sending ? Math.max(floor, this.log.baseIndex) : position;
    let bytes = 0;
    while (!sending && cut > this.log.baseIndex) {
      bytes += this.log.at(cut).payload.length + 64;
      if (bytes > this.options.retainedBytes) break;
      cut -= 1;
    }
    if (cut <= this.log.baseIndex) return;
    this.log.compactThrough(cut);
    this.cutThrough(cut);
  }

  /** The record goes before the cut, so that a state that lacks what was cut is noticed. */
  private cutThrough(index: number): void {
    this.hard.compactedIndex = Math.max(this.hard.compactedIndex, index);
    this.persistHardState();
    this.outbox.cutThrough = this.hard.compactedIndex;
  }

  snapshotFailed(peer: NodeId): void {
    const progress = this.leader?.progress.get(peer);
    if (progress === undefined) return;
    progress.becomeProbe(progress.match + 1);
    progress.paused = true; // the next heartbeat's answer tries again
  }

  snapshotSent(peer: NodeId, position: number): void {
    const progress = this.leader?.progress.get(peer);
    if (progress !== undefined) progress.becomeProbe(Math.max(progress.match, position) + 1);
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
    this.writes.stateReplaced(this.store, position);
    if (this.leaderId !== 0 && this.leaderId !== this.node) this.acknowledgeAppend(this.leaderId, position, 0);
  }

  mayLead(allowed: boolean): void {
    this.leadAllowed = allowed;
  }

  stepAside(): void {
    this.leader?.transferToBest();
  }

  abandon(code: ErrorCode): void {
    this.writes.abandon(code);
    this.reads.abandon(code);
    this.waits.abandon(code);
  }

  // Messages

  /** A message of this replica, in its term. */
  message(kind: MessageKind): RaftMessage {
    const message = new RaftMessage(kind, this.term, this.hard.incarnation);
    if (this.recovering) message.flags |= MessageFlag.recovering;
    if (this.refusesWrites || (this.leader !== null && !this.leader.quorumHasRoom))
      message.flags |= MessageFlag.refusing;
    return message;
  }

  receive(peer: NodeId, message: RaftMessage): void {
    if (message.kind === MessageKind.staleIncarnation) {
      this.onStaleIncarnation(message);
      return;
    }
    if (!this.members.has(peer) || !this.acceptIncarnation(peer, message)) return;
    this.leader?.heard(peer, message);
    if (message.kind === MessageKind.preVote) this.election.onPreVote(peer, message);
    else if (message.kind === MessageKind.vote) this.election.onVote(peer, message);
    else if (message.kind === MessageKind.preVoteResponse && message.has(MessageFlag.granted)) {
      this.election.onPreVoteResponse(peer, message);
    } else if (this.acceptTerm(peer, message)) this.dispatch(peer, message);
  }

  private acceptTerm(peer: NodeId, message: RaftMessage): boolean {
    const fromLeader = message.kind === MessageKind.append || message.kind === MessageKind.heartbeat;
    if (message.term < this.term) {
      // Tell a deposed leader of the newer term, so that it steps down.
      if (fromLeader) this.outbox.send(peer, this.message(MessageKind.appendResponse));
      return message.kind === MessageKind.forward || message.kind === MessageKind.readIndex;
    }
    if (message.term > this.term) this.becomeFollower(message.term, fromLeader ? peer : 0);
    if (fromLeader) {
      assert(this.leader === null, "raft: two leaders in one term");
      if (this.leaderId !== peer || this.role !== "follower") this.becomeFollower(message.term, peer);
      this.election.restartTimer();
      this.leaderRefuses = message.has(MessageFlag.refusing);
    }
    return true;
  }

  private dispatch(peer: NodeId, message: RaftMessage): void {
    switch (message.kind) {
      case MessageKind.append:
        this.onAppend(peer, message);
        break;
      case MessageKind.heartbeat:
        this.onHeartbeat(peer, message);
        break;
      case MessageKind.appendResponse:
        this.leader?.onAppendResponse(peer, message);
        break;
      case MessageKind.heartbeatResponse:
        this.leader?.onHeartbeatResponse(peer, message);
        break;
      case MessageKind.preVoteResponse:
        this.election.onPreVoteResponse(peer, message);
        break;
      case MessageKind.voteResponse:
        this.election.onVoteResponse(peer, message);
        break;
      case MessageKind.forward:
        this.leader?.offerSections(peer, message.payload);
        break;
      case MessageKind.forwardRefused:
        if (peer === this.leaderId) this.writes.refused(message.client, message.index);
        break;
      case MessageKind.readIndex:
        this.leader?.askReadIndex(peer, message.round);
        break;
      case MessageKind.readIndexResponse:
        this.onReadIndexResponse(message);
        break;
      case MessageKind.timeoutNow:
        if (peer === this.leaderId && this.mayCampaign) this.election.campaign(true);
        break;
      case MessageKind.progressQuery:
        this.onProgressQuery(peer);
        break;
      case MessageKind.progressResponse:
        this.onProgressResponse(message);
        break;
    }
  }

  // Following

  private onAppend(peer: NodeId, message: RaftMessage): void {
    this.noteIncarnations(message);
    this.answerRound(peer, message);
    if (message.index < this.log.baseIndex) {
      // What is compacted here was committed: the leader has it too.
      this.acknowledgeAppend(peer, this.commitIndex, message.round);
      return;
    }
    if (this.log.termAt(message.index) !== message.logTerm) {
      this.refuseAppend(peer, message);
      return;
    }
    if (this.refusesWrites && message.entries.length > 0) return; // no room: the leader tries again
    for (const entry of message.entries) this.acceptEntry(entry);
    const last = message.index + message.entries.length;
    this.verifiedIndex = Math.max(this.verifiedIndex, last);
    this.commitTo(Math.min(message.commit, this.verifiedIndex));
    this.acknowledgeAppend(peer, last, message.round);
  }

  private acceptEntry(entry: Entry): void {
    if (this.log.termAt(entry.index) === entry.term) return;
    if (entry.index <= this.log.lastIndex) this.truncateFrom(entry.index);
    this.appendToLog(entry);
  }

  private truncateFrom(index: number): void {
    assert(index > this.commitIndex, "raft: a committed entry must not be replaced");
    this.log.truncateFrom(index);
    this.durableIndex = Math.min(this.durableIndex, index - 1);
    this.forgetPendingEntries(index);
  }

  /** Acknowledgements of replaced entries must not be taken for those of their replacements. Overridden by a canary. */
  protected forgetPendingEntries(fromIndex: number): void {
    this.pendingEntries = this.pendingEntries.filter((pending) => pending.index < fromIndex);
  }

  private acknowledgeAppend(peer: NodeId, index: number, round: number): void {
    const response = this.message(MessageKind.appendResponse);
    response.flags |= MessageFlag.granted;
    response.index = index;
    response.round = round;
    this.outbox.sendHeld(peer, response);
  }

  private refuseAppend(peer: NodeId, message: RaftMessage): void {
    const response = this.message(MessageKind.appendResponse);
    const hint = this.log.lastIndexWithTermAtMost(message.index, message.logTerm);
    response.index = hint;
    response.logTerm = Math.max(0, this.log.termAt(hint));
    response.round = message.round;
    this.outbox.send(peer, response);
  }

  private onHeartbeat(peer: NodeId, message: RaftMessage): void {
    this.noteIncarnations(message);
    this.commitTo(Math.min(message.commit, this.verifiedIndex));
    if (message.has(MessageFlag.silent)) return;
    this.lastRoundAnswered = 0; // a heartbeat is always answered
    this.answerRound(peer, message);
  }

  /** Held while it confirms others' new lives: those must be durable here before the round counts. */
  private answerRound(peer: NodeId, message: RaftMessage): void {
    if (message.round <= this.lastRoundAnswered) return;
    this.lastRoundAnswered = message.round;
    const response = this.message(MessageKind.heartbeatResponse);
    response.round = message.round;
    response.index = this.log.lastIndex;
    if (message.numbers.length > 0) this.outbox.sendHeld(peer, response);
    else this.outbox.send(peer, response);
  }

  private onReadIndexResponse(message: RaftMessage): void {
    this.commitTo(Math.min(message.index, this.verifiedIndex));
    if (message.round < RECOVERY_ROUND_BASE) this.reads.indexKnown(message.round, message.index);
    else if (message.round === this.recoveryRound) this.recoveryIndex = message.index;
  }

  // What the leader part calls

  appendEntry(payload: Uint8Array): void {
    const entry = new Entry(this.term, this.log.lastIndex + 1, payload);
    this.uncommittedBytes += payload.length;
    this.appendToLog(entry);
  }

  private appendToLog(entry: Entry): void {
    this.log.append(entry);
    const seq = this.outbox.append(RecordKind.entry, entry.term, entry.index, entry.payload);
    this.pendingEntries.push({ seq, index: entry.index });
  }

  refuseSection(peer: NodeId, client: string, expected: number): void {
    if (peer === this.node) {
      this.writes.refused(client, expected);
      return;
    }
    const message = this.message(MessageKind.forwardRefused);
    message.client = client;
    message.index = expected;
    this.outbox.send(peer, message);
  }

  giveReadIndex(peer: NodeId, round: number, index: number): void {
    if (peer === this.node) {
      this.reads.indexKnown(round, index);
      return;
    }
    const message = this.message(MessageKind.readIndexResponse);
    message.round = round;
    message.index = index;
    // A recovering replica counts again on the strength of this: what we know of its new life must be durable first.
    if (round > RECOVERY_ROUND_BASE) this.outbox.sendHeld(peer, message);
    else this.outbox.send(peer, message);
  }

  /** A deadline has passed and nothing else carries the time: the leader lets it pass with an entry of its own. */
  timeIsDue(): boolean {
    return this.commitIndex === this.log.lastIndex && this.store.nextDeadlineMs() <= this.wallMs;
  }

  // Commit and apply

  commitTo(index: number): void {
    if (index > this.commitIndex) this.commitIndex = index;
  }

  private applyCommitted(): void {
    while (this.appliedIndex < this.commitIndex) {
      const entry = this.log.at(this.appliedIndex + 1);
      this.appliedIndex = entry.index;
      this.options.onApply?.(entry.index, entry.term, entry.payload);
      this.store.applyBatch(entry.payload, this.observer);
      if (this.leader !== null) {
        this.uncommittedBytes -= entry.payload.length;
        this.leader.entryApplied(entry.payload);
      }
      this.outbox.appliedPosition = entry.index;
      this.outbox.appliedEpoch = entry.term;
    }
  }

  // Roles

  becomeFollower(term: number, leader: NodeId): void {
    assert(term >= this.term, "raft: the term must not fall");
    if (term > this.term) {
      this.hard.term = term;
      this.hard.vote = 0;
      this.persistHardState();
      this.verifiedIndex = 0;
      this.lastRoundAnswered = 0;
      this.leaderId = 0;
    }
    if (this.role !== "follower") this.election.restartTimer();
    this.role = "follower";
    this.leader = null;
    this.setLeader(leader);
  }

  private setLeader(leader: NodeId): void {
    if (leader !== 0 && (leader !== this.leaderId || leader === this.node)) {
      this.writes.resendAll();
      this.reads.askAgain();
      this.recoveryIndex = Number.POSITIVE_INFINITY;
      this.recoveryAge = this.options.resendTicks;
      this.leaderRefuses = false;
    }
    this.leaderId = leader;
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
    this.verifiedIndex = 0;
    this.lastRoundAnswered = 0;
    return this.persistHardState();
  }

  becomeLeader(): void {
    assert(this.role === "candidate", "raft: only a candidate becomes leader");
    assert(!this.recovering, "raft: a recovering replica must not lead");
    this.role = "leader";
    this.uncommittedBytes = 0;
    for (let index = this.appliedIndex + 1; index <= this.log.lastIndex; index += 1) {
      this.uncommittedBytes += this.log.at(index).payload.length;
    }
    this.setLeader(this.node);
    this.leader = this.createLeader();
    this.leader.begin();
  }

  voteFor(peer: NodeId): void {
    this.hard.vote = peer;
    this.persistHardState();
  }

  private persistHardState(): number {
    return this.outbox.append(RecordKind.hardState, this.hard.term, 0, this.hard.encode());
  }

  // Incarnations and recovery

  /** Whether the message comes from the newest life of its sender that is known here. */
  private acceptIncarnation(peer: NodeId, message: RaftMessage): boolean {
    const known = this.hard.known.get(peer) ?? 0;
    if (message.incarnation === known) return true;
    if (message.incarnation < known) {
      if (message.has(MessageFlag.recovering)) {
        const stale = this.message(MessageKind.staleIncarnation);
        stale.index = known;
        this.outbox.send(peer, stale);
      }
      return false;
    }
    this.incarnationSeen(peer, message.incarnation);
    return true;
  }

  private incarnationSeen(peer: NodeId, incarnation: number): void {
    const first = !this.hard.known.has(peer);
    this.hard.known.set(peer, incarnation);
    this.persistHardState();
    if (!first) this.leader?.peerReplaced(peer);
  }

  /** Learns of others' new lives from the leader. */
  private noteIncarnations(message: RaftMessage): void {
    for (let i = 0; i + 1 < message.numbers.length; i += 2) {
      const node = message.numbers[i];
      if (node === this.node || message.numbers[i + 1] <= (this.hard.known.get(node) ?? 0)) continue;
      this.incarnationSeen(node, message.numbers[i + 1]);
    }
  }

  knownIncarnations(): number[] {
    const numbers: number[] = [];
    for (const [node, incarnation] of this.hard.known) numbers.push(node, incarnation);
    return numbers;
  }

  /** A clock that went back gave this life a lower number than an earlier one. It has promised nothing yet. */
  private onStaleIncarnation(message: RaftMessage): void {
    if (!this.hard.recovering || message.index < this.hard.incarnation) return;
    this.hard.incarnation = message.index + 1;
    this.persistHardState();
  }

  private tickRecovery(): void {
    this.recoveryAge += 1;
    if (this.leaderId === 0 || this.recoveryIndex !== Number.POSITIVE_INFINITY) return;
    if (this.recoveryAge < this.options.resendTicks) return;
    this.recoveryAge = 0;
    this.recoveryRound = Math.max(this.recoveryRound, RECOVERY_ROUND_BASE) + 1;
    this.askReadIndex(this.recoveryRound);
  }

  private maybeRecovered(): void {
    if (!this.hard.recovering || Math.min(this.appliedIndex, this.durableIndex) < this.recoveryIndex) return;
    this.hard.recovering = false;
    this.recoveredSeq = this.persistHardState();
  }

  // What others want to know

  private tickWaits(): void {
    if (this.leader === null && this.leaderId !== 0) {
      this.outbox.send(this.leaderId, this.message(MessageKind.progressQuery));
    }
    this.evaluateWaits();
  }

  private evaluateWaits(): void {
    const progress = this.leader !== null ? this.progress() : this.reportedProgress;
    this.waits.evaluate(this.monotonicMs, (position) => {
      let count = 0;
      for (const replica of progress) {
        if (replica.node !== this.leaderId && !replica.recovering && replica.durablePosition >= position) count += 1;
      }
      return count;
    });
  }

  private onProgressQuery(peer: NodeId): void {
    if (this.leader === null) return;
    const response = this.message(MessageKind.progressResponse);
    const numbers: number[] = [];
    for (const replica of this.progress()) {
      numbers.push(replica.node, replica.durablePosition, replica.recovering ? 1 : 0);
    }
    response.numbers = numbers;
    this.outbox.send(peer, response);
  }

  private onProgressResponse(message: RaftMessage): void {
    const progress: ReplicaProgress[] = [];
    for (let i = 0; i + 2 < message.numbers.length; i += 3) {
      const [node, durablePosition, recovering] = message.numbers.slice(i, i + 3);
      progress.push({ node, durablePosition, recovering: recovering === 1 });
    }
    this.reportedProgress = progress;
  }

  progress(): ReplicaProgress[] {
    const own = { node: this.node, durablePosition: this.durableIndex, recovering: this.recovering };
    if (this.leader === null) return [own];
    const replicas: ReplicaProgress[] = [own];
    for (const peer of this.leader.progress.values()) {
      replicas.push({ node: peer.node, durablePosition: peer.match, recovering: peer.recovering });
    }
    return replicas;
  }

  describe(): MachineDescription {
    return {
      role: this.recovering ? "recovering" : this.role,
      leader: this.leaderId,
      epoch: this.term,
      lastPosition: this.log.lastIndex,
      commitPosition: this.commitIndex,
      appliedPosition: this.appliedIndex,
      recovering: this.recovering,
    };
  }
}

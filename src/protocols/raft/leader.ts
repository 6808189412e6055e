import type { NodeId } from "../../core/machine.js";
import { readSectionHeader, readSections, type SectionHeader, writeBatch } from "../../kv/batch.js";
import { ENTRY_OVERHEAD_BYTES } from "./entry-log.js";
import { MessageFlag, MessageKind, type RaftMessage } from "./message.js";
import { Progress, ProgressState } from "./progress.js";
import { configurationMembers, majority, quorumReached } from "./quorum.js";
import type { Raft } from "./raft.js";

/** A read index that was asked for: by this replica (peer = itself) or by another. */
class Asker {
  constructor(
    readonly peer: NodeId,
    readonly round: number,
  ) {}
}

/** One confirmation of leadership. It serves the questions that had arrived when it began, at the commit index of then. */
class ReadRound {
  constructor(
    readonly round: number,
    readonly index: number,
    readonly askers: Asker[],
  ) {}
}

/** Rounds under way at once: more would cost messages, fewer latency. */
const MAX_READ_ROUNDS = 2;

/** What a raft replica has only while it leads; made anew for each term that it wins. */
export class Leader {
  readonly progress = new Map<NodeId, Progress>();
  private readonly peers: NodeId[];
  /** The entry with which this term begins. No read index is given before it is committed (thesis 6.4). */
  private termStartIndex = 0;

  private sections: Uint8Array[] = [];
  private sectionBytes = 0;
  private readonly forwarders = new Set<NodeId>();
  /** Last sequence of each client in the part of the log that is not applied yet. */
  private readonly lastAppended = new Map<string, number>();

  private round = 0;
  private askers: Asker[] = [];
  private readRounds: ReadRound[] = [];

  private heartbeatElapsed = 0;
  private quorumCheckElapsed = 0;
  /** Peer to which leadership is being handed; 0 for none. */
  private transferee: NodeId = 0;
  private transferElapsed = 0;

  constructor(private readonly raft: Raft) {
    this.peers = configurationMembers(raft.configuration).filter((node) => node !== raft.node);
    for (const node of this.peers) this.progress.set(node, new Progress(node, raft.log.lastIndex + 1));
    this.rememberTail();
  }

  /** Appends the empty entry of the new term and tells everybody who leads. */
  begin(): void {
    this.raft.appendEntry(new Uint8Array(0));
    this.termStartIndex = this.raft.log.lastIndex;
    this.broadcastHeartbeat();
  }

  private rememberTail(): void {
    const { log } = this.raft;
    for (let index = this.raft.appliedIndex + 1; index <= log.lastIndex; index += 1) {
      const { payload } = log.at(index);
      if (payload.length > 0) for (const header of readSections(payload)) this.remember(header);
    }
  }

  private remember(header: SectionHeader): void {
    this.lastAppended.set(header.client, header.firstSequence + header.count - 1);
  }

  // Writes

  /** Sections of writes in `bytes`, from `peer` (this replica included). They join the entry of this turn. */
  offerSections(peer: NodeId, bytes: Uint8Array): void {
    if (this.transferee !== 0 || this.raft.refusesWrites || this.uncommittedIsFull) return;
    let offset = 0;
    while (offset < bytes.length) {
      const header = readSectionHeader(bytes, offset);
      offset = header.end;
      this.offerSection(peer, header, bytes.subarray(header.start, header.end));
    }
    if (peer !== this.raft.node) this.forwarders.add(peer);
  }

  private offerSection(peer: NodeId, header: SectionHeader, bytes: Uint8Array): void {
    const last = this.lastSequence(header.client);
    if (header.firstSequence <= last) return; // a copy: the first is in the log
    if (header.firstSequence !== last + 1) {
      this.raft.refuseSection(peer, header.client, last + 1);
      return;
    }
    if (this.sectionBytes > 0 && this.sectionBytes + bytes.length > this.raft.options.maxEntryBytes) this.propose();
    this.remember(header);
    this.sections.push(bytes);
    this.sectionBytes += bytes.length;
  }

  private lastSequence(client: string): number {
    return this.lastAppended.get(client) ?? this.raft.store.lastSequence(client);
  }

  /** What is applied is in the session table; only the rest of the log is remembered here. */
  entryApplied(payload: Uint8Array): void {
    if (payload.length === 0) return;
    for (const header of readSections(payload)) {
      const last = this.lastAppended.get(header.client);
      if (last !== undefined && last < header.firstSequence + header.count) this.lastAppended.delete(header.client);
    }
  }

  private propose(): void {
    this.raft.appendEntry(writeBatch(this.raft.clockMs, this.sections));
    this.sections = [];
    this.sectionBytes = 0;
  }

  get uncommittedIsFull(): boolean {
    return this.raft.uncommittedBytes > this.raft.options.maxUncommittedBytes;
  }

  /** Writes can only wait: leadership is on its way to another replica, which takes them. */
  get handsOver(): boolean {
    return this.transferee !== 0;
  }

  /** No majority has room for more entries, or this disk has none and there is nobody to hand over to. */
  get takesNoWrites(): boolean {
    const { configuration, node, refusesWrites } = this.raft;
    if (refusesWrites && !this.handsOver) return true;
    const refuses = (voter: NodeId): boolean | undefined =>
      voter === node ? refusesWrites : this.progress.get(voter)?.refusing;
    return quorumReached(configuration, (voter) => (refuses(voter) ? 0 : 1)) === 0;
  }

  // Read indexes

  askReadIndex(peer: NodeId, round: number): void {
    this.askers.push(new Asker(peer, round));
  }

  /** Whether a read index may be given: the leader's own term has a committed entry. Overridden by a canary. */
  protected mayGiveReadIndex(): boolean {
    return this.raft.commitIndex >= this.termStartIndex;
  }

  private startReadRound(): boolean {
    if (this.askers.length === 0 || this.readRounds.length >= MAX_READ_ROUNDS || !this.mayGiveReadIndex()) return false;
    this.round += 1;
    this.readRounds.push(new ReadRound(this.round, this.raft.commitIndex, this.askers));
    this.askers = [];
    return true;
  }

  private finishReadRounds(): void {
    if (this.readRounds.length === 0) return;
    const confirmed = quorumReached(this.raft.configuration, (node) => this.roundOf(node));
    while (this.readRounds.length > 0 && this.readRounds[0].round <= confirmed) {
      const { index, askers } = this.readRounds.shift()!;
      for (const asker of askers) this.raft.giveReadIndex(asker.peer, asker.round, index);
    }
  }

  private roundOf(node: NodeId): number {
    if (node === this.raft.node) return Number.POSITIVE_INFINITY;
    const progress = this.progress.get(node);
    return progress === undefined || progress.recovering ? 0 : progress.round;
  }

  // Messages from peers

  /** Notes what every message tells of its sender. */
  heard(peer: NodeId, message: RaftMessage): void {
    const progress = this.progress.get(peer);
    if (progress === undefined) return;
    progress.active = true;
    const counts = progress.recovering && !message.has(MessageFlag.recovering);
    progress.recovering = message.has(MessageFlag.recovering);
    progress.refusing = message.has(MessageFlag.refusing);
    progress.full = message.has(MessageFlag.full);
    if (!counts) return;
    this.advanceCommit();
    this.finishReadRounds();
  }

  peerReplaced(peer: NodeId): void {
    this.progress.get(peer)?.forget(this.raft.log.lastIndex + 1);
  }

  onAppendResponse(peer: NodeId, message: RaftMessage): void {
    const progress = this.progress.get(peer);
    if (progress === undefined) return;
    this.echoed(progress, message.round);
    if (!message.has(MessageFlag.granted)) {
      this.appendRefused(progress, message);
      return;
    }
    if (message.index > this.raft.log.lastIndex) return; // not of this log; a peer's bytes are not trusted
    const advanced = progress.acknowledged(message.index);
    if (progress.state === ProgressState.probe) progress.becomeReplicate();
    else if (progress.state === ProgressState.snapshot && progress.match >= progress.snapshotIndex) {
      progress.becomeProbe(progress.match + 1);
    }
    if (!advanced) return;
    this.advanceCommit();
    if (this.transferee === peer) this.sendTimeoutNowIfCaughtUp();
  }

  private appendRefused(progress: Progress, message: RaftMessage): void {
    if (progress.state === ProgressState.snapshot) return;
    const agreed = this.raft.log.lastIndexWithTermAtMost(message.index, message.logTerm);
    if (agreed + 1 >= progress.next && progress.state === ProgressState.probe) progress.paused = false;
    else progress.becomeProbe(agreed + 1);
  }

  onHeartbeatResponse(peer: NodeId, message: RaftMessage): void {
    const progress = this.progress.get(peer);
    if (progress === undefined) return;
    this.echoed(progress, message.round);
    if (message.round <= progress.roundAtLastSend) return;
    if (progress.full) {
      // It takes no writes; but does it have what was sent before? While it could not, that may have been compacted.
      if (progress.match >= progress.next - 1 || progress.state === ProgressState.snapshot) return;
      if (this.raft.log.lacks(progress.next - 1)) progress.becomeProbe(progress.match + 1);
      else this.sendAppend(progress, 0);
      return;
    }
    // A heartbeat that left after our newest append was answered, and yet that append is not acknowledged: it may be lost.
    if (progress.state === ProgressState.probe) progress.paused = false;
    else if (progress.state === ProgressState.replicate && progress.match < progress.next - 1) {
      if (this.raft.log.lacks(progress.next - 1)) progress.becomeProbe(progress.match + 1);
      else if (message.index < progress.next - 1) progress.becomeProbe(Math.min(message.index + 1, progress.next));
      else this.sendAppend(progress, 0);
    }
  }

  private echoed(progress: Progress, round: number): void {
    if (round > progress.round && round <= this.round) {
      progress.round = round;
      this.finishReadRounds();
    }
  }

  // Replication

  /** Commits what a quorum holds durably, if it is of this term (Raft paper, figure 8). */
  advanceCommit(): void {
    const { raft } = this;
    const index = quorumReached(raft.configuration, (node) => this.durableIndexOf(node));
    if (index > raft.commitIndex && index <= raft.log.lastIndex && raft.log.termAt(index) === raft.term) {
      raft.commitTo(index);
    }
  }

  durableIndexOf(node: NodeId): number {
    if (node === this.raft.node) return this.raft.durableIndex;
    const progress = this.progress.get(node);
    return progress === undefined || progress.recovering ? 0 : progress.match;
  }

  /** End of the turn: the entries, the read round and the appends that it has brought. */
  flush(): void {
    if (this.sections.length > 0) this.propose();
    else if (this.raft.timeIsDue()) this.raft.appendEntry(writeBatch(this.raft.clockMs, []));
    for (const peer of this.forwarders) this.progress.get(peer)!.wantsCommit = this.raft.log.lastIndex;
    this.forwarders.clear();
    // Alone in the cluster there is nobody to ask.
    const newRound = this.startReadRound();
    for (const peer of this.peers) {
      const progress = this.progress.get(peer)!;
      const appended = this.replicateTo(progress);
      if (newRound && !appended) this.sendHeartbeat(progress, false);
      else if (!appended && progress.wantsCommit > progress.commitSent && this.raft.commitIndex > progress.commitSent) {
        this.sendHeartbeat(progress, true);
      }
    }
    if (newRound) this.finishReadRounds();
  }

  private replicateTo(progress: Progress): boolean {
    const { log, options } = this.raft;
    let appended = false;
    while (progress.wantsAppend(log.lastIndex) && this.hasRoomFor(progress)) {
      if (progress.inflightBytes >= options.maxInflightBytes) break;
      if (this.raft.log.lacks(progress.next - 1)) {
        progress.becomeSnapshot(this.raft.checkpointIndex);
        this.raft.outbox.snapshots.push(progress.node);
        break;
      }
      this.sendAppend(progress, options.maxAppendBytes);
      appended = true;
    }
    return appended;
  }

  /** A peer whose disk is full still takes the entry with which a term begins. */
  private hasRoomFor(progress: Progress): boolean {
    if (!progress.full) return true;
    const { log } = this.raft;
    const { next } = progress;
    return next >= log.firstIndex && next <= log.lastIndex && log.at(next).payload.length === 0;
  }

  /** The next entries (none when `maxBytes` is 0, or to find out where the peer stands: only the question what it has). */
  private sendAppend(progress: Progress, maxBytes: number): void {
    const { raft } = this;
    const message = raft.message(MessageKind.append);
    message.index = progress.next - 1;
    message.logTerm = raft.log.termAt(progress.next - 1);
    message.commit = raft.commitIndex;
    message.round = this.round;
    message.numbers = this.recoveringPeers();
    progress.roundAtLastSend = this.round;
    progress.commitSent = raft.commitIndex;
    if (maxBytes > 0) {
      const entries = raft.log.slice(progress.next, maxBytes);
      message.entries = entries;
      if (progress.state === ProgressState.probe) progress.paused = true;
      else if (entries.length > 0) {
        let bytes = 0;
        for (const entry of entries) bytes += entry.payload.length + ENTRY_OVERHEAD_BYTES;
        progress.sent(entries[entries.length - 1].index, bytes);
      }
    }
    raft.outbox.send(progress.node, message);
  }

  private sendHeartbeat(progress: Progress, silent: boolean): void {
    const message = this.raft.message(MessageKind.heartbeat);
    // What the peer has acknowledged: after a restart it does not know by itself how far its log agrees with ours.
    message.index = progress.match;
    message.logTerm = Math.max(0, this.raft.log.termAt(progress.match));
    message.commit = this.raft.commitIndex;
    message.round = this.round;
    message.numbers = this.recoveringPeers();
    if (silent) message.flags |= MessageFlag.silent;
    progress.commitSent = this.raft.commitIndex;
    this.raft.outbox.send(progress.node, message);
  }

  /**
   * Lives that have begun anew. Followers make them durable before they confirm a round, so that whoever is elected
   * later by one of them knows which older promises are void.
   */
  private recoveringPeers(): readonly number[] {
    let numbers: number[] | null = null;
    for (const peer of this.peers) {
      if (!this.progress.get(peer)!.recovering) continue;
      numbers ??= [];
      numbers.push(peer, this.raft.hard.known.get(peer) ?? 0);
    }
    return numbers ?? [];
  }

  private broadcastHeartbeat(): void {
    this.round += 1;
    for (const peer of this.peers) this.sendHeartbeat(this.progress.get(peer)!, false);
  }

  // Time

  tick(): void {
    this.heartbeatElapsed += 1;
    this.quorumCheckElapsed += 1;
    if (this.quorumCheckElapsed >= this.raft.options.electionTicks) {
      this.quorumCheckElapsed = 0;
      if (!this.hearsQuorum()) {
        this.raft.stepDown();
        return;
      }
    }
    if (this.transferee !== 0) {
      this.transferElapsed += 1;
      if (this.transferElapsed >= this.raft.options.electionTicks) this.transferee = 0;
    } else if (this.raft.refusesWrites) this.transferToBest();
    if (this.heartbeatElapsed >= this.raft.options.heartbeatTicks) {
      this.heartbeatElapsed = 0;
      this.broadcastHeartbeat();
      return;
    }
    for (const peer of this.peers) {
      const progress = this.progress.get(peer)!;
      if (this.raft.commitIndex > progress.commitSent) this.sendHeartbeat(progress, true);
    }
  }

  private hearsQuorum(): boolean {
    const { configuration, node } = this.raft;
    const heard = quorumReached(configuration, (voter) => {
      const progress = this.progress.get(voter);
      return voter === node || (progress?.active && !progress.recovering) ? 1 : 0;
    });
    for (const progress of this.progress.values()) progress.active = false;
    return heard === 1;
  }

  // Leadership transfer (thesis 3.10)

  transferToBest(): void {
    if (this.transferee !== 0) return;
    let best: Progress | null = null;
    for (const node of this.raft.configuration.voters) {
      const progress = this.progress.get(node);
      if (progress === undefined || progress.recovering || progress.refusing) continue;
      // Who has answered lately first: the other may be dead.
      if (best === null || (progress.active ? 1 : 0) - (best.active ? 1 : 0) > 0) best = progress;
      else if (progress.active === best.active && progress.match > best.match) best = progress;
    }
    if (best === null || majority(this.raft.configuration.voters.length) === 1) return;
    this.transferee = best.node;
    this.transferElapsed = 0;
    this.sendTimeoutNowIfCaughtUp();
  }

  private sendTimeoutNowIfCaughtUp(): void {
    const progress = this.progress.get(this.transferee);
    if (progress === undefined || progress.match < this.raft.log.lastIndex) return;
    this.raft.outbox.send(this.transferee, this.raft.message(MessageKind.timeoutNow));
  }

  // Snapshots

  snapshotFailed(peer: NodeId): void {
    const progress = this.progress.get(peer);
    if (progress === undefined) return;
    progress.becomeProbe(progress.match + 1);
    progress.paused = true; // the next heartbeat's answer tries again
  }

  snapshotSent(peer: NodeId, position: number): void {
    const progress = this.progress.get(peer);
    progress?.becomeProbe(Math.max(progress.match, position) + 1);
  }

  /** Lowest position whose successors must stay in memory for a peer that is being sent a snapshot; null if none. */
  snapshotFloor(): number | null {
    let floor: number | null = null;
    for (const progress of this.progress.values()) {
      if (progress.state !== ProgressState.snapshot) continue;
      floor = floor === null ? progress.snapshotIndex : Math.min(floor, progress.snapshotIndex);
    }
    return floor;
  }
}

import type { NodeId } from "../../core/machine.js";
import { Random } from "../../core/random.js";
import type { Gossip } from "./gossip.js";
import { Intake } from "./intake.js";
import { encodeItems } from "./item.js";
import { GossipMessage, MessageFlag, MessageKind, NO_VECTOR } from "./message.js";
import type { Vector } from "./origins.js";
import { Peer } from "./peers.js";
import { fillAnswer, includes, isFor, lacks, missingFrom, VectorRepair } from "./repair.js";
import { type Section, SectionKind } from "./section.js";
import { answerTree, TreeSync, WHOLE } from "./tree-sync.js";

/** Questions in a row without an answer before another peer's turn. */
const SYNC_SILENCES_MAX = 5;
/** Ticks between the end of one comparison of trees and the next. */
const SYNC_PAUSE_TICKS = 10;

/**
 * Brings writes to the other replicas: each at once, and again to whom it has not reached. One peer after the other is
 * told what is held here and asked for what is missing; where sequences cannot tell, the hash trees are compared.
 */
export class AntiEntropy {
  readonly peers = new Map<NodeId, Peer>();
  readonly intake: Intake;
  /** The disk takes nothing more. */
  takesNothing = false;
  private readonly order: Peer[] = [];
  private turn = 0;
  private questions: number;
  private sync: TreeSync | null = null;
  private syncQuestion = { number: 0, overdueTick: 0, epoch: 0 };
  private syncEndedTick = Number.NEGATIVE_INFINITY;
  /** A merge that ends this replica's recovery when it has taken effect. */
  private recoveryVector: Vector | null = null;
  private durableLives: readonly number[] = [];
  /** Lives without a memory that this recovering one has all of. */
  private readonly compared = new Map<Peer, number>();
  private unpushed: Uint8Array[] = [];
  private unpushedBytes = 0;
  private isLeaving = false;
  private nextPushMs = Number.NEGATIVE_INFINITY;

  constructor(protected readonly gossip: Gossip) {
    const { members, node, seed } = gossip.options;
    const random = new Random(seed);
    for (const member of members) if (member !== node) this.order.push(new Peer(member));
    for (const peer of this.order) this.peers.set(peer.node, peer);
    random.shuffle(this.order);
    // Numbers begin at a drawn place: an answer to an earlier life of this process must not pass for one to this.
    this.questions = random.u48();
    this.intake = this.createIntake();
  }

  /** Overridden by a canary. */
  protected createIntake(): Intake {
    return new Intake(this.gossip);
  }

  started(): void {
    this.intake.started();
  }

  isReachable(peer: Peer): boolean {
    return this.gossip.ticks - peer.heardTick <= this.gossip.options.silentTicks;
  }

  /** What the clocks of the reachable peers say now, in ms. */
  peerClocks(): number[] {
    const clocks: number[] = [];
    for (const peer of this.order) {
      if (this.isReachable(peer)) clocks.push(peer.clockOffsetMs + this.gossip.monotonicMs);
    }
    return clocks;
  }

  /** How well this replica hears of the others. */
  reach(): { peers: number; reachable: number; missing: number } {
    let reachable = 0;
    let missing = 0;
    for (const peer of this.order) {
      if (this.isReachable(peer)) reachable += 1;
      missing = Math.max(missing, missingFrom(this.gossip.replica, peer.have));
    }
    return { peers: this.order.length, reachable, missing };
  }

  private message(kind: MessageKind, peer: Peer): GossipMessage {
    const { gossip } = this;
    const message = new GossipMessage(kind, gossip.hard.incarnation);
    message.to = peer.incarnation;
    message.wallMs = Math.max(0, Math.floor(gossip.wallMs));
    if (gossip.recovering) message.flags |= MessageFlag.recovering;
    if (!gossip.replica.entries.treeIsBuilt) message.flags |= MessageFlag.noTree;
    if (gossip.changes?.isWatched) message.flags |= MessageFlag.watched;
    return message;
  }

  /** Writes of this node's own that are durable now: they go to the peers, if not at once then in a moment. */
  push(bytes: Uint8Array): void {
    this.unpushed.push(bytes);
    this.unpushedBytes += bytes.length;
  }

  /** A peer pays for each message, and for its sync, more than for what is in it: while many come, they go together. */
  private get pushIsDue(): boolean {
    const { monotonicMs, options } = this.gossip;
    return this.isLeaving || monotonicMs >= this.nextPushMs || this.unpushedBytes >= options.maxRecordBytes;
  }

  /** This node stops: what it has answered should be elsewhere, too. */
  leave(): void {
    this.isLeaving = true;
    this.pushAll();
  }

  private pushAll(): void {
    const { monotonicMs, options, outbox } = this.gossip;
    for (const peer of this.order) {
      if (peer.incarnation === 0 || !this.isReachable(peer)) continue;
      for (const bytes of this.unpushed) {
        const message = this.message(MessageKind.push, peer);
        message.payload = bytes;
        outbox.send(peer.node, message);
      }
    }
    this.unpushed = [];
    this.unpushedBytes = 0;
    this.nextPushMs = monotonicMs + options.pushIntervalMs;
  }

  // Time

  tick(): void {
    const { options, ticks } = this.gossip;
    if (ticks % options.digestTicks === 0 && this.order.length > 0) {
      this.settlePushes();
      this.turn = (this.turn + 1) % this.order.length;
      const peer = this.order[this.turn];
      if (peer.question !== null && peer.question.overdueTick <= ticks) {
        peer.question = null;
        peer.silences += 1;
      }
      if (peer.question === null) this.ask(peer);
    }
    this.mindSync();
  }

  /** What was pushed before the last time is no longer on its way: a digest that lacks it has missed it. */
  private settlePushes(): void {
    const { node, hard, replica } = this.gossip;
    const written = replica.origins.find(node, hard.incarnation)?.have.highest ?? 0;
    for (const peer of this.order) {
      const wasPushed = peer.incarnation !== 0 && this.isReachable(peer);
      peer.settled = wasPushed ? peer.settling : Number.POSITIVE_INFINITY;
      peer.settling = wasPushed ? written : Number.POSITIVE_INFINITY;
    }
  }

  private mindSync(): void {
    const { sync, gossip } = this;
    if (sync === null) return;
    const { peer } = sync;
    const forgets = peer.recovering && !this.allRecover;
    const isGone = peer.incarnation !== sync.incarnation || forgets || !this.isReachable(peer);
    if (isGone) this.endSync();
    else if (sync.isAsking && this.syncQuestion.overdueTick <= gossip.ticks) {
      sync.unanswered();
      if (sync.silences > SYNC_SILENCES_MAX) this.endSync();
      else this.askTree(sync);
    }
  }

  private endSync(): void {
    this.sync = null;
    this.syncEndedTick = this.gossip.ticks;
  }

  private nextQuestion(): number {
    this.questions += 1;
    return this.questions;
  }

  /** What is held here, and the question for what is not. */
  private ask(peer: Peer): void {
    const { gossip } = this;
    const { options, ticks, replica } = gossip;
    const doubled = options.answerTicks * (1 << Math.min(peer.silences, 16));
    const waitTicks = Math.min(options.answerTicksMax, doubled);
    const number = this.nextQuestion();
    peer.question = { number, overdueTick: ticks + waitTicks, epoch: this.intake.epoch, promised: peer.promised };
    peer.askedTick = ticks;
    const message = this.message(MessageKind.digest, peer);
    message.question = number;
    message.have = replica.origins.vector(false);
    const taken = replica.origins.vector(true);
    message.taken = taken.equals(message.have) ? null : taken;
    message.lives = this.lives();
    const { low, high } = replica.entries.digest(WHOLE.first, WHOLE.last);
    message.low = low;
    message.high = high;
    gossip.outbox.send(peer.node, message);
  }

  /** As far as they are durable: when every member knows that a life is over, none may ever take from it again. */
  private lives(): readonly number[] {
    const { node, hard, hardStateIsDurable } = this.gossip;
    if (!hardStateIsDurable) return this.durableLives;
    const lives: number[] = [node, hard.incarnation];
    for (const [peer, incarnation] of hard.known) lives.push(peer, incarnation);
    this.durableLives = lives;
    return lives;
  }

  // Mail

  receive(node: NodeId, message: GossipMessage): void {
    const { gossip } = this;
    const peer = this.peers.get(node);
    if (peer === undefined) return;
    if (message.kind === MessageKind.staleIncarnation) {
      if (message.to === gossip.hard.incarnation && message.known >= message.to) gossip.beginLife(message.known + 1);
      return;
    }
    if (!this.noteLife(peer, message) || !isFor(message, gossip.hard.incarnation)) return;
    gossip.checkOwnWrites(peer.node, message.have);
    if (message.has(MessageFlag.watched)) gossip.changes?.record();
    peer.recovering = message.has(MessageFlag.recovering);
    peer.heardTick = gossip.ticks;
    peer.clockOffsetMs = message.wallMs - gossip.monotonicMs;
    if (message.kind === MessageKind.digest) this.takeDigest(peer, message);
    else if (message.kind === MessageKind.treeQuestion) this.answerTreeQuestion(peer, message);
    else if (this.takesNothing) return;
    else if (message.kind === MessageKind.push) this.intake.takePushed(message.payload);
    else if (message.kind === MessageKind.answer) this.takeAnswer(peer, message);
    else if (message.kind === MessageKind.treeAnswer) this.takeTreeAnswer(peer, message);
  }

  /** Whether the message is of the newest life of its sender that is known; what older ones still say is dropped. */
  private noteLife(peer: Peer, message: GossipMessage): boolean {
    const { gossip } = this;
    const known = gossip.hard.known.get(peer.node) ?? 0;
    if (message.incarnation < known) {
      if (message.kind === MessageKind.digest) this.sendStale(peer, message.incarnation, known);
      return false;
    }
    if (message.incarnation > known) {
      gossip.hard.known.set(peer.node, message.incarnation);
      gossip.persistHardState();
    }
    if (peer.incarnation !== message.incarnation) peer.begins(message.incarnation);
    return true;
  }

  private sendStale(peer: Peer, life: number, known: number): void {
    const stale = this.message(MessageKind.staleIncarnation, peer);
    stale.to = life;
    stale.known = known;
    this.gossip.outbox.send(peer.node, stale);
  }

  private takeDigest(peer: Peer, message: GossipMessage): void {
    const { gossip } = this;
    const { replica, options } = gossip;
    peer.have = message.have;
    if (includes(peer.have, peer.promised)) peer.promised = peer.have;
    peer.taken = message.taken ?? message.have;
    for (let i = 0; i < message.lives.length; i += 2) peer.lives.set(message.lives[i], message.lives[i + 1]);
    const reply = this.message(MessageKind.answer, peer);
    reply.question = message.question;
    const answer = this.createRepair(peer, options.maxAnswerBytes).answer();
    fillAnswer(reply, answer, replica.origins.vector(false));
    gossip.outbox.send(peer.node, reply);
    this.suspect(peer, message);
    if (peer.question === null && peer.askedTick < gossip.ticks && lacks(replica, peer.have)) this.ask(peer);
  }

  /** Overridden by a canary. */
  protected createRepair(peer: Peer, maxBytes: number): VectorRepair {
    return new VectorRepair(this.gossip, peer, maxBytes);
  }

  /** Equal vectors and unequal trees, time and again: something is missing that the vectors do not tell. */
  private suspect(peer: Peer, message: GossipMessage): void {
    const { replica, options } = this.gossip;
    const { entries } = replica;
    const comparable = entries.treeIsBuilt && !message.has(MessageFlag.noTree);
    const differs =
      comparable &&
      !entries.digest(WHOLE.first, WHOLE.last).equals(message) &&
      replica.origins.vector(false).equals(message.have);
    peer.suspicions = differs ? peer.suspicions + 1 : 0;
    if (peer.suspicions < options.suspicions) return;
    peer.suspicions = 0;
    this.beginSync(peer);
  }

  private takeAnswer(peer: Peer, message: GossipMessage): void {
    const { question } = peer;
    if (question === null || question.number !== message.question) return;
    peer.question = null;
    peer.silences = 0;
    if (!includes(message.have, question.promised)) {
      // Its folder was set back to an older copy: what it sends may have been deleted since.
      this.sendStale(peer, peer.incarnation, peer.incarnation);
      return;
    }
    peer.toldTick = peer.askedTick;
    peer.written = message.have.find(peer.node, peer.incarnation)?.highest ?? 0;
    const { payload } = message;
    const isWhole = this.intake.takeAnswer(payload, message.covers, question.epoch);
    if (payload.length > 0) this.intake.raiseBarrier(message.have);
    // After an answer that brought nothing the next would be the same.
    const isProgress = payload.length > 0 || message.covers.length > 0;
    if (message.has(MessageFlag.more) && isWhole && isProgress) this.ask(peer);
    const needsTree = message.has(MessageFlag.treeNeeded) || this.intake.isOverflowing;
    if (needsTree || this.gossip.recovering) this.beginSync(peer);
  }

  // Trees

  private beginSync(peer: Peer): void {
    const { gossip } = this;
    if (this.sync !== null || !gossip.replica.entries.treeIsBuilt) return;
    if (peer.recovering && (!this.allRecover || this.compared.get(peer) === peer.incarnation)) return;
    if (gossip.ticks - this.syncEndedTick < SYNC_PAUSE_TICKS) return;
    this.sync = new TreeSync(peer, peer.incarnation);
  }

  /** Every replica has lost its memory, and says so now: what they hold together is all there is. */
  private get allRecover(): boolean {
    const forgot = (peer: Peer): boolean => peer.have !== NO_VECTOR && peer.recovering && this.isReachable(peer);
    return this.gossip.recovering && this.order.every(forgot);
  }

  /** Whether the end of this comparison ends the recovery: one with a memory is enough, of those without it takes all. */
  private hasAllBy({ peer, incarnation, withRecovering }: TreeSync): boolean {
    if (!withRecovering) return true;
    this.compared.set(peer, incarnation);
    return this.order.every((it) => this.compared.get(it) === it.incarnation);
  }

  private askTree(sync: TreeSync): void {
    const { gossip } = this;
    const message = this.message(MessageKind.treeQuestion, sync.peer);
    message.question = this.nextQuestion();
    message.stretches = sync.question(gossip.replica.entries);
    const overdueTick = gossip.ticks + gossip.options.answerTicks;
    this.syncQuestion = { number: message.question, overdueTick, epoch: this.intake.epoch };
    gossip.outbox.send(sync.peer.node, message);
  }

  private answerTreeQuestion(peer: Peer, message: GossipMessage): void {
    const { gossip } = this;
    const { entries, origins } = gossip.replica;
    const reply = this.message(MessageKind.treeAnswer, peer);
    reply.question = message.question;
    if (entries.treeIsBuilt) {
      const answer = this.answerStretches(message);
      reply.known = answer.done;
      reply.stretches = answer.parts;
      for (const item of answer.items) {
        item.dependencies = gossip.replica.dependenciesOf(item.key) ?? item.dependencies;
      }
      if (answer.items.length > 0) reply.payload = encodeItems(answer.items);
      reply.have = origins.vector(false);
    }
    gossip.outbox.send(peer.node, reply);
  }

  /** Overridden by a canary. */
  protected answerStretches(message: GossipMessage): ReturnType<typeof answerTree> {
    return answerTree(this.gossip.replica.entries, message.stretches, this.gossip.options.maxAnswerBytes);
  }

  private takeTreeAnswer(peer: Peer, message: GossipMessage): void {
    const { sync, gossip, intake } = this;
    if (sync === null || sync.peer !== peer || !sync.isAsking || message.question !== this.syncQuestion.number) return;
    if (message.has(MessageFlag.noTree)) {
      this.endSync();
      return;
    }
    sync.vector ??= message.have;
    const items = message.writes;
    if (!intake.takeFound(items, this.syncQuestion.epoch)) sync.isPartial = true;
    if (items.length > 0) {
      intake.raiseBarrier(message.have);
      sync.afterPosition = gossip.log.newestPosition;
    }
    sync.answered(gossip.replica.entries, message.known, message.stretches);
  }

  flush(): void {
    if (this.unpushed.length > 0 && this.pushIsDue) this.pushAll();
    this.goOnWithSync();
  }

  /** The next question of a comparison, once what the last one has brought is in effect; or its end. */
  private goOnWithSync(): void {
    const { sync, gossip } = this;
    if (sync === null || sync.isAsking) return;
    if (gossip.appliedPosition < sync.afterPosition) return;
    if (!sync.isDone) {
      this.askTree(sync);
      return;
    }
    this.endSync();
    if (sync.isPartial || sync.vector === null) return;
    if (gossip.recovering && this.hasAllBy(sync)) this.recoveryVector = sync.vector;
    gossip.log.add({ kind: SectionKind.merge, vector: sync.vector });
    gossip.log.finish();
  }

  /** A section has taken effect. */
  applied(section: Section): void {
    if (section.kind !== SectionKind.merge || section.vector !== this.recoveryVector) return;
    this.recoveryVector = null;
    this.gossip.recovered();
  }
}

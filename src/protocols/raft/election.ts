import type { NodeId } from "../../core/machine.js";
import { Random } from "../../core/random.js";
import { MessageFlag, MessageKind, type RaftMessage } from "./message.js";
import { isVoter, voteOutcome } from "./quorum.js";
import type { Raft } from "./raft.js";

const FIRST_ELECTION_TICKS = 4;
const SOON_TRIES = 3;

/** A vote, with what the voter knew of everybody's incarnation when it gave it. */
interface Ballot {
  readonly granted: boolean;
  readonly incarnation: number;
  readonly known: ReadonlyMap<NodeId, number>;
}

/** Who is to lead: timeouts, pre-vote (thesis 9.6) and votes. */
export class Election {
  private elapsedTicks = 0;
  private timeoutTicks = 0;
  /** Of the soon tries that follow a start. */
  private triesLeft = 0;
  private readonly random: Random;
  private ballots = new Map<NodeId, Ballot>();
  /** Own vote counts once the record with this write sequence is durable; 0: none under way. */
  private ownVoteSeq = 0;

  constructor(private readonly raft: Raft) {
    this.random = new Random(raft.options.seed);
    this.restartTimer();
  }

  restartTimer(): void {
    const { electionTicks } = this.raft.options;
    this.elapsedTicks = 0;
    this.timeoutTicks = this.triesLeft > 0 ? this.startingTicks : electionTicks + this.random.below(electionTicks);
  }

  /**
   * After a start: if there is a leader it is heard of within a heartbeat, so the voters try one after the other, and
   * soon; but not often, for on slow links the next try would come before the answers to the last. Pre-votes disturb
   * nobody.
   */
  begin(): void {
    this.triesLeft = SOON_TRIES;
    this.restartTimer();
  }

  leaderKnown(): void {
    this.triesLeft = 0;
  }

  private get startingTicks(): number {
    const { configuration, node, options } = this.raft;
    const turn = FIRST_ELECTION_TICKS * (configuration.voters.indexOf(node) + 1);
    return Math.min(options.electionTicks, options.heartbeatTicks + turn + this.random.below(FIRST_ELECTION_TICKS));
  }

  tick(): void {
    this.elapsedTicks += 1;
    if (this.elapsedTicks < this.timeoutTicks) return;
    if (this.raft.mayCampaign) this.startPreVote();
    else this.raft.leaderLost();
  }

  /** A leader has been heard of so lately that nobody else is to be helped to power (thesis 6.4.1 and 9.6). */
  private get leaderIsFresh(): boolean {
    return this.raft.leaderId !== 0 && this.elapsedTicks < this.raft.options.electionTicks;
  }

  private startPreVote(): void {
    if (this.triesLeft > 0) this.triesLeft -= 1;
    this.restartTimer();
    this.raft.becomePreCandidate();
    this.ballots = new Map();
    this.castOwn();
    if (this.decidePreVote()) return;
    const message = this.raft.message(MessageKind.preVote);
    message.term = this.raft.term + 1;
    message.index = this.raft.log.lastIndex;
    message.logTerm = this.raft.log.lastTerm;
    for (const peer of this.voterPeers()) this.raft.outbox.send(peer, message);
  }

  /** `transfer`: the old leader itself asks for it, so its freshness does not count against us. */
  campaign(transfer: boolean): void {
    this.restartTimer();
    this.ballots = new Map();
    // Held behind the hard state: the request speaks of a term, a vote and a log that a crash must not take back.
    this.ownVoteSeq = this.raft.becomeCandidate();
    const message = this.raft.message(MessageKind.vote);
    message.index = this.raft.log.lastIndex;
    message.logTerm = this.raft.log.lastTerm;
    if (transfer) message.flags |= MessageFlag.transfer;
    for (const peer of this.voterPeers()) this.raft.outbox.sendHeld(peer, message);
  }

  private voterPeers(): NodeId[] {
    const { voters, outgoing } = this.raft.configuration;
    return [...new Set([...voters, ...outgoing])].filter((node) => node !== this.raft.node);
  }

  /** The candidate's vote for itself becomes a vote when it is durable. */
  stored(seq: number): void {
    if (this.ownVoteSeq === 0 || seq < this.ownVoteSeq) return;
    this.ownVoteSeq = 0;
    if (this.raft.role !== "candidate") return;
    this.castOwn();
    this.decideVote();
  }

  private castOwn(): void {
    const { hard, node } = this.raft;
    this.ballots.set(node, { granted: true, incarnation: hard.incarnation, known: hard.known });
  }

  // Requests

  onPreVote(peer: NodeId, message: RaftMessage): void {
    const { raft } = this;
    if (!this.mayVote(peer) || this.leaderIsFresh) return;
    const response = raft.message(MessageKind.preVoteResponse);
    if (message.term > raft.term && raft.log.isUpToDate(message.logTerm, message.index)) {
      response.term = message.term;
      response.flags |= MessageFlag.granted;
    }
    raft.outbox.send(peer, response);
  }

  onVote(peer: NodeId, message: RaftMessage): void {
    const { raft } = this;
    if (!this.mayVote(peer) || (this.leaderIsFresh && !message.has(MessageFlag.transfer))) return;
    if (message.term > raft.term) raft.becomeFollower(message.term, 0);
    const response = raft.message(MessageKind.voteResponse);
    if (message.term < raft.term) {
      raft.outbox.send(peer, response);
      return;
    }
    const free = raft.hard.vote === 0 ? raft.leaderId === 0 : raft.hard.vote === peer;
    if (free && raft.log.isUpToDate(message.logTerm, message.index)) {
      this.restartTimer();
      raft.voteFor(peer);
      response.flags |= MessageFlag.granted;
    }
    response.numbers = raft.knownIncarnations();
    raft.tellClock(response);
    raft.outbox.sendHeld(peer, response);
  }

  /** A replica that may have forgotten a vote gives none; a learner has none to give. */
  protected mayVote(peer: NodeId): boolean {
    return (
      !this.raft.recovering &&
      isVoter(this.raft.configuration, this.raft.node) &&
      isVoter(this.raft.configuration, peer)
    );
  }

  // Responses

  onPreVoteResponse(peer: NodeId, message: RaftMessage): void {
    const granted = message.has(MessageFlag.granted);
    if (this.raft.role !== "preCandidate" || (granted && message.term !== this.raft.term + 1)) return;
    this.ballots.set(peer, ballotOf(message));
    this.decidePreVote();
  }

  private decidePreVote(): boolean {
    const outcome = voteOutcome(this.raft.configuration, (node) => this.ballots.get(node)?.granted);
    if (outcome === "won") this.campaign(false);
    else if (outcome === "lost") this.raft.becomeFollower(this.raft.term, 0);
    return outcome !== "pending";
  }

  onVoteResponse(peer: NodeId, message: RaftMessage): void {
    if (this.raft.role !== "candidate" || message.term !== this.raft.term) return;
    this.ballots.set(peer, ballotOf(message));
    this.decideVote();
  }

  private decideVote(): void {
    const outcome = voteOutcome(this.raft.configuration, (node) => this.countedVote(node));
    if (outcome === "won") this.raft.becomeLeader();
    else if (outcome === "lost") this.raft.becomeFollower(this.raft.term, 0);
  }

  /**
   * A vote is void if another voter knows another life of its giver: that life may have voted again. (Any quorum that
   * confirmed the other life's recovery shares a member with the voters here.)
   */
  private countedVote(node: NodeId): boolean | undefined {
    const ballot = this.ballots.get(node);
    if (ballot === undefined || !ballot.granted) return ballot?.granted;
    for (const other of this.ballots.values()) {
      if (other.granted && (other.known.get(node) ?? ballot.incarnation) !== ballot.incarnation) return undefined;
    }
    return true;
  }
}

function ballotOf(message: RaftMessage): Ballot {
  const known = new Map<NodeId, number>();
  for (let i = 0; i + 1 < message.numbers.length; i += 2) known.set(message.numbers[i], message.numbers[i + 1]);
  return { granted: message.has(MessageFlag.granted), incarnation: message.incarnation, known };
}

import { assert } from "../../core/assert.js";
import type { NodeId } from "../../core/machine.js";
import { MessageFlag, MessageKind, type RaftMessage } from "./message.js";
import type { Raft } from "./raft.js";
import { isRecoveryRound } from "./recovery.js";

/** Messages of peers: whose life and term counts, and what part of the replica they are for. */
export class Inbox {
  constructor(private readonly raft: Raft) {}

  receive(peer: NodeId, message: RaftMessage): void {
    const { raft } = this;
    if (message.kind === MessageKind.staleIncarnation) {
      raft.recovery.onStale(message);
      return;
    }
    if (!raft.recovery.accept(peer, message)) return;
    if (message.has(MessageFlag.clock)) raft.clock.note(peer, message.clockMs, raft.monotonicMs);
    raft.leader?.heard(peer, message);
    if (message.kind === MessageKind.preVote) raft.election.onPreVote(peer, message);
    else if (message.kind === MessageKind.vote) raft.election.onVote(peer, message);
    else if (message.kind === MessageKind.preVoteResponse && message.has(MessageFlag.granted)) {
      raft.election.onPreVoteResponse(peer, message);
    } else if (this.acceptTerm(peer, message)) this.dispatch(peer, message);
  }

  private acceptTerm(peer: NodeId, message: RaftMessage): boolean {
    const { raft } = this;
    const fromLeader = message.kind === MessageKind.append || message.kind === MessageKind.heartbeat;
    if (message.term < raft.term) {
      // Tell a deposed leader of the newer term, so that it steps down.
      if (fromLeader) raft.outbox.send(peer, raft.message(MessageKind.appendResponse));
      return message.kind === MessageKind.forward || message.kind === MessageKind.readIndex;
    }
    if (message.term > raft.term) raft.becomeFollower(message.term, fromLeader ? peer : 0);
    if (fromLeader) {
      assert(raft.leader === null, "raft: two leaders in one term");
      if (raft.leaderId !== peer || raft.role !== "follower") raft.becomeFollower(message.term, peer);
      raft.election.restartTimer();
      raft.leaderCommit = message.commit;
      raft.gateway.leaderRefuses = message.has(MessageFlag.refusing);
      if (!raft.recovery.note(message)) return false;
    }
    return true;
  }

  private dispatch(peer: NodeId, message: RaftMessage): void {
    const { raft } = this;
    switch (message.kind) {
      case MessageKind.append:
        raft.follower.onAppend(peer, message);
        break;
      case MessageKind.heartbeat:
        raft.follower.onHeartbeat(peer, message);
        break;
      case MessageKind.appendResponse:
        raft.leader?.onAppendResponse(peer, message);
        break;
      case MessageKind.heartbeatResponse:
        raft.leader?.onHeartbeatResponse(peer, message);
        break;
      case MessageKind.preVoteResponse:
        raft.election.onPreVoteResponse(peer, message);
        break;
      case MessageKind.voteResponse:
        raft.election.onVoteResponse(peer, message);
        break;
      case MessageKind.forward:
        raft.leader?.offerSections(peer, message.payload);
        break;
      case MessageKind.forwardRefused:
        if (peer === raft.leaderId) raft.gateway.writes.refused(message.client, message.index);
        break;
      case MessageKind.readIndex:
        raft.leader?.askReadIndex(peer, message.round);
        break;
      case MessageKind.readIndexResponse:
        this.onReadIndexResponse(message);
        break;
      case MessageKind.timeoutNow:
        if (peer === raft.leaderId && raft.mayCampaign) raft.election.campaign(true);
        break;
      case MessageKind.progressQuery:
        if (raft.leader !== null) raft.gateway.waits.onQuery(peer, message);
        break;
      case MessageKind.progressResponse:
        raft.gateway.waits.onResponse(peer, message);
        break;
    }
  }

  private onReadIndexResponse(message: RaftMessage): void {
    const { raft } = this;
    raft.follower.commitThrough(message.index);
    if (isRecoveryRound(message.round)) raft.recovery.indexKnown(message.round, message.index);
    else raft.gateway.reads.indexKnown(message.round, message.index);
  }
}

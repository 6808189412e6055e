/**
 * Planted bugs: each a promise that the protocol rests on, broken in one place. The swarm must catch every one of them;
 * a swarm that does not is not looking.
 */
import type { GroupId, NodeId, ReplicaProgress } from "../core/machine.js";
import type { State } from "../core/state.js";
import { type ChangeHistory, END_OF_VERSION } from "../kv/change-history.js";
import { CommandFlag, Op } from "../kv/command.js";
import type { Store } from "../kv/store.js";
import { endOfTable, Table } from "../kv/tables.js";
import type { LogOptions } from "../node/log/options.js";
import type { GamutNode } from "../node/node.js";
import type { Gossip } from "../protocols/gossip/gossip.js";
import type { GossipOptions } from "../protocols/gossip/options.js";
import { Election } from "../protocols/raft/election.js";
import { Leader } from "../protocols/raft/leader.js";
import { MessageKind } from "../protocols/raft/message.js";
import type { RaftOptions } from "../protocols/raft/options.js";
import { isVoter } from "../protocols/raft/quorum.js";
import { Raft } from "../protocols/raft/raft.js";

/** What a canary puts in the place of the sound parts. */
export interface Canary {
  readonly name: string;
  /** What it breaks, and what must come of it. */
  readonly story: string;
  readonly makeGossip?: (options: GossipOptions, state: State) => Gossip;
  readonly makeRaft?: (options: RaftOptions, state: State) => Raft;
  /** What the log's recovery makes of bytes that it cannot explain. */
  readonly logVerdict?: LogOptions["verdict"];
  /** What else it does to a node that is about to start. */
  readonly tamper?: (node: GamutNode) => void;
}

/** A vote leaves before it is durable: after a power loss its giver may vote again in the same term. */
class UnheldVoteRaft extends Raft {
  constructor(options: RaftOptions, state: State) {
    super(options, state);
    const { outbox } = this;
    const hold = outbox.sendHeld.bind(outbox);
    outbox.sendHeld = (peer, message) => {
      if (message.kind === MessageKind.voteResponse) outbox.send(peer, message);
      else hold(peer, message);
    };
  }
}

/** Held messages leave with their own drain: one without records of its own does not wait for the records before it. */
class ReleaseByDrainRaft extends Raft {
  constructor(options: RaftOptions, state: State) {
    super(options, state);
    const { outbox } = this;
    const hold = outbox.sendHeld.bind(outbox);
    outbox.sendHeld = (peer, message) => {
      if (outbox.records.length === 0) outbox.send(peer, message);
      else hold(peer, message);
    };
  }
}

/** A leader answers reads without asking whether it still leads. */
class StaleLeader extends Leader {
  constructor(private readonly host: Raft) {
    super(host);
  }

  override askReadIndex(peer: NodeId, round: number): void {
    this.host.giveReadIndex(peer, round, this.host.commitIndex);
  }
}

class StaleLeaderRaft extends Raft {
  protected override createLeader(): Leader {
    return new StaleLeader(this);
  }
}

/** A new leader answers reads before it knows what its predecessors have committed. */
class HastyLeader extends Leader {
  protected override mayGiveReadIndex(): boolean {
    return true;
  }
}

class HastyLeaderRaft extends Raft {
  protected override createLeader(): Leader {
    return new HastyLeader(this);
  }
}

/** The disk's word about a replaced entry is taken for its replacement's. */
class AbaRaft extends Raft {
  protected override forgetPendingEntries(): void {}
}

/** A replica that has lost its memory votes as if it had promised nothing. */
class ForgetfulElection extends Election {
  constructor(private readonly host: Raft) {
    super(host);
  }

  protected override mayVote(peer: NodeId): boolean {
    return isVoter(this.host.configuration, this.host.node) && isVoter(this.host.configuration, peer);
  }
}

class ForgetfulRaft extends Raft {
  protected override createElection(): Election {
    return new ForgetfulElection(this);
  }
}

/** Snapshots arrive without the table of what was done before: a retry is done again. */
class NoSessionsRaft extends Raft {
  constructor(
    options: RaftOptions,
    private readonly ownState: State,
  ) {
    super(options, ownState);
  }

  override snapshotInstalled(epoch: number, position: number): void {
    const keys: string[] = [];
    for (const table of [Table.session, Table.sessionUse, Table.result]) {
      this.ownState.range(table, endOfTable(table), (key) => keys.push(key) > 0);
    }
    for (const key of keys) this.ownState.delete(key);
    super.snapshotInstalled(epoch, position);
  }
}

/** A scan goes on after the first key that it has not visited, instead of at it. */
class SkippingScanRaft extends Raft {
  constructor(options: RaftOptions, state: State) {
    super(options, state);
    makeScansSkip(this.store);
  }

  override snapshotInstalled(epoch: number, position: number): void {
    super.snapshotInstalled(epoch, position);
    makeScansSkip(this.store);
  }
}

function makeScansSkip(store: Store): void {
  const read = store.read.bind(store);
  store.read = (command, wallMs) => {
    const result = read(command, wallMs);
    if (command.op !== Op.scan || result.key === "") return result;
    // In reverse the cursor is the key that comes after the next one: without its end it is that one.
    result.key = (command.flags & CommandFlag.reverse) === 0 ? `${result.key}\0` : result.key.slice(0, -1);
    return result;
  };
}

/** A node goes by the group that it first knew under a keyspace's name. */
function keepGroups(node: GamutNode): void {
  const groups = new Map<string, GroupId>();
  const changed = node.catalogChanged.bind(node);
  node.catalogChanged = (catalog) => {
    for (const [name, keyspace] of catalog.keyspaces) {
      const group = groups.get(name) ?? keyspace.group;
      groups.set(name, group);
      catalog.keyspaces.set(name, { ...keyspace, group });
    }
    changed(catalog);
  };
}

/** A leader takes what it has sent for what has become durable. */
class HopefulRaft extends Raft {
  override progress(): ReplicaProgress[] {
    return super.progress().map((replica) => {
      const sent = this.leader?.progress.get(replica.node);
      return sent === undefined ? replica : { ...replica, durablePosition: sent.next - 1 };
    });
  }
}

/** Who watches and has heard everything goes on as if nothing lay between, when a snapshot takes the place of the state. */
function missJumps(history: ChangeHistory): void {
  const restart = history.restart.bind(history);
  history.restart = (version) => {
    const { end } = history;
    restart(version);
    history.first = history.end = end;
  };
}

/** A position within a version is taken for that version's end. */
function forgetOrdinals(history: ChangeHistory): void {
  const after = history.after.bind(history);
  history.after = (version) => after(version, END_OF_VERSION);
}

function withHistory(options: RaftOptions, state: State, tamper: (history: ChangeHistory) => void): Raft {
  if (options.changes !== undefined) tamper(options.changes as ChangeHistory);
  return new Raft(options, state);
}

/** A token is taken and forgotten. */
function ignoreTokens(node: GamutNode): void {
  node.acceptToken = () => null;
}

/** Whatever has happened, it is the same boot of the machine. */
function missCrashes(node: GamutNode): void {
  (node.options as { bootId: string }).bootId = "always the same";
}

/** Of any protocol. */
export const FORGETS_POLITELY: Canary = {
  name: "os-forgets-politely",
  story: "a node that syncs later comes back from a crash of its machine as if nothing could have been lost",
  tamper: missCrashes,
};

export const CANARIES: readonly Canary[] = [
  {
    name: "unheld-vote",
    story: "a vote leaves before it is durable; after a power loss its giver votes again in the same term",
    makeRaft: (options, state) => new UnheldVoteRaft(options, state),
  },
  {
    name: "release-by-drain",
    story: "the acknowledgement of a duplicate append does not wait for the disk, because its drain has no record",
    makeRaft: (options, state) => new ReleaseByDrainRaft(options, state),
  },
  {
    name: "stale-leader-read",
    story: "a leader answers reads without asking a majority whether it still leads",
    makeRaft: (options, state) => new StaleLeaderRaft(options, state),
  },
  {
    name: "read-index-before-own-term",
    story: "a new leader answers reads before an entry of its own term is committed",
    makeRaft: (options, state) => new HastyLeaderRaft(options, state),
  },
  {
    name: "aba-acknowledgement",
    story: "the disk's acknowledgement of a replaced entry counts for the entry that took its place",
    makeRaft: (options, state) => new AbaRaft(options, state),
  },
  {
    name: "recovering-replica-votes",
    story: "a replica that has lost its memory gives votes",
    makeRaft: (options, state) => new ForgetfulRaft(options, state),
  },
  {
    name: "dedup-not-in-snapshot",
    story: "a snapshot is installed without the table of the requests that were done",
    makeRaft: (options, state) => new NoSessionsRaft(options, state),
  },
  {
    name: "scan-cursor-skips",
    story: "a scan goes on after the first key that it has not visited, instead of at it",
    makeRaft: (options, state) => new SkippingScanRaft(options, state),
  },
  {
    name: "keyspace-keeps-its-group",
    story: "a keyspace that is dropped and made again goes by the group of its first life",
    tamper: keepGroups,
  },
  {
    name: "wait-counts-what-was-sent",
    story: "a leader asked for durable copies counts what it has sent to a replica and that one has not acknowledged",
    makeRaft: (options, state) => new HopefulRaft(options, state),
  },
  {
    name: "token-not-minded",
    story: "a session takes a token and does not wait for what it speaks of",
    tamper: ignoreTokens,
  },
  {
    name: "watch-misses-a-snapshot",
    story: "who watches a replica is not told that a snapshot took the place of its state",
    makeRaft: (options, state) => withHistory(options, state, missJumps),
  },
  {
    name: "watch-goes-on-at-the-next-version",
    story: "who goes on from a position within a version is not told of what was left of that version",
    makeRaft: (options, state) => withHistory(options, state, forgetOrdinals),
  },
  {
    name: "tail-taken-for-corruption",
    story: "a write that was cut short by a crash is taken for damage: memory is thrown away that was whole",
    logVerdict: () => "damaged",
  },
  {
    name: "corruption-taken-for-tail",
    story: "damage in the log is taken for a write that was cut short: what was promised is cut off without a word",
    logVerdict: () => "tail",
  },
  FORGETS_POLITELY,
];

/** The canary of that name; null for "", which is none. Throws on an unknown name. */
export function canaryByName(name: string, canaries: readonly Canary[] = CANARIES): Canary | null {
  if (name === "") return null;
  const found = canaries.find((canary) => canary.name === name);
  if (found === undefined) {
    throw new Error(`there is no canary ${name}; there are ${canaries.map((canary) => canary.name).join(", ")}`);
  }
  return found;
}

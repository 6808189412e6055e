import { CATALOG_GROUP, Catalog } from "../cluster/catalog.js";
import type { GroupId, NodeId } from "../core/machine.js";
import { getCommand } from "../kv/command.js";
import { PartKind, readFrame } from "../node/frame.js";
import type { BufferedState } from "../node/state/buffered-state.js";
import { MessageFlag, MessageKind, raftCodec } from "../protocols/raft/message.js";
import type { Raft } from "../protocols/raft/raft.js";
import { Holders } from "./holders.js";
import { type DurabilityListener, Promises } from "./promises.js";
import { hashState, Reference } from "./reference.js";

/** A replica as it runs on a computer. */
export class Replica {
  leaderTerm = 0;
  readonly promises: Promises;

  constructor(
    readonly raft: Raft,
    readonly state: BufferedState,
    before: Replica | null,
    broken: (problem: string) => void,
    durable: DurabilityListener,
  ) {
    this.promises = new Promises(raft, before === null ? null : before.promises, broken, durable);
  }
}

/** A state is compared at every so many turns: reading it all costs more than the turn. */
const TURNS_BETWEEN_HASHES = 40;

/**
 * What must hold at every moment, seen from outside: all replicas apply the same entries and come by the same state, a
 * term has one leader, a life of a replica gives one vote a term.
 */
export class Safety {
  private readonly references = new Map<GroupId, Reference>();
  private readonly holders = new Map<GroupId, Holders>();
  private readonly replicas: Map<GroupId, Replica>[] = [];
  /** The replicas of each node's last process that had them. */
  private readonly ended: Map<GroupId, Replica>[] = [];
  /** Who led which term of which group, who was voted for by which life in which term. */
  private readonly once = new Map<string, NodeId>();
  private turns = 0;
  elections = 0;
  handovers = 0;
  snapshotsInstalled = 0;
  statesCompared = 0;
  /** Replicas that went with their keyspace. */
  replicasDropped = 0;
  private catalogPosition = -1;
  private catalog = new Catalog();

  constructor(
    nodes: number,
    private readonly violate: (problem: string) => void,
  ) {
    for (let node = 0; node <= nodes; node += 1) {
      this.replicas.push(new Map());
      this.ended.push(new Map());
    }
  }

  reference(group: GroupId): Reference {
    let reference = this.references.get(group);
    if (reference === undefined) {
      reference = new Reference();
      this.references.set(group, reference);
    }
    return reference;
  }

  private holdersOf(group: GroupId): Holders {
    let holders = this.holders.get(group);
    if (holders === undefined) {
      holders = new Holders();
      this.holders.set(group, holders);
    }
    return holders;
  }

  /** How many replicas besides the leader that this node knows have ever had the entry at `position` on their disks. */
  copiesBesidesLeader(node: NodeId, group: GroupId, position: number): number {
    const leader = this.replicas[node].get(group)?.raft.leaderId;
    const holders = this.holdersOf(group);
    const term = this.reference(group).termAt(position);
    let copies = 0;
    for (let other = 1; other < this.replicas.length; other += 1) {
      if (other !== leader && holders.hasHeld(other, position, term)) copies += 1;
    }
    return copies;
  }

  replicaStarts(node: NodeId, group: GroupId, raft: Raft, state: BufferedState): void {
    const installed = raft.snapshotInstalled.bind(raft);
    raft.snapshotInstalled = (epoch, position) => {
      this.snapshotsInstalled += 1;
      installed(epoch, position);
    };
    const before = this.ended[node].get(group) ?? null;
    const broken = (problem: string): void => this.violate(`node ${node}, group ${group}: ${problem}`);
    const holders = this.holdersOf(group);
    const durable: DurabilityListener = {
      entryDurable: (position, term) => holders.entryDurable(node, position, term),
      stateDurable: (position) => holders.stateDurable(node, position),
    };
    this.replicas[node].set(group, new Replica(raft, state, before, broken, durable));
    const abandon = raft.abandon.bind(raft);
    raft.abandon = (code) => {
      abandon(code);
      this.replicas[node].delete(group);
      this.ended[node].delete(group);
      this.replicasDropped += 1;
    };
  }

  /** The newest state of the catalog that anybody has applied. */
  private newestCatalog(): Catalog {
    const reference = this.reference(CATALOG_GROUP);
    if (reference.position !== this.catalogPosition) {
      this.catalogPosition = reference.position;
      this.catalog = new Catalog();
      for (const key of reference.keys) this.catalog.take(key, reference.read(getCommand(key)));
    }
    return this.catalog;
  }

  /** Groups of the keyspaces that there are. */
  keyspaceGroups(): GroupId[] {
    return [...this.newestCatalog().keyspaces.values()].map((keyspace) => keyspace.group);
  }

  /**
   * Whether all know the node's present life, and no keyspace takes its replica for one that is being rebuilt: one that is
   * made while the catalog still has the life before does so.
   */
  isSettled(node: NodeId): boolean {
    const { members, keyspaces } = this.newestCatalog();
    const own = this.replicas[node];
    const incarnation = (own.get(CATALOG_GROUP) ?? this.ended[node].get(CATALOG_GROUP))?.raft.hard.incarnation;
    if (members.get(node)?.incarnation !== incarnation) return false;
    for (const { group, incarnations } of keyspaces.values()) {
      const replica = own.get(group);
      const then = incarnations.find(([member]) => member === node);
      if (replica === undefined ? then?.[1] !== incarnation : replica.raft.recovering) return false;
    }
    return true;
  }

  processEnds(node: NodeId): void {
    for (const [group, replica] of this.replicas[node]) this.ended[node].set(group, replica);
    this.replicas[node].clear();
  }

  replicasOn(node: NodeId): ReadonlyMap<GroupId, Replica> {
    return this.replicas[node];
  }

  applied(node: NodeId, group: GroupId, position: number, term: number, payload: Uint8Array): void {
    const problem = this.reference(group).applied(position, term, payload);
    if (problem !== "") this.violate(`node ${node}, group ${group}: ${problem}`);
  }

  turned(node: NodeId): void {
    this.turns += 1;
    const compare = this.turns % TURNS_BETWEEN_HASHES === 0;
    for (const [group, replica] of this.replicas[node]) {
      if (replica.raft.role === "leader") this.leads(node, group, replica);
      const problem = replica.promises.check();
      if (problem !== "") this.violate(`node ${node}, group ${group}: ${problem}`);
      if (compare) this.compareState(node, group, replica);
    }
  }

  private leads(node: NodeId, group: GroupId, replica: Replica): void {
    const { term } = replica.raft;
    if (replica.leaderTerm === term) return;
    replica.leaderTerm = term;
    this.elections += 1;
    this.onlyOnce(`the leader of term ${term} of group ${group}`, node);
  }

  /** A replica's state must be what its entries make of nothing. */
  compareState(node: NodeId, group: GroupId, { raft, state }: Replica): void {
    const { appliedPosition } = raft.outbox;
    // While a snapshot takes the state's place, the state is ahead of the machine, which rests.
    if (appliedPosition === 0 || !state.mayCheckpoint) return;
    this.statesCompared += 1;
    const problem = this.reference(group).stateSeen(appliedPosition, hashState(state));
    if (problem !== "") this.violate(`node ${node}, group ${group}: ${problem}`);
  }

  /** Looks at what a node sends: a promise that has left cannot be taken back, whatever becomes of the node. */
  frameSent(node: NodeId, peer: NodeId, frame: Uint8Array): void {
    readFrame(frame, (group, kind, part) => {
      const replica = this.replicas[node].get(group);
      if (kind !== PartKind.message || replica === undefined) return;
      const message = raftCodec.decode(part);
      const problem = replica.promises.sent(peer, message);
      if (problem !== "") this.violate(`node ${node}, group ${group}: ${problem}`);
      if (message.kind === MessageKind.timeoutNow) this.handovers += 1;
      if (message.kind !== MessageKind.voteResponse || !message.has(MessageFlag.granted)) return;
      const life = `node ${node}, life ${message.incarnation}`;
      this.onlyOnce(`the vote of ${life}, in term ${message.term} of group ${group}`, peer);
    });
  }

  private onlyOnce(what: string, who: NodeId): void {
    const before = this.once.get(what);
    if (before === undefined) this.once.set(what, who);
    else if (before !== who) this.violate(`${what} is node ${who}, and was node ${before}`);
  }
}

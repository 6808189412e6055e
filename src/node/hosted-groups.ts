import { CATALOG_GROUP, type Catalog, type KeyspaceEntry } from "../cluster/catalog.js";
import { latin1Decode } from "../core/bytes.js";
import type { GroupId, Incarnation, NodeId } from "../core/machine.js";
import { ChangeHistory } from "../kv/change-history.js";
import type { Protocol } from "../kv/grants.js";
import { OriginHistory } from "../kv/origin-history.js";
import { Gossip } from "../protocols/gossip/gossip.js";
import type { GossipOptions } from "../protocols/gossip/options.js";
import type { RaftOptions } from "../protocols/raft/options.js";
import type { Configuration } from "../protocols/raft/quorum.js";
import { Raft } from "../protocols/raft/raft.js";
import type { NodeContext } from "./context.js";
import { Group } from "./group.js";
import type { NodeHooks } from "./hooks.js";
import type { RecoveredGroup } from "./log/outcome.js";
import { OriginWatches, watchedOrigins } from "./origin-watches.js";
import type { GroupStore, Ports } from "./ports.js";
import type { Found } from "./start-up.js";
import type { BufferedState } from "./state/buffered-state.js";
import { KeptChanges } from "./state/kept-changes.js";
import { type WatchedGroup, Watches } from "./watches.js";

/** What the groups need of the node. */
export interface GroupsHost extends NodeContext {
  readonly nodeId: NodeId;
  readonly incarnation: Incarnation;
  /** Runs a step that may find the state damaged. */
  guard(step: () => void): void;
  groupRuns(id: GroupId): void;
}

/** Up to so many segments of the log nobody is asked to let go of one; above, whoever wrote little; then everybody. */
const LOG_SEGMENTS_MIN = 2;
const LOG_SEGMENTS_MAX = 24;

interface Dropped {
  readonly id: GroupId;
  readonly store: GroupStore | undefined;
  /** Of the catalog, when this node learnt of the drop. */
  readonly position: number;
}

/** The groups that this node has a replica of: those that the catalog says, started, and dropped with their keyspace. */
export class HostedGroups {
  private readonly running = new Map<GroupId, Group>();
  private readonly kept: KeptChanges;
  private readonly opening = new Set<GroupId>();
  private wanted: ReadonlySet<GroupId> = new Set([CATALOG_GROUP]);
  /** Found at the start and not taken up yet. */
  private stores = new Map<GroupId, GroupStore>();
  private recovered = new Map<GroupId, RecoveredGroup>();
  /**
   * Dropped, and not erased yet: a restart goes by the catalog of its last checkpoint. Were that older than the drop, it
   * would open the group again, find its state gone, and take that for a memory lost.
   */
  private dropped: Dropped[] = [];
  private diskRefusal = "";
  private diskFull = false;
  private leadAllowed = true;

  constructor(
    private readonly host: GroupsHost,
    private readonly ports: Ports,
    private readonly hooks: NodeHooks,
  ) {
    this.kept = new KeptChanges(host.options.keptChangesBytes);
  }

  found(found: Found): void {
    this.stores = found.stores;
    this.recovered = found.groups;
  }

  get(id: GroupId): Group | undefined {
    return this.running.get(id);
  }

  /** Runs here, or will in a moment. */
  has(id: GroupId): boolean {
    return this.running.has(id) || this.opening.has(id);
  }

  get size(): number {
    return this.running.size;
  }

  all(): IterableIterator<Group> {
    return this.running.values();
  }

  /** `recovering`: this replica stands in for one that was lost. */
  open(id: GroupId, protocol: Protocol, configuration: Configuration, recovering: boolean): void {
    if (this.has(id)) return;
    this.opening.add(id);
    const store = this.stores.get(id);
    this.stores.delete(id);
    if (store !== undefined) this.start(id, store, protocol, configuration, recovering);
    else {
      this.ports.store.open(id, (error, opened) => {
        if (error !== null || opened === null) {
          this.host.fatal(`the state of group ${id} cannot be opened: ${error?.message}`);
        } else this.start(id, opened, protocol, configuration, recovering);
        this.host.wake();
      });
    }
  }

  private start(
    id: GroupId,
    store: GroupStore,
    protocol: Protocol,
    configuration: Configuration,
    recovering: boolean,
  ): void {
    const { host } = this;
    this.opening.delete(id);
    const recovered = this.recovered.get(id);
    this.recovered.delete(id);
    this.stores.delete(id);
    const tail = recovered === undefined ? [] : [...recovered.records];
    if (recovered?.hardState) tail.push(recovered.hardState);
    host.guard(() => {
      const group = this.createGroup(id, store, protocol, configuration);
      group.machine.mayLead(this.leadAllowed);
      group.machine.diskRefused(this.diskRefusal, this.diskFull);
      group.start({ incarnation: host.incarnation, recovering }, tail);
      this.running.set(id, group);
      if (this.wanted.has(id)) host.groupRuns(id);
      else this.drop(id, group);
    });
  }

  private createGroup(id: GroupId, store: GroupStore, protocol: Protocol, configuration: Configuration): Group {
    const { host } = this;
    const { watch } = host.options;
    if (protocol === "gossip") {
      const changes = new OriginHistory(watch.history);
      const group = new Group(id, protocol, host, store, this.kept, (_id, state) =>
        this.createGossip(id, state, configuration, changes),
      );
      group.watches = new OriginWatches(watchedOrigins(id, group.machine as Gossip, host), watch);
      return group as Group;
    }
    const history = new ChangeHistory(watch.history);
    let raft: Raft | null = null;
    const group = new Group(id, protocol, host, store, this.kept, (_id, state) => {
      raft = this.createRaft(id, state, configuration, history);
      return raft;
    });
    const watched: WatchedGroup = {
      id,
      history,
      read: (command) => raft!.store.read(command),
      revision: () => raft!.store.revision,
      wake: () => host.wake(),
    };
    group.watches = new Watches(watched, watch);
    return group as Group;
  }

  /** After the turn's answers. */
  tellWatches(nowMs: number): void {
    for (const group of this.all()) group.tellWatches(nowMs);
  }

  private createGossip(
    id: GroupId,
    state: BufferedState,
    { voters, learners }: Configuration,
    changes: OriginHistory,
  ): Gossip {
    const options: GossipOptions = {
      ...this.host.options.gossip,
      node: this.host.nodeId,
      members: [...voters, ...learners],
      seed: this.ports.entropy.u48(),
      changes,
    };
    return this.hooks.createGossip?.(id, options, state) ?? new Gossip(options, state);
  }

  private createRaft(id: GroupId, state: BufferedState, configuration: Configuration, changes: ChangeHistory): Raft {
    const { onApply, createRaft } = this.hooks;
    const { raft, log } = this.host.options;
    const options: RaftOptions = {
      ...raft,
      // Half of a batch: the overhead of small entries, and the hard state.
      maxBytesLoggedAgain: Math.min(raft.maxBytesLoggedAgain, Math.floor(log.batchBytesMax / 2)),
      node: this.host.nodeId,
      configuration,
      seed: this.ports.entropy.u48(),
      newClientId: () => this.newClientId(),
      changes,
      ...(onApply && { onApply: (index, term, payload) => onApply(id, index, term, payload) }),
    };
    return createRaft === undefined ? new Raft(options, state) : createRaft(options, state);
  }

  /** 128 bits as 16 latin1 chars. */
  private newClientId(): string {
    const bytes = new Uint8Array(16);
    for (let i = 0; i < 16; i += 1) bytes[i] = this.ports.entropy.u48() & 0xff;
    return latin1Decode(bytes);
  }

  /** Starts what the catalog has, drops what it has no more. */
  follow(catalog: Catalog): void {
    const wanted = new Set<GroupId>([CATALOG_GROUP]);
    for (const keyspace of catalog.keyspaces.values()) wanted.add(keyspace.group);
    this.wanted = wanted;
    for (const keyspace of catalog.keyspaces.values()) {
      const { group, protocol, voters, learners } = keyspace;
      // It is to serve after a restart that reaches nobody: what the catalog says of it must not wait for a leader.
      if (protocol === "gossip" && !this.has(group)) this.running.get(CATALOG_GROUP)?.askCheckpoint();
      this.open(group, protocol, { voters, learners, outgoing: [] }, this.standsInFor(keyspace));
    }
    for (const [id, group] of this.running) if (!wanted.has(id)) this.drop(id, group);
    this.forgetDropped(catalog.nextGroup);
  }

  /** Whether the replica that this keyspace was made with is gone, and this node a later life of it. */
  private standsInFor(keyspace: KeyspaceEntry): boolean {
    const then = keyspace.incarnations.find(([node]) => node === this.host.nodeId);
    return then === undefined || then[1] !== this.host.incarnation;
  }

  private drop(id: GroupId, group: Group): void {
    this.running.delete(id);
    group.drop();
    this.eraseLater(id, group.store);
  }

  private eraseLater(id: GroupId, store: GroupStore | undefined): void {
    const catalog = this.running.get(CATALOG_GROUP)!;
    this.dropped.push({ id, store, position: catalog.machine.outbox.appliedPosition });
    catalog.askCheckpoint();
  }

  tick(): void {
    this.freeLog();
    this.eraseDropped();
    for (const group of this.all()) group.reapSenders();
  }

  /**
   * All groups share the log, and a segment goes when nobody needs an entry in it. A group with much to write makes its
   * checkpoints by itself; one that has written little, and long ago, would keep what the others have written since.
   */
  private freeLog(): void {
    const { segments, oldestHeldBy } = this.host.log.status();
    if (segments <= LOG_SEGMENTS_MIN) return;
    for (const id of oldestHeldBy) {
      const group = this.running.get(id);
      if (group?.logsLittle || segments > LOG_SEGMENTS_MAX) group?.releaseLog();
    }
  }

  /** Erases what was dropped, as far as the catalog's checkpoint knows of it. */
  private eraseDropped(): void {
    if (this.dropped.length === 0) return;
    const known = this.running.get(CATALOG_GROUP)!.checkpointPosition;
    this.dropped = this.dropped.filter(({ id, store, position }) => {
      if (position > known) return true;
      store?.drop(() => {});
      this.host.log.forget(id);
      return false;
    });
  }

  /**
   * Groups in the log that were dropped while this node was down. What the view does not know yet (it may be older than
   * the log) is kept: only a group that was made before it, and is not in it, is gone.
   */
  private forgetDropped(nextGroup: GroupId): void {
    for (const id of new Set([...this.recovered.keys(), ...this.stores.keys()])) {
      if (this.wanted.has(id) || id >= nextGroup) continue;
      this.eraseLater(id, this.stores.get(id));
      this.recovered.delete(id);
      this.stores.delete(id);
    }
  }

  diskRefused(reason: string, full: boolean): void {
    this.diskRefusal = reason;
    this.diskFull = full;
    for (const group of this.all()) group.machine.diskRefused(reason, full);
  }

  mayLead(allowed: boolean): void {
    this.leadAllowed = allowed;
    for (const group of this.all()) group.machine.mayLead(allowed);
  }

  /** Before a stop: a checkpoint each, and leadership to others. */
  windDown(): void {
    this.mayLead(false);
    for (const group of this.all()) {
      group.askCheckpoint();
      group.machine.stepAside();
    }
  }

  get isBusy(): boolean {
    return [...this.all()].some((group) => group.isBusy);
  }

  get leads(): boolean {
    return [...this.all()].some((group) => group.machine.describe().role === "leader");
  }
}

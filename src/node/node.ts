import {
  CATALOG_GROUP,
  type Catalog,
  CLUSTER_VERSION,
  type KeyspaceEntry,
  type MemberEntry,
} from "../cluster/catalog.js";
import { assert } from "../core/assert.js";
import { CodecError, latin1Decode } from "../core/bytes.js";
import { type GroupId, type Incarnation, MemoryLost, type NodeId } from "../core/machine.js";
import type { Backend, BackendStatus, KeyspaceStatus, Principal, Session } from "../kv/backend.js";
import { type Command, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { findGrant } from "../kv/grants.js";
import { LEVEL_NAMES, Level } from "../kv/level.js";
import { errorResult, type Result } from "../kv/result.js";
import { decodeToken, encodeToken, Token } from "../kv/token.js";
import type { RaftOptions } from "../protocols/raft/options.js";
import type { Configuration } from "../protocols/raft/quorum.js";
import { Raft } from "../protocols/raft/raft.js";
import { type AdminDone, CatalogKeeper, type KeeperHost, unknownKeyspace } from "./catalog-keeper.js";
import type { NodeContext } from "./context.js";
import { answerFormingQuestion, Forming } from "./forming.js";
import { FrameWriter, PartKind, readFrame } from "./frame.js";
import { Group } from "./group.js";
import { IDENTITY_FILE, type Identity } from "./identity.js";
import { Log, type LogListener } from "./log/log.js";
import type { RecoveredGroup } from "./log/outcome.js";
import { type NodeOptions, VOTERS_MAX } from "./options.js";
import type { DiskError, GroupStore, NetListener, Ports } from "./ports.js";
import { type NodeRequest, NodeSession } from "./session.js";
import { type Found, StartUp } from "./start-up.js";
import type { BufferedState } from "./state/buffered-state.js";
import { StateDamaged } from "./state/state-damaged.js";

/** Frames are sent early when they grow past this. */
const FRAME_BYTES_MAX = 4 * 1024 * 1024;
const STOP_TICKS = 100;

/** What the node tells the world around it. */
export interface NodeEvents {
  identityChanged(identity: Identity): void;
  /** Something worth a line in the log. */
  notice(message: string): void;
  /** The node has stopped working; its process must end. `rebuild`: the next start sets the data aside. */
  fatal(reason: string, rebuild: boolean): void;
}

export interface NodeHooks {
  /** Another raft, for a planted bug. */
  readonly createRaft?: (options: RaftOptions, state: BufferedState) => Raft;
  /** Sees every entry applied, by group. */
  readonly onApply?: (group: GroupId, index: number, term: number, payload: Uint8Array) => void;
  /** Verify all states in this process before they are used (the runtime has a child process do it). */
  readonly verifyStates?: boolean;
}

/** Requests of a keyspace whose group is not running here yet. */
type Waiting = Map<string, NodeRequest[]>;

/**
 * One member of a cluster: groups with their machines, one log, one way to the peers. Pure: it sees the world through
 * its ports, and the same seeds and inputs make the same outputs. The world calls {@link turn} whenever it was woken,
 * and at least once a tick.
 */
export class GamutNode implements Backend, NetListener, LogListener, NodeContext, KeeperHost {
  log!: Log;
  answered = false;
  nowMs = 0;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];

  private identity!: Identity;
  private stores = new Map<GroupId, GroupStore>();
  private recovered = new Map<GroupId, RecoveredGroup>();
  private readonly groups = new Map<GroupId, Group>();
  private readonly opening = new Set<GroupId>();
  private waiting: Waiting = new Map();
  private refused: { request: NodeRequest; result: Result }[] = [];
  private forming: Forming | null = null;
  private readonly keeper: CatalogKeeper;
  private readonly frames = new Map<NodeId, FrameWriter>();
  private readonly connected = new Set<NodeId>();
  private readonly turnListeners: (() => void)[] = [];
  private lastTickMs = Number.NEGATIVE_INFINITY;
  private snapshotIds = 0;
  private diskRefusal = "";
  private leadAllowed = true;
  private state: "new" | "starting" | "running" | "stopping" | "stopped" = "new";
  private stopDone: (() => void) | null = null;
  private stopTicks = 0;

  constructor(
    readonly options: NodeOptions,
    private readonly ports: Ports,
    private readonly events: NodeEvents,
    private readonly hooks: NodeHooks = {},
  ) {
    const members = options.members.map((member) => member.node).sort((a, b) => a - b);
    assert(members.includes(options.node), "node: the members do not include this node");
    this.voters = members.slice(0, VOTERS_MAX);
    this.learners = members.slice(VOTERS_MAX);
    this.keeper = new CatalogKeeper(this, () => new NodeSession(this, "", true));
  }

  get nodeId(): NodeId {
    return this.options.node;
  }

  get incarnation(): Incarnation {
    return this.identity.incarnation;
  }

  // Start and stop

  /** `problem`: why this node does not start; null once it runs (it may still be waiting for its peers). */
  start(done: (problem: string | null) => void): void {
    assert(this.state === "new", "node: started twice");
    this.state = "starting";
    this.refreshClock();
    const createLog = (): Log =>
      new Log(this.ports.disk, { ...this.options.log, freshIdentity: this.ports.entropy.u48() + 1 }, this);
    new StartUp(this.nodeId, this.ports, createLog, this.hooks.verifyStates === true, (problem, found) => {
      if (found === null) {
        this.state = "stopped";
        done(problem);
        return;
      }
      this.found(found);
      done(null);
    }).run();
  }

  private found(found: Found): void {
    this.identity = found.identity;
    this.log = found.log;
    this.stores = found.stores;
    this.recovered = found.groups;
    if (found.rebuilt !== "") {
      this.events.notice(`${found.rebuilt}. The old data are set aside; this replica is rebuilt from its peers`);
    }
    this.events.identityChanged(this.identity);
    this.state = "running";
    if (this.identity.formed) this.openGroup(CATALOG_GROUP, this.catalogConfiguration, this.identity.recovering);
    else this.form();
    this.wake();
  }

  private form(): void {
    const others = [...this.voters, ...this.learners].filter((node) => node !== this.nodeId);
    const nonce = this.ports.entropy.u48();
    this.forming = new Forming(others, this.identity.incarnation, nonce, this, (outcome) => {
      if (this.forming === null) return;
      const { founders } = this.forming;
      this.forming = null;
      if (outcome === "recovering") {
        this.events.notice(
          "the cluster exists already and this folder is empty: this replica is rebuilt from its peers",
        );
      }
      this.saveIdentity(this.identity.with({ formed: true, recovering: outcome === "recovering", founders }), () =>
        this.openGroup(CATALOG_GROUP, this.catalogConfiguration, this.identity.recovering),
      );
    });
  }

  private saveIdentity(identity: Identity, then: () => void): void {
    this.ports.disk.replace(IDENTITY_FILE, identity.encode(), (error: DiskError | null) => {
      if (error !== null) {
        this.fatal(`the identity file cannot be written: ${error.message}`);
        return;
      }
      this.identity = identity;
      this.events.identityChanged(identity);
      then();
      this.wake();
    });
  }

  /** Hands leadership over, makes a checkpoint so that the next start is quick, then calls `done`. */
  stop(done: () => void): void {
    if (this.state !== "running") {
      this.state = "stopped";
      done();
      return;
    }
    this.state = "stopping";
    this.stopDone = done;
    for (const group of this.groups.values()) {
      group.askCheckpoint();
      group.machine.mayLead(false);
      group.machine.stepAside();
    }
    this.wake();
  }

  private continueStop(): void {
    this.stopTicks += 1;
    const groups = [...this.groups.values()];
    // Nobody is there to take over: no use in waiting.
    const leads = this.connected.size > 0 && groups.some((group) => group.machine.describe().role === "leader");
    if ((leads || groups.some((group) => group.isBusy)) && this.stopTicks < STOP_TICKS) return;
    this.state = "stopped";
    this.stopDone?.();
  }

  fatal(reason: string, rebuild = false): void {
    if (this.state === "stopped") return;
    this.state = "stopped";
    this.events.fatal(reason, rebuild);
  }

  /** What was read from the state is not what was written: note it, stop, and rebuild at the next start. */
  private damaged(problem: string): void {
    const marked = this.identity.with({ damage: problem });
    const reason = `${problem}. The next start sets the data aside and rebuilds them from the peers`;
    this.state = "stopped";
    this.ports.disk.replace(IDENTITY_FILE, marked.encode(), () => this.events.fatal(reason, true));
  }

  // Groups

  private get catalogConfiguration(): Configuration {
    return { voters: this.voters, learners: this.learners, outgoing: [] };
  }

  private openGroup(id: GroupId, configuration: Configuration, recovering: boolean): void {
    if (this.groups.has(id) || this.opening.has(id)) return;
    this.opening.add(id);
    const store = this.stores.get(id);
    if (store !== undefined) this.startGroup(id, store, configuration, recovering);
    else {
      this.ports.store.open(id, (error, opened) => {
        if (this.state === "stopped") return;
        if (error !== null || opened === null)
          this.fatal(`the state of group ${id} cannot be opened: ${error?.message}`);
        else this.startGroup(id, opened, configuration, recovering);
        this.wake();
      });
    }
  }

  private startGroup(id: GroupId, store: GroupStore, configuration: Configuration, recovering: boolean): void {
    this.opening.delete(id);
    const group = new Group(id, this, store, (_id, state) => this.createRaft(id, state, configuration)) as Group;
    const recovered = this.recovered.get(id);
    this.recovered.delete(id);
    this.stores.delete(id);
    const tail = recovered === undefined ? [] : [...recovered.records];
    if (recovered?.hardState) tail.push(recovered.hardState);
    this.groups.set(id, group);
    group.machine.mayLead(this.leadAllowed && this.state === "running");
    group.machine.diskRefused(this.diskRefusal);
    this.guard(() => group.start({ incarnation: this.identity.incarnation, recovering }, tail));
    for (const keyspace of this.keeper.catalog.keyspaces.values()) {
      if (keyspace.group !== id) continue;
      for (const request of this.waiting.get(keyspace.name) ?? []) this.route(request);
      this.waiting.delete(keyspace.name);
    }
  }

  private createRaft(id: GroupId, state: BufferedState, configuration: Configuration): Raft {
    const { onApply, createRaft } = this.hooks;
    const options: RaftOptions = {
      ...this.options.raft,
      node: this.nodeId,
      configuration,
      seed: this.ports.entropy.u48(),
      newClientId: () => this.newClientId(),
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

  // The catalog (KeeperHost)

  ownMember(): MemberEntry {
    const own = this.options.members.find((member) => member.node === this.nodeId)!;
    return {
      node: this.nodeId,
      incarnation: this.identity.incarnation,
      peerAddress: own.peerAddress,
      clientAddress: own.clientAddress,
      supports: CLUSTER_VERSION,
    };
  }

  newClusterId(): string {
    return this.ports.entropy.u48().toString(16).padStart(12, "0");
  }

  leadsCatalog(): boolean {
    return this.groups.get(CATALOG_GROUP)?.machine.describe().role === "leader";
  }

  followCatalog(): void {
    const group = this.groups.get(CATALOG_GROUP);
    if (group !== undefined) this.keeper.follow(group.state, group.machine.outbox.appliedPosition);
  }

  catalogChanged(catalog: Catalog): void {
    const id = catalog.cluster?.id ?? "";
    if (id !== "" && id !== this.identity.clusterId) {
      this.saveIdentity(this.identity.with({ clusterId: id }), () => {});
    }
    const wanted = new Set<GroupId>([CATALOG_GROUP]);
    for (const keyspace of catalog.keyspaces.values()) {
      wanted.add(keyspace.group);
      const { voters, learners } = keyspace;
      this.openGroup(keyspace.group, { voters, learners, outgoing: [] }, this.standsInFor(keyspace));
    }
    for (const [group, running] of this.groups) if (!wanted.has(group)) this.dropGroup(group, running);
    this.forgetDropped(catalog, wanted);
  }

  /**
   * Groups in the log that were dropped while this node was down. What the view does not know yet (it may be older than
   * the log) is kept: only a group that was made before it, and is not in it, is gone.
   */
  private forgetDropped(catalog: Catalog, wanted: ReadonlySet<GroupId>): void {
    for (const id of [...this.recovered.keys(), ...this.stores.keys()]) {
      if (wanted.has(id) || id >= catalog.nextGroup) continue;
      this.recovered.delete(id);
      this.log.forget(id);
      this.stores.get(id)?.drop(() => {});
      this.stores.delete(id);
    }
  }

  /** Whether the replica that this keyspace was made with is gone, and this node a later life of it. */
  private standsInFor(keyspace: KeyspaceEntry): boolean {
    const then = keyspace.incarnations.find(([node]) => node === this.nodeId);
    return then === undefined || then[1] !== this.identity.incarnation;
  }

  private dropGroup(id: GroupId, group: Group): void {
    this.groups.delete(id);
    group.drop();
    this.log.forget(id);
  }

  createKeyspace(name: string, defaultLevel: Level, done: AdminDone): void {
    this.keeper.createKeyspace(name, defaultLevel, done);
  }

  dropKeyspace(name: string, done: AdminDone): void {
    this.keeper.dropKeyspace(name, done);
  }

  // Requests

  openSession(_principal: Principal): Session {
    return new NodeSession(this, "default");
  }

  defaultLevel(keyspace: string): Level {
    return this.keeper.catalog.keyspaces.get(keyspace)?.defaultLevel ?? Level.linearizable;
  }

  deadlineFor(command: Command): number {
    if (command.op === Op.progress) {
      return command.deadlineMs > 0 ? this.nowMs + command.deadlineMs : Number.POSITIVE_INFINITY;
    }
    return this.nowMs + this.options.requestTimeoutMs;
  }

  /** Gives the request to its group, or to the reason why that cannot be. It is answered from a later turn. */
  route(request: NodeRequest): void {
    this.wake();
    if (this.state !== "running") {
      this.refuse(request, errorResult(new KvError("stopping")));
      return;
    }
    const group = this.groupFor(request);
    if (group === undefined) this.waitForGroup(request);
    else {
      const grant = findGrant("raft", {}, request.level);
      if (grant instanceof KvError) this.refuse(request, errorResult(grant));
      else group.enqueue(request);
    }
  }

  private groupFor(request: NodeRequest): Group | undefined {
    if (request.session.isCatalog) return this.groups.get(CATALOG_GROUP);
    const keyspace = this.keeper.catalog.keyspaces.get(request.keyspace);
    return keyspace === undefined ? undefined : this.groups.get(keyspace.group);
  }

  private refuse(request: NodeRequest, result: Result): void {
    this.refused.push({ request, result });
  }

  /** The group is about to run here, or the catalog's newest state must tell that there is no such keyspace. */
  private waitForGroup(request: NodeRequest): void {
    const { keyspace } = request;
    if (request.session.isCatalog) {
      this.refuse(request, errorResult(new KvError("unavailable", "this node has not joined its cluster yet")));
      return;
    }
    const waiting = this.waiting.get(keyspace);
    if (waiting !== undefined) {
      waiting.push(request);
      return;
    }
    this.waiting.set(keyspace, [request]);
    if (this.keeper.catalog.keyspaces.has(keyspace)) return;
    this.keeper.refresh((error) => {
      if (error === null && this.keeper.catalog.keyspaces.has(keyspace)) {
        if (this.groupFor(request) === undefined) return; // its group is being opened
      }
      const requests = this.waiting.get(keyspace) ?? [];
      this.waiting.delete(keyspace);
      const known = this.keeper.catalog.keyspaces.has(keyspace);
      for (const each of requests) {
        if (known) this.route(each);
        else this.refuse(each, error === null ? unknownKeyspace(keyspace) : errorResult(error));
      }
    });
  }

  private expireWaiting(): void {
    for (const [keyspace, requests] of this.waiting) {
      const left = requests.filter((request) => {
        if (request.deadlineMs > this.nowMs) return true;
        this.refuse(request, errorResult(new KvError("unavailable")));
        return false;
      });
      if (left.length === 0) this.waiting.delete(keyspace);
      else this.waiting.set(keyspace, left);
    }
  }

  tokenOf(session: NodeSession): Uint8Array {
    const token = new Token(this.identity.clusterId);
    for (const [id, position] of session.positions) {
      const epoch = this.groups.get(id)?.machine.outbox.appliedEpoch ?? 0;
      token.raise(id, id, epoch, position);
    }
    return encodeToken(token);
  }

  acceptToken(session: NodeSession, bytes: Uint8Array): KvError | null {
    const token = decodeToken(bytes, this.identity.clusterId);
    if (token instanceof KvError) return token;
    for (const entry of token.list()) {
      const gone =
        entry.group < this.keeper.catalog.nextGroup && !this.groups.has(entry.group) && !this.opening.has(entry.group);
      if (gone) return new KvError("keyspace_gone");
    }
    for (const entry of token.list()) {
      if (entry.position > session.positionIn(entry.group)) session.positions.set(entry.group, entry.position);
    }
    return null;
  }

  afterTurn(listener: () => void): void {
    this.turnListeners.push(listener);
  }

  // The turn

  wake(): void {
    this.ports.clock.wake();
  }

  private refreshClock(): void {
    this.nowMs = this.ports.clock.monotonicMs();
  }

  turn(): void {
    if (this.state === "stopped" || this.state === "new") return;
    this.refreshClock();
    if (this.state === "starting") return;
    const wallMs = this.ports.clock.wallMs();
    const tick = this.nowMs - this.lastTickMs >= this.options.tickMs;
    if (tick) this.lastTickMs = this.nowMs;
    this.guard(() => this.step(wallMs, tick));
    this.flushFrames();
    if (this.answered) {
      this.answered = false;
      for (const listener of this.turnListeners) listener();
    }
    if (tick && this.state === "stopping") this.continueStop();
  }

  private step(wallMs: number, tick: boolean): void {
    if (tick) this.tick();
    for (const group of this.groups.values()) group.step(this.nowMs, wallMs, tick);
    for (const group of this.groups.values()) group.drain();
    this.followCatalog();
    this.answerRefused();
    this.log.submit();
  }

  private tick(): void {
    this.log.retrySpace();
    this.forming?.tick();
    if (this.waiting.size > 0) this.expireWaiting();
    if (this.groups.size > 0) this.keeper.tick();
    for (const group of this.groups.values()) group.reapSenders();
  }

  private answerRefused(): void {
    if (this.refused.length === 0) return;
    const refused = this.refused;
    this.refused = [];
    this.answered = true;
    for (const { request, result } of refused) request.session.finished(request, result);
  }

  /** Damage of the state ends this life; everything else that is thrown is a bug and ends the process. */
  private guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof StateDamaged || error instanceof MemoryLost)) throw error;
      this.damaged(error.message);
    }
  }

  // Peers (NetListener, NodeContext)

  frameReceived(peer: NodeId, _incarnation: Incarnation, frame: Uint8Array): void {
    if (this.state !== "running" && this.state !== "stopping") return;
    try {
      this.guard(() =>
        readFrame(frame, (group, kind, part) => {
          if (kind === PartKind.formingQuestion) answerFormingQuestion(peer, part, this.identity, this);
          else if (kind === PartKind.formingAnswer) this.forming?.takeAnswer(peer, part);
          else this.groups.get(group)?.take(peer, kind, part);
        }),
      );
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.events.notice(`a frame of node ${peer} is not well formed and was dropped: ${error.message}`);
    }
    this.wake();
  }

  peerConnected(peer: NodeId, _incarnation: Incarnation): void {
    this.connected.add(peer);
    this.wake();
  }

  peerDisconnected(peer: NodeId): void {
    this.connected.delete(peer);
  }

  frameTo(peer: NodeId): FrameWriter {
    let frame = this.frames.get(peer);
    if (frame === undefined) {
      frame = new FrameWriter();
      this.frames.set(peer, frame);
    } else if (frame.byteLength > FRAME_BYTES_MAX) this.sendFrame(peer, frame);
    return frame;
  }

  private sendFrame(peer: NodeId, frame: FrameWriter): void {
    this.ports.net.send(peer, frame.writer.written());
    frame.clear();
  }

  private flushFrames(): void {
    for (const [peer, frame] of this.frames) if (!frame.isEmpty) this.sendFrame(peer, frame);
  }

  nextSnapshotId(): number {
    this.snapshotIds += 1;
    return this.snapshotIds * 65_536 + (this.ports.entropy.u48() % 65_536);
  }

  // The disk (LogListener)

  logDurable(group: GroupId, seq: number): void {
    this.groups.get(group)?.logDurable(seq);
    this.wake();
  }

  logFailed(error: DiskError): void {
    this.fatal(`the log cannot be written: ${error.message}. Nothing more is promised; check the disk and start again`);
  }

  diskRefused(reason: string): void {
    this.diskRefusal = reason;
    this.events.notice(reason === "" ? "the disk has room again: writes go on" : reason);
    for (const group of this.groups.values()) group.machine.diskRefused(reason);
    this.wake();
  }

  /** Whether replicas here may become leaders: false until their states have been verified. */
  mayLead(allowed: boolean): void {
    this.leadAllowed = allowed;
    for (const group of this.groups.values()) group.machine.mayLead(allowed);
  }

  // Status

  status(): BackendStatus {
    const { catalog } = this.keeper;
    return {
      node: this.nodeId,
      clusterId: catalog.cluster?.id ?? "",
      version: this.options.buildVersion,
      members: this.options.members.map((member) => ({
        node: member.node,
        peerAddress: member.peerAddress,
        clientAddress: member.clientAddress,
        connected: member.node === this.nodeId || this.connected.has(member.node),
      })),
      keyspaces: [...catalog.keyspaces.values()].map((keyspace) => this.keyspaceStatus(keyspace)),
    };
  }

  private keyspaceStatus(keyspace: KeyspaceEntry): KeyspaceStatus {
    const described = this.groups.get(keyspace.group)?.machine.describe();
    return {
      name: keyspace.name,
      protocol: keyspace.protocol,
      defaultLevel: LEVEL_NAMES[keyspace.defaultLevel],
      group: keyspace.group,
      role: described?.role ?? "opening",
      leader: described?.leader ?? 0,
      epoch: described?.epoch ?? 0,
      lastPosition: described?.lastPosition ?? 0,
      commitPosition: described?.commitPosition ?? 0,
      appliedPosition: described?.appliedPosition ?? 0,
      recovering: described?.recovering ?? false,
      replicas: [...keyspace.voters, ...keyspace.learners],
    };
  }

  /** Members that have not answered whether there is a cluster; empty unless this node waits for them. */
  get waitingFor(): readonly NodeId[] {
    return this.forming?.silent ?? [];
  }
}

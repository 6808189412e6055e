import { CATALOG_GROUP, type Catalog, CLUSTER_VERSION, type MemberEntry } from "../cluster/catalog.js";
import { assert } from "../core/assert.js";
import { CodecError } from "../core/bytes.js";
import { type GroupId, type Incarnation, MemoryLost, NODE_RECORDS, type NodeId } from "../core/machine.js";
import type { Backend, BackendStatus, Principal, Session } from "../kv/backend.js";
import { type Command, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { Protocol } from "../kv/grants.js";
import { Level } from "../kv/level.js";
import type { WatchHandle, WatchOptions, WatchSink } from "../kv/watch.js";
import type { Configuration } from "../protocols/raft/quorum.js";
import { type AdminDone, CatalogKeeper, type KeeperHost } from "./catalog-keeper.js";
import type { NodeContext } from "./context.js";
import { DamageNote } from "./damage-note.js";
import { answerFormingQuestion, Forming } from "./forming.js";
import { type FrameWriter, PartKind, readFrame } from "./frame.js";
import type { Group } from "./group.js";
import type { NodeHooks } from "./hooks.js";
import { type GroupsHost, HostedGroups } from "./hosted-groups.js";
import type { Identity, IdentityChanges } from "./identity.js";
import { IdentityFile } from "./identity-file.js";
import { LeaderWatch } from "./leader-watch.js";
import { Log, type LogListener } from "./log/log.js";
import { type NodeOptions, VOTERS_MAX } from "./options.js";
import { Peers } from "./peers.js";
import type { DiskError, NetListener, Ports } from "./ports.js";
import { Router, type RouterHost } from "./router.js";
import { type NodeRequest, NodeSession } from "./session.js";
import { issueToken, takeToken } from "./session-token.js";
import { type Found, StartUp } from "./start-up.js";
import { StateDamaged } from "./state/state-damaged.js";
import { nodeStatus } from "./status.js";
import { UnsyncedNote } from "./unsynced-note.js";
import { WindDown } from "./wind-down.js";

/** What the node tells the world around it. */
export interface NodeEvents {
  identityChanged(identity: Identity): void;
  /** Something worth a line in the log. */
  notice(message: string): void;
  /** The node has stopped working; its process must end. `rebuild`: the next start sets the data aside. */
  fatal(reason: string, rebuild: boolean): void;
}

/**
 * One member of a cluster: groups with their machines, one log, one way to the peers. Pure: it sees the world through
 * its ports, and the same seeds and inputs make the same outputs. The world calls {@link turn} whenever it was woken,
 * and at least once a tick.
 */
export class GamutNode implements Backend, NetListener, LogListener, NodeContext, KeeperHost, RouterHost, GroupsHost {
  log!: Log;
  answered = false;
  nowMs = 0;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];

  private identityFile!: IdentityFile;
  private damageNote: DamageNote | null = null;
  private unsynced!: UnsyncedNote;
  private readonly groups: HostedGroups;
  private startUp: StartUp | null = null;
  private forming: Forming | null = null;
  readonly keeper: CatalogKeeper;
  private readonly peers: Peers;
  private readonly router = new Router(this);
  private readonly leaderWatch: LeaderWatch;
  private readonly turnListeners: (() => void)[] = [];
  private lastTickMs = Number.NEGATIVE_INFINITY;
  private snapshotIds = 0;
  private state: "new" | "starting" | "running" | "stopping" | "stopped" = "new";
  private windDown: WindDown | null = null;

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
    this.peers = new Peers(ports.net);
    this.groups = new HostedGroups(this, ports, hooks);
    this.keeper = new CatalogKeeper(this, () => new NodeSession(this, "", true));
    this.leaderWatch = new LeaderWatch(events, () => this.peers.describeReach(this.nodeId, this.voters));
  }

  get nodeId(): NodeId {
    return this.options.node;
  }

  get incarnation(): Incarnation {
    return this.identity.incarnation;
  }

  // Start and stop

  /**
   * `problem`: why this node does not start; null once it runs (it may still be waiting for its peers). `again`: a new
   * node on the same ports would repair that.
   */
  start(done: (problem: string | null, again: boolean) => void): void {
    assert(this.state === "new", "node: started twice");
    this.state = "starting";
    this.nowMs = this.ports.clock.monotonicMs();
    const createLog = (): Log =>
      new Log(this.ports.disk, { ...this.options.log, freshIdentity: this.ports.entropy.u48() + 1 }, this);
    this.startUp = new StartUp(
      this.options,
      [...this.voters, ...this.learners],
      this.ports,
      createLog,
      this.hooks.verifyStates === true,
      (problem, found, again) => {
        if (found === null) {
          this.state = "stopped";
          done(problem, again);
          return;
        }
        this.found(found);
        done(null, false);
      },
    );
    this.startUp.run();
  }

  private found(found: Found): void {
    this.startUp = null;
    this.identityFile = new IdentityFile(this.ports.disk, found.identity);
    this.damageNote = new DamageNote(this.identityFile, this.ports.clock, (message) => this.events.notice(message));
    this.log = found.log;
    this.unsynced = new UnsyncedNote(this, found.identity, this.options);
    this.groups.found(found);
    if (found.rebuilt !== "") {
      this.events.notice(`${found.rebuilt}. The old data are set aside; this replica is rebuilt from its peers`);
    }
    this.events.identityChanged(this.identity);
    this.state = "running";
    if (this.identity.formed)
      this.groups.open(CATALOG_GROUP, "raft", this.catalogConfiguration, this.identity.recovering);
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
      this.changeIdentity({ formed: true, recovering: outcome === "recovering", founders }, () =>
        this.groups.open(CATALOG_GROUP, "raft", this.catalogConfiguration, this.identity.recovering),
      );
    });
  }

  private get identity(): Identity {
    return this.identityFile.current;
  }

  private changeIdentity(changes: IdentityChanges, then: () => void): void {
    this.tryIdentity(changes, (error) => {
      if (error === null) then();
      else this.fatal(`the identity file cannot be written: ${error.message}`);
    });
  }

  tryIdentity(changes: IdentityChanges, done: (error: DiskError | null) => void): void {
    this.identityFile.change(changes, (error) => {
      if (this.state === "stopped") return;
      if (error === null) this.events.identityChanged(this.identity);
      done(error);
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
    this.windDown = new WindDown(this.groups, this.peers, this.unsynced, done);
    this.wake();
  }

  fatal(reason: string, rebuild = false): void {
    if (this.state === "stopped") return;
    this.state = "stopped";
    this.events.fatal(reason, rebuild);
  }

  /** What was read from the state is not what was written: note it, stop, and rebuild at the next start. */
  damaged(problem: string, rebuild = true): void {
    const reason = `${problem}. The next start sets the data aside and rebuilds them from the peers`;
    this.state = "stopped";
    this.damageNote?.write(problem, this.unsynced?.mayLack ?? false, () => this.events.fatal(reason, rebuild));
  }

  /** "" until the catalog has told, now or in an earlier life. */
  private get clusterId(): string {
    return this.keeper.catalog.cluster?.id ?? this.identity.clusterId;
  }

  // Groups

  private get catalogConfiguration(): Configuration {
    return { voters: this.voters, learners: this.learners, outgoing: [] };
  }

  // The catalog (KeeperHost)

  ownMember(): MemberEntry {
    const own = this.options.members.find((member) => member.node === this.nodeId)!;
    return { ...own, incarnation: this.incarnation, supports: CLUSTER_VERSION };
  }

  newClusterId(): string {
    return this.ports.entropy.u48().toString(16).padStart(12, "0");
  }

  leadsCatalog(): boolean {
    return this.catalogGroup()?.machine.describe().role === "leader";
  }

  followCatalog(): void {
    const group = this.catalogGroup();
    if (group !== undefined) this.keeper.follow(group.state, group.machine.outbox.appliedPosition);
  }

  catalogChanged(catalog: Catalog): void {
    const clusterId = catalog.cluster?.id ?? "";
    if (clusterId !== "" && clusterId !== this.identity.clusterId) this.changeIdentity({ clusterId }, () => {});
    this.groups.follow(catalog);
  }

  catalogFresh(): void {
    this.router.catalogFresh();
  }

  createKeyspace(name: string, protocol: Protocol, defaultLevel: Level, done: AdminDone): void {
    this.keeper.createKeyspace(name, protocol, defaultLevel, done);
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

  deadlineFor(command: Command, timeoutMs: number): number {
    const { op, deadlineMs } = command;
    if (op === Op.progress) return deadlineMs > 0 ? this.nowMs + deadlineMs : Number.POSITIVE_INFINITY;
    return this.nowMs + Math.min(timeoutMs || Number.POSITIVE_INFINITY, this.options.requestTimeoutMs);
  }

  /** Gives the request to its group, or to the reason why that cannot be. It is answered from a later turn. */
  route(request: NodeRequest): void {
    this.wake();
    this.router.route(request);
  }

  // What router and groups need

  groupRuns(id: GroupId): void {
    for (const { name, group } of this.keeper.catalog.keyspaces.values())
      if (group === id) this.router.groupMayRun(name);
  }

  isRunning(): boolean {
    return this.state === "running";
  }

  catalogGroup(): Group | undefined {
    return this.groups.get(CATALOG_GROUP);
  }

  group(id: GroupId): Group | undefined {
    return this.groups.get(id);
  }

  /** The group of the read tells of its changes from here on, at the end of turns. */
  watch({ group }: NodeRequest, options: WatchOptions, sink: WatchSink): WatchHandle | KvError {
    if (group?.watches) return group.watches.add(options, this.clusterId, sink);
    return new KvError("unavailable", "the keyspace does not run here yet: try again in a moment, or ask another node");
  }

  tokenOf(session: NodeSession): Uint8Array {
    return issueToken(session, this.clusterId, this.groups);
  }

  acceptToken(session: NodeSession, bytes: Uint8Array): KvError | null {
    return takeToken(session, bytes, this.clusterId, this.groups, this.keeper.catalog);
  }

  afterTurn(listener: () => void): void {
    this.turnListeners.push(listener);
  }

  // The turn

  wake(withinMs?: number): void {
    this.ports.clock.wake(withinMs);
  }

  turn(): void {
    if (this.state === "stopped") this.damageNote?.retry();
    if (this.state === "stopped" || this.state === "new") return;
    this.nowMs = this.ports.clock.monotonicMs();
    if (this.state === "starting") return;
    const wallMs = this.ports.clock.wallMs();
    const tick = this.nowMs - this.lastTickMs >= this.options.tickMs;
    if (tick) this.lastTickMs = this.nowMs;
    this.guard(() => this.step(wallMs, tick));
    this.peers.flush();
    if (this.answered) {
      this.answered = false;
      for (const listener of this.turnListeners) listener();
    }
    this.guard(() => this.groups.tellWatches(this.nowMs));
    // Last: the disk may keep this thread for a moment, and the peers can work meanwhile.
    if (this.state === "running" || this.state === "stopping") this.log.submit();
    if (tick && this.state === "stopping" && this.windDown!.isOver()) {
      this.state = "stopped";
      this.windDown!.done();
    }
  }

  private step(wallMs: number, tick: boolean): void {
    if (tick) this.tick();
    for (const group of this.groups.all()) group.step(this.nowMs, wallMs, tick);
    for (const group of this.groups.all()) group.drain();
    this.followCatalog();
    if (this.router.answerRefused()) this.answered = true;
  }

  private tick(): void {
    this.log.tick();
    this.unsynced.tick();
    this.forming?.tick();
    this.router.tick();
    this.leaderWatch.tick(this.nowMs, this.catalogGroup()?.machine);
    if (this.groups.size > 0) this.keeper.tick();
    this.groups.tick();
  }

  /** Damage of the state ends this life; everything else that is thrown is a bug and ends the process. */
  guard(step: () => void): void {
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
    this.peers.peerConnected(peer);
    this.wake();
  }

  peerDisconnected(peer: NodeId): void {
    this.peers.peerDisconnected(peer);
  }

  frameTo(peer: NodeId): FrameWriter {
    return this.peers.frameTo(peer);
  }

  nextSnapshotId(): number {
    this.snapshotIds += 1;
    return this.snapshotIds * 65_536 + (this.ports.entropy.u48() % 65_536);
  }

  // The disk (LogListener)

  logDurable(group: GroupId, seq: number): void {
    if (group === NODE_RECORDS) this.startUp?.logDurable();
    this.groups.get(group)?.logDurable(seq);
    this.wake();
  }

  logFailed(error: DiskError): void {
    const problem = `the log cannot be written: ${error.message}`;
    // The kernel may have dropped what it could not write, and that had been promised.
    if (this.unsynced?.mayLack && this.state !== "stopped")
      this.damaged(`${problem}, and promises had not been synced. Check the disk`, false);
    else this.fatal(`${problem}. Nothing more is promised; check the disk and start again`);
  }

  diskRefused(reason: string, full: boolean): void {
    if (!full) this.events.notice(reason || "the disk has room again: writes go on");
    this.groups.diskRefused(reason, full);
    this.wake();
  }

  /** False: what these states have lost shows in no single entry, so replicas here answer nobody, and lead nothing. */
  stateVerified(verified: boolean): void {
    this.groups.mayLead(verified);
    this.router.stateVerified(verified);
    this.wake();
  }

  // Status

  status(): BackendStatus {
    return nodeStatus(this.options, this.keeper.catalog, this.peers, this.groups);
  }

  /** Members that have not answered whether there is a cluster; empty unless this node waits for them. */
  get waitingFor(): readonly NodeId[] {
    return this.forming?.silent ?? [];
  }
}

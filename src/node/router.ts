import { DEFAULT_KEYSPACE } from "../cluster/catalog.js";
import { isWrite } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { findGrant } from "../kv/grants.js";
import { Level } from "../kv/level.js";
import { commandBytes } from "../kv/limits.js";
import { errorResult, type Result } from "../kv/result.js";
import { type CatalogKeeper, unknownKeyspace } from "./catalog-keeper.js";
import type { Group } from "./group.js";
import type { NodeOptions } from "./options.js";
import type { NodeRequest } from "./session.js";

/** What the router needs of the node. */
export interface RouterHost {
  readonly keeper: CatalogKeeper;
  readonly nowMs: number;
  readonly options: NodeOptions;
  isRunning(): boolean;
  catalogGroup(): Group | undefined;
  group(id: number): Group | undefined;
}

/** From a request to the group that it is for, or to the reason why that cannot be. */
export class Router {
  /** Requests of a keyspace whose group is not running here, or not known to be the newest of that name. */
  private readonly waiting = new Map<string, NodeRequest[]>();
  private waitingCount = 0;
  private waitingBytes = 0;
  /** To be answered in the next turn: nobody is answered from within `submit`. */
  private refused: { request: NodeRequest; result: Result }[] = [];

  private verified = true;

  constructor(private readonly host: RouterHost) {}

  route(request: NodeRequest): void {
    if (!this.host.isRunning()) {
      this.refuse(request, errorResult(new KvError("stopping")));
      return;
    }
    const group = this.groupFor(request);
    if (group === undefined) this.waitForGroup(request);
    else {
      if (request.takesDefault) request.level = this.defaultLevel(request);
      request.group = group;
      const error = this.otherLife(request, group);
      const grant = error ?? findGrant(group.protocol, {}, request.level);
      if (grant instanceof KvError) this.refuse(request, errorResult(grant));
      else group.enqueue(request);
    }
  }

  /** Whoever means one life of a keyspace is not served by another that has its name. */
  private otherLife({ session, keyspace }: NodeRequest, { id }: Group): KvError | null {
    const { keyspaceLife } = session;
    if (keyspaceLife === 0 || keyspaceLife === id) return null;
    if (keyspaceLife < id) return new KvError("keyspace_gone");
    return new KvError("unavailable", `this node has not heard yet that the keyspace ${keyspace} was made again`);
  }

  private groupFor(request: NodeRequest): Group | undefined {
    if (request.session.isCatalog) return this.host.catalogGroup();
    if (!this.verified) return undefined;
    const { keeper } = this.host;
    // Any other read may see the past, and so a keyspace of the past.
    const keyspace = keeper.catalog.keyspaces.get(request.keyspace);
    // A keyspace that is there for those who can reach nobody does not wait for the catalog's majority either.
    const needsFresh =
      keyspace?.protocol !== "gossip" && (isWrite(request.command.op) || request.level === Level.linearizable);
    if (needsFresh && !keeper.isFresh) return undefined;
    return keyspace === undefined ? undefined : this.host.group(keyspace.group);
  }

  private defaultLevel({ session, keyspace }: NodeRequest): Level {
    const entry = session.isCatalog ? undefined : this.host.keeper.catalog.keyspaces.get(keyspace);
    return entry?.defaultLevel ?? Level.linearizable;
  }

  refuse(request: NodeRequest, result: Result): void {
    this.refused.push({ request, result });
  }

  /** The group is about to run here, or the catalog's newest state must tell that there is no such keyspace. */
  private waitForGroup(request: NodeRequest): void {
    const { keyspace, session } = request;
    if (session.isCatalog) {
      this.refuse(request, errorResult(new KvError("unavailable", "this node has not joined its cluster yet")));
      return;
    }
    const { maxPendingRequests, maxPendingBytes } = this.host.options.raft;
    if (this.waitingCount >= maxPendingRequests || this.waitingBytes >= maxPendingBytes) {
      this.refuse(request, errorResult(new KvError("overloaded")));
      return;
    }
    this.waitingCount += 1;
    this.waitingBytes += commandBytes(request.command);
    const waiting = this.waiting.get(keyspace);
    if (waiting !== undefined) {
      waiting.push(request);
      return;
    }
    this.waiting.set(keyspace, [request]);
    if (!this.host.keeper.catalog.keyspaces.has(keyspace)) this.askCatalog(keyspace);
  }

  /** The answer counts for those who wait now; who comes while it is under way asks anew. */
  private askCatalog(keyspace: string): void {
    const { keeper } = this.host;
    const asked = new Set(this.waiting.get(keyspace));
    keeper.refresh((error) => {
      // Known now: its group is opened, and takes what waits when it runs.
      if (error === null && keeper.catalog.keyspaces.has(keyspace)) {
        this.groupMayRun(keyspace);
        return;
      }
      const later: NodeRequest[] = [];
      for (const request of this.takeWaiting(keyspace)) {
        if (!asked.has(request)) later.push(request);
        else this.refuse(request, error === null ? this.absence(keyspace) : errorResult(error));
      }
      for (const request of later) this.waitForGroup(request);
    });
  }

  private absence(keyspace: string): Result {
    if (keyspace !== DEFAULT_KEYSPACE) return unknownKeyspace(keyspace);
    return errorResult(new KvError("unavailable", "the cluster is still being founded: try again in a moment"));
  }

  /** Sends what waits on its way if the keyspace's group runs. */
  groupMayRun(keyspace: string): void {
    const entry = this.host.keeper.catalog.keyspaces.get(keyspace);
    if (entry === undefined || this.host.group(entry.group) === undefined) return;
    for (const request of this.takeWaiting(keyspace)) this.route(request);
  }

  stateVerified(verified: boolean): void {
    this.verified = verified;
    if (verified) this.catalogFresh();
  }

  /** What waits may go on: the catalog is known as it is. */
  catalogFresh(): void {
    const { keyspaces } = this.host.keeper.catalog;
    for (const keyspace of [...this.waiting.keys()]) {
      if (keyspaces.has(keyspace)) this.groupMayRun(keyspace);
      else this.askCatalog(keyspace);
    }
  }

  private takeWaiting(keyspace: string): NodeRequest[] {
    const requests = this.waiting.get(keyspace) ?? [];
    this.waiting.delete(keyspace);
    for (const request of requests) this.waitsNoMore(request);
    return requests;
  }

  private waitsNoMore(request: NodeRequest): void {
    this.waitingCount -= 1;
    this.waitingBytes -= commandBytes(request.command);
  }

  tick(): void {
    for (const [keyspace, requests] of this.waiting) {
      const left = requests.filter((request) => {
        if (request.deadlineMs > this.host.nowMs) return true;
        this.waitsNoMore(request);
        this.refuse(request, errorResult(new KvError("unavailable")));
        return false;
      });
      if (left.length === 0) this.waiting.delete(keyspace);
      else this.waiting.set(keyspace, left);
    }
  }

  /** Answers whether it has answered anybody. */
  answerRefused(): boolean {
    if (this.refused.length === 0) return false;
    const refused = this.refused;
    this.refused = [];
    for (const { request, result } of refused) request.session.finished(request, result);
    return true;
  }
}

import {
  CATALOG_GROUP,
  Catalog,
  CLUSTER_VERSION,
  createKeyspaceCommand,
  DEFAULT_KEYSPACE,
  dropKeyspaceCommand,
  foundCommand,
  type KeyspaceEntry,
  keyspaceNameProblem,
  type MemberEntry,
  memberCommand,
  scanCommand,
} from "../cluster/catalog.js";
import type { NodeId } from "../core/machine.js";
import type { State } from "../core/state.js";
import { type Command, getCommand } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { findGrant, type Protocol } from "../kv/grants.js";
import { Level } from "../kv/level.js";
import type { Request } from "../kv/request.js";
import { errorResult, type Result, ResultKind } from "../kv/result.js";
import { Store } from "../kv/store.js";
import type { NodeSession } from "./session.js";

const HOUSEKEEPING_TICKS = 10;
const CREATE_ATTEMPTS = 5;

/** What the keeper needs of the node. */
export interface KeeperHost {
  readonly nodeId: NodeId;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** This node's own record. */
  ownMember(): MemberEntry;
  newClusterId(): string;
  leadsCatalog(): boolean;
  /** Brings the view up to what the catalog's group has applied here. */
  followCatalog(): void;
  catalogChanged(catalog: Catalog): void;
  /** The view has become current, for the first time in this life. */
  catalogFresh(): void;
}

export type AdminDone = (error: KvError | null) => void;

/**
 * The node's view of the catalog, and its part in keeping it: the catalog's leader founds the cluster and the first
 * keyspace, every node writes its own record.
 */
export class CatalogKeeper {
  catalog = new Catalog();
  private seenPosition = -1;
  private ticks = 0;
  private busy = false;
  private asking = false;
  /**
   * Whether this life of the node has seen the catalog as it was after its start. What its last checkpoint says may be
   * long past: a keyspace that was dropped and made again since has another group, and nothing may be promised in the old.
   */
  isFresh = false;

  constructor(
    private readonly host: KeeperHost,
    /** A session on the catalog's own group. One each, or a question would wait behind somebody's write. */
    private readonly openSession: () => NodeSession,
  ) {}

  /** Reads the catalog again if its group has applied something since. */
  follow(state: State, appliedPosition: number): void {
    if (appliedPosition === this.seenPosition) return;
    this.seenPosition = appliedPosition;
    const store = new Store(state);
    const catalog = new Catalog();
    let from = "";
    do {
      const part = store.read(scanCommand(from));
      for (const item of part.items ?? []) this.takeItem(catalog, store, item.key);
      from = part.key;
    } while (from !== "");
    this.catalog = catalog;
    this.host.catalogChanged(catalog);
  }

  private takeItem(catalog: Catalog, store: Store, key: string): void {
    catalog.take(key, store.read(getCommand(key)));
  }

  tick(): void {
    this.ticks += 1;
    if (!this.isFresh && !this.asking) this.freshen();
    if (this.ticks % HOUSEKEEPING_TICKS !== 0 || this.busy) return;
    const command = this.nextDuty();
    if (command === null) return;
    this.busy = true;
    this.submit(command, () => {
      this.busy = false;
    });
  }

  private freshen(): void {
    this.asking = true;
    this.refresh((error) => {
      this.asking = false;
      if (error !== null) return;
      this.isFresh = true;
      this.host.catalogFresh();
    });
  }

  private nextDuty(): Command | null {
    const { catalog, host } = this;
    if (catalog.cluster === null) {
      return host.leadsCatalog() ? foundCommand({ id: host.newClusterId(), version: CLUSTER_VERSION }) : null;
    }
    const own = host.ownMember();
    if (!sameMember(catalog.members.get(host.nodeId), own)) return memberCommand(own);
    const complete = [...host.voters, ...host.learners].every((node) => catalog.members.has(node));
    if (!complete || catalog.nextGroup > CATALOG_GROUP + 1 || !host.leadsCatalog()) return null;
    return createKeyspaceCommand(catalog, this.keyspaceEntry(DEFAULT_KEYSPACE, "raft", Level.linearizable));
  }

  private keyspaceEntry(name: string, protocol: Protocol, defaultLevel: Level): KeyspaceEntry {
    const { voters, learners } = this.host;
    return {
      name,
      protocol,
      defaultLevel,
      group: this.catalog.nextGroup,
      voters,
      learners,
      incarnations: [...this.catalog.members.values()].map((member) => [member.node, member.incarnation] as const),
    };
  }

  createKeyspace(name: string, protocol: Protocol, defaultLevel: Level, done: AdminDone): void {
    const problem = keyspaceNameProblem(name);
    const grant = findGrant(protocol, {}, defaultLevel);
    if (problem !== null) done(new KvError("bad_request", problem));
    else if (grant instanceof KvError) done(grant);
    else this.tryCreate(name, protocol, defaultLevel, CREATE_ATTEMPTS, done);
  }

  private tryCreate(name: string, protocol: Protocol, level: Level, attempts: number, done: AdminDone): void {
    this.refresh((error) => {
      if (error !== null) done(error);
      else if (this.catalog.keyspaces.has(name))
        done(new KvError("keyspace_exists", `there is a keyspace "${name}" already`));
      else if (this.catalog.nextGroup <= CATALOG_GROUP + 1) {
        done(new KvError("unavailable", "the cluster is still being founded: try again in a moment"));
      } else {
        this.submit(createKeyspaceCommand(this.catalog, this.keyspaceEntry(name, protocol, level)), (result) => {
          if (result.kind === ResultKind.error) done(result.error);
          else if (result.kind !== ResultKind.notDone) done(null);
          else if (attempts > 1) this.tryCreate(name, protocol, level, attempts - 1, done);
          else done(new KvError("overloaded", "the catalog kept changing: try again"));
        });
      }
    });
  }

  dropKeyspace(name: string, done: AdminDone): void {
    if (name === DEFAULT_KEYSPACE) {
      done(new KvError("bad_request", `the keyspace "${DEFAULT_KEYSPACE}" cannot be dropped`));
      return;
    }
    this.submit(dropKeyspaceCommand(name), (result) => {
      if (result.kind === ResultKind.error) done(result.error);
      else if (result.integer === 0n) done(new KvError("keyspace_unknown", `there is no keyspace "${name}"`));
      else done(null);
    });
  }

  /** Afterwards the view is at least as new as the call. */
  refresh(done: AdminDone): void {
    this.submit(scanCommand(""), (result) => {
      this.host.followCatalog();
      done(result.kind === ResultKind.error ? result.error : null);
    });
  }

  private submit(command: Command, done: (result: Result) => void): void {
    this.openSession().submit(command, { reply: (_request: Request, result: Result) => done(result) }, 0);
  }
}

function sameMember(a: MemberEntry | undefined, b: MemberEntry): boolean {
  return (
    a !== undefined &&
    a.incarnation === b.incarnation &&
    a.peerAddress === b.peerAddress &&
    a.clientAddress === b.clientAddress &&
    a.supports === b.supports
  );
}

export function unknownKeyspace(name: string): Result {
  return errorResult(
    new KvError("keyspace_unknown", `there is no keyspace "${name}": create it with \`gamut keyspace create ${name}\``),
  );
}

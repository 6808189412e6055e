import { assert } from "../core/assert.js";
import { CodecError, EMPTY_BYTES } from "../core/bytes.js";
import { type GroupId, LogRecord, NODE_RECORDS, type NodeId, RecordKind } from "../core/machine.js";
import { newIncarnation } from "../protocols/raft/options.js";
import { IDENTITY_FILE, Identity, IdentityVersionUnknown } from "./identity.js";
import type { Log } from "./log/log.js";
import type { RecoveredGroup, RecoveryOutcome } from "./log/outcome.js";
import type { NodeOptions } from "./options.js";
import type { DiskError, GroupStore, Ports } from "./ports.js";
import { BufferedState } from "./state/buffered-state.js";
import { StateDamaged, StateFormatUnknown } from "./state/state-damaged.js";
import { unsyncedDamage } from "./unsynced-note.js";

const VERIFY_ENTRIES_A_STEP = 100_000;

/** Whether the log holds anything but that it was founded. */
function hasPromises(outcome: RecoveryOutcome): boolean {
  return [...outcome.groups.keys()].some((group) => group !== NODE_RECORDS);
}

/** What a node has found in its folder. */
export interface Found {
  readonly identity: Identity;
  readonly log: Log;
  readonly stores: Map<GroupId, GroupStore>;
  readonly groups: Map<GroupId, RecoveredGroup>;
  /** "" or what was wrong: the old data stand aside, and the node comes back as a new life. */
  readonly rebuilt: string;
}

/** `again`: another start, at once, goes on with the repair of what the problem tells. */
export type StartDone = (problem: string | null, found: Found | null, again: boolean) => void;

/**
 * From a folder to a node that may run: identity, states, log, in this order, each checked. Damage leads to
 * {@link rebuild}; what this build cannot read, or the disk refuses, to a problem that is told.
 */
export class StartUp {
  private readonly stores = new Map<GroupId, GroupStore>();
  private identity: Identity | null = null;
  private logFounded: (() => void) | null = null;

  constructor(
    private readonly options: Pick<NodeOptions, "node" | "bootId">,
    private readonly members: readonly number[],
    private readonly ports: Ports,
    private readonly createLog: () => Log,
    private readonly verifyStates: boolean,
    private readonly done: StartDone,
  ) {}

  private get node(): NodeId {
    return this.options.node;
  }

  run(): void {
    this.ports.disk.read(IDENTITY_FILE, 0, 4_096, (error, bytes) => {
      if (error !== null && error.code !== "ENOENT") this.fail(`the identity file cannot be read: ${error.message}`);
      else this.identityRead(error === null ? bytes : null);
    });
  }

  private identityRead(bytes: Uint8Array | null): void {
    let damage = "";
    if (bytes !== null) {
      try {
        this.identity = Identity.decode(bytes);
        damage = this.identity.damage || unsyncedDamage(this.identity, this.options.bootId);
      } catch (error) {
        if (error instanceof IdentityVersionUnknown) {
          this.fail(error.message);
          return;
        }
        if (!(error instanceof CodecError)) throw error;
        damage = error.message;
      }
    }
    if (this.identity !== null && this.identity.node !== this.node) {
      this.fail(
        `this data folder belongs to node ${this.identity.node}, not to node ${this.node}: start it under its own number, or give this node a folder of its own`,
      );
      return;
    }
    const was = this.identity?.members.join(", ") ?? "";
    const is = this.members.join(", ");
    if (this.identity?.formed && was !== is) {
      this.fail(
        `this data folder belongs to a cluster of the nodes ${was}; the configuration names ${is}. The members of a cluster cannot change yet: name the same ones, or begin a new cluster in another folder`,
      );
      return;
    }
    this.openStores(damage);
  }

  private openStores(damage: string): void {
    this.ports.store.groups((error, groups) => {
      if (error !== null) this.fail(`the state cannot be opened: ${error.message}`);
      else this.openNext([...groups], damage);
    });
  }

  private openNext(groups: GroupId[], damage: string): void {
    const group = groups.shift();
    if (group === undefined) {
      this.statesOpen(damage);
      return;
    }
    this.ports.store.open(group, (error, store) => {
      if (error !== null || store === null) {
        this.fail(`the state of group ${group} cannot be opened: ${error?.message ?? "no store"}`);
        return;
      }
      this.stores.set(group, store);
      let found = damage;
      try {
        found ||= this.checkState(group, store);
      } catch (problem) {
        if (problem instanceof StateFormatUnknown) {
          this.fail(problem.message);
          return;
        }
        if (!(problem instanceof StateDamaged)) throw problem;
        found = problem.message;
      }
      this.openNext(groups, found);
    });
  }

  private checkState(group: GroupId, store: GroupStore): string {
    const state = new BufferedState(group, store);
    if (!this.verifyStates) return "";
    const steps = state.verify(VERIFY_ENTRIES_A_STEP);
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value.damage ?? "";
    }
  }

  private statesOpen(damage: string): void {
    if (damage !== "") {
      this.rebuild(damage);
      return;
    }
    const log = this.createLog();
    log.recover((outcome) => this.logRead(log, outcome));
  }

  private logRead(log: Log, outcome: RecoveryOutcome): void {
    if (outcome.kind === "unsupported" || outcome.kind === "failed") this.fail(outcome.reason);
    else if (outcome.kind === "unsecured") this.unsecured(outcome.reason);
    else if (outcome.kind === "damaged") this.rebuild(outcome.reason);
    else if (outcome.kind === "empty" && this.identity?.formed === true) {
      this.rebuildLater("the log is gone, though this node has been part of the cluster");
    } else if (this.identity === null && hasPromises(outcome)) {
      this.rebuildLater("the identity file is gone, though there is a log");
    } else if (this.identity === null && this.stores.size > 0) {
      this.rebuildLater("the log and the identity file are gone, though there is a state");
    } else {
      const { identity } = this;
      const next = (): void => {
        if (identity === null) this.beginLife(log, outcome);
        else this.finish(identity, log, outcome, "");
      };
      if (outcome.kind === "empty") this.foundLog(log, next);
      else next();
    }
  }

  /** The kernel may have dropped what it could not write. Whether that had been promised, the note tells. */
  private unsecured(reason: string): void {
    const { identity } = this;
    if (identity === null || identity.unsyncedBoot === "") this.fail(reason);
    else this.save(identity.with({ damage: reason }), () => this.fail(reason));
  }

  /** A log that this node has had always holds a record: one without is a lost one. */
  private foundLog(log: Log, then: () => void): void {
    this.logFounded = then;
    log.append(NODE_RECORDS, new LogRecord(RecordKind.hardState, 0, 0, EMPTY_BYTES), 1);
    log.submit();
  }

  /** The node's log listener passes on what comes while it starts. */
  logDurable(): void {
    const then = this.logFounded;
    this.logFounded = null;
    then?.();
  }

  /** An empty folder: a new life, of which the others must tell whether there was one before. */
  private beginLife(log: Log, outcome: RecoveryOutcome): void {
    const identity = new Identity(this.node, this.members, this.freshIncarnation(), false, false, "", "");
    this.save(identity, () => this.finish(identity, log, outcome, ""));
  }

  private freshIncarnation(): number {
    const fresh = newIncarnation(this.ports.clock.wallMs(), this.ports.entropy.u48());
    return Math.max(fresh, (this.identity?.incarnation ?? 0) + 1);
  }

  /** The log is open already: note the damage, and let the next start, with nothing open, do the rest. */
  private rebuildLater(damage: string): void {
    const identity =
      this.identity ?? new Identity(this.node, this.members, this.freshIncarnation(), true, true, "", "");
    this.save(identity.with({ damage }), () =>
      this.done(`${damage}. The next start sets the data aside and rebuilds them from the peers`, null, true),
    );
  }

  /**
   * What this replica had promised is lost. First it becomes a new life, durably; then the old data go aside; and it
   * comes back recovering.
   */
  private rebuild(damage: string): void {
    const life = new Identity(
      this.node,
      this.members,
      this.freshIncarnation(),
      true,
      true,
      damage,
      this.identity?.clusterId ?? "",
    );
    this.save(life, () => {
      this.dropStores([...this.stores.values()], () => {
        this.stores.clear();
        const log = this.createLog();
        log.startOver((outcome) => {
          if (outcome.kind === "failed" || outcome.kind === "unsecured" || outcome.kind === "unsupported") {
            this.fail(outcome.reason);
            return;
          }
          assert(outcome.kind === "empty", "a log that starts over is empty");
          const clean = life.with({ damage: "" });
          this.foundLog(log, () => this.save(clean, () => this.finish(clean, log, outcome, damage)));
        });
      });
    });
  }

  private dropStores(stores: GroupStore[], then: () => void): void {
    const store = stores.pop();
    if (store === undefined) then();
    else {
      store.drop((error) => {
        if (error !== null) this.fail(`a damaged state cannot be removed: ${error.message}`);
        else this.dropStores(stores, then);
      });
    }
  }

  private save(identity: Identity, then: () => void): void {
    this.ports.disk.replace(IDENTITY_FILE, identity.encode(), (error: DiskError | null) => {
      if (error !== null) this.fail(`the identity file cannot be written: ${error.message}`);
      else then();
    });
  }

  private finish(identity: Identity, log: Log, outcome: RecoveryOutcome, rebuilt: string): void {
    this.done(null, { identity, log, stores: this.stores, groups: outcome.groups, rebuilt }, false);
  }

  private fail(problem: string): void {
    this.done(problem, null, false);
  }
}

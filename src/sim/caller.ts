import type { GroupId } from "../core/machine.js";
import type { Random } from "../core/random.js";
import type { Command } from "../kv/command.js";
import { Level } from "../kv/level.js";
import type { RequestId } from "../kv/request.js";
import { Answer } from "./call.js";
import { between, perMille } from "./chance.js";
import type { Connection, Fleet } from "./fleet.js";

const WAIT_FOR_NODE_US = 20_000;

/** How an operation ended, for the one who asked. */
export type Outcome = Answer | "silence" | "refused";

/** Whether it took effect, and the client knows. */
export function isGood(outcome: Outcome): outcome is Answer {
  return outcome instanceof Answer && !outcome.isError;
}

/** Whether it did not take effect and never will, and the client knows. */
export function isUndone(outcome: Outcome): boolean {
  return outcome === "refused" || (outcome instanceof Answer && outcome.isError && !outcome.isUnknown);
}

/**
 * What all kinds of clients have in common: a session with a node that is left now and then for another, time to think,
 * and an eye on the positions that its answers name.
 */
export abstract class Caller {
  /** In the history. One whose last outcome nobody knows goes on under another number. */
  protected process: number;
  protected connection: Connection | null = null;
  private home: number;
  /** Highest position that this session has seen, by group: what it sees later is not older. */
  private readonly seen = new Map<GroupId, number>();
  /** Of the session that was left, for the next one. */
  private token: { readonly bytes: Uint8Array; readonly groups: readonly GroupId[] } | null = null;

  constructor(
    protected readonly fleet: Fleet,
    protected readonly index: number,
    protected readonly random: Random,
  ) {
    this.process = fleet.newProcess();
    this.home = between(random, 1, fleet.world.plan.nodes);
  }

  /** One operation, or a row of them; ends with {@link next}. */
  protected abstract work(): void;

  think(): void {
    const { scheduler, plan } = this.fleet.world;
    scheduler.after(between(this.random, 0, plan.workload.thinkUsMax), () => {
      if (this.fleet.working) this.act();
    });
  }

  private act(): void {
    if (perMille(this.random, 30)) this.moveHome();
    if (this.connected()) this.work();
    else this.fleet.world.scheduler.after(WAIT_FOR_NODE_US, () => this.think());
  }

  /** Leaves for another node, at times with a token of what this session has seen. */
  protected moveHome(): void {
    if (this.connection?.isAlive && perMille(this.random, 400)) {
      const { session } = this.connection;
      this.token = { bytes: session.token(), groups: [...session.positions.keys()] };
    }
    this.home = between(this.random, 1, this.fleet.world.plan.nodes);
    this.connection = null;
  }

  protected connected(): boolean {
    if (this.connection?.isAlive) return true;
    this.connection = this.fleet.connect(this.random, this.home);
    if (this.connection === null) return false;
    const resumed = this.tokenAccepted(this.connection);
    if (!resumed) this.seen.clear();
    this.sessionBegins(resumed);
    return true;
  }

  /** `resumed`: it goes on where the one before was left. */
  protected sessionBegins(_resumed: boolean): void {}

  private tokenAccepted({ session }: Connection): boolean {
    const { fleet, token } = this;
    this.token = null;
    if (token === null) return false;
    const error = session.acceptToken(token.bytes);
    if (error === null) {
      fleet.counters.tokensTaken += 1;
      return true;
    }
    const isGone = token.groups.some((group) => !fleet.isKeyspace(group));
    if (error.code === "keyspace_gone" && isGone) fleet.counters.tokensRefused += 1;
    else if (error.code === "unavailable") fleet.counters.tokensTooEarly += 1;
    else this.violate(`a token was refused: ${error.message}`);
    return false;
  }

  protected call(
    command: Command,
    level: Level,
    end: (outcome: Outcome) => void,
    id: RequestId | null = null,
    keyspace?: string,
  ): void {
    const connection = this.connection!;
    const shown = this.fleet.positionsShown();
    const check = (outcome: Outcome): void => {
      if (isGood(outcome)) {
        // A retry may be answered with what its first copy has done before.
        if (level === Level.linearizable && id === null) this.checkFreshness(outcome, shown.get(outcome.group) ?? 0);
        if (connection === this.connection && id === null) this.checkSession(outcome);
        this.fleet.shown(outcome);
      }
      end(outcome);
    };
    this.fleet.submit(connection, command, level, id, check, keyspace);
  }

  private checkSession({ position, group }: Answer): void {
    const seen = this.seen.get(group) ?? 0;
    if (position < seen) {
      this.violate(`client ${this.index} was shown position ${position} of group ${group} after it had seen ${seen}`);
    }
    this.seen.set(group, position);
  }

  /** Nothing linearizable stands before what anybody was shown before it began. */
  private checkFreshness({ position }: Answer, newest: number): void {
    if (position < newest) {
      this.violate(`client ${this.index} was answered at position ${position}; ${newest} was shown before it asked`);
    }
  }

  protected next(outcome: Outcome): void {
    const { counters } = this.fleet;
    if (outcome === "refused") counters.refused += 1;
    else if (outcome === "silence" || outcome.isUnknown) counters.unknown += 1;
    else if (outcome.isError) counters.definiteErrors += 1;
    else counters.ok += 1;
    if (outcome === "silence") this.connection = null;
    this.think();
  }

  protected violate(problem: string): void {
    this.fleet.world.violate(problem);
  }
}

import { latin1Encode } from "../core/bytes.js";
import { getCommand, setCommand } from "../kv/command.js";
import type { ErrorCode } from "../kv/errors.js";
import { Level } from "../kv/level.js";
import { Answer } from "./call.js";
import { Caller, isGood, isUndone, type Outcome } from "./caller.js";
import { between, perMille } from "./chance.js";

const KEYS = ["a", "b"] as const;

/** What the history says of a keyspace's name: there is one, or there is none. */
type Standing = "up" | "down";

/**
 * A client that makes keyspaces, drops them and makes them again, and reads and writes in between. In the history each
 * name is a register: to make a keyspace is to change it from down to up, and to learn that there is none is to read it.
 */
export class Tenant extends Caller {
  protected override work(): void {
    const { plan } = this.fleet.world;
    // More often than others: only who asks elsewhere meets a node whose catalog lags.
    if (perMille(this.random, 200)) this.moveHome();
    if (!this.connected()) {
      this.think();
      return;
    }
    const keyspace = `tenant${between(this.random, 1, plan.workload.keyspaces)}`;
    const roll = this.random.below(100);
    if (roll < 12) this.create(keyspace);
    else if (roll < 20) this.drop(keyspace);
    else if (roll < 60) this.write(keyspace);
    else this.read(keyspace);
  }

  private create(keyspace: string): void {
    const { fleet } = this;
    const begun = fleet.moment();
    this.change(keyspace, "down", "up");
    fleet.administer(
      this.connection!,
      (node, done) => node.createKeyspace(keyspace, "raft", Level.linearizable, done),
      (outcome) => {
        if (this.changed(outcome, "keyspace_exists")) {
          fleet.counters.keyspacesMade += 1;
          fleet.lives.keyspaceMade(keyspace, begun, fleet.moment());
        }
        this.next(outcome);
      },
    );
  }

  private drop(keyspace: string): void {
    const { fleet } = this;
    const begun = fleet.moment();
    this.change(keyspace, "up", "down");
    fleet.administer(
      this.connection!,
      (node, done) => node.dropKeyspace(keyspace, done),
      (outcome) => {
        if (this.changed(outcome, "keyspace_unknown")) {
          fleet.counters.keyspacesDropped += 1;
          fleet.lives.keyspaceDropped(keyspace, begun, fleet.moment());
        }
        this.next(outcome);
      },
    );
  }

  private write(keyspace: string): void {
    const { fleet } = this;
    const value = fleet.newValue();
    const begun = fleet.moment();
    fleet.lives.writeBegins(value);
    const see = this.standing(keyspace);
    const command = setCommand(this.random.pick(KEYS), latin1Encode(value));
    const end = (outcome: Outcome): void => {
      see(outcome);
      if (isUndone(outcome)) fleet.lives.writeRefused(value);
      else if (isGood(outcome)) {
        fleet.lives.writeAnswered(value, outcome.group);
        fleet.counters.keyspaceWrites += 1;
        this.judgeLife(keyspace, outcome, begun);
      }
      this.next(outcome);
    };
    this.call(command, Level.linearizable, end, null, keyspace);
  }

  private read(keyspace: string): void {
    const { fleet } = this;
    const key = this.random.pick(KEYS);
    const level = perMille(this.random, 600) ? Level.linearizable : Level.sequential;
    const see = this.standing(keyspace);
    const begun = fleet.moment();
    const end = (outcome: Outcome): void => {
      see(outcome);
      if (isGood(outcome)) {
        fleet.counters.keyspaceReads += 1;
        this.judge(keyspace, key, outcome);
        if (level === Level.linearizable) this.judgeLife(keyspace, outcome, begun);
      }
      this.next(outcome);
    };
    this.call(getCommand(key), level, end, null, keyspace);
  }

  private judge(keyspace: string, key: string, answer: Answer): void {
    const { fleet } = this;
    const { text, group, position } = answer;
    const expected = fleet.referenceOf(group).valueAt(key, position);
    if (text !== expected) {
      fleet.world.violate(
        `${key} of ${keyspace}, group ${group}, was read at position ${position} as ${text} instead of ${expected}`,
      );
    }
    if (text === null) return;
    const problem = fleet.lives.found(keyspace, text, group);
    if (problem !== "") fleet.world.violate(problem);
  }

  private judgeLife(keyspace: string, { group }: Answer, begun: number): void {
    const { fleet } = this;
    const problem = fleet.lives.answers(keyspace, group, begun, fleet.moment());
    if (problem !== "") fleet.world.violate(problem);
  }

  // The history of the names

  private change(keyspace: string, from: Standing, to: Standing): void {
    this.fleet.history.invoke(this.process, "cas", keyspace, [from, to], this.fleet.moment());
  }

  /** Answers whether it was done. `mismatch`: the error that says that the name did not stand as it had to. */
  private changed(outcome: Outcome, mismatch: ErrorCode): boolean {
    const { fleet, process } = this;
    const now = fleet.moment();
    if (isGood(outcome)) fleet.history.ok(process, null, now);
    else if (codeOf(outcome) === mismatch) fleet.history.fail(process, now, { mismatch: true });
    else if (isUndone(outcome)) fleet.history.fail(process, now);
    else {
      fleet.history.info(process, now);
      this.process = fleet.newProcess();
    }
    return isGood(outcome);
  }

  /** An operation on a keyspace reads whether there is one of that name: who is told that there is none, has seen that. */
  private standing(keyspace: string): (outcome: Outcome) => void {
    const { fleet, process } = this;
    fleet.history.invoke(process, "read", keyspace, null, fleet.moment());
    return (outcome) => {
      const isUnknown = codeOf(outcome) === "keyspace_unknown";
      if (isUnknown) fleet.history.ok(process, "down", fleet.moment());
      else fleet.history.fail(process, fleet.moment());
      if (isUnknown) fleet.counters.keyspacesMissed += 1;
    };
  }
}

function codeOf(outcome: Outcome): ErrorCode | null {
  return outcome instanceof Answer && outcome.error !== null ? outcome.error.code : null;
}

import { Command, Op } from "../kv/command.js";
import { Level } from "../kv/level.js";
import type { Answer } from "./call.js";
import { Caller, isGood, isUndone } from "./caller.js";
import { between, perMille } from "./chance.js";
import { Walk } from "./walk.js";

/** A client that deals with the keyspace as a whole: it walks over all keys, counts them, and now and then empties it. */
export class Surveyor extends Caller {
  protected override work(): void {
    const roll = this.random.below(100);
    if (perMille(this.random, this.fleet.world.plan.workload.flushPerMille)) this.flush();
    else if (roll < 40) this.count();
    else this.walk();
  }

  private someLevel(): Level {
    return perMille(this.random, 500) ? Level.linearizable : Level.sequential;
  }

  private count(): void {
    this.call(new Command(Op.count), this.someLevel(), (outcome) => {
      if (isGood(outcome)) {
        this.fleet.counters.counts += 1;
        const { integer, position } = outcome;
        const expected = this.fleet.reference().countAt(position);
        if (integer !== expected) {
          this.violate(
            `${integer} keys were counted at position ${position}; the entries up to there make ${expected}`,
          );
        }
      }
      this.next(outcome);
    });
  }

  private walk(): void {
    const prefix = this.random.pick(["", "", "r", "m", "q"]);
    const limit = between(this.random, 2, 10);
    this.turnPage(new Walk(limit, prefix, limit % 2 === 1), this.someLevel());
  }

  private turnPage(walk: Walk, level: Level): void {
    this.call(walk.nextPage(), level, (outcome) => {
      if (isGood(outcome)) this.takePage(walk, outcome);
      if (!isGood(outcome) || walk.isDone) {
        this.next(outcome);
        return;
      }
      const { scheduler, plan } = this.fleet.world;
      scheduler.after(between(this.random, 0, plan.workload.thinkUsMax), () => this.goOn(walk, level));
    });
  }

  /** A walk may go on anywhere: what a page says does not depend on who gave the one before. */
  private goOn(walk: Walk, level: Level): void {
    if (perMille(this.random, 200)) {
      this.moveHome();
      this.fleet.counters.walksMoved += 1;
    }
    if (this.fleet.working && this.connected()) this.turnPage(walk, level);
    else this.think();
  }

  private takePage(walk: Walk, answer: Answer): void {
    const { counters } = this.fleet;
    counters.walkPages += 1;
    for (const { key, version } of answer.items) this.fleet.checkFlushed(key, version, answer.position);
    const problem = walk.take(answer, this.fleet.reference());
    if (problem !== "") this.violate(problem);
    if (!walk.isDone) return;
    counters.walks += 1;
    if (walk.wasOvertaken) counters.walksOvertaken += 1;
  }

  /** In the history a flush is as many deletes as there are registers and counters, each of a process of its own. */
  private flush(): void {
    const { fleet } = this;
    const { keys } = fleet.world.plan.workload;
    const now = fleet.moment();
    const processes: number[] = [];
    for (let number = 1; number <= keys; number += 1) {
      for (const table of ["r", "c"]) {
        const process = fleet.newProcess();
        processes.push(process);
        fleet.history.invoke(process, "delete", `${table}${number}`, null, now);
      }
    }
    this.call(new Command(Op.flush), Level.linearizable, (outcome) => {
      const end = fleet.moment();
      for (const process of processes) {
        if (isGood(outcome)) fleet.history.ok(process, null, end);
        else if (isUndone(outcome)) fleet.history.fail(process, end);
        else fleet.history.info(process, end);
      }
      if (isGood(outcome)) {
        fleet.counters.flushes += 1;
        fleet.flushed(outcome);
      }
      this.next(outcome);
    });
  }
}

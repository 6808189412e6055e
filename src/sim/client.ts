import { latin1Encode } from "../core/bytes.js";
import { Command, CommandFlag, deleteCommand, getCommand, incrementCommand, Op, setCommand } from "../kv/command.js";
import { Level } from "../kv/level.js";
import { ResultKind } from "../kv/result.js";
import { Answer } from "./call.js";
import { Caller, isGood, type Outcome } from "./caller.js";
import { between, perMille } from "./chance.js";

const INCREMENT_ATTEMPTS = 6;

/**
 * One client: it has one operation open at a time, sees what comes back, and after an unknown outcome goes on under
 * another process number, as the history wants it. Keys: `r` registers, `c` counters, `p`/`q` pairs that are always
 * written together, `m` mortal keys with a deadline, `b` the client's own, for bursts.
 */
export class Client extends Caller {
  private idGeneration = 1;
  private sequence = 1;

  protected override work(): void {
    if (perMille(this.random, this.fleet.world.plan.workload.readPerMille)) this.read();
    else this.write();
  }

  private key(table: string): string {
    return `${table}${between(this.random, 1, this.fleet.world.plan.workload.keys)}`;
  }

  private value(): string {
    const value = this.fleet.newValue();
    return value.padEnd(
      between(this.random, value.length, Math.max(value.length, this.fleet.world.plan.workload.valueBytesMax)),
      ".",
    );
  }

  private read(): void {
    const roll = this.random.below(100);
    if (roll < 40) this.readRegister(Level.linearizable);
    else if (roll < 60) this.readRegister(Level.sequential);
    else if (roll < 75) this.readCounter();
    else if (roll < 90) this.readPair();
    else this.readMortal();
  }

  private write(): void {
    const roll = this.random.below(100);
    if (roll < 35) this.setRegister();
    else if (roll < 45) this.deleteRegister();
    else if (roll < 55) this.setIfAbsent();
    else if (roll < 65) this.compareAndSet();
    else if (roll < 80) this.increment();
    else if (roll < 88) this.writePair();
    else if (roll < 95) this.writeMortal();
    else this.burst();
  }

  // Registers

  private readRegister(level: Level): void {
    const key = this.key("r");
    const recorded = level === Level.linearizable;
    if (recorded) this.invoke("read", key, null);
    else this.fleet.counters.localReads += 1;
    this.call(getCommand(key), level, (outcome) => {
      if (outcome instanceof Answer && !outcome.isError) this.checkRead(key, outcome);
      if (recorded) this.complete(outcome, (answer) => answer.text, true);
      this.next(outcome);
    });
  }

  private setRegister(): void {
    const key = this.key("r");
    const value = this.value();
    this.invoke("write", key, value);
    this.call(setCommand(key, latin1Encode(value)), Level.linearizable, (outcome) => {
      this.complete(outcome, () => null, false);
      if (isGood(outcome) && perMille(this.random, 200) && this.fleet.working && this.connected()) this.awaitCopies();
      else this.next(outcome);
    });
  }

  private awaitCopies(): void {
    const { fleet } = this;
    const command = new Command(Op.progress);
    command.limit = between(this.random, 1, fleet.world.plan.nodes);
    command.deadlineMs = between(this.random, 1, 200);
    fleet.submit(this.connection!, command, Level.linearizable, null, (outcome) => {
      if (isGood(outcome) && outcome.integer >= command.limit) fleet.counters.waitsMet += 1;
      else if (isGood(outcome)) fleet.counters.waitsOverdue += 1;
      this.next(outcome);
    });
  }

  private deleteRegister(): void {
    const key = this.key("r");
    this.invoke("delete", key, null);
    this.call(deleteCommand([key]), Level.linearizable, (outcome) => {
      this.complete(outcome, () => null, false);
      this.next(outcome);
    });
  }

  private setIfAbsent(): void {
    const key = this.key("r");
    const value = this.value();
    const command = setCommand(key, latin1Encode(value));
    command.flags = CommandFlag.ifAbsent;
    this.invoke("cas", key, [null, value]);
    this.call(command, Level.linearizable, (outcome) => {
      if (outcome instanceof Answer && outcome.kind === ResultKind.notDone) {
        this.fleet.counters.conditionsFailed += 1;
        this.fleet.history.fail(this.process, this.fleet.moment(), { mismatch: true });
      } else this.complete(outcome, () => null, false);
      this.next(outcome);
    });
  }

  /** Reads, then writes on condition that the version is still the one read. */
  private compareAndSet(): void {
    const key = this.key("r");
    this.invoke("read", key, null);
    this.call(getCommand(key), Level.linearizable, (outcome) => {
      this.complete(outcome, (answer) => answer.text, true);
      const usable = outcome instanceof Answer && !outcome.isError && this.fleet.working && this.connected();
      if (usable) this.setIfVersion(key, outcome);
      else this.next(outcome);
    });
  }

  private setIfVersion(key: string, seen: Answer): void {
    const value = this.value();
    const set = setCommand(key, latin1Encode(value));
    this.invoke("cas", key, [seen.text, value]);
    // Two roads to the same: only the second can demand absence.
    const command =
      seen.text !== null && seen.version % 2 === 0 ? onlyAt(set, seen.version) : checked(set, seen.version);
    this.call(command, Level.linearizable, (outcome) => {
      if (outcome instanceof Answer && isConflict(outcome)) {
        // Another version may hold the same content (absent again): no proof of a mismatch.
        this.fleet.counters.conditionsFailed += 1;
        this.fleet.history.fail(this.process, this.fleet.moment());
      } else this.complete(outcome, () => null, false);
      this.next(outcome);
    });
  }

  // Counters: exactly once, whatever it takes

  private readCounter(): void {
    const key = this.key("c");
    this.invoke("read", key, null);
    this.call(getCommand(key), Level.linearizable, (outcome) => {
      this.complete(outcome, (answer) => (answer.text === null ? null : Number(answer.text)), true);
      this.next(outcome);
    });
  }

  private increment(): void {
    const key = this.key("c");
    this.invoke("increment", key, 1);
    this.attemptIncrement(key, 1, false);
  }

  /** The same id at each attempt, also at another node: it must count once. `inDoubt`: an earlier attempt may count. */
  private attemptIncrement(key: string, attempt: number, inDoubt: boolean): void {
    const client = `client${this.index}.${this.idGeneration}`.padEnd(16, ".");
    const id = { client, sequence: this.sequence, acknowledgedThrough: this.sequence - 1, openedMs: 0 };
    this.call(
      this.index % 2 === 0 ? incrementCommand(key, 1n) : countCommand(key),
      Level.linearizable,
      (outcome) => {
        const doubtful = outcome === "silence" || (outcome instanceof Answer && outcome.isUnknown);
        const done = outcome instanceof Answer && !outcome.isError;
        if (done) {
          this.sequence += 1;
          if (attempt > 1) this.fleet.counters.retriesAnswered += 1;
          this.complete(outcome, (answer) => (answer.text === null ? answer.integer : Number(answer.text)), false);
          this.next(outcome);
        } else if (attempt < INCREMENT_ATTEMPTS && this.fleet.working) {
          this.retryIncrement(key, attempt + 1, inDoubt || doubtful);
        } else {
          const unsure = inDoubt || doubtful;
          if (unsure) this.abandonIds();
          this.complete(unsure ? "silence" : outcome, () => null, false);
          this.next(unsure ? "silence" : outcome);
        }
      },
      id,
    );
  }

  private retryIncrement(key: string, attempt: number, inDoubt: boolean): void {
    this.fleet.world.scheduler.after(between(this.random, 1_000, 200_000), () => {
      this.moveHome();
      this.fleet.counters.retries += 1;
      if (this.connected()) this.attemptIncrement(key, attempt, inDoubt);
      else if (this.fleet.working) this.retryIncrement(key, attempt, inDoubt);
      else {
        if (inDoubt) this.abandonIds();
        this.complete(inDoubt ? "silence" : "refused", () => null, false);
      }
    });
  }

  /** What became of the last sequence is not known, so none can follow it. */
  private abandonIds(): void {
    this.idGeneration += 1;
    this.sequence = 1;
  }

  // Pairs

  private writePair(): void {
    const number = between(this.random, 1, this.fleet.world.plan.workload.keys);
    const value = latin1Encode(this.value());
    const command = new Command(Op.atomic);
    command.keys = [];
    command.versions = [];
    command.children = [setCommand(`p${number}`, value), setCommand(`q${number}`, value)];
    this.call(command, Level.linearizable, (outcome) => this.next(outcome));
  }

  private readPair(): void {
    const number = between(this.random, 1, this.fleet.world.plan.workload.keys);
    const command = new Command(Op.getMany);
    command.keys = [`p${number}`, `q${number}`];
    const level = perMille(this.random, 500) ? Level.linearizable : Level.sequential;
    this.call(command, level, (outcome) => {
      if (outcome instanceof Answer && !outcome.isError) {
        const [p, q] = outcome.items;
        if (p.text !== q.text)
          this.violate(`the pair ${number} was read as ${p.text} and ${q.text}: half of an atomic write`);
      }
      this.next(outcome);
    });
  }

  // Mortal keys

  private writeMortal(): void {
    const command = setCommand(this.key("m"), latin1Encode(this.value()));
    command.flags = CommandFlag.deadlineRelative;
    command.deadlineMs = between(this.random, 50, 1_500);
    this.call(command, Level.linearizable, (outcome) => this.next(outcome));
  }

  private readMortal(): void {
    const key = this.key("m");
    this.call(getCommand(key), Level.linearizable, (outcome) => {
      if (outcome instanceof Answer && !outcome.isError) this.checkRead(key, outcome);
      this.next(outcome);
    });
  }

  // Bursts

  /** Write, read, write, read in one breath: each must see what stands before it. */
  private burst(): void {
    this.fleet.counters.bursts += 1;
    const key = `b${this.index}`;
    const [first, second] = [this.fleet.newValue(), this.fleet.newValue()];
    const commands = [
      setCommand(key, latin1Encode(first)),
      getCommand(key),
      setCommand(key, latin1Encode(second)),
      getCommand(key),
    ];
    const level = perMille(this.random, 500) ? Level.linearizable : Level.sequential;
    const outcomes: Outcome[] = [];
    const connection = this.connection!;
    for (const [i, command] of commands.entries()) {
      this.fleet.submit(connection, command, level, null, (outcome) => {
        outcomes[i] = outcome;
        if (Object.keys(outcomes).length < commands.length) return;
        this.checkBurst(outcomes, [first, second]);
        this.next(outcomes.find((it) => !(it instanceof Answer)) ?? outcome);
      });
    }
  }

  private checkBurst(outcomes: readonly Outcome[], values: readonly string[]): void {
    for (const [place, value] of [
      [1, values[0]],
      [3, values[1]],
    ] as const) {
      const write = outcomes[place - 1];
      const read = outcomes[place];
      const sure = write instanceof Answer && !write.isError && read instanceof Answer && !read.isError;
      if (!sure || read.text === value) continue;
      if (read.text !== null || !this.fleet.reference().flushedBetween(write.position, read.position)) {
        this.violate(`client ${this.index} wrote ${value} and its next read on the same connection gave ${read.text}`);
      }
    }
  }

  // What all have in common

  private invoke(
    f: "read" | "write" | "delete" | "cas" | "increment",
    key: string,
    value: string | number | null | [string | null, string],
  ): void {
    this.fleet.history.invoke(this.process, f, key, value, this.fleet.moment());
  }

  /** A read that says what position it saw must have seen what is there. */
  private checkRead(key: string, answer: Answer): void {
    if (answer.text !== null) this.fleet.checkFlushed(key, answer.version, answer.position);
    const expected = this.fleet.reference().valueAt(key, answer.position);
    if (answer.text !== expected) {
      this.violate(
        `${key} was read at position ${answer.position} as ${answer.text}; the entries up to there make it ${expected}`,
      );
    }
  }

  private complete(outcome: Outcome, value: (answer: Answer) => string | number | null, harmless: boolean): void {
    const { fleet, process } = this;
    const now = fleet.moment();
    if (outcome instanceof Answer && !outcome.isError) fleet.history.ok(process, value(outcome), now);
    else if (outcome === "refused" || harmless || (outcome instanceof Answer && !outcome.isUnknown)) {
      fleet.history.fail(process, now);
    } else {
      fleet.history.info(process, now);
      this.process = fleet.newProcess();
    }
  }
}

function isConflict(answer: Answer): boolean {
  const { kind, error } = answer;
  return kind === ResultKind.notDone || kind === ResultKind.absent || error?.code === "conflict";
}

function onlyAt(set: Command, version: number): Command {
  set.flags = CommandFlag.ifVersion;
  set.versions = [version];
  return set;
}

function checked(set: Command, version: number): Command {
  const command = new Command(Op.atomic);
  command.keys = [set.key];
  command.versions = [version];
  command.children = [set];
  return command;
}

/** One more, or the first, as memcached's clients count. */
function countCommand(key: string): Command {
  const command = new Command(Op.countUp, key);
  command.integer = 1n;
  command.flags = CommandFlag.orCreate;
  command.value = latin1Encode("1");
  return command;
}

import { latin1Encode } from "../../core/bytes.js";
import type { Random } from "../../core/random.js";
import { Command, CommandFlag, NO_DEADLINE, Op } from "../command.js";

const SINGLE_KEY_OPS = [Op.get, Op.length, Op.deadline, Op.persist] as const;
const MANY_KEY_OPS = [Op.getMany, Op.exists, Op.versions, Op.delete] as const;
const DECIMALS = ["1", "-1", "0.5", "-3.25", "1e3", "2.5e-17", "5e-18", "-1e306", "1e308", "inf", "nan", ".5", "x", ""];
const COUNTER_DELTAS = [0n, 1n, 10n, 2n ** 63n, 2n ** 64n - 1n];
const VALUE_POOL = [
  "",
  "0",
  "7",
  "-3",
  "00",
  "-0",
  "+1",
  " 1",
  "1x",
  "9223372036854775807",
  "-9223372036854775808",
  "9223372036854775808",
  "999999999999999",
  "1000000000000000",
  "text",
  "007",
  "12  ",
  "18446744073709551615",
  "0.1",
  "-2.5",
  "\u0000\u00ff\n",
];
const DELTAS = [1n, -1n, 10n, 2n ** 62n, -(2n ** 63n), 2n ** 63n - 1n, 0n];

/** Random commands over few keys, so that they meet each other. */
export class CommandGenerator {
  /** Versions seen in results: what a check may ask for. */
  readonly versions: number[] = [0];
  timeMs = 1_000;

  constructor(
    private readonly random: Random,
    private readonly keyCount = 12,
  ) {}

  key(): string {
    return `${this.random.pick(["a", "b", "\u00ff"])}${this.random.below(this.keyCount)}`;
  }

  next(): Command {
    if (this.random.chance(0.04)) {
      const draw = this.random.below(8);
      if (draw === 0) return new Command(Op.time);
      return draw < 3 ? this.reverseScan() : this.range();
    }
    if (this.random.chance(0.06)) return this.transaction();
    return this.random.chance(0.08) ? this.atomic() : this.simple();
  }

  private keys(): string[] {
    return Array.from({ length: this.random.below(4) }, () => this.key());
  }

  private value(): Uint8Array {
    return latin1Encode(this.random.pick(VALUE_POOL));
  }

  private simple(): Command {
    const { random } = this;
    const draw = random.below(100);
    if (draw < 26) return this.set();
    if (draw < 34) return this.increment();
    if (draw < 40) return this.append();
    if (draw < 49) return this.expire();
    if (draw < 57) return this.single();
    if (draw < 67) return this.many();
    if (draw < 72) return this.setMany();
    if (draw < 77) return this.part();
    if (draw < 82) return this.incrementDecimal();
    if (draw < 88) return this.counter();
    if (draw < 94) return this.move();
    if (draw < 96) return this.scan();
    if (draw < 98) return new Command(Op.count);
    return new Command(random.chance(0.2) ? Op.flush : Op.advance);
  }

  private set(): Command {
    const command = new Command(Op.set, this.key());
    command.value = this.value();
    if (this.random.chance(0.3)) command.recordFlags = this.random.u32();
    command.flags = this.flags([
      CommandFlag.ifAbsent,
      CommandFlag.ifPresent,
      CommandFlag.returnPrevious,
      CommandFlag.keepDeadline,
    ]);
    this.maybeDeadline(command, 0.4);
    if ((command.flags & CommandFlag.returnPrevious) === 0) this.maybeVersion(command);
    return command;
  }

  private increment(): Command {
    const command = new Command(Op.increment, this.key());
    command.integer = this.random.pick(DELTAS);
    command.flags = this.flags([CommandFlag.ifAbsent, CommandFlag.ifPresent]);
    this.maybeDeadline(command, 0.1);
    return this.maybeVersion(command);
  }

  private incrementDecimal(): Command {
    const command = new Command(Op.incrementDecimal, this.key());
    command.value = latin1Encode(this.random.pick(DECIMALS));
    this.maybeDeadline(command, 0.1);
    return this.maybeVersion(command);
  }

  private counter(): Command {
    const command = new Command(this.random.pick([Op.countUp, Op.countDown]), this.key());
    command.integer = this.random.pick(COUNTER_DELTAS);
    command.flags = this.flags([CommandFlag.orCreate]);
    if (command.flags !== 0) command.value = latin1Encode(this.random.pick(["0", "5", "18446744073709551615"]));
    if (this.random.chance(0.3)) command.recordFlags = this.random.u32();
    this.maybeDeadline(command, 0.1);
    return this.maybeVersion(command);
  }

  private part(): Command {
    if (this.random.chance(0.5)) {
      const command = new Command(Op.getRange, this.key());
      command.offset = this.random.below(14) - 7;
      command.limit = this.random.below(14) - 7;
      return command;
    }
    const command = new Command(Op.setRange, this.key());
    command.offset = this.random.below(7);
    command.value = this.value();
    command.flags = this.flags([CommandFlag.ifPresent]);
    this.maybeDeadline(command, 0.1);
    return this.maybeVersion(command);
  }

  private move(): Command {
    const command = new Command(this.random.pick([Op.rename, Op.copy]), this.key());
    command.keys = [this.key()];
    command.flags = this.flags([CommandFlag.ifAbsent]);
    return command;
  }

  private append(): Command {
    const command = new Command(Op.append, this.key());
    command.value = this.value();
    command.flags = this.flags([CommandFlag.ifPresent, CommandFlag.atFront]);
    return this.maybeVersion(command);
  }

  private single(): Command {
    const command = new Command(this.random.pick(SINGLE_KEY_OPS), this.key());
    if (command.op !== Op.persist) return command;
    command.flags = this.flags([CommandFlag.returnValue]);
    return this.maybeVersion(command);
  }

  private expire(): Command {
    const command = new Command(Op.expire, this.key());
    command.flags = this.flags([
      CommandFlag.ifDeadlineGreater,
      CommandFlag.ifDeadlineLess,
      CommandFlag.ifNoDeadline,
      CommandFlag.ifHasDeadline,
      CommandFlag.returnValue,
    ]);
    this.maybeDeadline(command, 1);
    return this.maybeVersion(command);
  }

  private many(): Command {
    const command = new Command(this.random.pick(MANY_KEY_OPS));
    command.keys = this.keys();
    if (command.op !== Op.delete || this.random.chance(0.4)) return command;
    command.keys = [this.key()];
    command.flags = this.flags([CommandFlag.returnValue]);
    return this.maybeVersion(command);
  }

  private setMany(): Command {
    const command = new Command(Op.setMany);
    command.keys = this.keys();
    command.values = command.keys.map(() => this.value());
    command.flags = this.flags([CommandFlag.ifAbsent, CommandFlag.ifPresent, CommandFlag.keepDeadline]);
    this.maybeDeadline(command, 0.2);
    return command;
  }

  private scan(): Command {
    const command = new Command(Op.scan, this.random.chance(0.5) ? "" : this.key());
    command.limit = 1 + this.random.below(20);
    if (this.random.chance(0.5)) command.value = latin1Encode(this.random.pick(["a*", "b1*", "*"]));
    return command;
  }

  /** None that may stand in an atomic. */
  private reverseScan(): Command {
    const command = this.scan();
    command.flags = CommandFlag.reverse;
    return command;
  }

  private range(): Command {
    const command = new Command(Op.range, this.random.chance(0.5) ? "" : this.key());
    command.limit = 1 + this.random.below(20);
    if (this.random.chance(0.5)) command.value = latin1Encode(this.key());
    if (this.random.chance(0.5)) command.flags = CommandFlag.reverse;
    return command;
  }

  private atomic(): Command {
    const command = new Command(Op.atomic);
    command.keys = this.random.chance(0.5) ? this.keys() : [];
    command.versions = command.keys.map(() => this.random.pick(this.versions));
    command.children = Array.from({ length: this.random.below(5) }, () => this.simple());
    return command;
  }

  private transaction(): Command {
    const command = new Command(Op.transaction);
    command.keys = this.random.chance(0.3) ? this.keys() : [];
    command.versions = command.keys.map(() => this.random.pick(this.versions));
    command.children = Array.from({ length: this.random.below(5) }, () => this.plainWrite());
    return command;
  }

  /** Unconditional, and no set that has expired already: what it leaves could not be foreseen. */
  private plainWrite(): Command {
    const draw = this.random.below(3);
    if (draw === 0) {
      const command = new Command(Op.delete);
      command.keys = this.keys();
      return command;
    }
    const command = new Command(draw === 1 ? Op.set : Op.increment, this.key());
    if (draw === 1) command.value = this.value();
    else command.integer = this.random.pick(DELTAS);
    if (draw === 1 && this.random.chance(0.3)) {
      command.flags = CommandFlag.deadlineRelative;
      command.deadlineMs = 1 + this.random.below(100);
    }
    return command;
  }

  private flags(choice: readonly number[]): number {
    let flags = 0;
    for (const flag of choice) if (this.random.chance(0.2)) flags |= flag;
    return flags;
  }

  private maybeVersion(command: Command): Command {
    if (!this.random.chance(0.2)) return command;
    command.flags |= CommandFlag.ifVersion;
    command.versions = [this.random.pick(this.versions)];
    return command;
  }

  private maybeDeadline(command: Command, probability: number): void {
    if (!this.random.chance(probability)) return;
    const distanceMs = this.random.below(120) - 20;
    if (this.random.chance(0.5)) {
      command.flags |= CommandFlag.deadlineRelative;
      command.deadlineMs = distanceMs;
    } else command.deadlineMs = this.timeMs + distanceMs;
    if (command.deadlineMs === NO_DEADLINE && command.op !== Op.expire) command.flags &= ~CommandFlag.deadlineRelative;
  }
}

import { latin1Encode } from "../../core/bytes.js";
import type { Random } from "../../core/random.js";
import { Command, CommandFlag, NO_DEADLINE, Op } from "../command.js";

const SINGLE_KEY_OPS = [Op.get, Op.length, Op.deadline, Op.persist] as const;
const MANY_KEY_OPS = [Op.getMany, Op.exists, Op.versions, Op.delete] as const;
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
    if (draw < 30) return this.set();
    if (draw < 42) return this.increment();
    if (draw < 50) return this.append();
    if (draw < 62) return this.expire();
    if (draw < 74) return new Command(random.pick(SINGLE_KEY_OPS), this.key());
    if (draw < 86) return this.many();
    if (draw < 92) return this.setMany();
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
    return command;
  }

  private increment(): Command {
    const command = new Command(Op.increment, this.key());
    command.integer = this.random.pick(DELTAS);
    command.flags = this.flags([CommandFlag.ifAbsent, CommandFlag.ifPresent]);
    this.maybeDeadline(command, 0.1);
    return command;
  }

  private append(): Command {
    const command = new Command(Op.append, this.key());
    command.value = this.value();
    command.flags = this.flags([CommandFlag.ifPresent]);
    return command;
  }

  private expire(): Command {
    const command = new Command(Op.expire, this.key());
    command.flags = this.flags([
      CommandFlag.ifDeadlineGreater,
      CommandFlag.ifDeadlineLess,
      CommandFlag.ifNoDeadline,
      CommandFlag.ifHasDeadline,
    ]);
    this.maybeDeadline(command, 1);
    return command;
  }

  private many(): Command {
    const command = new Command(this.random.pick(MANY_KEY_OPS));
    command.keys = this.keys();
    return command;
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

  private atomic(): Command {
    const command = new Command(Op.atomic);
    command.keys = this.random.chance(0.5) ? this.keys() : [];
    command.versions = command.keys.map(() => this.random.pick(this.versions));
    command.children = Array.from({ length: this.random.below(5) }, () => this.simple());
    return command;
  }

  private flags(choice: readonly number[]): number {
    let flags = 0;
    for (const flag of choice) if (this.random.chance(0.2)) flags |= flag;
    return flags;
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

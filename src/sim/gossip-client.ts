import { latin1Encode } from "../core/bytes.js";
import type { Random } from "../core/random.js";
import { Command, CommandFlag, deleteCommand, getCommand, Op, setCommand } from "../kv/command.js";
import { Level } from "../kv/level.js";
import { Answer } from "./call.js";
import { Caller, isGood, type Outcome } from "./caller.js";
import { between, perMille } from "./chance.js";
import { Fleet } from "./fleet.js";
import { FoldedWatches } from "./folded-watches.js";
import type { GossipJudge, Past } from "./gossip-judge.js";
import type { Safety } from "./safety.js";
import { EVERYTHING, these, under } from "./watcher.js";
import type { World } from "./world.js";

export const GOSSIP_KEYSPACE = "carts";
const SCAN_LIMIT = 100;
const SELECTIONS = [EVERYTHING, EVERYTHING, under("r"), these("r1", "s1", "m1")];

/** The clients of a gossip run. */
export class GossipFleet extends Fleet {
  readonly folds: FoldedWatches[] = [];

  constructor(world: World, safety: Safety, judge: GossipJudge, random: Random) {
    super(world, safety);
    for (let i = 1; i <= world.plan.workload.clients; i += 1) {
      this.clients.push(new GossipClient(this, i, random.fork(`client ${i}`), judge));
    }
    for (let i = 1; i <= world.plan.workload.watchers; i += 1) {
      const selection = random.fork(`selection ${i}`).pick(SELECTIONS);
      const fold = new FoldedWatches(GOSSIP_KEYSPACE, judge, selection);
      this.folds.push(fold);
      this.watch(i, random, fold);
    }
  }

  protected override hire(): void {}
}

/** One client with a session that goes from node to node, and what that session must see. */
class GossipClient extends Caller {
  private past: Past = new Map();

  constructor(
    fleet: Fleet,
    index: number,
    random: Random,
    private readonly judge: GossipJudge,
  ) {
    super(fleet, index, random);
  }

  private get name(): string {
    return `client ${this.index}`;
  }

  protected override sessionBegins(resumed: boolean): void {
    if (!resumed) this.past = new Map();
  }

  protected override work(): void {
    const roll = this.random.below(100);
    if (perMille(this.random, this.fleet.world.plan.workload.readPerMille)) {
      if (roll < 55) this.read(Level.session);
      else if (roll < 70) this.read(Level.eventual);
      else if (roll < 90) this.readMany();
      else this.scan();
    } else if (roll < 65) this.set();
    else if (roll < 75) this.setMany();
    else this.delete();
  }

  private key(): string {
    const table = this.random.pick(["r", "r", "r", "s", "m"]);
    return `${table}${between(this.random, 1, this.fleet.world.plan.workload.keys)}`;
  }

  private value(): string {
    const value = this.fleet.newValue();
    const longest = Math.max(value.length, this.fleet.world.plan.workload.valueBytesMax);
    return value.padEnd(between(this.random, value.length, longest), ".");
  }

  private ask(command: Command, level: Level, end: (answer: Answer) => void): void {
    this.call(
      command,
      level,
      (outcome) => {
        if (isGood(outcome)) end(outcome);
        this.ended(outcome);
      },
      null,
      GOSSIP_KEYSPACE,
    );
  }

  private ended(outcome: Outcome): void {
    // What this session has seen is gone for good: a new one may go on.
    const isOver = outcome instanceof Answer && outcome.error?.code === "history_lost";
    this.next(isOver ? "silence" : outcome);
  }

  private read(level: Level): void {
    const key = this.key();
    this.ask(getCommand(key), level, (answer) => {
      if (level === Level.session) this.judge.read(this.name, key, answer.version, answer.text, this.past);
      else this.judge.readAny(this.name, key, answer.version, answer.text);
    });
  }

  private readMany(): void {
    const keys = [this.key(), this.key(), this.key()];
    const command = new Command(Op.getMany);
    command.keys = keys;
    this.ask(command, Level.session, ({ items }) => {
      // All at one moment: what one of them depends on may be missing beside it, and binds the next read only.
      const before = new Map(this.past);
      for (const [i, { version, text }] of items.entries()) {
        const past = new Map(before);
        this.judge.read(this.name, keys[i], version, text, past);
        for (const [key, stamp] of past) this.merge(key, stamp);
      }
    });
  }

  private merge(key: string, stamp: Past extends Map<string, infer S> ? S : never): void {
    const before = this.past.get(key);
    if (before === undefined || before.ms < stamp.ms || (before.ms === stamp.ms && before.logical <= stamp.logical)) {
      this.past.set(key, stamp);
    }
  }

  private scan(): void {
    const command = new Command(Op.scan, "");
    command.limit = SCAN_LIMIT;
    this.ask(command, Level.session, ({ items }) => {
      for (const { key, version } of items) this.judge.readAny(this.name, key, version, null);
    });
  }

  private set(): void {
    const key = this.key();
    const value = this.value();
    const command = setCommand(key, latin1Encode(value));
    if (key.startsWith("m")) {
      command.flags = CommandFlag.deadlineRelative;
      command.deadlineMs = between(this.random, 50, 1_500);
    }
    this.judge.writes(value, this.past);
    this.ask(command, Level.session, ({ version }) => this.judge.wrote(key, version, this.past));
  }

  private setMany(): void {
    const command = new Command(Op.setMany);
    command.keys = [`r${between(this.random, 1, 3)}`, `s${between(this.random, 1, 3)}`];
    const values = [this.value(), this.value()];
    command.values = values.map(latin1Encode);
    for (const value of values) this.judge.writes(value, this.past);
    this.ask(command, Level.session, ({ version }) => this.judge.wrote(command.keys![1], version, this.past));
  }

  private delete(): void {
    const key = this.key();
    this.ask(deleteCommand([key]), Level.session, ({ version }) => this.judge.wrote(key, version, this.past));
  }
}

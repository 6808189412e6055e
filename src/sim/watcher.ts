import type { Random } from "../core/random.js";
import { type Change, END_OF_VERSION } from "../kv/change-history.js";
import { Command, Op } from "../kv/command.js";
import { type ErrorCode, KvError } from "../kv/errors.js";
import type { Level } from "../kv/level.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { WatchHandle, WatchOptions, WatchSink } from "../kv/watch.js";
import { between, perMille } from "./chance.js";
import { type Connection, DEFAULT_GROUP, type Fleet } from "./fleet.js";

const LOOK_US_MAX = 60_000;
const STALL_US_MAX = 200_000;

/** What a watch may end with, or not begin: its node cannot just now, or the history has moved past it. */
const EXCUSES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["compacted", "unavailable", "recovering", "stopping"]);

/** What one watcher must hear, and has heard. Each answers what is wrong with what is told, or "". */
export interface WatchJudge {
  /** It has been told of everything there is. */
  readonly isUpToDate: boolean;
  record(key: string, version: number, value: Uint8Array): string;
  changed(change: Change, isResumable: boolean): string;
  snapshotEnded(version: number): string;
  progressed(version: number): string;
}

/** Which keys are watched. */
export type Selection = Pick<WatchOptions, "prefix" | "keys">;

export const EVERYTHING: Selection = { prefix: "", keys: null };

export function under(prefix: string): Selection {
  return { prefix, keys: null };
}

export function these(...keys: string[]): Selection {
  return { prefix: "", keys: new Set(keys) };
}

export function isSelected({ prefix, keys }: Selection, key: string): boolean {
  return key.startsWith(prefix) && keys?.has(key) !== false;
}

/** What is watched, and by what it is judged. */
export interface WatchKind {
  readonly keyspace: string;
  readonly levels: readonly Level[];
  readonly selections: readonly Selection[];
  /** How often a watch that does not go on from a position begins with a snapshot, in thousandths. */
  readonly snapshotPerMille: number;
  /** A watch has begun. A text is what is wrong with that. */
  begins(begun: BegunWatch): WatchJudge | string;
}

export interface BegunWatch {
  readonly options: WatchOptions;
  readonly handle: WatchHandle;
  readonly level: Level | null;
  /** What its watcher was told last, if it goes on from a position; else null. */
  readonly place: WatchPlace | null;
  /** The newest position that anybody was shown before it was asked for. */
  readonly shown: number;
}

/** What a watcher was told last, as it was told. */
export interface WatchPlace {
  readonly version: number;
  readonly ordinal: number;
}

/**
 * Watches a keyspace for as long as the run lasts: at one node, and after that one's death, or for no reason,
 * at another, from the position that it was told last.
 */
export class Watcher {
  private watch: OneWatch | null = null;
  /** Of what it was told last; "": there is none, or nobody keeps what comes behind it. */
  position = "";
  /** Of the position. */
  place: WatchPlace | null = null;

  constructor(
    readonly fleet: Fleet,
    readonly index: number,
    readonly random: Random,
    readonly kind: WatchKind,
  ) {}

  /** It has been told of everything there is. */
  get isUpToDate(): boolean {
    return this.watch?.isUpToDate ?? false;
  }

  look(): void {
    this.fleet.world.scheduler.after(between(this.random, 1, LOOK_US_MAX), () => {
      if (this.watch !== null && this.mayLeave(this.watch)) {
        this.watch.leave();
        this.watch = null;
      }
      if (this.watch === null) this.ask();
      this.look();
    });
  }

  private mayLeave(watch: OneWatch): boolean {
    return watch.isOver || (this.fleet.working && perMille(this.random, 100));
  }

  private ask(): void {
    const { random, fleet } = this;
    const connection = fleet.connect(random, between(random, 1, fleet.world.plan.nodes));
    if (connection === null) return;
    const { kind } = this;
    const goesOn = this.position !== "" && perMille(random, 900);
    this.watch = new OneWatch(this, connection, {
      ...random.pick(kind.selections),
      from: goesOn ? this.position : "",
      snapshot: !goesOn && perMille(random, kind.snapshotPerMille),
      values: perMille(random, 500),
    });
    this.watch.ask(random.pick(kind.levels));
  }
}

/** One watch at one node. It takes what it is told when it likes. */
class OneWatch implements ReplySink, WatchSink {
  private handle: WatchHandle | null = null;
  private judge: WatchJudge | null = null;
  private isStalled = false;
  private isLeft = false;
  private hasEnded = false;
  /** The newest position that anybody was shown before it was asked for. */
  private readonly shown: number;
  private readonly place: WatchPlace | null;

  constructor(
    private readonly watcher: Watcher,
    private readonly connection: Connection,
    private readonly options: WatchOptions,
  ) {
    this.place = options.from === "" ? null : watcher.place;
    this.shown = watcher.fleet.positionsShown().get(DEFAULT_GROUP) ?? 0;
  }

  /** It tells nothing any more. */
  get isOver(): boolean {
    return this.hasEnded || !this.connection.isAlive;
  }

  get isUpToDate(): boolean {
    return !this.isOver && this.handle !== null && this.judge!.isUpToDate;
  }

  ask(level: Level): void {
    const { computer, session } = this.connection;
    session.level = level;
    session.keyspace = this.watcher.kind.keyspace;
    computer.guard(() => session.submit(new Command(Op.time), this, 0));
  }

  leave(): void {
    this.isLeft = true;
    const { computer, life } = this.connection;
    if (this.connection.isAlive) computer.guard(() => this.handle?.close());
    // It only stands still: the node hears of it when it goes on.
    else if (computer.life === life) this.watcher.fleet.world.scheduler.after(STALL_US_MAX, () => this.leave());
  }

  reply(request: Request, result: Result): void {
    if (this.isLeft) return;
    const { options, watcher, place, shown } = this;
    const { counters } = watcher.fleet;
    const begun =
      result.kind === ResultKind.error ? result.error! : this.connection.session.watch(request, options, this);
    if (begun instanceof KvError) {
      this.ended(begun);
      return;
    }
    const judge = watcher.kind.begins({ options, handle: begun, level: request.level, place, shown });
    if (typeof judge === "string") {
      this.violate(judge);
      return;
    }
    this.handle = begun;
    this.judge = judge;
    // It begins anew: what it held before counts no more.
    if (options.snapshot) watcher.position = "";
    else this.goesOnAfter(begun.beginVersion, begun.beginOrdinal);
    if (options.from !== "") counters.watchesResumed += 1;
    else counters.watchesBegun += 1;
  }

  // What it is told.

  ready(): boolean {
    const { random, fleet } = this.watcher;
    if (this.isStalled || this.isLeft || this.handle === null) return false;
    if (!fleet.working || !perMille(random, 60)) return true;
    this.isStalled = true;
    fleet.world.scheduler.after(between(random, 1, STALL_US_MAX), () => this.resume());
    return false;
  }

  private resume(): void {
    const { computer, life } = this.connection;
    this.isStalled = false;
    if (computer.life === life && computer.node !== null) computer.guard(() => this.handle!.resume());
  }

  record(key: string, version: number, value: Uint8Array): void {
    this.heard(version, this.judge!.record(key, version, value));
  }

  changed(change: Change, isResumable: boolean): void {
    this.watcher.fleet.counters.changesTold += 1;
    this.heard(change.version, this.judge!.changed(change, isResumable));
    if (isResumable) this.goesOnAfter(change.version, change.ordinal);
  }

  private goesOnAfter(version: number, ordinal: number): void {
    this.watcher.position = this.handle!.position(version, ordinal);
    this.watcher.place = { version, ordinal };
  }

  snapshotEnded(version: number): void {
    this.watcher.fleet.counters.snapshotsTold += 1;
    this.heardAll(version, this.judge!.snapshotEnded(version));
  }

  progressed(version: number): void {
    this.heardAll(version, this.judge!.progressed(version));
  }

  private heardAll(version: number, problem: string): void {
    this.heard(version, problem);
    this.goesOnAfter(version, END_OF_VERSION);
  }

  ended(error: KvError): void {
    if (this.isLeft) return;
    this.hasEnded = true;
    if (!EXCUSES.has(error.code) && error.definite) this.violate(`ends: ${error.message}`);
    if (error.code !== "compacted") return;
    this.watcher.position = "";
    this.watcher.fleet.counters.watchesCompacted += 1;
  }

  flush(): void {}

  private heard(version: number, problem: string): void {
    const { world } = this.watcher.fleet;
    world.hash.number(world.scheduler.nowUs);
    world.hash.number(version);
    if (problem !== "") this.violate(problem);
  }

  private violate(problem: string): void {
    const { index, fleet } = this.watcher;
    const { prefix, keys } = this.options;
    const what = keys === null ? `prefix "${prefix}"` : `keys ${[...keys].join(" ")}`;
    fleet.world.violate(
      `the watch of watcher ${index} at node ${this.connection.computer.number}, ${what}, ${problem}`,
    );
  }
}

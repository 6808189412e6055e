/** Three replicas of a gossip keyspace and who watches them, in one process and at one's own pace. */
import { expect } from "vitest";
import { ByteReader, ByteWriter } from "../../core/bytes.js";
import { MemoryLost, RecordKind } from "../../core/machine.js";
import { MapState } from "../../core/map-state.js";
import { Random } from "../../core/random.js";
import { type Change, type HistoryLimits, kindOf } from "../../kv/change-history.js";
import { Command, CommandFlag, Op } from "../../kv/command.js";
import { KvError } from "../../kv/errors.js";
import { Level } from "../../kv/level.js";
import { OriginHistory } from "../../kv/origin-history.js";
import { Request } from "../../kv/request.js";
import type { Result } from "../../kv/result.js";
import type { WatchHandle, WatchOptions, WatchSink } from "../../kv/watch.js";
import { Gossip } from "../../protocols/gossip/gossip.js";
import { decodeItems } from "../../protocols/gossip/item.js";
import { gossipCodec } from "../../protocols/gossip/message.js";
import { GOSSIP_DEFAULTS, type GossipOptions } from "../../protocols/gossip/options.js";
import { readSections, SectionKind } from "../../protocols/gossip/section.js";
import type { Stamp } from "../../protocols/gossip/stamp.js";
import { OriginWatches, watchedOrigins } from "../origin-watches.js";

const LIMITS = { watchesMax: 64, changesPerTurn: 7, recordsPerTurn: 1_000, progressMs: 1_000 };
const HISTORY: HistoryLimits = { changesMax: 4_000, bytesMax: 1 << 20, ageMsMax: 600_000 };
export const ALL: WatchOptions = { prefix: "", keys: null, from: "", snapshot: false, values: true };
const NODES = [1, 2, 3] as const;
const TICK_MS = 20;
export const CLUSTER = "cluster";
export const GROUP = 9;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | null): string => (value === null ? "-" : new TextDecoder().decode(value));
const sink = { reply(): void {} };

interface Life {
  readonly gossip: Gossip;
  readonly history: OriginHistory;
  readonly watches: OriginWatches;
}

interface WorldOptions {
  readonly gossip?: Partial<GossipOptions>;
  readonly history?: Partial<HistoryLimits>;
  /** How far each node's clock is ahead, in ms. */
  readonly aheadMs?: readonly number[];
}

/** Three replicas with who watches them, disks that sync at once, and a network that loses what it is told to lose. */
export class OriginWorld {
  readonly lives: Life[] = [];
  readonly states = NODES.map(() => new MapState());
  /** Pairs of nodes that hear each other. */
  readonly links = NODES.map(() => NODES.map(() => true));
  /** What each write is, by the version that clients see. */
  readonly stamps = new Map<number, Stamp>();
  ms = 100_000;
  /** Of a hundred messages. */
  dropped = 0;
  /** Writes that comparisons of trees have brought. */
  foundCount = 0;
  private incarnations = 1;
  private seeds = 1;
  private mail: { from: number; to: number; life: Life; bytes: Uint8Array }[] = [];

  constructor(
    private readonly random: Random,
    private readonly options: WorldOptions = {},
  ) {
    for (const node of NODES) this.lives.push(this.begin(node, 1, false));
    // Long enough for each to have heard of the others.
    this.run(100);
  }

  private begin(node: number, incarnation: number, recovering: boolean): Life {
    const history = new OriginHistory({ ...HISTORY, ...this.options.history });
    this.seeds += 1;
    const options = {
      ...GOSSIP_DEFAULTS,
      ...this.options.gossip,
      node,
      members: NODES,
      seed: this.seeds,
      changes: history,
    };
    const gossip = new Gossip(options, this.states[node - 1]);
    gossip.now(this.ms, this.wallMs(node));
    gossip.start({ position: 0, epoch: 0, incarnation, recovering }, []);
    const watches = new OriginWatches(watchedOrigins(GROUP, gossip, { wake: () => {} }), LIMITS);
    return { gossip, history, watches };
  }

  private wallMs(node: number): number {
    return this.ms + (this.options.aheadMs?.[node - 1] ?? 0);
  }

  /** The process ends and begins again on its folder: whoever watched there hears nothing more. */
  restart(node: number): void {
    this.lives[node - 1] = this.begin(node, this.at(node).gossip.hard.incarnation, this.at(node).gossip.recovering);
  }

  loseMemory(node: number): void {
    this.incarnations += 1;
    this.states[node - 1] = new MapState();
    this.lives[node - 1] = this.begin(node, this.incarnations, true);
  }

  at(node: number): Life {
    return this.lives[node - 1];
  }

  /** The answer, at once: the disk is quick. */
  ask(node: number, command: Command): Result | undefined {
    const request = new Request(command, Level.eventual, sink);
    request.deadlineMs = Number.MAX_SAFE_INTEGER;
    this.at(node).gossip.request(request);
    this.step(node);
    const { outbox } = this.at(node).gossip;
    const answer = outbox.replies.find((it) => it.request === request)?.result;
    outbox.replies.length = 0;
    return answer;
  }

  private step(node: number): void {
    const { gossip } = this.at(node);
    for (let round = 0; round < 3; round += 1) {
      gossip.flush();
      for (const { kind, payload } of gossip.outbox.records) {
        if (kind === RecordKind.entry) this.note(payload);
      }
      gossip.outbox.records = [];
      gossip.stored(gossip.outbox.issuedSeq);
    }
    const { sends } = gossip.outbox;
    gossip.outbox.sends = [];
    for (const { peer, message } of sends) {
      const writer = new ByteWriter(256);
      gossipCodec.encode(message, writer);
      this.mail.push({ from: node, to: peer, life: this.at(peer), bytes: writer.copy() });
    }
  }

  private note(payload: Uint8Array): void {
    for (const section of readSections(payload)) {
      if (section.kind !== SectionKind.writes && section.kind !== SectionKind.found) continue;
      const items = decodeItems(section.batch);
      if (section.kind === SectionKind.found) this.foundCount += items.length;
      for (const { stamp } of items) this.stamps.set(stamp.version, stamp);
    }
  }

  private deliver(): void {
    const { mail } = this;
    this.mail = [];
    for (const { from, to, life, bytes: frame } of mail) {
      const isLost = !this.links[from - 1][to - 1] || life !== this.at(to) || this.random.below(100) < this.dropped;
      if (isLost) continue;
      try {
        life.gossip.receive(from, gossipCodec.decode(new ByteReader(frame)));
      } catch (error) {
        if (!(error instanceof MemoryLost)) throw error;
        this.loseMemory(to);
      }
      this.step(to);
    }
  }

  run(ticks: number): void {
    for (let i = 0; i < ticks; i += 1) {
      this.ms += TICK_MS;
      for (const node of NODES) {
        const { gossip, watches } = this.at(node);
        gossip.now(this.ms, this.wallMs(node));
        watches.now(this.ms);
        gossip.tick();
        this.step(node);
      }
      for (let hop = 0; hop < 3; hop += 1) this.deliver();
      this.tell();
    }
  }

  tell(): void {
    for (const { watches } of this.lives) watches.deliver(this.ms);
  }

  link(a: number, b: number, up: boolean): void {
    this.links[a - 1][b - 1] = up;
    this.links[b - 1][a - 1] = up;
  }

  heal(): void {
    this.dropped = 0;
    for (const a of NODES) for (const b of NODES) this.link(a, b, true);
  }

  /** Key → version and value, of what a reader finds there. */
  state(node: number): Map<string, string> {
    const range = new Command(Op.range, "");
    range.limit = 100_000;
    const { items } = this.at(node).gossip.changes!.read(range);
    return new Map(items!.map(({ key, version, value }) => [key, `${version} ${text(value)}`]));
  }

  watch(node: number, listener: OriginListener, options: Partial<WatchOptions> = {}): KvError | null {
    const handle = this.at(node).watches.add({ ...ALL, ...options }, CLUSTER, listener);
    if (handle instanceof KvError) return handle;
    listener.begins(node, this.at(node), handle);
    return null;
  }
}

/** Hears, folds, and remembers from where to go on. */
export class OriginListener implements WatchSink {
  readonly folded = new Map<string, string>();
  readonly lines: string[] = [];
  /** The position told with each line. */
  readonly positions: string[] = [];
  /** It takes no more lines than these. */
  linesMax = Number.POSITIVE_INFINITY;
  position = "";
  node = 0;
  life: Life | null = null;
  error: KvError | null = null;
  isReady = true;
  /** Of this sitting alone: sequence of the newest change of each origin. */
  private newest = new Map<string, number>();
  handle: WatchHandle | null = null;

  constructor(private readonly world: OriginWorld) {}

  begins(node: number, life: Life, handle: WatchHandle): void {
    this.node = node;
    this.life = life;
    this.handle = handle;
    this.error = null;
    this.newest = new Map();
  }

  /** It has nothing to go on from. */
  forgets(): void {
    this.folded.clear();
    this.position = "";
  }

  ready(): boolean {
    return this.isReady && this.lines.length < this.linesMax;
  }

  record(key: string, version: number, value: Uint8Array): void {
    this.folded.set(key, `${version} ${text(value)}`);
  }

  changed(change: Change, isResumable: boolean): void {
    const { key, version, isPut, value } = change;
    const kind = kindOf(change);
    this.lines.push(`${kind} ${key}`);
    if (isResumable) this.position = this.handle!.position(version, change.ordinal);
    this.positions.push(this.position);
    if (isPut) this.folded.set(key, `${version} ${text(value)}`);
    else this.folded.delete(key);
    if (kind === "expire") return;
    const stamp = this.world.stamps.get(version)!;
    const origin = `${stamp.node}.${stamp.incarnation}`;
    expect(stamp.sequence).toBeGreaterThan(this.newest.get(origin) ?? 0);
    this.newest.set(origin, stamp.sequence);
  }

  snapshotEnded(version: number): void {
    this.position = this.handle!.position(version, 0);
  }

  progressed(version: number): void {
    this.position = this.handle!.position(version, 0);
  }

  ended(error: KvError): void {
    this.error = error;
  }

  flush(): void {}
}

export function put(key: string, value: string, ttlMs = 0): Command {
  const set = new Command(Op.set, key);
  set.value = bytes(value);
  if (ttlMs > 0) {
    set.deadlineMs = ttlMs;
    set.flags = CommandFlag.deadlineRelative;
  }
  return set;
}

export function del(...keys: string[]): Command {
  const command = new Command(Op.delete);
  command.keys = keys;
  return command;
}

const DIGEST_TICKS = 20;

/** All three hear each other and hold the same. */
export function quietWorld(history: Partial<HistoryLimits> = {}): OriginWorld {
  return new OriginWorld(new Random(1), { history, gossip: { digestTicks: DIGEST_TICKS } });
}

/** Nobody is told what it lacks for a while. */
export function betweenDigests(world: OriginWorld): void {
  do world.run(1);
  while (world.at(1).gossip.ticks % DIGEST_TICKS !== 1);
}

export function watching(world: OriginWorld, node: number, from = ""): OriginListener {
  const listener = new OriginListener(world);
  expect(world.watch(node, listener, { from })).toBe(null);
  // By then each of the others has been told that somebody watches.
  world.run(2 * DIGEST_TICKS + 2);
  return listener;
}

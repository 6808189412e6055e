import { expect, test } from "vitest";
import { MapState } from "../core/map-state.js";
import { Random } from "../core/random.js";
import { SectionWriter, writeBatch } from "../kv/batch.js";
import { type Change, ChangeHistory, END_OF_VERSION, type HistoryLimits, kindOf } from "../kv/change-history.js";
import { Command, CommandFlag, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { Store } from "../kv/store.js";
import { Compacted, decodePosition, type WatchHandle, type WatchOptions, type WatchSink } from "../kv/watch.js";
import { Watches } from "./watches.js";

const CLIENT = "client-0123456-A";
const LIMITS = { watchesMax: 64, changesPerTurn: 7, recordsPerTurn: 1_000, progressMs: 1_000 };
const HISTORY: HistoryLimits = { changesMax: 4_000, bytesMax: 1 << 20, ageMsMax: 60_000 };
const ALL: WatchOptions = { prefix: "", keys: null, from: "", snapshot: false, values: false };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | null): string => (value === null ? "-" : new TextDecoder().decode(value));

/** A replica: applies what it is given, and tells who watches. */
class Replica {
  state = new MapState();
  store = new Store(this.state);
  readonly history: ChangeHistory;
  readonly watches: Watches;
  readonly all: { line: string; key: string; version: number }[] = [];
  nowMs = 0;
  wakes = 0;

  constructor(limits: Partial<HistoryLimits> = {}) {
    this.history = new ChangeHistory({ ...HISTORY, ...limits });
    this.watches = new Watches(
      {
        id: 5,
        history: this.history,
        read: (command) => this.store.read(command),
        revision: () => this.store.revision,
        wake: () => {
          this.wakes += 1;
        },
      },
      LIMITS,
    );
  }

  apply(batch: Uint8Array): void {
    this.store.applyBatch(batch, {
      wants: () => false,
      applied: () => {},
      changed: (key, version, record, cause) => {
        this.history.changed(key, version, record, cause);
        const kind = record !== null ? "put" : cause === Op.advance ? "expire" : "delete";
        this.all.push({ line: `${kind} ${key} ${version}`, key, version });
      },
    });
  }

  turn(ms = 1): void {
    this.nowMs += ms;
    this.watches.now(this.nowMs);
    this.watches.deliver(this.nowMs);
  }

  settle(): void {
    do {
      this.wakes = 0;
      this.turn(0);
    } while (this.wakes > 0);
  }

  watch(options: Partial<WatchOptions> = {}): Listener {
    const listener = new Listener();
    const handle = this.watches.add({ ...ALL, ...options }, "cluster", listener);
    if (handle instanceof KvError) listener.error = handle;
    else listener.handle = handle;
    return listener;
  }
}

class Listener implements WatchSink {
  handle: WatchHandle | null = null;
  error: KvError | null = null;
  readonly lines: string[] = [];
  readonly values: string[] = [];
  /** The position told with each line. */
  readonly positions: string[] = [];
  readonly folded = new Map<string, string>();
  snapshotVersion = -1;
  progress: number[] = [];
  isReady = true;
  flushes = 0;

  ready(): boolean {
    return this.isReady;
  }

  record(key: string, version: number, value: Uint8Array): void {
    expect(this.folded.has(key)).toBe(false);
    this.folded.set(key, `${version} ${text(value)}`);
  }

  changed(change: Change, isResumable: boolean): void {
    const { key, version, isPut, value, ordinal } = change;
    this.lines.push(`${kindOf(change)} ${key} ${version}`);
    this.values.push(text(value));
    this.positions.push(isResumable ? this.handle!.position(version, ordinal) : "");
    if (isPut) this.folded.set(key, `${version} ${text(value)}`);
    else this.folded.delete(key);
  }

  snapshotEnded(version: number): void {
    this.snapshotVersion = version;
  }

  progressed(version: number): void {
    this.progress.push(version);
  }

  ended(error: KvError): void {
    this.error = error;
  }

  flush(): void {
    this.flushes += 1;
  }
}

class Writes {
  private sequence = 0;
  timeMs = 1_000;
  constructor(private readonly random: Random) {}

  batch(commands: readonly Command[]): Uint8Array {
    const writer = new SectionWriter();
    writer.begin(CLIENT, this.sequence + 1, this.sequence, 1_000);
    for (const command of commands) writer.add(command);
    this.sequence += commands.length;
    return writeBatch(this.timeMs, commands.length === 0 ? [] : [writer.finish()]);
  }

  next(): Uint8Array {
    const { random } = this;
    this.timeMs += random.below(30);
    return this.batch(Array.from({ length: random.below(4) }, () => this.command()));
  }

  private key(): string {
    return `${"ab"[this.random.below(2)]}${this.random.below(20)}`;
  }

  private command(): Command {
    const { random } = this;
    switch (random.below(6)) {
      case 0: {
        const del = new Command(Op.delete);
        del.keys = [this.key(), this.key()];
        return del;
      }
      case 1: {
        const many = new Command(Op.setMany);
        many.keys = [this.key(), this.key(), this.key()];
        many.values = many.keys.map((key) => bytes(key));
        return many;
      }
      case 2: {
        const rename = new Command(Op.rename, this.key());
        rename.keys = [this.key()];
        return rename;
      }
      default:
        return put(this.key(), `${random.below(1_000)}`, random.below(4) === 0 ? 1 + random.below(60) : 0);
    }
  }
}

function put(key: string, value: string, ttlMs = 0): Command {
  const set = new Command(Op.set, key);
  set.value = bytes(value);
  if (ttlMs > 0) {
    set.deadlineMs = ttlMs;
    set.flags = CommandFlag.deadlineRelative;
  }
  return set;
}

function flush(): Command {
  return new Command(Op.flush);
}

function stateOf(store: Store, prefix: string): Map<string, string> {
  const range = new Command(Op.range, prefix);
  range.limit = 10_000;
  const items = store.read(range).items!.filter(({ key }) => key.startsWith(prefix));
  return new Map(items.map(({ key, version, value }) => [key, `${version} ${text(value)}`]));
}

test("every watcher hears each change once, in order, however slow it is; from any position, at any replica", () => {
  let resumed = 0;
  let expired = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = new Random(seed);
    const writes = new Writes(random);
    const replicas = [new Replica(), new Replica()];
    const late = new Replica();
    const lateFrom = random.below(100);
    const watchers: { listener: Listener; prefix: string; from: number }[] = [];
    for (let round = 0; round < 200; round += 1) {
      const batch = writes.next();
      for (const replica of replicas) replica.apply(batch);
      late.apply(batch);
      // What it knows begins here: as after a restart.
      if (round === lateFrom) late.watches.restart();
      if (random.below(10) === 0) {
        const prefix = ["", "a", "b1"][random.below(3)];
        const at = replicas[random.below(2)];
        watchers.push({ listener: at.watch({ prefix, values: true }), prefix, from: at.all.length });
      }
      for (const { listener } of watchers) listener.isReady = random.below(3) > 0;
      for (const replica of replicas) replica.turn();
    }
    for (const { listener } of watchers) listener.isReady = true;
    for (const replica of replicas) replica.settle();
    const { all } = replicas[0];
    for (const { listener, prefix, from } of watchers) {
      const wanted = all.slice(from).filter(({ key }) => key.startsWith(prefix));
      expect(listener.lines).toEqual(wanted.map(({ line }) => line));
      expired += listener.lines.filter((line) => line.startsWith("expire")).length;
      for (let tries = 0; tries < 3 && listener.positions.length > 0; tries += 1) {
        const at = random.below(listener.positions.length);
        for (const replica of [replicas[1], late]) {
          const next = replica.watch({ prefix, from: listener.positions[at] });
          replica.settle();
          const rest = listener.lines.slice(at + 1);
          if (next.error === null) {
            expect(next.lines).toEqual(rest);
            resumed += 1;
          } else {
            expect(replica).toBe(late);
            expect(next.error).toBeInstanceOf(Compacted);
            // It may not know that it misses nothing; what it calls the oldest position it has.
            const oldest = replica.watch({ from: (next.error as Compacted).oldest });
            expect(oldest.error).toBe(null);
            oldest.handle!.close();
          }
          next.handle?.close();
        }
      }
    }
  }
  expect(resumed).toBeGreaterThan(1_000);
  expect(expired).toBeGreaterThan(100);
});

test("a snapshot and the changes after it make the state, while writes go on", () => {
  for (let seed = 1; seed <= 15; seed += 1) {
    const random = new Random(seed);
    const writes = new Writes(random);
    const replica = new Replica();
    const keys = Array.from({ length: 1_024 }, (_, n) => n);
    for (let i = 0; i < 3; i += 1) replica.apply(writes.batch(keys.map((n) => put(`a${i}-${n}`, "x"))));
    const prefix = ["", "a", "a1"][random.below(3)];
    const listener = replica.watch({ prefix, snapshot: true, values: true });
    const states = new Map<number, Map<string, string>>();
    for (let round = 0; round < 40; round += 1) {
      const batch = round === 20 && random.below(4) === 0 ? writes.batch([flush()]) : writes.next();
      replica.apply(batch);
      const before = listener.snapshotVersion;
      listener.isReady = random.below(3) > 0;
      states.set(replica.store.revision, stateOf(replica.store, prefix));
      replica.turn();
      if (before < 0 && listener.snapshotVersion >= 0) {
        // Whatever it has heard beyond that in the same turn, it has heard in order.
        const state = states.get(listener.snapshotVersion);
        if (listener.lines.every((line) => Number(line.split(" ")[2]) <= listener.snapshotVersion)) {
          expect(listener.folded).toEqual(state);
        }
      }
    }
    listener.isReady = true;
    replica.settle();
    expect(listener.snapshotVersion).toBeGreaterThan(0);
    expect(listener.error).toBe(null);
    // Once all deadlines have passed and all that had one is removed, every change has been told.
    writes.timeMs += 10_000;
    for (let i = 0; i < 3; i += 1) replica.apply(writes.batch([]));
    replica.settle();
    expect(listener.folded).toEqual(stateOf(replica.store, prefix));
  }
});

test("who falls behind what is kept hears so, and is told what it could go on from", () => {
  const writes = new Writes(new Random(1));
  const replica = new Replica({ changesMax: 10 });
  const slow = replica.watch();
  const quick = replica.watch();
  slow.isReady = false;
  for (let i = 0; i < 11; i += 1) {
    replica.apply(writes.batch([put("k", `${i}`)]));
    replica.turn();
  }
  expect(quick.lines).toHaveLength(11);
  expect(quick.error).toBe(null);
  expect(slow.lines).toEqual([]);
  expect(slow.error).toBeInstanceOf(Compacted);
  const { oldest } = slow.error as Compacted;
  expect(decodePosition(oldest, "cluster")).toEqual({ group: 5, version: 1, ordinal: 1 });
  const again = replica.watch({ from: oldest });
  replica.settle();
  expect(again.lines).toEqual(quick.lines.slice(1));
  // Nothing of it is kept: what is ended costs nothing more.
  replica.apply(writes.batch([put("k", "more")]));
  replica.turn();
  expect(slow.lines).toEqual([]);
});

test("who has heard everything is not left to miss what a snapshot of the state brings", () => {
  const writes = new Writes(new Random(5));
  const [sender, lagging] = [new Replica(), new Replica()];
  const listeners = [lagging.watch(), lagging.watch({ snapshot: true }), lagging.watch({ prefix: "none" })];
  lagging.settle();
  for (let round = 0; round < 30; round += 1) sender.apply(writes.next());
  lagging.state = sender.state;
  lagging.store = sender.store;
  lagging.watches.restart();
  lagging.settle();
  for (const { error } of listeners) expect(error).toBeInstanceOf(Compacted);
  // What is there already is no reason to begin anew.
  const late = lagging.watch();
  lagging.watches.restart();
  lagging.apply(writes.batch([put("a1", "new")]));
  lagging.settle();
  expect(late.error).toBeNull();
  expect(late.lines).toHaveLength(1);
});

test("a snapshot ends at its version, also if more has happened before it was told whole", () => {
  const writes = new Writes(new Random(6));
  const replica = new Replica();
  const listener = replica.watch({ snapshot: true });
  let toldBefore = -1;
  listener.snapshotEnded = (version) => {
    listener.snapshotVersion = version;
    toldBefore = listener.lines.length;
  };
  replica.apply(writes.batch([put("a", "1")]));
  replica.turn();
  expect(listener.snapshotVersion).toBe(-1);
  replica.apply(writes.batch([put("b", "2")]));
  replica.settle();
  expect([listener.snapshotVersion, toldBefore, listener.lines]).toEqual([1, 0, ["put b 2"]]);
});

test("the history is bounded by count, bytes and age", () => {
  const writes = new Writes(new Random(1));
  const kept = (replica: Replica): number => replica.history.end - replica.history.first;
  const byCount = new Replica({ changesMax: 3_000 });
  const byBytes = new Replica({ bytesMax: 10_000 });
  const byAge = new Replica({ ageMsMax: 500 });
  for (let i = 0; i < 5_000; i += 1) {
    const batch = writes.batch([put(`key-${i}`, "v")]);
    for (const replica of [byCount, byBytes, byAge]) {
      replica.apply(batch);
      replica.turn();
    }
  }
  expect(kept(byCount)).toBe(3_000);
  expect(kept(byBytes)).toBeGreaterThan(100);
  expect(kept(byBytes)).toBeLessThan(200);
  expect(kept(byAge)).toBe(500);
  byAge.turn(1_000);
  expect(kept(byAge)).toBe(0);
  expect(byAge.watch({ from: byAge.watch().handle!.position(5_000, END_OF_VERSION) }).error).toBe(null);
});

test("values are kept while somebody wants them; else a put tells its value while it is still there", () => {
  const writes = new Writes(new Random(1));
  const replica = new Replica();
  replica.apply(writes.batch([put("k", "1")]));
  replica.apply(writes.batch([put("k", "2")]));
  const from = replica.watch().handle!.position(0, END_OF_VERSION);
  const listener = replica.watch({ values: true, from });
  replica.apply(writes.batch([put("k", "3"), put("k", "4")]));
  replica.turn();
  expect(listener.lines).toEqual(["put k 1", "put k 2", "put k 3", "put k 4"]);
  expect(listener.values).toEqual(["-", "-", "3", "4"]);
  listener.handle!.close();
  listener.handle!.close();
  expect(replica.history.valueWatchers).toBe(0);
});

test("a watcher of keys that do not change is told how far it is", () => {
  const writes = new Writes(new Random(1));
  const replica = new Replica();
  const listener = replica.watch({ prefix: "never" });
  replica.turn();
  for (let i = 0; i < 10; i += 1) {
    replica.apply(writes.batch([put("k", "1")]));
    replica.turn(400);
  }
  expect(listener.lines).toEqual([]);
  expect(listener.progress).toEqual([3, 6, 9]);
});

test("positions of others are refused by name", () => {
  const replica = new Replica();
  const { handle } = replica.watch();
  const position = handle!.position(1, 1);
  const refusal = (from: string): string => replica.watch({ from }).error?.code ?? "none";
  expect(refusal("00")).toBe("bad_token");
  expect(refusal("zz")).toBe("bad_token");
  expect(refusal(position.slice(2))).toBe("bad_token");
  for (let at = 0; at < position.length; at += 1) {
    const digit = position[at] === "0" ? "1" : "0";
    expect(refusal(position.slice(0, at) + digit + position.slice(at + 1))).toBe("bad_token");
  }
  const other = replica.watches.add({ ...ALL, from: position }, "another", new Listener());
  expect(other instanceof KvError && other.code).toBe("wrong_cluster");
  const elsewhere = new Watches(
    { id: 6, history: new ChangeHistory(HISTORY), read: () => expect.unreachable(), revision: () => 0, wake: () => {} },
    LIMITS,
  ).add({ ...ALL, from: position }, "cluster", new Listener());
  expect(elsewhere instanceof KvError && elsewhere.code).toBe("keyspace_gone");
});

test("there is a limit to watches", () => {
  const replica = new Replica();
  for (let i = 0; i < LIMITS.watchesMax; i += 1) expect(replica.watch().error).toBe(null);
  expect(replica.watch().error?.code).toBe("overloaded");
});

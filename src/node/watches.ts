import { type ChangeHistory, END_OF_VERSION } from "../kv/change-history.js";
import type { Command } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { Result } from "../kv/result.js";
import {
  anotherKeyspace,
  Compacted,
  decodePosition,
  encodePosition,
  type WatchHandle,
  type WatchOptions,
  type WatchSink,
} from "../kv/watch.js";
import { Watch } from "./watch.js";

export interface WatchLimits {
  /** At one group of this node. */
  readonly watchesMax: number;
  /** That one watch looks at in a turn; the next turn goes on. */
  readonly changesPerTurn: number;
  /** Of a snapshot that are read in one turn. */
  readonly recordsPerTurn: number;
  /** How often a watch that hears nothing is told how far it is. */
  readonly progressMs: number;
}

/** What the watches need of their group. */
export interface WatchedGroup {
  readonly id: number;
  readonly history: ChangeHistory;
  /** The state as it is applied. */
  read(command: Command): Result;
  /** Version of the newest write that is applied. */
  revision(): number;
  wake(): void;
}

/**
 * Who watches a group here. Nothing is queued for anybody: each watch has a place in the history, and takes from there
 * what its reader has room for. One that falls behind the history's oldest change is ended.
 */
export class Watches {
  private readonly active = new Set<Watch>();

  constructor(
    protected readonly group: WatchedGroup,
    private readonly limits: WatchLimits,
  ) {}

  /** The state is as it was read or received: what led to it is not known. */
  restart(): void {
    this.group.history.restart(this.group.revision());
  }

  /** Monotonic, once a turn. */
  now(nowMs: number): void {
    const { history } = this.group;
    history.nowMs = nowMs;
    history.age();
  }

  add(options: WatchOptions, clusterId: string, sink: WatchSink): WatchHandle | KvError {
    const { group, limits } = this;
    const { history } = group;
    if (this.active.size >= limits.watchesMax) {
      return new KvError("overloaded", `this node has ${limits.watchesMax} watches of the keyspace: ask another`);
    }
    const watch = this.begin(options, clusterId, sink);
    if (watch instanceof KvError) return watch;
    this.active.add(watch);
    history.watchers += 1;
    if (options.values) history.valueWatchers += 1;
    group.wake();
    return watch;
  }

  protected begin(options: WatchOptions, clusterId: string, sink: WatchSink): Watch | KvError {
    const { group } = this;
    let version = group.revision();
    let ordinal: number = END_OF_VERSION;
    if (options.from !== "") {
      const from = decodePosition(options.from, clusterId);
      if (from instanceof KvError) return from;
      if (from.group !== group.id) return anotherKeyspace();
      if (!group.history.holdsAfter(from.version, from.ordinal)) return this.compacted(clusterId);
      version = from.version;
      ordinal = from.ordinal;
    }
    const watch = new Watch(group, options, sink, clusterId, version, ordinal, () => this.remove(watch));
    return watch;
  }

  protected remove(watch: Watch): void {
    if (!this.active.delete(watch)) return;
    this.group.history.watchers -= 1;
    if (watch.options.values) this.group.history.valueWatchers -= 1;
  }

  protected compacted(clusterId: string): Compacted {
    const { id, history } = this.group;
    const oldest = { group: id, version: history.floorVersion, ordinal: history.floorOrdinal };
    return new Compacted(encodePosition(clusterId, oldest));
  }

  /** Tells everybody what there is to tell. At the end of a turn. */
  deliver(nowMs: number): void {
    for (const watch of this.active) {
      if (!watch.isKept) this.end(watch, this.compacted(watch.clusterId));
      else if (watch.deliver(nowMs, this.limits)) this.group.wake();
    }
  }

  endAll(error: KvError): void {
    for (const watch of this.active) this.end(watch, error);
  }

  private end(watch: Watch, error: KvError): void {
    this.remove(watch);
    watch.sink.ended(error);
    watch.sink.flush();
  }
}

import { decodeValue } from "./commands.js";
import type { Feed, FeedEvent } from "./feed.js";
import { type Key, type KeyRange, type ListedKey, showKey } from "./key.js";
import { type OptionNames, WATCH_OPTIONS, type WatchOptions } from "./options.js";
import { GamutError } from "./outcome.js";
import { Turns } from "./turns.js";
import type { ValueCodec } from "./values.js";
import { toVersionstamp } from "./versionstamp.js";

export interface ChangesOptions extends WatchOptions {
  /** Goes on after this position, which an event or {@link Changes.position} has told. */
  readonly from?: string | undefined;
  /** The records that are there first; with `from` only if what comes after that is not kept any more. */
  readonly snapshot?: boolean | undefined;
  /** Whether the values of what is put are wanted. Default true. */
  readonly values?: boolean | undefined;
}

export const CHANGES_OPTIONS: OptionNames<ChangesOptions> = {
  ...WATCH_OPTIONS,
  ...{ level: true, from: true, snapshot: true, values: true },
};

/** `position`: to go on after it; "" within a snapshot. `versionstamp`: of the change. */
export type Change<V, K extends Key = Key> =
  | {
      readonly kind: "put";
      readonly key: ListedKey<K>;
      /** null: not asked for, or written over before it could be told; a later change tells. */
      readonly value: V | null;
      readonly versionstamp: string;
      readonly position: string;
    }
  | {
      readonly kind: "delete" | "expire";
      readonly key: ListedKey<K>;
      readonly versionstamp: string;
      readonly position: string;
    }
  /** Whoever folds the events forgets all that it has: what is there follows. */
  | { readonly kind: "snapshot-begin" }
  | { readonly kind: "record"; readonly key: ListedKey<K>; readonly value: V; readonly versionstamp: string }
  /** What was told since `snapshot-begin` is the state at this position. */
  | { readonly kind: "snapshot-end"; readonly position: string };

/**
 * Iterates over changes, each once and without a gap, whichever nodes die meanwhile. An error is thrown, as GamutError:
 * `compacted` ({@link CompactedError}) when what comes next is kept by no node and no snapshot was asked for.
 * `gamut.close()` and {@link return} end it.
 */
export class Changes<V, K extends Key = Key> implements AsyncIterableIterator<Change<V, K>> {
  private readonly turns = new Turns();
  private first: FeedEvent | null = null;
  private reached: string;

  constructor(
    private readonly feed: Feed,
    private readonly range: KeyRange,
    private readonly values: ValueCodec<V>,
  ) {
    this.reached = feed.position;
  }

  /** To go on after what was given out, in another watch; "" if there is none yet. */
  get position(): string {
    return this.reached;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Begins now, and not with the first `next`: what is written after this has resolved is told. @throws GamutError */
  begin(): Promise<void> {
    return this.turns.run(async () => {
      if (this.reached !== "" || this.first !== null) return;
      this.first = await this.feed.next();
      this.reached = this.feed.position;
    });
  }

  /** @throws GamutError */
  next(): Promise<IteratorResult<Change<V, K>, undefined>> {
    return this.turns.run(async () => {
      for (;;) {
        const event = this.first ?? (await this.feed.next());
        this.first = null;
        if (event === null) return { done: true, value: undefined };
        const change = this.shown(event);
        this.reached = this.feed.position;
        if (change !== null) return { done: false, value: change };
      }
    });
  }

  return(): Promise<IteratorResult<Change<V, K>, undefined>> {
    this.feed.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  private shown(event: FeedEvent): Change<V, K> | null {
    try {
      return this.show(event);
    } catch (error) {
      if (error instanceof GamutError) this.feed.end(error);
      throw error;
    }
  }

  /** Null: nothing that was asked for. */
  private show({ kind, key, version, position, value }: FeedEvent): Change<V, K> | null {
    if (kind === "begin" || kind === "progress") return null;
    if (kind === "snapshot-begin") return { kind };
    if (kind === "snapshot-end") return { kind, position };
    const { start, end, form } = this.range;
    if (key < start || (end !== "" && key >= end)) return null;
    const record = { key: showKey(key, form) as ListedKey<K>, versionstamp: toVersionstamp(version) };
    if (kind === "record") return { kind, ...record, value: decodeValue(this.values, value!) };
    if (kind !== "put") return { kind, ...record, position };
    return { kind, ...record, value: value === null ? null : decodeValue(this.values, value), position };
  }
}

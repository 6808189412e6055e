import type { Feed, FeedEvent } from "./feed.js";
import type { Entry } from "./gamut.js";
import type { Key } from "./key.js";
import { callError, GamutError, type Outcome } from "./outcome.js";
import { Turns } from "./turns.js";
import { fromVersionstamp } from "./versionstamp.js";

/**
 * Iterates over what some records come to. Each item is a read of one moment, made after a change was heard of, so that
 * nothing old is shown, and what changed while nobody asked costs nothing. An error is thrown, as GamutError.
 * `gamut.close()` and {@link return} end it.
 */
export class Watch<V, K extends Key = Key> implements AsyncIterableIterator<Entry<V, K>[]> {
  private readonly turns = new Turns();
  /** By name: version that was last given out; 0 of an absent record. */
  private readonly versions = new Map<string, number>();
  private isDue = false;
  private isFirst = true;

  constructor(
    private readonly feed: Feed,
    private readonly names: readonly string[],
    private readonly read: () => Promise<Outcome<{ readonly entries: Entry<V, K>[] }>>,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The entries in the order of the keys. @throws GamutError */
  next(): Promise<IteratorResult<Entry<V, K>[], undefined>> {
    return this.turns.run(async () => {
      for (;;) {
        while (!this.isDue) {
          const event = await this.hear();
          if (event === null) return { done: true, value: undefined };
          this.note(event);
        }
        // One read shows all that has been told already.
        for (let event = this.feed.poll(); event !== null; event = this.feed.poll()) this.note(event);
        this.isDue = false;
        const entries = await this.readAll();
        if (entries === null) return { done: true, value: undefined };
        if (this.isNew(entries)) return { done: false, value: entries };
      }
    });
  }

  private async hear(): Promise<FeedEvent | null> {
    try {
      return await this.feed.next();
    } catch (error) {
      throw error instanceof GamutError ? shown(error) : error;
    }
  }

  private note({ kind, key, version }: FeedEvent): void {
    if (kind === "begin") this.isDue = true;
    else if (kind !== "progress" && version > (this.versions.get(key) ?? 0)) this.isDue = true;
  }

  /** Null: it was closed meanwhile. */
  private async readAll(): Promise<Entry<V, K>[] | null> {
    const outcome = await this.read();
    if (this.feed.isClosed) return null;
    if (outcome.kind === "ok") return outcome.entries;
    const error = shown(new GamutError(outcome));
    this.feed.end(error);
    throw error;
  }

  private isNew(entries: readonly Entry<V, K>[]): boolean {
    let isNew = this.isFirst;
    this.isFirst = false;
    for (const [i, { versionstamp }] of entries.entries()) {
      const version = versionstamp === null ? 0 : fromVersionstamp(versionstamp)!;
      if (this.versions.get(this.names[i]) !== version) isNew = true;
      this.versions.set(this.names[i], version);
    }
    return isNew;
  }

  return(): Promise<IteratorResult<Entry<V, K>[], undefined>> {
    this.feed.close();
    return Promise.resolve({ done: true, value: undefined });
  }
}

/** Nobody has asked for the level of a watch: that it cannot be had means that there is no common order of writes. */
function shown(error: GamutError): GamutError {
  if (error.code !== "level_unsupported") return error;
  return new GamutError(
    callError(
      "operation_unsupported",
      "writes of a keyspace of gossip have no common order, so no read shows what its records come to; " +
        'they are watched with changes(), as gamut.changes({ prefix: "user:" })',
    ),
  );
}

import { latin1Decode, latin1Encode } from "../core/bytes.js";
import { Command, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { Result } from "../kv/result.js";
import { tokenFromText, tokenToText } from "../kv/token.js";
import type { RawOutcome } from "./call.js";
import { decodeValue } from "./commands.js";
import { type Key, type KeyRange, keyRange, type ListedKey, type Selector, showKey } from "./key.js";
import { CALL_OPTIONS, type CallOptions, checkOptions, type OptionNames, wholeNumber } from "./options.js";
import { callError, GamutError } from "./outcome.js";
import type { ValueCodec } from "./values.js";
import { toVersionstamp } from "./versionstamp.js";

const BATCH_SIZE = 500;
/** Before a cursor's hex: the empty key has a cursor as well, and the end's is "". */
const CURSOR_MARK = "k";

export interface ListOptions extends CallOptions {
  /** Records in all. Default: no limit. */
  readonly limit?: number;
  /** Where another list has stopped: its `cursor`. */
  readonly cursor?: string;
  /** Records asked for at once, up to 10,000; default 500. A page ends early after 1 MiB. */
  readonly batchSize?: number;
}

export const LIST_OPTIONS: OptionNames<ListOptions> = {
  ...CALL_OPTIONS,
  ...{ limit: true, cursor: true, batchSize: true },
};

/** A record that was there. */
export interface ListEntry<V, K extends Key> {
  readonly key: ListedKey<K>;
  readonly value: V;
  readonly versionstamp: string;
}

/**
 * Iterates over records. There is nobody to look at an outcome between two of them, so an error or an unknown outcome is
 * thrown, as {@link GamutError}; `cursor` then still tells where to go on.
 */
export class List<V, K extends Key> implements AsyncIterableIterator<ListEntry<V, K>> {
  private readonly range: KeyRange;
  private readonly batchSize: number;
  private left: number;
  private page: readonly Result[] = [];
  private at = 0;
  /** Where the next page begins; null: there is none. */
  private following: string | null;

  constructor(
    selector: Selector<K>,
    options: ListOptions,
    private readonly values: ValueCodec<V>,
    private readonly call: (command: Command) => Promise<RawOutcome>,
  ) {
    checkOptions("list", options, LIST_OPTIONS);
    const { limit, cursor, batchSize = BATCH_SIZE } = options;
    this.range = keyRange("list", selector);
    this.batchSize = wholeNumber("batchSize", batchSize);
    this.left = limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber("limit", limit);
    const start = cursor === undefined ? this.range.start : keyAt(cursor, this.range);
    this.following = this.range.end !== "" && start >= this.range.end ? null : start;
  }

  /** Where another list of the same bounds goes on after the last record that was given out; "" at the end. */
  get cursor(): string {
    const next = this.at < this.page.length ? this.page[this.at].key : this.following;
    return next === null ? "" : CURSOR_MARK + tokenToText(latin1Encode(next));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws GamutError */
  async next(): Promise<IteratorResult<ListEntry<V, K>, undefined>> {
    if (this.left === 0) return { done: true, value: undefined };
    // A page may be empty without being the last: of records that have expired.
    while (this.at === this.page.length && this.following !== null) await this.turnPage(this.following);
    if (this.at === this.page.length) return { done: true, value: undefined };
    const { key, value, version } = this.page[this.at];
    const entry = {
      key: showKey(key, this.range.form) as ListedKey<K>,
      value: decodeValue(this.values, value),
      versionstamp: toVersionstamp(version),
    };
    this.at += 1;
    this.left -= 1;
    return { done: false, value: entry };
  }

  private async turnPage(start: string): Promise<void> {
    const command = new Command(Op.range, start);
    command.value = latin1Encode(this.range.end);
    command.limit = Math.min(this.batchSize, this.left);
    const raw = await this.call(command);
    if (raw.kind !== "ok") throw new GamutError(raw);
    this.page = raw.result.items ?? [];
    this.at = 0;
    this.following = raw.result.key === "" ? null : raw.result.key;
  }
}

/** @throws GamutError bad_request */
function keyAt(cursor: string, range: KeyRange): string {
  if (cursor === "") throw badCursor("the list that gave it was at its end");
  const bytes = cursor.startsWith(CURSOR_MARK) ? tokenFromText(cursor.slice(CURSOR_MARK.length)) : null;
  if (bytes === null || bytes instanceof KvError) throw badCursor("it is none that a list has given");
  const key = latin1Decode(bytes);
  if (key < range.start) throw badCursor("it lies before the bounds of this list");
  return key;
}

function badCursor(why: string): GamutError {
  return new GamutError(callError("bad_request", `the cursor cannot be used: ${why}`));
}

import { latin1Decode, latin1Encode } from "../core/bytes.js";
import { Command, CommandFlag, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { nextKey } from "../kv/key-range.js";
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
/** Before a cursor's key: the empty key has a cursor as well, and the end's is "". */
const CURSOR_MARK = "k";
const REVERSE_CURSOR_MARK = "r";

export interface ListOptions extends CallOptions {
  /** Records in all. Default: no limit. */
  readonly limit?: number;
  /** Where another list of the same direction has stopped: its `cursor`. */
  readonly cursor?: string;
  /** From the last key to the first, of the same bounds. Default: false. */
  readonly reverse?: boolean;
  /** Records asked for at once, up to 10,000; default 500. A page ends early after 1 MiB. */
  readonly batchSize?: number;
}

export const LIST_OPTIONS: OptionNames<ListOptions> = {
  ...CALL_OPTIONS,
  ...{ limit: true, cursor: true, reverse: true, batchSize: true },
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
  private readonly reverse: boolean;
  private readonly batchSize: number;
  private left: number;
  private page: readonly Result[] = [];
  private at = 0;
  /** Where the next page begins, in reverse what it lies below ("": nothing bounds it); null: there is none. */
  private following: string | null;

  constructor(
    selector: Selector<K>,
    options: ListOptions,
    private readonly values: ValueCodec<V>,
    private readonly call: (command: Command) => Promise<RawOutcome>,
  ) {
    checkOptions("list", options, LIST_OPTIONS);
    const { limit, cursor, batchSize = BATCH_SIZE, reverse = false } = options;
    this.range = keyRange("list", selector);
    if (typeof reverse !== "boolean") throw badRequest(`reverse is ${reverse}; it must be true or false`);
    this.reverse = reverse;
    this.batchSize = wholeNumber("batchSize", batchSize);
    this.left = limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber("limit", limit);
    const from = cursor === undefined ? null : keyAt(cursor, reverse);
    const { start, end } = reverse ? endedAt(from, this.range) : begunAt(from, this.range);
    if (end !== "" && start >= end) this.following = null;
    else this.following = reverse ? end : start;
  }

  /** Where another list of the same bounds goes on after the last record that was given out; "" at the end. */
  get cursor(): string {
    const next = this.at < this.page.length ? this.boundOf(this.page[this.at].key) : this.following;
    return next === null ? "" : markOf(this.reverse) + tokenToText(latin1Encode(next));
  }

  /** Of a page that has this key first. */
  private boundOf(key: string): string {
    return this.reverse ? nextKey(key) : key;
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

  private async turnPage(bound: string): Promise<void> {
    const { range, reverse } = this;
    const command = new Command(Op.range, reverse ? range.start : bound);
    command.value = latin1Encode(reverse ? bound : range.end);
    if (reverse) command.flags = CommandFlag.reverse;
    command.limit = Math.min(this.batchSize, this.left);
    const raw = await this.call(command);
    if (raw.kind !== "ok") throw new GamutError(raw);
    this.page = raw.result.items ?? [];
    this.at = 0;
    this.following = raw.result.key === "" ? null : raw.result.key;
  }
}

function markOf(reverse: boolean): string {
  return reverse ? REVERSE_CURSOR_MARK : CURSOR_MARK;
}

/** @throws GamutError bad_request */
function keyAt(cursor: string, reverse: boolean): string {
  if (typeof cursor !== "string") throw badCursor(`it is ${cursor}; it must be the text that a list has given`);
  if (cursor === "") throw badCursor("the list that gave it was at its end");
  const mark = cursor[0];
  const isCursor = mark === CURSOR_MARK || mark === REVERSE_CURSOR_MARK;
  const bytes = isCursor ? tokenFromText(cursor.slice(1)) : null;
  if (bytes === null || bytes instanceof KvError) throw badCursor("it is none that a list has given");
  if (mark !== markOf(reverse)) {
    throw badCursor(`it is of a list ${reverse ? "without" : "with"} reverse, and goes on only there`);
  }
  return latin1Decode(bytes);
}

/** The part of a range from this key on; null: all of it. @throws GamutError bad_request */
function begunAt(key: string | null, { start, end }: KeyRange): Pick<KeyRange, "start" | "end"> {
  if (key === null) return { start, end };
  checkInside(key, { start, end });
  return { start: key, end };
}

/** The part of a range before this key; null: all of it. @throws GamutError bad_request */
function endedAt(key: string | null, { start, end }: KeyRange): Pick<KeyRange, "start" | "end"> {
  if (key === null) return { start, end };
  // "": it lies below nothing.
  if (key !== "") checkInside(key, { start, end });
  else if (end !== "") throw badCursor("it lies behind the bounds of this list");
  return { start, end: key };
}

function checkInside(key: string, { start, end }: Pick<KeyRange, "start" | "end">): void {
  if (key < start) throw badCursor("it lies before the bounds of this list");
  if (end !== "" && key > end) throw badCursor("it lies behind the bounds of this list");
}

function badCursor(why: string): GamutError {
  return badRequest(`the cursor cannot be used: ${why}`);
}

function badRequest(message: string): GamutError {
  return new GamutError(callError("bad_request", message));
}

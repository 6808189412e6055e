/** `GET /v1/keyspaces/{keyspace}/keys`: a range of keys, page by page. */
import { Command, CommandFlag, Op } from "../kv/command.js";
import { prefixEnd } from "../kv/key-range.js";
import type { Result } from "../kv/result.js";
import { ttlMs } from "./http-batch.js";
import { keyToJson } from "./http-json.js";
import { Problem } from "./http-problem.js";
import type { KeysQuery } from "./http-schemas.js";

const CURSOR = /^([kr])([A-Za-z0-9_-]*)$/;
/** The first char of a cursor. */
const ASCENDING = "k";
const DESCENDING = "r";

/**
 * A range of keys in byte order, or in the reverse of it. A cursor is the key to go on at, so that no node remembers it
 * and any node takes it; a page shows its keys as they were when it was read, and the pages are no snapshot together.
 */
export class KeyRange {
  private constructor(
    private readonly start: string,
    /** The first key that is not of it; null: there is no end. */
    private readonly end: string | null,
    private readonly query: KeysQuery,
  ) {}

  static parse(query: KeysQuery): KeyRange | Problem {
    const { prefix = "", start = "", cursor, reverse } = query;
    const from = start > prefix ? start : prefix;
    const ends = [query.end, prefixEnd(prefix)].filter((each) => each !== undefined).sort();
    const end = ends[0] ?? null;
    if (cursor === undefined) return new KeyRange(from, end, query);
    const at = keyAt(cursor, reverse !== undefined);
    if (at instanceof Problem) return at;
    if (at < from || (end !== null && at > end)) return otherPage();
    return reverse === undefined ? new KeyRange(at, end, query) : new KeyRange(from, at, query);
  }

  get isEmpty(): boolean {
    return this.end !== null && this.start >= this.end;
  }

  command(): Command {
    const command = new Command(Op.scan, this.isReverse ? (this.end ?? "") : this.start);
    command.limit = this.query.limit;
    if (this.isReverse) command.flags = CommandFlag.reverse;
    return command;
  }

  page(result: Result, nowMs: number): { keys: object[]; cursor: string | null } {
    const inBase64 = this.query.encoding === "base64";
    const keys = [];
    for (const item of result.items!) {
      if (!this.holds(item.key)) break;
      keys.push({ ...keyToJson(item.key, inBase64), version: item.version, ...ttlMs(item, nowMs) });
    }
    return { keys, cursor: this.isLast(result.key) ? null : cursorAt(result.key, this.isReverse) };
  }

  private get isReverse(): boolean {
    return this.query.reverse !== undefined;
  }

  private holds(key: string): boolean {
    return key >= this.start && (this.end === null || key < this.end);
  }

  /** `next`: what the next page is asked for with; in reverse the key that it lies below. */
  private isLast(next: string): boolean {
    if (next === "") return true;
    return this.isReverse ? next <= this.start : !this.holds(next);
  }
}

function cursorAt(key: string, isReverse: boolean): string {
  return (isReverse ? DESCENDING : ASCENDING) + Buffer.from(key, "latin1").toString("base64url");
}

function keyAt(cursor: string, isReverse: boolean): string | Problem {
  const parts = CURSOR.exec(cursor);
  if (parts === null) return otherPage();
  const [, mark, key] = parts;
  if ((mark === DESCENDING) !== isReverse) {
    return new Problem(
      "bad_request",
      `the cursor is of a list ${isReverse ? "without" : "with"} reverse, and goes on only there`,
    );
  }
  return Buffer.from(key, "base64url").toString("latin1");
}

function otherPage(): Problem {
  return new Problem("bad_request", "the cursor is not one of a page with the same prefix, start and end");
}

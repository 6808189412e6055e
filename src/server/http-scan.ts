/** `GET /v1/keyspaces/{keyspace}/keys`: a range of keys, page by page. */
import { Command, Op } from "../kv/command.js";
import { prefixEnd } from "../kv/key-range.js";
import type { Result } from "../kv/result.js";
import { ttlMs } from "./http-batch.js";
import { keyToJson } from "./http-json.js";
import { Problem } from "./http-problem.js";
import type { KeysQuery } from "./http-schemas.js";

const CURSOR = /^k[A-Za-z0-9_-]*$/;

/**
 * A range of keys in byte order. A cursor is the key to go on at, so that no node remembers it and any node takes it; a
 * page shows its keys as they were when it was read, and the pages are no snapshot together.
 */
export class KeyRange {
  private constructor(
    private readonly from: string,
    /** The first key that is not of it; null: there is no end. */
    private readonly end: string | null,
    private readonly query: KeysQuery,
  ) {}

  static parse(query: KeysQuery): KeyRange | Problem {
    const { prefix = "", start = "", cursor } = query;
    let from = start > prefix ? start : prefix;
    if (cursor !== undefined) {
      const at = CURSOR.test(cursor) ? Buffer.from(cursor.slice(1), "base64url").toString("latin1") : null;
      if (at === null || at < from) {
        return new Problem("bad_request", "the cursor is not one of a page with the same prefix, start and end");
      }
      from = at;
    }
    const ends = [query.end, prefixEnd(prefix)].filter((each) => each !== undefined).sort();
    return new KeyRange(from, ends[0] ?? null, query);
  }

  get isEmpty(): boolean {
    return this.end !== null && this.from >= this.end;
  }

  command(): Command {
    const command = new Command(Op.scan, this.from);
    command.limit = this.query.limit;
    return command;
  }

  page(result: Result, nowMs: number): { keys: object[]; cursor: string | null } {
    const { end } = this;
    const inBase64 = this.query.encoding === "base64";
    const keys = [];
    for (const item of result.items!) {
      if (end !== null && item.key >= end) break;
      keys.push({ ...keyToJson(item.key, inBase64), version: item.version, ...ttlMs(item, nowMs) });
    }
    const isLast = result.key === "" || (end !== null && result.key >= end);
    return { keys, cursor: isLast ? null : `k${Buffer.from(result.key, "latin1").toString("base64url")}` };
  }
}

import type { Arguments } from "../codec/resp/index.js";
import type { WatchOptions } from "../kv/watch.js";

/** What GAMUT WATCH asks for, on the wires whose requests are words. */
export class WatchWords {
  prefix = "";
  /** Only the key that is called as the prefix. */
  isExact = false;
  /** Only these; the prefix is empty then. */
  keys: string[] | null = null;
  from = "";
  snapshot = false;
  values = false;
  inBase64 = false;

  /**
   * `[prefix [EXACT | KEYS count key [key ...]] [FROM position | SNAPSHOT] [VALUES]]` from the third word on, in whatever
   * case; with `B` too, where the wire has keys in base64. Null: they are not well formed.
   */
  static parse(request: Arguments, takesBase64: boolean): WatchWords | null {
    const words = new WatchWords();
    if (request.count > 2) words.prefix = request.text(2);
    for (let at = 3; at < request.count; at += 1) {
      if (request.is(at, "EXACT") && words.keys === null && !words.isExact) words.isExact = true;
      else if (request.is(at, "KEYS") && words.keys === null && !words.isExact) {
        words.keys = keysAt(request, at + 1);
        if (words.keys === null) return null;
        at += 1 + words.keys.length;
      } else if (request.is(at, "SNAPSHOT")) words.snapshot = true;
      else if (request.is(at, "VALUES")) words.values = true;
      else if (request.is(at, "B") && takesBase64) words.inBase64 = true;
      else if (request.is(at, "FROM") && at + 1 < request.count) {
        at += 1;
        words.from = request.text(at);
        if (words.from === "") return null;
      } else return null;
    }
    return words.snapshot && words.from !== "" ? null : words;
  }

  /** `keyOf` reads the prefix and each key. Null: one of them is none, or there is a prefix beside keys. */
  options(keyOf: (word: string) => string | null): WatchOptions | null {
    const { isExact, from, snapshot, values } = this;
    const prefix = keyOf(this.prefix);
    if (prefix === null || (this.keys !== null && prefix !== "")) return null;
    const keys = isExact ? new Set([prefix]) : this.keys === null ? null : new Set<string>();
    for (const word of this.keys ?? []) {
      const key = keyOf(word);
      if (key === null) return null;
      keys!.add(key);
    }
    return { prefix, keys, from, snapshot, values };
  }
}

/** A count, and so many keys; null: they are not there. */
function keysAt(request: Arguments, at: number): string[] | null {
  const count = at < request.count && /^[1-9]\d{0,8}$/.test(request.text(at)) ? Number(request.text(at)) : 0;
  if (count === 0 || at + count >= request.count) return null;
  return Array.from({ length: count }, (_, i) => request.text(at + 1 + i));
}

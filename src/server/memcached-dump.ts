/** stats cachedump: the keys, as memdump and its like ask for them. */
import { BAD_FORMAT, isTextKey, type MemcachedWriter, u32 } from "../codec/memcached/index.js";
import { Command, Op } from "../kv/command.js";
import { SCAN_KEYS_MAX } from "../kv/limits.js";
import type { Result } from "../kv/result.js";
import type { MemcachedConnection } from "./memcached-connection.js";
import { PageWalk } from "./page-walk.js";

/** The slab class that all keys are said to be in. Memcached has 63, and whoever wants all keys asks for each. */
export const ONLY_CLASS = 1;
const CLASSES = 64;
/** As memcached's, with the line that ends it. */
const DUMP_BYTES_MAX = 2_097_152;
const END_BYTES = 5;
const PAGE_KEYS_MIN = 100;

/** stats cachedump class limit; a limit of 0 is none. */
export function answerCachedump(connection: MemcachedConnection, writer: MemcachedWriter): void {
  const { request, words } = connection.parser;
  if (words < 4) {
    writer.word("CLIENT_ERROR bad command line");
    return;
  }
  const slabClass = u32(request, 2);
  const limit = u32(request, 3);
  if (slabClass === null || limit === null) writer.word(BAD_FORMAT);
  else if (slabClass >= CLASSES) writer.word("CLIENT_ERROR Illegal slab id");
  else if (slabClass !== ONLY_CLASS) writer.end();
  else new Cachedump(connection, limit === 0 ? Number.POSITIVE_INFINITY : limit).begin();
}

/** `ITEM key [bytes b; exptime s]`, in the order of the keys. Those that memcached's text cannot carry are left out. */
class Cachedump extends PageWalk<MemcachedWriter, MemcachedConnection> {
  private lines = "";

  constructor(
    connection: MemcachedConnection,
    /** Keys that are still to be shown. */
    private left: number,
  ) {
    super(connection);
  }

  /** Records, for a scan does not tell how long they are. */
  protected pageFrom(key: string): Command {
    const range = new Command(Op.range, key);
    // Not only as many as are left: some may be left out.
    range.limit = Math.min(Math.max(this.left, PAGE_KEYS_MIN), SCAN_KEYS_MAX);
    return range;
  }

  protected take(items: readonly Result[]): boolean {
    for (const { key, value, deadlineMs } of items) {
      if (!isTextKey(key)) continue;
      const exptime = deadlineMs < 0 ? 0 : Math.ceil(deadlineMs / 1000);
      const line = `ITEM ${key} [${value.length} b; ${exptime} s]\r\n`;
      if (this.lines.length + line.length + END_BYTES > DUMP_BYTES_MAX) return false;
      this.lines += line;
      this.left -= 1;
      if (this.left === 0) return false;
    }
    return true;
  }

  protected write(writer: MemcachedWriter): void {
    writer.part(this.lines);
    writer.end();
  }
}

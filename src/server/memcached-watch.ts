/** gamut watch: the changes of a keyspace, as they come, in lines like those of the meta commands. */
import { errorLine, keyOfWord, keyWord, type MemcachedParser, type MemcachedWriter } from "../codec/memcached/index.js";
import { type Change, END_OF_VERSION, kindOf } from "../kv/change-history.js";
import type { KvError } from "../kv/errors.js";
import { Compacted, checkWatch } from "../kv/watch.js";
import { ConnectionWatch } from "./connection-watch.js";
import type { MemcachedConnection } from "./memcached-connection.js";
import { WatchWords } from "./watch-words.js";

const USAGE =
  "CLIENT_ERROR it is gamut watch [<prefix> [exact | keys <count> <key> ...] [from <position> | snapshot] [values] [b]]; " +
  'with b prefix and keys are in base64, "" is the empty one, and with keys the prefix';
/** Nothing here tells a reply from what comes by itself. */
export const ONLY_WATCHES =
  "CLIENT_ERROR this connection watches: it takes gamut unwatch, mn, version and quit alone; open another for the rest";

/** Whether a connection that watches takes this request. */
export function isForWatchers({ spec, request, words }: MemcachedParser): boolean {
  if (spec!.name !== "gamut") return ["mn", "version", "quit"].includes(spec!.name);
  return words > 1 && request.text(1) === "unwatch";
}

/**
 * `gamut watch [prefix [exact | keys count key [key ...]] [from position | snapshot] [values] [b]]`, as GAMUT WATCH of
 * RESP. Answers `WATCHING position`.
 */
export function answerWatch(connection: MemcachedConnection, writer: MemcachedWriter): void {
  const words = WatchWords.parse(connection.parser.request, true);
  const options = words?.options((word) => keyOfWord(word, words.inBase64)) ?? null;
  const error = options === null ? null : checkWatch(options);
  if (options === null) writer.word(USAGE);
  else if (error !== null) connection.writeRefusal(writer, error);
  else {
    connection.watch = new MemcachedWatch(connection, options);
    connection.watch.begin();
  }
}

/**
 * What it tells are lines; the flags of each come in this order:
 *
 * ```
 * RECORD key [b] cVERSION sBYTES                 of the snapshot; the value follows as a data block
 * SNAPSHOT-END pPOSITION
 * PUT key [b] cVERSION [pPOSITION] [sBYTES]      with s the value follows; without: not asked for, or written over since
 * DELETE | EXPIRE key [b] cVERSION [pPOSITION]
 * PROGRESS pPOSITION                             nothing to tell up to there
 * WATCH-END [pOLDEST] ERROR LINE                 the last one; OLDEST of compacted
 * ```
 *
 * There is no POSITION while the snapshot is under way. With b the key is in base64.
 */
class MemcachedWatch extends ConnectionWatch<MemcachedWriter, MemcachedConnection> {
  protected begun(writer: MemcachedWriter): void {
    writer.word(`WATCHING ${this.beginning()}`);
  }

  // What the watch tells.

  record(key: string, version: number, value: Uint8Array): void {
    this.line(`RECORD ${keyWord(key)} c${version}`, value);
  }

  changed(change: Change, isResumable: boolean): void {
    const { key, version, ordinal, isPut, value } = change;
    const position = isResumable ? ` p${this.position(version, ordinal)}` : "";
    this.line(`${kindOf(change).toUpperCase()} ${keyWord(key)} c${version}${position}`, isPut ? value : null);
  }

  snapshotEnded(version: number): void {
    this.connection.unasked.word(`SNAPSHOT-END p${this.position(version, END_OF_VERSION)}`);
  }

  progressed(version: number): void {
    this.connection.unasked.word(`PROGRESS p${this.position(version, END_OF_VERSION)}`);
  }

  ended(error: KvError): void {
    this.forget();
    const oldest = error instanceof Compacted ? `p${error.oldest} ` : "";
    this.connection.unasked.sentence(`WATCH-END ${oldest}${errorLine(error)}`);
  }

  private line(line: string, value: Uint8Array | null): void {
    const { unasked } = this.connection;
    if (value === null) {
      unasked.word(line);
      return;
    }
    unasked.word(`${line} s${value.length}`);
    unasked.data(value);
  }
}

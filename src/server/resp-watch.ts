/** GAMUT WATCH and UNWATCH: the changes of a keyspace, as they come, on a connection. */
import { type Arguments, errorText, type RespWriter, SYNTAX_ERROR } from "../codec/resp/index.js";
import { type Change, END_OF_VERSION, kindOf } from "../kv/change-history.js";
import type { KvError } from "../kv/errors.js";
import { Compacted, checkWatch } from "../kv/watch.js";
import { ConnectionWatch } from "./connection-watch.js";
import type { RespConnection } from "./resp-connection.js";
import { WatchWords } from "./watch-words.js";

/** In RESP2 nothing tells a reply from what comes by itself: a connection that watches does nothing else. */
export const WHILE_WATCHING: ReadonlySet<string> = new Set(["gamut", "gamut|unwatch", "ping", "quit", "reset"]);

export function notWhileWatching(name: string): string {
  return `ERR Can't execute '${name}': a connection of RESP2 that watches takes GAMUT UNWATCH, PING, QUIT and RESET alone. HELLO 3 before the watch allows all`;
}

/**
 * `GAMUT WATCH [prefix [EXACT | KEYS count key [key ...]] [FROM position | SNAPSHOT] [VALUES]]`. EXACT: the key that is
 * called as the prefix; KEYS: these, and the prefix is empty. Answers the position at which it begins.
 */
export function answerGamutWatch(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const options = WatchWords.parse(request, false)?.options((word) => word) ?? null;
  const error = options === null ? null : checkWatch(options);
  if (options === null) writer.error(SYNTAX_ERROR);
  else if (error !== null) connection.writeRefusal(writer, error);
  else if (connection.watch !== null) {
    writer.error("ERR this connection watches already: GAMUT UNWATCH first, or open another");
  } else {
    connection.watch = new RespWatch(connection, options);
    connection.watch.begin();
  }
}

export function answerGamutUnwatch(connection: RespConnection, writer: RespWriter): void {
  connection.unwatch();
  writer.ok();
}

/**
 * A read at the connection's level begins it; what it tells then comes as pushes:
 *
 * ```
 * watch record KEY VERSION VALUE                 of the snapshot
 * watch snapshot-end POSITION
 * watch put KEY VERSION POSITION VALUE           null: not asked for, or written over since
 * watch delete | expire KEY VERSION POSITION
 * watch progress POSITION                        nothing to tell up to there
 * watch end ERROR OLDEST                         the last one; OLDEST "" unless compacted
 * ```
 *
 * POSITION is "" while the snapshot is under way.
 */
class RespWatch extends ConnectionWatch<RespWriter, RespConnection> {
  protected begun(writer: RespWriter): void {
    writer.bulkText(this.beginning());
  }

  record(key: string, version: number, value: Uint8Array): void {
    const writer = this.push(5, "record");
    writer.bulkText(key);
    writer.integer(version);
    writer.bulk(value);
  }

  changed(change: Change, isResumable: boolean): void {
    const { key, version, ordinal, isPut, value } = change;
    const writer = this.push(isPut ? 6 : 5, kindOf(change));
    writer.bulkText(key);
    writer.integer(version);
    writer.bulkText(isResumable ? this.position(version, ordinal) : "");
    if (!isPut) return;
    if (value === null) writer.null();
    else writer.bulk(value);
  }

  snapshotEnded(version: number): void {
    this.push(3, "snapshot-end").bulkText(this.position(version, END_OF_VERSION));
  }

  progressed(version: number): void {
    this.push(3, "progress").bulkText(this.position(version, END_OF_VERSION));
  }

  ended(error: KvError): void {
    this.forget();
    const writer = this.push(4, "end");
    writer.bulkText(errorText(error));
    writer.bulkText(error instanceof Compacted ? error.oldest : "");
  }

  private push(count: number, kind: string): RespWriter {
    const writer = this.connection.unasked;
    writer.push(count);
    writer.bulkText("watch");
    writer.bulkText(kind);
    return writer;
  }
}

/** GAMUT WATCH and UNWATCH: the changes of a keyspace, as they come, on a connection. */
import { type Arguments, errorText, type RespWriter, renderError, SYNTAX_ERROR } from "../codec/resp/index.js";
import type { Change } from "../kv/change-history.js";
import { END_OF_VERSION } from "../kv/change-history.js";
import { Command, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { Compacted, checkWatch, type WatchHandle, type WatchOptions, type WatchSink } from "../kv/watch.js";
import type { RespConnection } from "./resp-connection.js";

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
  const options = watchOptions(request);
  const error = options === null ? null : checkWatch(options);
  if (options === null) writer.error(SYNTAX_ERROR);
  else if (error !== null) writer.error(errorText(error));
  else if (connection.watch !== null) {
    writer.error("ERR this connection watches already: GAMUT UNWATCH first, or open another");
  } else {
    connection.drainFirst();
    connection.watch = new RespWatch(connection, options);
    connection.watch.begin();
  }
}

/** Null: they are not well formed. */
function watchOptions(request: Arguments): WatchOptions | null {
  const prefix = request.count > 2 ? request.text(2) : "";
  let keys: ReadonlySet<string> | null = null;
  let from = "";
  let snapshot = false;
  let values = false;
  for (let at = 3; at < request.count; at += 1) {
    if (request.is(at, "EXACT") && keys === null) keys = new Set([prefix]);
    else if (request.is(at, "KEYS") && keys === null && prefix === "") {
      keys = keysAt(request, at + 1);
      if (keys === null) return null;
      at += 1 + Number(request.text(at + 1));
    } else if (request.is(at, "SNAPSHOT")) snapshot = true;
    else if (request.is(at, "VALUES")) values = true;
    else if (request.is(at, "FROM") && at + 1 < request.count) {
      at += 1;
      from = request.text(at);
      if (from === "") return null;
    } else return null;
  }
  return snapshot && from !== "" ? null : { prefix, keys, from, snapshot, values };
}

/** A count, and so many keys; null: they are not there. */
function keysAt(request: Arguments, at: number): ReadonlySet<string> | null {
  const count = at < request.count && /^[1-9]\d{0,8}$/.test(request.text(at)) ? Number(request.text(at)) : 0;
  if (count === 0 || at + count >= request.count) return null;
  const keys = new Set<string>();
  for (let i = 1; i <= count; i += 1) keys.add(request.text(at + i));
  return keys;
}

export function answerGamutUnwatch(connection: RespConnection, writer: RespWriter): void {
  connection.watch?.close();
  connection.watch = null;
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
export class RespWatch implements ReplySink, WatchSink {
  private handle: WatchHandle | null = null;
  private readonly answer: (write: (writer: RespWriter) => void) => void;
  private closed = false;

  constructor(
    private readonly connection: RespConnection,
    private readonly options: WatchOptions,
  ) {
    this.answer = connection.answerLater();
  }

  begin(): void {
    this.connection.session.submit(new Command(Op.time), this, 0);
  }

  reply(request: Request, result: Result): void {
    if (this.closed) return;
    const begun = result.kind === ResultKind.error ? null : this.connection.session.watch(request, this.options, this);
    if (begun === null || begun instanceof KvError) {
      this.connection.watch = null;
      this.answer((writer) => {
        if (begun === null) renderError(writer, result);
        else writer.error(errorText(begun));
      });
      return;
    }
    this.handle = begun;
    this.answer((writer) => writer.bulkText(begun.position(begun.beginVersion, begun.beginOrdinal)));
  }

  resume(): void {
    this.handle?.resume();
  }

  close(): void {
    this.closed = true;
    this.handle?.close();
  }

  // What the watch tells.

  ready(): boolean {
    return this.connection.hasRoom;
  }

  record(key: string, version: number, value: Uint8Array): void {
    const writer = this.push(5, "record");
    writer.bulkText(key);
    writer.integer(version);
    writer.bulk(value);
  }

  changed(change: Change, isResumable: boolean): void {
    const { key, version, ordinal, cause, isPut, value } = change;
    const writer = isPut ? this.push(6, "put") : this.push(5, cause === Op.advance ? "expire" : "delete");
    writer.bulkText(key);
    writer.integer(version);
    writer.bulkText(isResumable ? this.handle!.position(version, ordinal) : "");
    if (!isPut) return;
    if (value === null) writer.null();
    else writer.bulk(value);
  }

  snapshotEnded(version: number): void {
    this.push(3, "snapshot-end").bulkText(this.handle!.position(version, END_OF_VERSION));
  }

  progressed(version: number): void {
    this.push(3, "progress").bulkText(this.handle!.position(version, END_OF_VERSION));
  }

  ended(error: KvError): void {
    this.connection.watch = null;
    const writer = this.push(4, "end");
    writer.bulkText(errorText(error));
    writer.bulkText(error instanceof Compacted ? error.oldest : "");
  }

  flush(): void {
    this.connection.flushUnasked();
  }

  private push(count: number, kind: string): RespWriter {
    const writer = this.connection.unasked;
    writer.push(count);
    writer.bulkText("watch");
    writer.bulkText(kind);
    return writer;
  }
}

/**
 * SUBSCRIBE, PSUBSCRIBE and their opposites: Redis' keyspace notifications, from a watch of the connection's keyspace.
 * There are no channels for messages between clients.
 */
import type { Arguments, RespWriter } from "../codec/resp/index.js";
import { keyspaceNamed } from "../codec/resp/keyspace-name.js";
import type { Change } from "../kv/change-history.js";
import type { KvError } from "../kv/errors.js";
import { Glob } from "../kv/glob.js";
import { SCAN_PATTERN_BYTES_MAX } from "../kv/limits.js";
import { ConnectionWatch } from "./connection-watch.js";
import { notificationOf } from "./notify-flags.js";
import type { RespConnection } from "./resp-connection.js";

const NO_CHANNELS =
  "ERR there are no channels for messages between clients, only notifications of keys: __keyspace@0__:<key> and __keyevent@0__:<event>";
const WHILE_SUBSCRIBED: ReadonlySet<string> = new Set([
  "subscribe",
  "unsubscribe",
  "psubscribe",
  "punsubscribe",
  "ping",
  "quit",
  "reset",
]);

/** Of RESP2, while the connection is subscribed: the error line for a command that is not possible then, or "". */
export function notWhileSubscribed(name: string): string {
  if (WHILE_SUBSCRIBED.has(name)) return "";
  return `ERR Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`;
}

export function answerPublish(_connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  writer.error(NO_CHANNELS);
}

export function answerSubscribe(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  subscribe(connection, request, writer, false);
}

export function answerPsubscribe(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  subscribe(connection, request, writer, true);
}

/** All of the names, or none. */
function subscribe(connection: RespConnection, request: Arguments, writer: RespWriter, isPattern: boolean): void {
  const { subscriptionsMax } = connection.service.limits;
  const had = connection.subscriptions?.count ?? 0;
  if (had + request.count - 1 > subscriptionsMax) {
    writer.error(`ERR batch_too_large: a connection may have ${subscriptionsMax} subscriptions`);
    return;
  }
  const names: string[] = [];
  for (let i = 1; i < request.count; i += 1) {
    const name = request.text(i);
    const error = isPattern ? patternError(connection, name) : channelError(connection, name);
    if (error !== "") {
      writer.error(error);
      return;
    }
    names.push(name);
  }
  if (connection.subscriptions !== null) {
    connection.subscriptions.add(names, isPattern, writer);
    return;
  }
  connection.subscriptions = new Subscriptions(connection, { names, isPattern });
  connection.subscriptions.begin();
}

function prefixes(connection: RespConnection): [keyspace: string, keyevent: string] {
  const name = databaseOf(connection);
  return [`__keyspace@${name}__:`, `__keyevent@${name}__:`];
}

/** What Redis calls a database: 0 is the default keyspace. */
function databaseOf({ session }: RespConnection): string {
  return session.keyspace === keyspaceNamed("0") ? "0" : session.keyspace;
}

function channelError(connection: RespConnection, name: string): string {
  if (prefixes(connection).some((prefix) => name.startsWith(prefix))) return "";
  if (!/^__key(space|event)@/.test(name)) return NO_CHANNELS;
  return `ERR a connection hears of the keyspace that it has chosen, here ${databaseOf(connection)}: SELECT the other one first`;
}

function patternError(connection: RespConnection, pattern: string): string {
  if (pattern.length > SCAN_PATTERN_BYTES_MAX) return `ERR the pattern is longer than ${SCAN_PATTERN_BYTES_MAX} bytes`;
  const special = pattern.search(/[*?[\\]/);
  const literal = special < 0 ? pattern : pattern.slice(0, special);
  const may = prefixes(connection).some((prefix) => prefix.startsWith(literal) || literal.startsWith(prefix));
  return may ? "" : NO_CHANNELS;
}

export function answerUnsubscribe(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  unsubscribe(connection, request, writer, false);
}

export function answerPunsubscribe(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  unsubscribe(connection, request, writer, true);
}

/** Without names: from all. */
function unsubscribe(connection: RespConnection, request: Arguments, writer: RespWriter, isPattern: boolean): void {
  const { subscriptions } = connection;
  const kind = isPattern ? "punsubscribe" : "unsubscribe";
  const names = request.count > 1 ? [] : (subscriptions?.names(isPattern) ?? []);
  for (let i = 1; i < request.count; i += 1) names.push(request.text(i));
  for (const name of names) {
    subscriptions?.remove(name, isPattern);
    confirm(writer, kind, name, subscriptions?.count ?? 0);
  }
  if (names.length === 0) confirm(writer, kind, null, subscriptions?.count ?? 0);
  if (subscriptions?.count === 0) {
    subscriptions.close();
    connection.subscriptions = null;
  }
}

function confirm(writer: RespWriter, kind: string, name: string | null, count: number): void {
  writer.push(3);
  writer.bulkText(kind);
  if (name === null) writer.null();
  else writer.bulkText(name);
  writer.integer(count);
}

/** The subscriptions of one connection, and the one watch that they go by. */
export class Subscriptions extends ConnectionWatch<RespWriter, RespConnection> {
  private readonly channels = new Set<string>();
  private readonly patterns = new Map<string, Glob>();
  private readonly prefixes: [keyspace: string, keyevent: string];

  /** `first`: what the client has asked for to begin with. */
  constructor(
    connection: RespConnection,
    private readonly first: { readonly names: readonly string[]; readonly isPattern: boolean },
  ) {
    super(connection, { prefix: "", keys: null, from: "", snapshot: false, values: false });
    this.prefixes = prefixes(connection);
  }

  protected begun(writer: RespWriter): void {
    this.add(this.first.names, this.first.isPattern, writer);
  }

  protected override forget(): void {
    this.connection.subscriptions = null;
  }

  get count(): number {
    return this.channels.size + this.patterns.size;
  }

  names(isPattern: boolean): string[] {
    return [...(isPattern ? this.patterns.keys() : this.channels)];
  }

  add(names: readonly string[], isPattern: boolean, writer: RespWriter): void {
    for (const name of names) {
      if (isPattern) this.patterns.set(name, new Glob(name));
      else this.channels.add(name);
      confirm(writer, isPattern ? "psubscribe" : "subscribe", name, this.count);
    }
  }

  remove(name: string, isPattern: boolean): void {
    if (isPattern) this.patterns.delete(name);
    else this.channels.delete(name);
  }

  changed(change: Change): void {
    const flags = this.connection.service.notifyFlags;
    const event = flags === "" ? "" : notificationOf(change, flags);
    if (event === "") return;
    const [keyspace, keyevent] = this.prefixes;
    if (flags.includes("K")) this.tell(keyspace + change.key, event);
    if (flags.includes("E")) this.tell(keyevent + event, change.key);
  }

  private tell(channel: string, message: string): void {
    if (this.channels.has(channel)) this.write(["message", channel, message]);
    for (const [pattern, glob] of this.patterns) {
      if (glob.matches(channel)) this.write(["pmessage", pattern, channel, message]);
    }
  }

  private write(words: readonly string[]): void {
    const writer = this.connection.unasked;
    writer.push(words.length);
    for (const word of words) writer.bulkText(word);
  }

  /** Nothing can tell a client of Redis that it has missed something but the end of its connection. */
  ended(error: KvError): void {
    this.forget();
    this.connection.writeRefusal(this.connection.unasked, error);
    this.connection.endWhenAnswered();
  }

  // It asks for no snapshot and tells no positions.
  record(): void {}
  snapshotEnded(): void {}
  progressed(): void {}
}

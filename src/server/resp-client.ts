/** CLIENT: what concerns connections. */
import { type Arguments, type RespWriter, SYNTAX_ERROR, writeSubcommands } from "../codec/resp/index.js";
import type { RespConnection } from "./resp-connection.js";

export const NAME_ERROR = "ERR Client names cannot contain spaces, newlines or special characters.";
const NAME_LENGTH_MAX = 256;
const CACHING_ERROR =
  "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";

/** Printable ASCII without spaces, so that a name cannot break a line of CLIENT LIST. */
export function isClientName(name: string): boolean {
  return name.length <= NAME_LENGTH_MAX && /^[!-~]*$/.test(name);
}

export function answerClient(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.is(1, "ID")) writer.integer(connection.id);
  else if (request.is(1, "GETNAME")) answerGetName(connection, writer);
  else if (request.is(1, "SETNAME")) answerSetName(connection, request, writer);
  else if (request.is(1, "SETINFO")) answerSetInfo(connection, request, writer);
  else if (request.is(1, "INFO")) writer.verbatim(`${describe(connection)}\n`);
  else if (request.is(1, "LIST")) answerList(connection, request, writer);
  else if (request.is(1, "HELP")) writeSubcommands("client", writer);
  else if (request.is(1, "UNPAUSE")) writer.ok();
  else if (request.is(1, "GETREDIR")) writer.integer(-1);
  else if (request.is(1, "TRACKINGINFO")) writeTracking(writer);
  else if (request.is(1, "TRACKING")) answerTracking(request, writer);
  else if (request.is(1, "CACHING")) writer.error(CACHING_ERROR);
  else answerSwitch(request, writer);
}

/** CLIENT REPLY ON | OFF | SKIP: whether the client hears answers; of SKIP: not to this and the next command. */
export function answerClientReply(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.is(2, "ON")) {
    connection.replyMode.choose("on");
    writer.ok();
  } else if (request.is(2, "OFF")) connection.replyMode.choose("off");
  else if (request.is(2, "SKIP")) connection.replyMode.choose("skip");
  else writer.error(SYNTAX_ERROR);
}

/** Nobody is told of changes here: a client that believed it would read from a stale cache. */
function answerTracking(request: Arguments, writer: RespWriter): void {
  if (request.is(2, "OFF") && request.count === 3) writer.ok();
  else if (request.is(2, "ON")) writer.error("ERR CLIENT TRACKING is not supported: this node sends no invalidations");
  else writer.error(SYNTAX_ERROR);
}

function writeTracking(writer: RespWriter): void {
  writer.map(3);
  writer.bulkText("flags");
  writer.set(1);
  writer.bulkText("off");
  writer.bulkText("redirect");
  writer.integer(-1);
  writer.bulkText("prefixes");
  writer.array(0);
}

function answerGetName(connection: RespConnection, writer: RespWriter): void {
  if (connection.name === "") writer.null();
  else writer.bulkText(connection.name);
}

function answerSetName(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const name = request.text(2);
  if (isClientName(name)) {
    connection.name = name;
    writer.ok();
  } else writer.error(NAME_ERROR);
}

function answerSetInfo(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const value = request.text(3);
  if (!isClientName(value)) {
    writer.error(`ERR ${request.text(2).slice(0, 32)} cannot contain spaces, newlines or special characters.`);
    return;
  }
  if (request.is(2, "LIB-NAME")) connection.libraryName = value;
  else if (request.is(2, "LIB-VER")) connection.libraryVersion = value;
  else {
    writer.error(`ERR Unrecognized option '${request.text(2).slice(0, 32)}'`);
    return;
  }
  writer.ok();
}

/** NO-EVICT and NO-TOUCH: nothing is evicted here, nor touched by a read; either way that is granted. */
function answerSwitch(request: Arguments, writer: RespWriter): void {
  if (request.is(2, "ON") || request.is(2, "OFF")) writer.ok();
  else writer.error(SYNTAX_ERROR);
}

/** CLIENT LIST [TYPE type | ID id …]: the RESP connections of this node. All of them are normal clients. */
function answerList(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const { connections } = connection.service;
  let listed = [...connections.values()];
  if (request.is(2, "TYPE") && request.count === 4) {
    const type = request.text(3).toLowerCase();
    if (!["normal", "master", "replica", "slave", "pubsub"].includes(type)) {
      writer.error(`ERR Unknown client type '${request.text(3).slice(0, 32)}'`);
      return;
    }
    if (type !== "normal") listed = [];
  } else if (request.is(2, "ID") && request.count > 3) {
    listed = [];
    for (let i = 3; i < request.count; i += 1) {
      const id = request.integer(i);
      if (id === null) {
        writer.error("ERR Invalid client ID");
        return;
      }
      const other = connections.get(Number(id));
      if (other !== undefined) listed.push(other);
    }
  } else if (request.count > 2) {
    writer.error(SYNTAX_ERROR);
    return;
  }
  writer.verbatim(listed.map((each) => `${describe(each)}\n`).join(""));
}

function describe(connection: RespConnection): string {
  const { socket, session, transaction } = connection;
  const nowMs = connection.wallMs();
  const seconds = (sinceMs: number): number => Math.max(0, Math.floor((nowMs - sinceMs) / 1000));
  return [
    `id=${connection.id}`,
    `addr=${socket.remoteAddress}:${socket.remotePort}`,
    `laddr=${socket.localAddress}:${socket.localPort}`,
    `name=${connection.name}`,
    `age=${seconds(connection.openedMs)}`,
    `idle=${seconds(connection.activeMs)}`,
    `flags=${transaction === null ? "N" : "x"}`,
    `db=${encodeURIComponent(session.keyspace)}`,
    "sub=0 psub=0 ssub=0",
    `multi=${transaction === null ? -1 : transaction.queue.length}`,
    `omem=${socket.writableLength}`,
    `cmd=${connection.lastCommand}`,
    "user=default redir=-1",
    `resp=${connection.version}`,
    `lib-name=${connection.libraryName}`,
    `lib-ver=${connection.libraryVersion}`,
  ].join(" ");
}

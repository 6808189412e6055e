/** CLIENT: what concerns connections. */
import { type Arguments, type RespWriter, SYNTAX_ERROR, writeSubcommands } from "../codec/resp/index.js";
import type { RespConnection } from "./resp-connection.js";

export const NAME_ERROR = "ERR Client names cannot contain spaces, newlines or special characters.";
const NAME_LENGTH_MAX = 256;

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
  else answerSwitch(request, writer);
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

/** All RESP connections of this node. The filters of Redis are not there. */
function answerList(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.count > 2) {
    writer.error(SYNTAX_ERROR);
    return;
  }
  let lines = "";
  for (const other of connection.service.connections.values()) lines += `${describe(other)}\n`;
  writer.verbatim(lines);
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

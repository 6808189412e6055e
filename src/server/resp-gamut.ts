/** GAMUT CALL, LEVEL, TOKEN, EXPLAIN, KEYSPACE, STATUS: what Redis has no word for. */
import { type Arguments, errorText, type RespWriter, SYNTAX_ERROR, wrongArity } from "../codec/resp/index.js";
import { utf8Encode } from "../core/bytes.js";
import { KvError } from "../kv/errors.js";
import { DEFAULT_LEVELS, PROTOCOLS, type Protocol, protocolByName, unknownLevel } from "../kv/grants.js";
import { LEVEL_NAMES, type Level, levelByName } from "../kv/level.js";
import { type Receipt, renderReceipt } from "../kv/receipt.js";
import { tokenFromText, tokenToText } from "../kv/token.js";
import { answerCall } from "./resp-call.js";
import type { RespConnection } from "./resp-connection.js";
import { answerGamutUnwatch, answerGamutWatch } from "./resp-watch.js";
import { unknownLevelOf } from "./unknown-level.js";

const KEYSPACE_CREATE = "KEYSPACE CREATE <name> [PROTOCOL raft | gossip] [LEVEL <level>]";
const KEYSPACE_DROP = "KEYSPACE DROP <name>";
const CREATE_SYNTAX = `it is GAMUT ${KEYSPACE_CREATE}`;

const HELP = [
  "GAMUT <subcommand> [<arg> ...]. Subcommands are:",
  "CALL <bytes> [<bytes> ...]",
  "    One operation of the SDK, which stands by itself; argument and answer are binary.",
  "EXPLAIN [ON | OFF]",
  "    ON: keep the receipt of each answer, and (RESP3) put it and the record's version before the answer. Alone: the receipt of the last answer.",
  KEYSPACE_CREATE,
  "    Make a keyspace, of raft unless gossip is given; its default level is linearizable (gossip: eventual) unless one is given.",
  KEYSPACE_DROP,
  "    Remove a keyspace and all that is in it.",
  "KEYSPACE LIST",
  "    The keyspaces as this node knows them: name, protocol, default level, leader, replicas.",
  "LEVEL [<name> | default]",
  "    The level that this connection asks for; default is the keyspace's own.",
  "STATUS",
  "    Cluster, members and keyspaces as this node knows them, as JSON.",
  "TOKEN [<token>]",
  "    What this connection has seen, to be given to another; with a token: see at least what that one has seen.",
  "UNWATCH",
  "    End the watch of this connection.",
  "WATCH [<prefix> [EXACT | KEYS <count> <key> [<key> ...]] [FROM <position> | SNAPSHOT] [VALUES]]",
  "    Tell of every change of the keys that begin so (EXACT: of that key; KEYS: of those): from now on, or from a position on, or what is there first.",
];

export function answerGamut(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.is(1, "CALL")) answerCall(connection, request, writer);
  else if (request.is(1, "KEYSPACE")) answerKeyspace(connection, request, writer);
  else if (request.is(1, "WATCH")) answerGamutWatch(connection, request, writer);
  else if (request.is(1, "UNWATCH")) answerGamutUnwatch(connection, writer);
  else if (request.count > 3) writer.error(wrongArity(`gamut|${request.text(1).toLowerCase()}`));
  else if (request.is(1, "HELP")) writeHelp(writer);
  else if (request.is(1, "LEVEL")) answerLevel(connection, request, writer);
  else if (request.is(1, "STATUS")) writer.bulk(utf8Encode(JSON.stringify(connection.service.backend.status())));
  else if (request.is(1, "TOKEN")) answerToken(connection, request, writer);
  else answerExplain(connection, request, writer);
}

function answerLevel(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const { session } = connection;
  if (request.count === 2) {
    writer.bulkText(session.level === null ? "default" : LEVEL_NAMES[session.level]);
    return;
  }
  const name = request.text(2).toLowerCase();
  const level = levelByName(name);
  if (level === null && name !== "default") {
    const why = unknownLevelOf(connection.service.backend, session.keyspace, request.text(2));
    writer.error(`ERR ${why}; default is the keyspace's own`);
    return;
  }
  session.level = level;
  writer.ok();
}

/** Tokens travel as text; see kv/token.ts. */
function answerToken(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const { session } = connection;
  if (request.count === 2) {
    writer.bulkText(tokenToText(session.token()));
    return;
  }
  const token = tokenFromText(request.text(2));
  const error = token instanceof KvError ? token : session.acceptToken(token);
  if (error === null) writer.ok();
  else writer.error(errorText(error));
}

function answerExplain(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const { session, lastReceipt } = connection;
  if (request.count === 2) {
    if (!session.explains)
      writer.error("ERR no receipts are kept: send GAMUT EXPLAIN ON before the command that is to be explained");
    else if (lastReceipt === null) writer.null();
    else writer.verbatim(renderReceipt(lastReceipt));
    return;
  }
  const on = request.is(2, "ON");
  if (!on && !request.is(2, "OFF")) {
    writer.error("ERR GAMUT EXPLAIN takes ON, OFF or nothing");
    return;
  }
  session.explains = on;
  connection.lastReceipt = null;
  writer.ok();
}

/** RESP3's attribute: data about the reply that follows it. `version`: of the record read or written; 0 for none. */
export function writeReceiptAttribute(writer: RespWriter, receipt: Receipt, version: number): void {
  writer.attribute(version === 0 ? 1 : 2);
  writer.simple("receipt");
  writer.bulkText(renderReceipt(receipt));
  if (version === 0) return;
  writer.simple("version");
  writer.integer(version);
}

function answerKeyspace(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.is(2, "CREATE")) createKeyspace(connection, request, writer);
  else if (request.is(2, "DROP")) dropKeyspace(connection, request, writer);
  else if (!request.is(2, "LIST")) writer.error("ERR GAMUT KEYSPACE takes CREATE, DROP or LIST. Try GAMUT HELP.");
  else if (request.count > 3) writer.error(wrongArity("gamut|keyspace"));
  else listKeyspaces(connection, writer);
}

/** `GAMUT KEYSPACE CREATE name [PROTOCOL protocol] [LEVEL level]`, the options in any order. */
function createKeyspace(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.count < 4 || request.count > 8 || request.count % 2 !== 0) {
    writer.error(`${wrongArity("gamut|keyspace")}; ${CREATE_SYNTAX}`);
    return;
  }
  let protocol: Protocol = "raft";
  let level: Level | null = null;
  for (let at = 4; at < request.count; at += 2) {
    const name = request.text(at + 1).toLowerCase();
    if (request.is(at, "PROTOCOL")) {
      const chosen = protocolByName(name);
      if (chosen === null) {
        writer.error(`ERR there is no such protocol; there are ${PROTOCOLS.join(", ")}`);
        return;
      }
      protocol = chosen;
    } else if (request.is(at, "LEVEL")) {
      level = levelByName(name);
      if (level === null) {
        writer.error(`ERR ${unknownLevel(request.text(at + 1), "")}`);
        return;
      }
    } else {
      writer.error(`${SYNTAX_ERROR}; ${CREATE_SYNTAX}`);
      return;
    }
  }
  const defaultLevel = level ?? DEFAULT_LEVELS[protocol];
  connection.service.backend.createKeyspace(request.text(3), protocol, defaultLevel, answerWhenDone(connection));
}

function dropKeyspace(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.count !== 4) writer.error(`${wrongArity("gamut|keyspace")}; it is GAMUT ${KEYSPACE_DROP}`);
  else connection.service.backend.dropKeyspace(request.text(3), answerWhenDone(connection));
}

/** What the client sends next (SELECT, say) may need the keyspace: it waits. */
function answerWhenDone(connection: RespConnection): (error: KvError | null) => void {
  const answer = connection.answerLater();
  connection.drainFirst();
  return (error) =>
    answer((writer) => {
      if (error === null) writer.ok();
      else writer.error(errorText(error));
    });
}

function listKeyspaces(connection: RespConnection, writer: RespWriter): void {
  const { keyspaces } = connection.service.backend.status();
  writer.array(keyspaces.length);
  for (const { name, protocol, defaultLevel, leader, replicas } of keyspaces) {
    writer.map(5);
    writer.bulkText("name");
    writer.bulkText(name);
    writer.bulkText("protocol");
    writer.bulkText(protocol);
    writer.bulkText("level");
    writer.bulkText(defaultLevel);
    writer.bulkText("leader");
    writer.integer(leader);
    writer.bulkText("replicas");
    writer.array(replicas.length);
    for (const replica of replicas) writer.integer(replica);
  }
}

function writeHelp(writer: RespWriter): void {
  writer.array(HELP.length);
  for (const line of HELP) writer.simple(line);
}

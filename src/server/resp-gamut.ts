/** GAMUT LEVEL, TOKEN, EXPLAIN: what Redis has no word for. */
import { type Arguments, errorText, type RespWriter, wrongArity } from "../codec/resp/index.js";
import { LEVEL_NAMES, levelByName } from "../kv/level.js";
import { type Receipt, renderReceipt } from "../kv/receipt.js";
import type { RespConnection } from "./resp-connection.js";

const HELP = [
  "GAMUT <subcommand> [<arg> ...]. Subcommands are:",
  "LEVEL [<name> | default]",
  "    The level that this connection asks for; default is the keyspace's own.",
  "TOKEN [<token>]",
  "    What this connection has seen, to be given to another; with a token: see at least what that one has seen.",
  "EXPLAIN [ON | OFF]",
  "    The receipt of the last answer; ON puts one before each answer (RESP3).",
];

export function answerGamut(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.is(1, "HELP")) writeHelp(writer);
  else if (request.count > 3) writer.error(wrongArity(`gamut|${request.text(1).toLowerCase()}`));
  else if (request.is(1, "LEVEL")) answerLevel(connection, request, writer);
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
    writer.error(`ERR there is no such level; there are default, ${Object.values(LEVEL_NAMES).join(", ")}`);
    return;
  }
  session.level = level;
  writer.ok();
}

/** Tokens travel as base64url, which fits into any header, log line or shell. */
function answerToken(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const { session } = connection;
  if (request.count === 2) {
    writer.bulkText(Buffer.from(session.token()).toString("base64url"));
    return;
  }
  const error = session.acceptToken(new Uint8Array(Buffer.from(request.text(2), "base64url")));
  if (error === null) writer.ok();
  else writer.error(errorText(error));
}

function answerExplain(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.count === 2) {
    if (connection.lastReceipt === null) writer.null();
    else writer.verbatim(renderReceipt(connection.lastReceipt));
    return;
  }
  const on = request.is(2, "ON");
  if (!on && !request.is(2, "OFF")) writer.error("ERR GAMUT EXPLAIN takes ON, OFF or nothing");
  else if (on && connection.version !== 3) {
    writer.error("ERR GAMUT EXPLAIN ON needs RESP3: send HELLO 3 first, or ask GAMUT EXPLAIN after a command");
  } else {
    connection.explains = on;
    writer.ok();
  }
}

/** RESP3's attribute: data about the reply that follows it. */
export function writeReceiptAttribute(writer: RespWriter, receipt: Receipt): void {
  writer.attribute(1);
  writer.simple("receipt");
  writer.bulkText(renderReceipt(receipt));
}

function writeHelp(writer: RespWriter): void {
  writer.array(HELP.length);
  for (const line of HELP) writer.simple(line);
}

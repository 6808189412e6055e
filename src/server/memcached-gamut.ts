/** gamut level, keyspace, token, explain, watch: what memcached has no word for. */
import { errorLine, type MemcachedWriter } from "../codec/memcached/index.js";
import { KvError } from "../kv/errors.js";
import { LEVEL_NAMES, levelByName } from "../kv/level.js";
import { renderReceipt } from "../kv/receipt.js";
import { tokenFromText, tokenToText } from "../kv/token.js";
import { KeyspaceChoice } from "./keyspace-choice.js";
import type { MemcachedConnection } from "./memcached-connection.js";
import { answerWatch } from "./memcached-watch.js";
import { unknownLevelOf } from "./unknown-level.js";

const USAGE =
  "CLIENT_ERROR gamut takes: level [<name> | default], keyspace [<name>], token [<token>], explain [on | off], watch [<prefix> ...], unwatch";

type Run = (connection: MemcachedConnection, writer: MemcachedWriter, argument: string | null) => void;

const SUBCOMMANDS: Readonly<Record<string, Run>> = {
  level: answerLevel,
  keyspace: answerKeyspace,
  token: answerToken,
  explain: answerExplain,
  unwatch: answerUnwatch,
};

export function answerGamut(connection: MemcachedConnection, writer: MemcachedWriter): void {
  const { request, words } = connection.parser;
  const name = words > 1 ? request.text(1) : "";
  if (name === "watch") answerWatch(connection, writer);
  else if (words > 3 || !Object.hasOwn(SUBCOMMANDS, name)) writer.word(USAGE);
  else SUBCOMMANDS[name](connection, writer, words === 3 ? request.text(2) : null);
}

function answerLevel({ session, service }: MemcachedConnection, writer: MemcachedWriter, name: string | null): void {
  if (name === null) {
    writer.word(`LEVEL ${session.level === null ? "default" : LEVEL_NAMES[session.level]}`);
    return;
  }
  const level = levelByName(name);
  if (level === null && name !== "default") {
    const why = unknownLevelOf(service.backend, session.keyspace, name);
    writer.word(`CLIENT_ERROR ${why}; default is the keyspace's own`);
    return;
  }
  session.level = level;
  writer.word("OK");
}

function answerKeyspace(connection: MemcachedConnection, writer: MemcachedWriter, name: string | null): void {
  if (name === null) {
    writer.word(`KEYSPACE ${connection.session.keyspace}`);
    return;
  }
  const answer = connection.answerLater();
  new KeyspaceChoice(connection, name, (error) => {
    answer((later) => later.sentence(error === null ? "OK" : errorLine(error)));
  });
}

/** Tokens travel as text; see kv/token.ts. */
function answerToken({ session }: MemcachedConnection, writer: MemcachedWriter, text: string | null): void {
  if (text === null) {
    writer.word(`TOKEN ${tokenToText(session.token())}`);
    return;
  }
  const token = tokenFromText(text);
  const error = token instanceof KvError ? token : session.acceptToken(token);
  writer.sentence(error === null ? "OK" : errorLine(error));
}

/** Receipts are kept while it is on; alone it shows that of the last answer. */
function answerExplain(connection: MemcachedConnection, writer: MemcachedWriter, choice: string | null): void {
  const { session, lastReceipt } = connection;
  if (choice === "on" || choice === "off") {
    session.explains = choice === "on";
    connection.lastReceipt = null;
    writer.word("OK");
  } else if (choice !== null) writer.word(USAGE);
  else if (lastReceipt !== null) writer.sentence(`RECEIPT ${renderReceipt(lastReceipt)}`);
  else if (session.explains) writer.word("RECEIPT none yet");
  else {
    writer.word("CLIENT_ERROR no receipts are kept: send gamut explain on before the command that is to be explained");
  }
}

function answerUnwatch(connection: MemcachedConnection, writer: MemcachedWriter, argument: string | null): void {
  if (argument === null) connection.unwatch();
  writer.word(argument === null ? "OK" : USAGE);
}

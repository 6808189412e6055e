/** HELLO, AUTH, SELECT, QUIT, RESET: what a connection begins, changes and ends with. */
import { type Arguments, errorText, type RespWriter } from "../codec/resp/index.js";
import { DEFAULT_KEYSPACE, keyspaceNamed } from "../codec/resp/keyspace-name.js";
import { KeyspaceChoice } from "./keyspace-choice.js";
import { isClientName, NAME_ERROR } from "./resp-client.js";
import type { RespConnection } from "./resp-connection.js";

const WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled.";

/** There are no passwords yet: the one user may come in with any. */
function mayLogIn(request: Arguments, userIndex: number): boolean {
  return request.text(userIndex) === "default";
}

export function answerAuth(_connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.count > 3) writer.error("ERR syntax error");
  else if (request.count === 2) {
    writer.error(
      "ERR AUTH <password> called without any password configured for the default user. " +
        "Are you sure your configuration is correct?",
    );
  } else if (mayLogIn(request, 1)) writer.ok();
  else writer.error(WRONG_PASSWORD);
}

/** HELLO [version [AUTH user password] [SETNAME name]]. */
export function answerHello(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  let name: string | null = null;
  if (request.count > 1) {
    const version = request.integer(1);
    if (version === null) {
      writer.error("ERR Protocol version is not an integer or out of range");
      return;
    }
    if (version !== 2n && version !== 3n) {
      writer.error("NOPROTO unsupported protocol version");
      return;
    }
    for (let i = 2; i < request.count; ) {
      if (request.is(i, "AUTH") && i + 2 < request.count) {
        if (!mayLogIn(request, i + 1)) {
          writer.error(WRONG_PASSWORD);
          return;
        }
        i += 3;
      } else if (request.is(i, "SETNAME") && i + 1 < request.count) {
        name = request.text(i + 1);
        if (!isClientName(name)) {
          writer.error(NAME_ERROR);
          return;
        }
        i += 2;
      } else {
        writer.error(`ERR Syntax error in HELLO option '${request.text(i)}'`);
        return;
      }
    }
    connection.version = version === 3n ? 3 : 2;
    writer.version = connection.version;
  }
  if (name !== null) connection.name = name;
  writeGreeting(connection, writer);
}

function writeGreeting(connection: RespConnection, writer: RespWriter): void {
  const status = connection.service.backend.status();
  writer.map(7);
  writer.bulkText("server");
  writer.bulkText("gamut");
  writer.bulkText("version");
  writer.bulkText(status.version);
  writer.bulkText("proto");
  writer.integer(connection.version);
  writer.bulkText("id");
  writer.integer(connection.id);
  writer.bulkText("mode");
  writer.bulkText("standalone");
  writer.bulkText("role");
  // Every node takes writes, wherever they are ordered: a client may use it as a master.
  writer.bulkText("master");
  writer.bulkText("modules");
  writer.array(0);
}

/** SELECT name; 0 is the default keyspace. */
export function answerSelect(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const name = keyspaceNamed(request.text(1));
  const { session } = connection;
  if (connection.watched.size > 0 && name !== session.keyspace) {
    writer.error("ERR SELECT of another keyspace is not possible while keys are watched: EXEC or UNWATCH first");
    return;
  }
  if (connection.subscriptions !== null && name !== session.keyspace) {
    writer.error(
      "ERR SELECT of another keyspace is not possible while the connection is subscribed: UNSUBSCRIBE first",
    );
    return;
  }
  const answer = connection.answerLater();
  new KeyspaceChoice(connection, name, (error) => {
    answer((later) => {
      if (error === null) later.ok();
      else later.error(/^-?\d+$/.test(name) ? outOfRange(name) : errorText(error));
    });
  });
}

/** Clients know Redis' sentence; people need to hear what there is in place of numbers. */
function outOfRange(name: string): string {
  const made = name.startsWith("-") ? "" : `, GAMUT KEYSPACE CREATE ${name} makes one that SELECT ${name} takes`;
  return `ERR DB index is out of range: a keyspace is selected by its name (GAMUT KEYSPACE LIST), 0 is the default one${made}`;
}

export function answerQuit(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  writer.ok();
  connection.takeNoMore();
}

export function answerReset(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  connection.transaction = null;
  connection.watched.clear();
  connection.hearNoMore();
  connection.name = "";
  connection.replyMode.choose("on");
  connection.session.explains = false;
  connection.lastReceipt = null;
  connection.session.keyspace = DEFAULT_KEYSPACE;
  connection.session.level = null;
  connection.version = 2;
  writer.version = 2;
  writer.simple("RESET");
}

/** Commands that the server answers itself: how each fits into a pipeline and a transaction. */
import {
  type Arguments,
  answerCommand,
  COMMANDS,
  type CommandSpec,
  type RespWriter,
  writeSubcommands,
} from "../codec/resp/index.js";
import { assert } from "../core/assert.js";
import { answerClient, answerClientReply } from "./resp-client.js";
import { answerConfig } from "./resp-config.js";
import type { RespConnection } from "./resp-connection.js";
import { answerGamut } from "./resp-gamut.js";
import { answerAuth, answerHello, answerQuit, answerReset, answerSelect } from "./resp-hello.js";
import { answerInfo } from "./resp-info.js";
import { answerKeys, answerRandomkey } from "./resp-keys.js";
import { answerDiscard, answerExec, answerMulti, answerUnwatch, answerWatch, execWaits } from "./resp-multi.js";
import {
  answerPsubscribe,
  answerPublish,
  answerPunsubscribe,
  answerSubscribe,
  answerUnsubscribe,
} from "./resp-pubsub.js";
import { answerRole } from "./resp-replication.js";
import { answerLatency, answerSlowlog } from "./resp-times.js";
import { answerWait } from "./resp-wait.js";

export interface LocalCommand {
  /** Writes the reply, or submits something whose completion will. */
  readonly run: (connection: RespConnection, request: Arguments, writer: RespWriter) => void;
  /** Whether it must not run before all that was sent earlier is answered. */
  readonly waits: (connection: RespConnection, request: Arguments) => boolean;
  /** Between MULTI and EXEC it is done at once, like any other, or not possible. */
  readonly inTransaction: "immediate" | "queued" | "refused";
}

type Run = LocalCommand["run"];
const always = (): boolean => true;
const never = (): boolean => false;

function atOnce(run: Run, inTransaction: LocalCommand["inTransaction"] = "queued"): LocalCommand {
  return { run, waits: never, inTransaction };
}

function afterAll(run: Run, inTransaction: LocalCommand["inTransaction"] = "queued"): LocalCommand {
  return { run, waits: always, inTransaction };
}

const LOCAL: Readonly<Record<string, LocalCommand>> = {
  ping: atOnce(answerPing),
  echo: atOnce(answerEcho),
  time: atOnce(answerTime),
  command: atOnce((_connection, request, writer) => answerCommand(request, writer)),
  hello: afterAll(answerHello),
  auth: atOnce(answerAuth),
  select: afterAll(answerSelect, "refused"),
  quit: atOnce(answerQuit, "immediate"),
  reset: afterAll(answerReset, "immediate"),
  client: afterAll(answerClient),
  info: afterAll(answerInfo),
  role: afterAll(answerRole),
  config: atOnce(answerConfig),
  slowlog: afterAll(answerSlowlog),
  latency: afterAll(answerLatency),
  debug: atOnce((_connection, _request, writer) => writer.error("ERR DEBUG command not allowed.")),
  memory: atOnce((_connection, _request, writer) => writeSubcommands("memory", writer)),
  object: atOnce((_connection, _request, writer) => writeSubcommands("object", writer)),
  keys: afterAll(answerKeys, "refused"),
  randomkey: afterAll(answerRandomkey, "refused"),
  // A call stands by itself: it depends on nothing that the connection has done.
  gamut: { run: answerGamut, waits: (_connection, request) => !request.is(1, "CALL"), inTransaction: "refused" },
  wait: afterAll(answerWait, "refused"),
  multi: atOnce(answerMulti, "immediate"),
  exec: { run: answerExec, waits: execWaits, inTransaction: "immediate" },
  discard: atOnce(answerDiscard, "immediate"),
  subscribe: afterAll(answerSubscribe, "refused"),
  unsubscribe: afterAll(answerUnsubscribe, "refused"),
  psubscribe: afterAll(answerPsubscribe, "refused"),
  punsubscribe: afterAll(answerPunsubscribe, "refused"),
  publish: atOnce(answerPublish),
  watch: afterAll(answerWatch, "immediate"),
  unwatch: atOnce(answerUnwatch),
};

const byIndex: readonly (LocalCommand | undefined)[] = COMMANDS.map((spec) => LOCAL[spec.name]);

for (const spec of COMMANDS) {
  assert((spec.build === null) === (byIndex[spec.index] !== undefined), "a command has no road, or two");
}

const CLIENT_REPLY = afterAll(answerClientReply, "refused");

/** Of a command without a road to the store. */
export function localCommand(spec: CommandSpec, request: Arguments): LocalCommand {
  if (spec.name === "client" && request.is(1, "REPLY")) return CLIENT_REPLY;
  return byIndex[spec.index]!;
}

function answerPing(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (connection.version === 2 && connection.subscriptions !== null && request.count <= 2) {
    writer.array(2);
    writer.bulkText("pong");
    writer.bulkText(request.count === 2 ? request.text(1) : "");
  } else if (request.count === 1) writer.pong();
  else if (request.count === 2) writer.bulk(request.copy(1));
  else writer.error("ERR wrong number of arguments for 'ping' command");
}

function answerEcho(_connection: RespConnection, request: Arguments, writer: RespWriter): void {
  writer.bulk(request.copy(1));
}

/** Seconds and microseconds since 1970. */
function answerTime(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  const nowMs = connection.wallMs();
  writer.array(2);
  writer.bulkText(String(Math.floor(nowMs / 1000)));
  writer.bulkText(String((nowMs % 1000) * 1000));
}

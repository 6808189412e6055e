/** SLOWLOG and LATENCY: what the node has measured of its commands. */
import {
  type Arguments,
  COMMANDS,
  type CommandSpec,
  findCommand,
  type RespWriter,
  writeSubcommands,
} from "../codec/resp/index.js";
import { Op } from "../kv/command.js";
import type { SlowCommand } from "./command-times.js";
import type { RespConnection } from "./resp-connection.js";
import type { RespReply } from "./resp-reply.js";

const SHOWN_DEFAULT = 10;
const KEYS_SHOWN_MAX = 31;
const WORD_CHARS_MAX = 128;
/** The one event that is watched. */
const EVENT = "command";

/** A slot that the store has answered is being answered. */
export function noteTime(connection: RespConnection, { spec, request, takenMs }: RespReply): void {
  if (spec === null || request === null) return;
  const { service } = connection;
  const tookMs = service.turnMs() - takenMs;
  service.times.note(spec, tookMs);
  // WAIT takes as long as its client wants it to.
  if (tookMs < service.limits.slowCommandMs || request.command.op === Op.progress) return;
  const { key, keys } = request.command;
  const named = [key, ...(keys ?? [])].filter((each) => each !== "").slice(0, KEYS_SHOWN_MAX);
  const words = [...spec.name.split("|"), ...named.map(shortened)];
  const { remoteAddress, remotePort } = connection.socket;
  service.times.noteSlow(connection.wallMs(), tookMs, words, `${remoteAddress}:${remotePort}`, connection.name);
}

/** As Redis does it. */
function shortened(word: string): string {
  const more = word.length - WORD_CHARS_MAX;
  return more <= 0 ? word : `${word.slice(0, WORD_CHARS_MAX)}... (${more} more bytes)`;
}

export function answerSlowlog(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const { times } = connection.service;
  if (request.is(1, "LEN")) writer.integer(times.slow.length);
  else if (request.is(1, "RESET")) {
    times.resetSlow();
    writer.ok();
  } else if (request.is(1, "HELP")) writeSubcommands("slowlog", writer);
  else answerSlowlogGet(times.slow, request, writer);
}

function answerSlowlogGet(slow: readonly SlowCommand[], request: Arguments, writer: RespWriter): void {
  if (request.count > 3) {
    writer.error("ERR syntax error");
    return;
  }
  const count = request.count === 2 ? BigInt(SHOWN_DEFAULT) : request.integer(2);
  if (count === null || count < -1n) {
    writer.error("ERR count should be greater than or equal to -1");
    return;
  }
  const shown = count === -1n || count > slow.length ? slow.length : Number(count);
  writer.array(shown);
  for (let i = slow.length - 1; i >= slow.length - shown; i -= 1) writeSlow(slow[i], writer);
}

function writeSlow(command: SlowCommand, writer: RespWriter): void {
  writer.array(6);
  writer.integer(command.id);
  writer.integer(Math.floor(command.endedMs / 1000));
  writer.integer(Math.round(command.tookMs * 1000));
  writer.array(command.words.length);
  for (const word of command.words) writer.bulkText(word);
  writer.bulkText(command.client);
  writer.bulkText(command.clientName);
}

export function answerLatency(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (request.is(1, "LATEST")) answerLatest(connection, writer);
  else if (request.is(1, "HISTORY")) answerHistory(connection, request, writer);
  else if (request.is(1, "RESET")) answerLatencyReset(connection, request, writer);
  else if (request.is(1, "HISTOGRAM")) answerHistogram(connection, request, writer);
  else writeSubcommands("latency", writer);
}

/** Event, second of the last sample, ms of that, ms of the slowest. */
function answerLatest(connection: RespConnection, writer: RespWriter): void {
  const { times } = connection.service;
  const last = times.samples.at(-1);
  if (last === undefined) {
    writer.array(0);
    return;
  }
  writer.array(1);
  writer.array(4);
  writer.bulkText(EVENT);
  writer.integer(last.second);
  writer.integer(Math.round(last.tookMs));
  writer.integer(Math.round(times.slowestMs));
}

function answerHistory(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const samples = request.text(2) === EVENT ? connection.service.times.samples : [];
  writer.array(samples.length);
  for (const { second, tookMs } of samples) {
    writer.array(2);
    writer.integer(second);
    writer.integer(Math.round(tookMs));
  }
}

/** How many events were reset. */
function answerLatencyReset(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const { times } = connection.service;
  let isNamed = request.count === 2;
  for (let i = 2; i < request.count; i += 1) if (request.text(i) === EVENT) isNamed = true;
  const resets = isNamed && times.samples.length > 0;
  if (resets) times.resetSamples();
  writer.integer(resets ? 1 : 0);
}

/** Of the commands named, or of all that the store was asked for. */
function answerHistogram(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  let specs: readonly CommandSpec[] = COMMANDS;
  if (request.count > 2) {
    const named = new Set<CommandSpec>();
    for (let i = 2; i < request.count; i += 1) {
      const spec = findCommand(request, i);
      if (spec !== null) named.add(spec);
    }
    specs = [...named];
  }
  const { times } = connection.service;
  const called = specs.map((spec) => ({ spec, ...times.histogram(spec) })).filter(({ calls }) => calls > 0);
  writer.map(called.length);
  for (const { spec, calls, buckets } of called) {
    writer.bulkText(spec.name);
    writer.map(2);
    writer.bulkText("calls");
    writer.integer(calls);
    writer.bulkText("histogram_usec");
    writer.map(buckets.length);
    for (const [us, count] of buckets) {
      writer.integer(us);
      writer.integer(count);
    }
  }
}

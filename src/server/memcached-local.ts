/** The commands that this node answers itself. */
import {
  BAD_FORMAT,
  isNoreply,
  isWord,
  MEMCACHED_COMMANDS,
  type MemcachedSpec,
  type MemcachedWriter,
  PLAIN_SET,
  u32,
} from "../codec/memcached/index.js";
import { assert } from "../core/assert.js";
import type { MemcachedConnection } from "./memcached-connection.js";
import { answerGamut } from "./memcached-gamut.js";
import { answerStats, MEMCACHED_VERSION } from "./memcached-stats.js";
import { PlainSet } from "./plain-set.js";

export interface LocalMemcachedCommand {
  /** Writes the reply, or asks for a place among the replies to write it later. */
  readonly run: (connection: MemcachedConnection, writer: MemcachedWriter) => void;
  /** Whether it must not run before all that was sent earlier is answered. */
  readonly waits: boolean;
}

const LOCAL: Readonly<Record<string, LocalMemcachedCommand>> = {
  mn: { run: (_connection, writer) => writer.word("MN"), waits: false },
  version: { run: (_connection, writer) => writer.word(`VERSION ${MEMCACHED_VERSION}`), waits: false },
  verbosity: { run: answerVerbosity, waits: false },
  stats: { run: answerStats, waits: true },
  quit: { run: (connection) => connection.takeNoMore(), waits: false },
  shutdown: { run: (_connection, writer) => writer.word("ERROR: shutdown not enabled"), waits: false },
  dialect: { run: answerDialect, waits: false },
  gamut: { run: answerGamut, waits: true },
};

const PLAIN_SET_COMMAND: LocalMemcachedCommand = { run: PlainSet.begin, waits: false };

for (const spec of MEMCACHED_COMMANDS) {
  assert((spec.build === null) === Object.hasOwn(LOCAL, spec.name), "a memcached command has no road, or two");
}

export function localMemcachedCommand(spec: MemcachedSpec): LocalMemcachedCommand {
  return spec === PLAIN_SET ? PLAIN_SET_COMMAND : LOCAL[spec.name];
}

/** There is one log for all connections, and no client can make it talk more. */
function answerVerbosity({ parser }: MemcachedConnection, writer: MemcachedWriter): void {
  if (isNoreply(parser)) return;
  writer.word(u32(parser.request, 1) === null ? BAD_FORMAT : "OK");
}

function answerDialect({ parser }: MemcachedConnection, writer: MemcachedWriter): void {
  const isPlain = isWord(parser, 1, "plain");
  if (!isPlain && !isWord(parser, 1, "memcached")) {
    writer.word("CLIENT_ERROR there are the dialects plain and memcached");
    return;
  }
  parser.isPlain = isPlain;
  writer.word("OK");
}

/** Every command of memcached's wire, with its road to and from the store. */
import { CommandFlag } from "../../kv/command.js";
import * as classic from "./classic-commands.js";
import { FLAGS, KEYS, MemcachedSpec } from "./command-spec.js";
import { BAD_FORMAT } from "./errors.js";
import * as meta from "./meta-commands.js";
import * as metaRenderers from "./meta-renderers.js";
import * as renderers from "./renderers.js";

const { ifAbsent, ifPresent } = CommandFlag;

/** Name, words (at least, at most), where the length of the data stands, road. The most used first. */
export const MEMCACHED_COMMANDS: readonly MemcachedSpec[] = [
  new MemcachedSpec("get", 2, KEYS, 0, classic.buildGet, renderers.renderValues(false)),
  new MemcachedSpec("set", 5, 6, 4, classic.buildStore(0), renderers.renderStored),
  new MemcachedSpec("gets", 2, KEYS, 0, classic.buildGet, renderers.renderValues(true)),
  new MemcachedSpec("gat", 3, KEYS, 0, classic.buildGetAndTouch, renderers.renderTouched(false)),
  new MemcachedSpec("gats", 3, KEYS, 0, classic.buildGetAndTouch, renderers.renderTouched(true)),
  new MemcachedSpec("add", 5, 6, 4, classic.buildStore(ifAbsent), renderers.renderStored),
  new MemcachedSpec("replace", 5, 6, 4, classic.buildStore(ifPresent), renderers.renderStored),
  new MemcachedSpec("append", 5, 6, 4, classic.buildAppend(false), renderers.renderStored),
  new MemcachedSpec("prepend", 5, 6, 4, classic.buildAppend(true), renderers.renderStored),
  new MemcachedSpec("cas", 6, 7, 4, classic.buildCas, renderers.renderCas),
  new MemcachedSpec("incr", 3, 4, 0, classic.buildCount(false), renderers.renderNumber(false)),
  new MemcachedSpec("decr", 3, 4, 0, classic.buildCount(true), renderers.renderNumber(true)),
  new MemcachedSpec("delete", 2, 4, 0, classic.buildDelete, renderers.renderDeleted),
  new MemcachedSpec("touch", 3, 4, 0, classic.buildTouch, renderers.renderTouch),
  new MemcachedSpec("flush_all", 1, 3, 0, classic.buildFlush, renderers.renderOk),
  new MemcachedSpec("mg", 2, FLAGS, 0, meta.buildMetaGet, metaRenderers.renderMetaGet),
  new MemcachedSpec("ms", 3, FLAGS, 2, meta.buildMetaSet, metaRenderers.renderMetaSet, BAD_FORMAT),
  new MemcachedSpec("md", 2, FLAGS, 0, meta.buildMetaDelete, metaRenderers.renderMetaDelete),
  new MemcachedSpec("ma", 2, FLAGS, 0, meta.buildMetaArithmetic, metaRenderers.renderMetaArithmetic),
  new MemcachedSpec("me", 2, FLAGS, 0, meta.buildMetaDebug, metaRenderers.renderMetaDebug, BAD_FORMAT),
  new MemcachedSpec("mn", 1, FLAGS, 0, null, null),
  new MemcachedSpec("version", 1, FLAGS, 0, null, null),
  new MemcachedSpec("verbosity", 2, 3, 0, null, null),
  new MemcachedSpec("stats", 1, FLAGS, 0, null, null),
  new MemcachedSpec("quit", 1, FLAGS, 0, null, null),
  new MemcachedSpec("shutdown", 1, 2, 0, null, null),
  new MemcachedSpec("dialect", 2, 2, 0, null, null),
  new MemcachedSpec("gamut", 1, KEYS, 0, null, null),
];

/** `get KEY …` of the plain dialect. */
export const PLAIN_GET = new MemcachedSpec("get", 2, KEYS, 0, classic.buildGet, renderers.renderPlainValues);
/** `set KEY VALUE`: the server does it, for it takes more than one operation. */
export const PLAIN_SET = new MemcachedSpec("set", 3, 3, 0, null, null);

const byLength: MemcachedSpec[][] = [];
for (const spec of MEMCACHED_COMMANDS) {
  while (byLength.length <= spec.name.length) byLength.push([]);
  byLength[spec.name.length].push(spec);
}

/** The command named by `bytes[start, end)`: names are lower-case. */
export function findMemcachedCommand(bytes: Uint8Array, start: number, end: number): MemcachedSpec | null {
  const length = end - start;
  if (length >= byLength.length) return null;
  const specs = byLength[length];
  for (let i = 0; i < specs.length; i += 1) if (isNamed(specs[i].bytes, bytes, start)) return specs[i];
  return null;
}

function isNamed(name: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < name.length; i += 1) if (bytes[start + i] !== name[i]) return false;
  return true;
}

/** Positions of watches in a keyspace whose changes have no one order: a version vector, and a place in one node's memory. */
import { type ByteReader, type ByteWriter, CodecError } from "../core/bytes.js";
import type { KvError } from "./errors.js";
import { Seen } from "./seen.js";
import { ORIGIN_POSITION_VERSION, POSITION_ORIGINS_MAX, readPosition, writePosition } from "./watch.js";

/** What a watcher has heard, whichever node has told it. */
export interface OriginPlace {
  /** Of each origin (one life of one node) all through a sequence: what took effect, and what lost against a later write. */
  readonly seen: Seen;
  /** Values seen whose deadline is before this: that they have expired. In ms since 1970. */
  expiredBeforeMs: number;
}

export interface OriginPosition extends OriginPlace {
  readonly group: number;
  /** Who has told of it, in which life of its memory of changes, and how many changes were told or passed over there. */
  readonly node: number;
  readonly life: number;
  readonly count: number;
}

/**
 * The body: `node u16 | life u53 | count u53 | expired before u53 | origin count u16 | (node u16, incarnation u53, sequence
 * u53) each`. What is beyond the most origins is left out, and is told again.
 */
export function encodeOriginPosition(clusterId: string, position: OriginPosition): string {
  return writePosition(clusterId, ORIGIN_POSITION_VERSION, position.group, (writer) => writeBody(writer, position));
}

function writeBody(writer: ByteWriter, { node, life, count, seen, expiredBeforeMs }: OriginPosition): void {
  const told = Math.min(seen.origins.length, POSITION_ORIGINS_MAX);
  writer.u16(node);
  writer.u53(life);
  writer.u53(count);
  writer.u53(expiredBeforeMs);
  writer.u16(told);
  for (let i = 0; i < told; i += 1) {
    writer.u16(seen.origins[i].node);
    writer.u53(seen.origins[i].incarnation);
    writer.u53(seen.origins[i].sequence);
  }
}

/** The position, or why this is none of this cluster and protocol. */
export function decodeOriginPosition(text: string, clusterId: string): OriginPosition | KvError {
  return readPosition(text, clusterId, ORIGIN_POSITION_VERSION, readBody);
}

function readBody(group: number, reader: ByteReader): OriginPosition {
  const node = reader.u16();
  const life = reader.u53();
  const count = reader.u53();
  const expiredBeforeMs = reader.u53();
  const origins = reader.u16();
  if (origins > POSITION_ORIGINS_MAX) throw new CodecError(`a position of ${origins} origins`);
  const seen = new Seen();
  for (let i = 0; i < origins; i += 1) seen.raise(reader.u16(), reader.u53(), reader.u53());
  return { group, node, life, count, seen, expiredBeforeMs };
}

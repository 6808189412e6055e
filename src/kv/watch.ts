/** Watching a keyspace: what one asks for, what one hears, and the position from which one can go on. */
import { ByteReader, ByteWriter, CodecError, crc32 } from "../core/bytes.js";
import type { Change } from "./change-history.js";
import { KvError } from "./errors.js";
import { COMMAND_LIMITS } from "./limits.js";
import { CLUSTER_ID_BYTES_MAX, tokenFromText, tokenToText } from "./token.js";

export interface WatchOptions {
  /** The keys that begin so; "" for all. */
  readonly prefix: string;
  /** These keys alone; null for all with the prefix. */
  readonly keys: ReadonlySet<string> | null;
  /** The changes after this position; "" for those from now on. Not with `snapshot`. */
  readonly from: string;
  /** The records that are there first. */
  readonly snapshot: boolean;
  /** The values of what is put, where they are known; a snapshot's always. */
  readonly values: boolean;
}

/** What is asked for is more than anybody may; else null. */
export function checkWatch({ prefix, keys }: WatchOptions): KvError | null {
  const { keyBytesMax, keysMax } = COMMAND_LIMITS;
  if (prefix.length > keyBytesMax) return new KvError("key_too_long");
  if (keys === null) return null;
  if (keys.size > keysMax) {
    return new KvError("batch_too_large", `${keys.size} keys were to be watched, ${keysMax} are allowed`);
  }
  for (const key of keys) if (key.length > keyBytesMax) return new KvError("key_too_long");
  return null;
}

/**
 * Hears of the changes in order, each once. Called at the end of turns, never from within a call of the handle. None of
 * these may call the store.
 */
export interface WatchSink {
  /** Whether more can be taken now. After `false` the sink calls the handle's `resume`; the changes wait in the history. */
  ready(): boolean;
  /** Of the snapshot. */
  record(key: string, version: number, value: Uint8Array): void;
  /** `isResumable`: false while the snapshot is under way, when there is no position to go on from. */
  changed(change: Change, isResumable: boolean): void;
  /** Who has taken all records and changes until now holds the state as it was at the end of this version. */
  snapshotEnded(version: number): void;
  /** There was nothing to tell up to the end of this version. Once in a while, to go on from. */
  progressed(version: number): void;
  /** The last that is heard. */
  ended(error: KvError): void;
  /** After what a turn had to tell. */
  flush(): void;
}

export interface WatchHandle {
  /** Where the watch begins: version and ordinal as of {@link Change}. */
  readonly beginVersion: number;
  readonly beginOrdinal: number;
  /**
   * As text, good at every node of the cluster: of the beginning, or of what is being told. To be called from within the
   * call of the sink that it is of.
   */
  position(version: number, ordinal: number): string;
  resume(): void;
  close(): void;
}

/** The changes after a position are no longer all kept. */
export class Compacted extends KvError {
  constructor(
    /** The oldest position from which one could go on here. */
    readonly oldest: string,
  ) {
    super(
      "compacted",
      `what has changed since that position is not kept any more; the oldest position here is ${oldest}. Another node may keep more; else begin anew, with a snapshot`,
    );
  }
}

/** A place in the order of changes of one life of a keyspace. */
export interface WatchPosition {
  readonly group: number;
  readonly version: number;
  readonly ordinal: number;
}

const MAGIC_0 = 0x47;
const MAGIC_1 = 0x57;
const POSITION_VERSION = 1;
/** Of a keyspace without one order (origin-position.ts). */
export const ORIGIN_POSITION_VERSION = 2;
const CHECKSUM_BYTES = 4;
/** Lives of nodes that one position tells of: as many as a replica ever knows. */
export const POSITION_ORIGINS_MAX = 1_024;
export const POSITION_BYTES_MAX =
  3 + 2 + CLUSTER_ID_BYTES_MAX + 4 + 2 + 3 * 8 + 2 + POSITION_ORIGINS_MAX * (2 + 8 + 8) + CHECKSUM_BYTES;

const scratch = new ByteWriter(256);

/** `magic "GW" | version u8 | cluster id (u16 length, latin1) | group u32 | body | crc32`, in hex. */
export function writePosition(
  clusterId: string,
  positionVersion: number,
  group: number,
  writeBody: (writer: ByteWriter) => void,
): string {
  scratch.reset();
  scratch.u8(MAGIC_0);
  scratch.u8(MAGIC_1);
  scratch.u8(positionVersion);
  scratch.latin1(clusterId);
  scratch.u32(group);
  writeBody(scratch);
  scratch.u32(crc32(scratch.written()));
  return tokenToText(scratch.written());
}

/** The body: `version u53 | ordinal u32`. */
export function encodePosition(clusterId: string, { group, version, ordinal }: WatchPosition): string {
  return writePosition(clusterId, POSITION_VERSION, group, (writer) => {
    writer.u53(version);
    writer.u32(ordinal);
  });
}

/** The position, or why this is none of this cluster. */
export function decodePosition(text: string, clusterId: string): WatchPosition | KvError {
  return readPosition(text, clusterId, POSITION_VERSION, (group, reader) => ({
    group,
    version: reader.u53(),
    ordinal: reader.u32(),
  }));
}

/** What a position of that version says; `readBody` may throw {@link CodecError}. */
export function readPosition<Position>(
  text: string,
  clusterId: string,
  positionVersion: number,
  readBody: (group: number, reader: ByteReader) => Position,
): Position | KvError {
  const bytes = text.length > 2 * POSITION_BYTES_MAX ? null : tokenFromText(text);
  if (bytes === null || bytes instanceof KvError || bytes.length <= CHECKSUM_BYTES) return badPosition();
  const end = bytes.length - CHECKSUM_BYTES;
  try {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== MAGIC_0 || reader.u8() !== MAGIC_1) return badPosition();
    if (new ByteReader(bytes.subarray(end)).u32() !== crc32(bytes.subarray(0, end))) return badPosition();
    const version = reader.u8();
    if (version !== POSITION_VERSION && version !== ORIGIN_POSITION_VERSION) {
      return new KvError(
        "bad_token",
        "the position to watch from was made by a newer build, and is not known to this one",
      );
    }
    const cluster = reader.latin1();
    if (cluster !== clusterId) return new KvError("wrong_cluster", "the position belongs to another cluster");
    if (version !== positionVersion) return anotherKeyspace();
    const position = readBody(reader.u32(), reader);
    return reader.position === end ? position : badPosition();
  } catch (error) {
    if (error instanceof CodecError) return badPosition();
    throw error;
  }
}

export function anotherKeyspace(): KvError {
  return new KvError(
    "keyspace_gone",
    "the position belongs to another keyspace, or to one of this name that was dropped",
  );
}

function badPosition(): KvError {
  return new KvError(
    "bad_token",
    "this is no position to watch from, or not a whole one: pass on what a watch has told",
  );
}

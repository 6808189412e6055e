/**
 * The portable position of a session: what it has read and written, so that another node can wait until it has seen as
 * much. Not secret, but checked: a damaged one is refused, and so is another cluster's.
 *
 * ```
 * magic "GT" | version u8 | cluster id (u16 length, latin1) | count u16
 *   | per entry: keyspace incarnation u53, group u32, epoch u53, position u53
 *   [| count u16 | per group without an order: keyspace incarnation u53, group u32, clock ms u53, logical u32,
 *      origin count u16 | per origin: node u16, incarnation u53, sequence u53] | crc32 of all before
 * ```
 *
 * What stands in brackets is there in version 2; a token that does not need it is of version 1.
 *
 * An entry takes 28 bytes. The entries stand in order of keyspace and group, each pair once, so that equal tokens are
 * equal bytes. As text: lower-case hex, which every shell, header and URL takes as it is.
 */
import { assert } from "../core/assert.js";
import { ByteReader, ByteWriter, CodecError, crc32 } from "../core/bytes.js";
import { KvError } from "./errors.js";
import { Seen } from "./seen.js";

const MAGIC_0 = 0x47;
const MAGIC_1 = 0x54;
const TOKEN_VERSION = 1;
const TOKEN_VERSION_SEEN = 2;
const CHECKSUM_BYTES = 4;
const ENTRY_BYTES = 8 + 4 + 8 + 8;
const ENTRIES_MAX = 2_048;
/** What a client's tokens may make of a session's: below the maximum, to leave room for the groups really used. */
const MERGED_ENTRIES_MAX = 1_024;
export const CLUSTER_ID_BYTES_MAX = 64;
/** No token is longer: what is, need not be looked at. */
export const TOKEN_BYTES_MAX = 3 + 2 + CLUSTER_ID_BYTES_MAX + 2 + ENTRIES_MAX * ENTRY_BYTES + CHECKSUM_BYTES;

/** How far one group of one keyspace was seen. */
export interface TokenEntry {
  /** Number of this life of the keyspace: dropped and made again under the same name it has another. */
  readonly keyspace: number;
  readonly group: number;
  /** Epoch (raft: term) of the entry at `position`. */
  readonly epoch: number;
  readonly position: number;
}

/** What was seen of a group without an order. */
export interface TokenSeen {
  readonly keyspace: number;
  readonly group: number;
  readonly seen: Seen;
}

export class Token {
  private readonly entries: TokenEntry[] = [];
  /** One a group, in no order. */
  readonly seen: TokenSeen[] = [];

  constructor(readonly clusterId: string) {
    assert(clusterId.length <= CLUSTER_ID_BYTES_MAX, "token: the cluster id is too long");
  }

  /** In order of keyspace and group. */
  list(): readonly TokenEntry[] {
    return this.entries;
  }

  find(keyspace: number, group: number): TokenEntry | null {
    const at = this.lowerBound(keyspace, group);
    const entry = this.entries[at];
    return at < this.entries.length && entry.keyspace === keyspace && entry.group === group ? entry : null;
  }

  /**
   * Raises what the token demands; a demand never falls. The greater position counts whatever its epoch: if a forced
   * recovery has cut that history off, the group finds another epoch at that position and says so, where a smaller
   * position would have hidden the loss.
   */
  raise(keyspace: number, group: number, epoch: number, position: number): void {
    const at = this.lowerBound(keyspace, group);
    const known = this.entries[at];
    const entry: TokenEntry = { keyspace, group, epoch, position };
    if (at === this.entries.length || known.keyspace !== keyspace || known.group !== group) {
      assert(this.entries.length < ENTRIES_MAX, "token: too many groups");
      this.entries.splice(at, 0, entry);
    } else if (position > known.position || (position === known.position && epoch > known.epoch)) {
      this.entries[at] = entry;
    }
  }

  /** Takes in all that another token of the same cluster demands. Null, or why nothing was taken in. */
  merge(other: Token): KvError | null {
    assert(other.clusterId === this.clusterId, "token: merged with another cluster's");
    if (this.entries.length + other.entries.length > MERGED_ENTRIES_MAX) {
      return new KvError("bad_token", `the tokens of one session name more than ${MERGED_ENTRIES_MAX} groups`);
    }
    for (let i = 0; i < other.entries.length; i += 1) {
      const { keyspace, group, epoch, position } = other.entries[i];
      this.raise(keyspace, group, epoch, position);
    }
    for (const { keyspace, group, seen } of other.seen) this.seenIn(keyspace, group).merge(seen);
    return null;
  }

  private seenIn(keyspace: number, group: number): Seen {
    const known = this.seen.find((it) => it.keyspace === keyspace && it.group === group);
    if (known !== undefined) return known.seen;
    const seen = new Seen();
    this.seen.push({ keyspace, group, seen });
    return seen;
  }

  private lowerBound(keyspace: number, group: number): number {
    let at = 0;
    while (at < this.entries.length && isBefore(this.entries[at], keyspace, group)) at += 1;
    return at;
  }
}

function isBefore(entry: TokenEntry, keyspace: number, group: number): boolean {
  return entry.keyspace < keyspace || (entry.keyspace === keyspace && entry.group < group);
}

export function encodeToken(token: Token): Uint8Array {
  const entries = token.list();
  const writer = new ByteWriter(128);
  writer.u8(MAGIC_0);
  writer.u8(MAGIC_1);
  writer.u8(token.seen.length === 0 ? TOKEN_VERSION : TOKEN_VERSION_SEEN);
  writer.latin1(token.clusterId);
  writer.u16(entries.length);
  for (const entry of entries) {
    writer.u53(entry.keyspace);
    writer.u32(entry.group);
    writer.u53(entry.epoch);
    writer.u53(entry.position);
  }
  if (token.seen.length > 0) writeSeen(token, writer);
  writer.u32(crc32(writer.written()));
  return writer.copy();
}

/** The token, or why it is not accepted: `bad_token`, `wrong_cluster`, or `unavailable` while `clusterId` is "". */
export function decodeToken(bytes: Uint8Array, clusterId: string): Token | KvError {
  let token: Token;
  try {
    token = readToken(bytes);
  } catch (error) {
    if (error instanceof CodecError) return new KvError("bad_token", `the token cannot be read: ${error.message}`);
    throw error;
  }
  if (token.clusterId === clusterId) return token;
  // Of a session that had seen nothing, on a node that had just begun.
  if (token.clusterId === "" && token.list().length === 0 && token.seen.length === 0) return new Token(clusterId);
  if (clusterId === "") {
    return new KvError("unavailable", "this node does not know its cluster yet: try again in a moment");
  }
  return new KvError(
    "wrong_cluster",
    `the token was issued by cluster ${token.clusterId}, this is ${clusterId}: use it there, or begin without one`,
  );
}

function readToken(bytes: Uint8Array): Token {
  if (bytes.length < 3 + CHECKSUM_BYTES) throw new CodecError("it ends too early");
  if (bytes.length > TOKEN_BYTES_MAX) throw new CodecError("it is too long to be one");
  const reader = new ByteReader(bytes);
  if (reader.u8() !== MAGIC_0 || reader.u8() !== MAGIC_1) throw new CodecError("it does not begin as a token does");
  const version = reader.u8();
  if (version !== TOKEN_VERSION && version !== TOKEN_VERSION_SEEN)
    throw new CodecError(`its version ${version} is not known to this build`);
  const body = bytes.subarray(0, bytes.length - CHECKSUM_BYTES);
  const checksum = new ByteReader(bytes.subarray(body.length)).u32();
  if (checksum !== crc32(body)) throw new CodecError("its checksum is not right");
  return readBody(reader, body.length, version);
}

function readBody(reader: ByteReader, end: number, version: number): Token {
  const clusterId = reader.latin1();
  if (clusterId.length > CLUSTER_ID_BYTES_MAX) throw new CodecError("its cluster id is too long");
  const token = new Token(clusterId);
  const count = reader.u16();
  const entriesEnd = reader.position + count * ENTRY_BYTES;
  if (version === TOKEN_VERSION ? entriesEnd !== end : entriesEnd > end)
    throw new CodecError("its length is not right");
  let previousKeyspace = -1;
  let previousGroup = -1;
  for (let i = 0; i < count; i += 1) {
    const keyspace = reader.u53();
    const group = reader.u32();
    if (keyspace < previousKeyspace || (keyspace === previousKeyspace && group <= previousGroup)) {
      throw new CodecError("its entries are not in order");
    }
    token.raise(keyspace, group, reader.u53(), reader.u53());
    previousKeyspace = keyspace;
    previousGroup = group;
  }
  if (version !== TOKEN_VERSION) readSeen(reader, end, token);
  return token;
}

function writeSeen(token: Token, writer: ByteWriter): void {
  writer.u16(token.seen.length);
  for (const { keyspace, group, seen } of token.seen) {
    writer.u53(keyspace);
    writer.u32(group);
    writer.u53(Math.floor(seen.ms));
    writer.u32(seen.logical);
    writer.u16(seen.origins.length);
    for (const { node, incarnation, sequence } of seen.origins) {
      writer.u16(node);
      writer.u53(incarnation);
      writer.u53(sequence);
    }
  }
}

function readSeen(reader: ByteReader, end: number, token: Token): void {
  for (let left = reader.u16(); left > 0; left -= 1) {
    const entry: TokenSeen = { keyspace: reader.u53(), group: reader.u32(), seen: new Seen() };
    entry.seen.raiseClock(reader.u53(), reader.u32());
    for (let origins = reader.u16(); origins > 0; origins -= 1) {
      const [node, incarnation, sequence] = [reader.u16(), reader.u53(), reader.u53()];
      if (node === 0 || incarnation === 0 || sequence === 0)
        throw new CodecError("a write that it names has no origin");
      entry.seen.raise(node, incarnation, sequence);
    }
    token.seen.push(entry);
  }
  if (reader.position !== end) throw new CodecError("its length is not right");
}

const HEX = "0123456789abcdef";

export function tokenToText(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 1) text += HEX[bytes[i] >> 4] + HEX[bytes[i] & 15];
  return text;
}

/** The bytes that a text spells (upper case is accepted too), or `bad_token`. */
export function tokenFromText(text: string): Uint8Array | KvError {
  if (text.length % 2 !== 0 || text.length > 2 * TOKEN_BYTES_MAX) {
    return new KvError("bad_token", `a token's text has an even number of chars up to ${2 * TOKEN_BYTES_MAX}`);
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) {
    const high = hexDigit(text.charCodeAt(2 * i));
    const low = hexDigit(text.charCodeAt(2 * i + 1));
    if (high < 0 || low < 0) return new KvError("bad_token", `the token's text is not hex at char ${2 * i + 1}`);
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

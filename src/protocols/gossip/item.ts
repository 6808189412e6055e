/**
 * Writes as they travel and as they stand in the log.
 *
 * ```
 * batch  version u8 = 1 | origin count u16 | (node u16, incarnation u53) each | item count u32 | items
 * item   shape u8 | origin u16 | sequence u53 | ms u53 | logical u32 | replaced u53 | key
 *        [| deadlineMs u53] [| recordFlags u32] [| dependency count u8, (origin u16, sequence u53) each] [| value]
 * ```
 */
import { assert } from "../../core/assert.js";
import { ByteReader, ByteWriter, CodecError, EMPTY_BYTES, latin1Decode } from "../../core/bytes.js";
import type { HybridTime } from "../../core/hybrid-clock.js";
import { NO_DEADLINE } from "../../kv/command.js";
import { getU32, getU53 } from "../../kv/fixed-integers.js";
import { COMMAND_LIMITS } from "../../kv/limits.js";
import { SeenOrigin } from "../../kv/seen.js";
import { Stamp } from "./stamp.js";

const BATCH_VERSION = 1;
/** Lives that one replica knows, and the newest of each member: far fewer (see credibility.ts). */
const MAX_ORIGINS = 65_535;
const MAX_ITEMS = 1_048_576;
/** Who has seen more has to wait until some of it has come to every member. */
export const MAX_DEPENDENCIES = 64;
/** About what an item takes besides its key and value. */
export const ITEM_OVERHEAD_BYTES = 64;

const Shape = { delete: 1, deadline: 2, flags: 4, dependencies: 8 } as const;
const SHAPE_ALL = 15;
/** Of a batch before its origins' and items' own. */
const HEAD_BYTES = 7;
const ORIGIN_BYTES = 10;
/** Of an item before its key. */
const FIXED_BYTES = 33;

const NONE: readonly SeenOrigin[] = [];

/** One write of one key. A delete with a deadline is a write that has expired. */
export class Item {
  deadlineMs: number = NO_DEADLINE;
  recordFlags = 0;
  value: Uint8Array = EMPTY_BYTES;
  /** What its writer had seen of other origins: who reads this may go on to read nothing older. */
  dependencies: readonly SeenOrigin[] = NONE;

  constructor(
    readonly stamp: Stamp,
    readonly key: string,
    readonly isDelete: boolean,
  ) {}

  get byteLength(): number {
    return ITEM_OVERHEAD_BYTES + this.key.length + this.value.length + this.dependencies.length * 10;
  }
}

/** Collects the items of one batch after the other. */
export class BatchWriter {
  private readonly origins: number[] = [];
  private readonly body = new ByteWriter(4_096);
  count = 0;

  private originAt(node: number, incarnation: number): number {
    const { origins } = this;
    for (let i = 0; i < origins.length; i += 2) {
      if (origins[i] === node && origins[i + 1] === incarnation) return i >> 1;
    }
    assert(origins.length < 2 * MAX_ORIGINS, "gossip: a batch of too many origins");
    origins.push(node, incarnation);
    return (origins.length >> 1) - 1;
  }

  add(item: Item): void {
    const { body } = this;
    this.count += 1;
    const { stamp, dependencies } = item;
    const origin = this.originAt(stamp.node, stamp.incarnation);
    let shape = item.isDelete ? Shape.delete : 0;
    if (item.deadlineMs !== NO_DEADLINE) shape |= Shape.deadline;
    if (item.recordFlags !== 0) shape |= Shape.flags;
    if (dependencies.length > 0) shape |= Shape.dependencies;
    body.u8(shape);
    body.u16(origin);
    body.u53(stamp.sequence);
    body.u53(stamp.ms);
    body.u32(stamp.logical);
    body.u53(stamp.replaced);
    body.latin1(item.key);
    if (shape & Shape.deadline) body.u53(item.deadlineMs);
    if (shape & Shape.flags) body.u32(item.recordFlags);
    if (shape & Shape.dependencies) {
      body.u8(dependencies.length);
      for (let i = 0; i < dependencies.length; i += 1) {
        body.u16(this.originAt(dependencies[i].node, dependencies[i].incarnation));
        body.u53(dependencies[i].sequence);
      }
    }
    if (!item.isDelete) body.blob(item.value);
  }

  /** The batch, and the beginning of the next. */
  finish(): Uint8Array {
    const { origins, body } = this;
    const out = new ByteWriter(body.length + HEAD_BYTES + origins.length * ORIGIN_BYTES);
    out.u8(BATCH_VERSION);
    out.u16(origins.length >> 1);
    for (let i = 0; i < origins.length; i += 2) {
      out.u16(origins[i]);
      out.u53(origins[i + 1]);
    }
    out.u32(this.count);
    out.raw(body.written());
    origins.length = 0;
    body.reset();
    this.count = 0;
    return out.written();
  }
}

export function encodeItems(items: readonly Item[]): Uint8Array {
  const writer = new BatchWriter();
  for (let i = 0; i < items.length; i += 1) writer.add(items[i]);
  return writer.finish();
}

/**
 * Reads a batch item by item: {@link BatchReader.next} goes to one and shows how it is stamped, {@link BatchReader.item}
 * makes an object of it. All of it is checked on the way. Throws {@link CodecError}.
 */
export class BatchReader implements HybridTime {
  readonly count: number;
  /** Of the item that was gone to, as the rest of these. */
  node = 0;
  incarnation = 0;
  sequence = 0;
  ms = 0;
  logical = 0;
  private replaced = 0;
  private shape = 0;
  private keyAt = 0;
  private keyEnd = 0;
  private left: number;
  private readonly origins: number[] = [];
  private readonly reader: ByteReader;

  constructor(private readonly bytes: Uint8Array) {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== BATCH_VERSION) throw new CodecError(`gossip batch version ${version}; this build reads 1`);
    const originCount = reader.u16();
    if (originCount > MAX_ORIGINS) {
      throw new CodecError(`gossip batch of ${originCount} origins; at most ${MAX_ORIGINS}`);
    }
    for (let i = 0; i < originCount; i += 1) {
      this.origins.push(positive(reader.u16(), "node"));
      this.origins.push(positive(reader.u53(), "incarnation"));
    }
    const count = reader.u32();
    if (count > MAX_ITEMS) throw new CodecError(`gossip batch of ${count} writes; at most ${MAX_ITEMS}`);
    this.count = count;
    this.left = count;
    this.reader = reader;
  }

  /** False at the end. */
  next(): boolean {
    const { reader, bytes } = this;
    if (this.left === 0) {
      if (reader.remaining > 0) throw new CodecError("gossip batch with bytes after its end");
      return false;
    }
    this.left -= 1;
    const at = reader.position;
    if (reader.remaining < FIXED_BYTES) throw new CodecError("gossip batch that ends too early");
    this.shape = bytes[at];
    if ((this.shape & ~SHAPE_ALL) !== 0) throw new CodecError(`gossip write of unknown shape ${this.shape}`);
    const origin = 2 * (bytes[at + 1] | (bytes[at + 2] << 8));
    if (origin >= this.origins.length) throw new CodecError("gossip write of an origin that its batch does not name");
    this.node = this.origins[origin];
    this.incarnation = this.origins[origin + 1];
    this.sequence = positive(getU53(bytes, at + 3), "sequence");
    this.ms = getU53(bytes, at + 11);
    this.logical = getU32(bytes, at + 19);
    this.replaced = getU53(bytes, at + 23);
    const keyLength = bytes[at + 31] | (bytes[at + 32] << 8);
    if (keyLength > COMMAND_LIMITS.keyBytesMax) throw new CodecError(`gossip write of a key of ${keyLength} bytes`);
    if (FIXED_BYTES + keyLength > reader.remaining) throw new CodecError("gossip batch that ends too early");
    this.keyAt = at + FIXED_BYTES;
    this.keyEnd = this.keyAt + keyLength;
    reader.position = this.keyEnd;
    this.skipRest();
    return true;
  }

  private skipRest(): void {
    const { reader, shape } = this;
    if (shape & Shape.deadline) reader.u53();
    if (shape & Shape.flags) reader.u32();
    if (shape & Shape.dependencies) readDependencies(reader, this.origins);
    if (shape & Shape.delete) return;
    const length = reader.u32();
    if (length > reader.remaining) throw new CodecError("gossip batch that ends too early");
    reader.position += length;
  }

  /** Its value is a view of the batch. Who knows its key saves reading it. */
  item(key = latin1Decode(this.bytes, this.keyAt, this.keyEnd)): Item {
    const { reader, shape } = this;
    const end = reader.position;
    const stamp = new Stamp(this.ms, this.logical, this.node, this.incarnation, this.sequence, this.replaced);
    const item = new Item(stamp, key, (shape & Shape.delete) !== 0);
    reader.position = this.keyEnd;
    if (shape & Shape.deadline) item.deadlineMs = reader.u53();
    if (shape & Shape.flags) item.recordFlags = reader.u32();
    if (shape & Shape.dependencies) item.dependencies = readDependencies(reader, this.origins);
    if (!item.isDelete) item.value = reader.blob();
    reader.position = end;
    return item;
  }
}

/** Throws {@link CodecError}. Values are views of the bytes. `limit`: of the first items alone. */
export function decodeItems(bytes: Uint8Array, limit: number = Number.POSITIVE_INFINITY): Item[] {
  const items: Item[] = [];
  if (bytes.length === 0) return items;
  const reader = new BatchReader(bytes);
  while (items.length < limit && reader.next()) items.push(reader.item());
  return items;
}

/** Throws {@link CodecError} unless all of it can be read. */
export function checkBatch(bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  const reader = new BatchReader(bytes);
  while (reader.next());
}

function readDependencies(reader: ByteReader, origins: readonly number[]): SeenOrigin[] {
  const count = reader.u8();
  if (count > MAX_DEPENDENCIES) throw new CodecError(`gossip write with ${count} dependencies`);
  const dependencies: SeenOrigin[] = [];
  for (let i = 0; i < count; i += 1) {
    const origin = readOrigin(reader, origins);
    dependencies.push(new SeenOrigin(origins[origin], origins[origin + 1], positive(reader.u53(), "sequence")));
  }
  return dependencies;
}

function readOrigin(reader: ByteReader, origins: readonly number[]): number {
  const at = reader.u16() * 2;
  if (at >= origins.length) throw new CodecError("gossip write of an origin that its batch does not name");
  return at;
}

export function positive(value: number, what: string): number {
  if (value < 1) throw new CodecError(`gossip: ${what} ${value}; they begin at 1`);
  return value;
}

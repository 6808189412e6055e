import {
  type ByteReader,
  type ByteWriter,
  CodecError,
  ByteReader as Reader,
  ByteWriter as Writer,
} from "../../core/bytes.js";
import type { Incarnation, NodeId } from "../../core/machine.js";
import type { State } from "../../core/state.js";
import { positive } from "./item.js";
import { SequenceSet } from "./sequence-set.js";
import { endOf, GossipTable, originKey, parseOrigin } from "./tables.js";

const ROW_VERSION = 1;
const MAX_RANGES = 65_536;
const MAX_ORIGINS = 1_024;

/** One life of one node, and what this replica holds of its writes. */
export class Origin {
  /** Durable here, and in effect. */
  have = new SequenceSet();
  /** Nothing of this need be sent here again: in effect, parked, or on its way to the disk. */
  taken = new SequenceSet();
  /** Writes through here cannot all be found by their sequence: the tree has to find them. */
  floor = 0;
  /** Writes through here are held by every member: their tombstones were collected. */
  trimmed = 0;
  readonly key: string;

  constructor(
    readonly node: NodeId,
    readonly incarnation: Incarnation,
  ) {
    this.key = originKey(node, incarnation);
  }
}

/** A version vector with exceptions: for every origin ever heard of. */
export class Origins {
  private readonly byKey = new Map<string, Origin>();
  private readonly dirty = new Set<Origin>();
  private last: Origin | null = null;

  constructor(private readonly state: State) {
    state.range(GossipTable.origin, endOf(GossipTable.origin), (key, row) => {
      const { node, incarnation } = parseOrigin(key, 1);
      this.load(this.get(node, incarnation), row);
      return true;
    });
  }

  private load(origin: Origin, row: Uint8Array): void {
    const reader = new Reader(row);
    const version = reader.u8();
    if (version !== ROW_VERSION) throw new CodecError(`gossip origin row version ${version}; this build reads 1`);
    origin.floor = reader.u53();
    origin.trimmed = reader.u53();
    origin.have = readSequences(reader);
    origin.taken = origin.have.copy();
  }

  all(): IterableIterator<Origin> {
    return this.byKey.values();
  }

  get size(): number {
    return this.byKey.size;
  }

  /** Whether one more may be heard of. */
  mayKnow(node: NodeId, incarnation: Incarnation): boolean {
    return this.byKey.size < MAX_ORIGINS || this.find(node, incarnation) !== undefined;
  }

  find(node: NodeId, incarnation: Incarnation): Origin | undefined {
    const { last } = this;
    if (last !== null && last.node === node && last.incarnation === incarnation) return last;
    return this.byKey.get(originKey(node, incarnation));
  }

  get(node: NodeId, incarnation: Incarnation): Origin {
    let found = this.find(node, incarnation);
    if (found === undefined) {
      found = new Origin(node, incarnation);
      this.byKey.set(found.key, found);
    }
    this.last = found;
    return found;
  }

  changed(origin: Origin): void {
    this.dirty.add(origin);
  }

  save(): void {
    for (const origin of this.dirty) {
      const writer = new Writer(64);
      writer.u8(ROW_VERSION);
      writer.u53(origin.floor);
      writer.u53(origin.trimmed);
      writeSequences(origin.have, writer);
      this.state.put(GossipTable.origin + origin.key, writer.copy());
    }
    this.dirty.clear();
  }

  /** What is in effect here, or what is taken. */
  vector(taken: boolean): Vector {
    const vector = new Vector();
    for (const origin of this.byKey.values()) {
      const set = taken ? origin.taken : origin.have;
      if (set.highest > 0) vector.entries.push(new VectorEntry(origin.node, origin.incarnation, set.copy()));
    }
    return vector;
  }
}

export class VectorEntry {
  constructor(
    readonly node: NodeId,
    readonly incarnation: Incarnation,
    readonly sequences: SequenceSet,
  ) {}
}

/** A copy of what some replica held at some moment, for messages and records. */
export class Vector {
  readonly entries: VectorEntry[] = [];

  find(node: NodeId, incarnation: Incarnation): SequenceSet | null {
    for (const entry of this.entries) {
      if (entry.node === node && entry.incarnation === incarnation) return entry.sequences;
    }
    return null;
  }

  equals(other: Vector): boolean {
    if (this.entries.length !== other.entries.length) return false;
    for (const entry of this.entries) {
      const sequences = other.find(entry.node, entry.incarnation);
      if (sequences === null || !sequences.equals(entry.sequences)) return false;
    }
    return true;
  }
}

export function writeVector(vector: Vector, writer: ByteWriter): void {
  writer.u16(vector.entries.length);
  for (const { node, incarnation, sequences } of vector.entries) {
    writer.u16(node);
    writer.u53(incarnation);
    writeSequences(sequences, writer);
  }
}

export function readVector(reader: ByteReader): Vector {
  const count = reader.u16();
  if (count > MAX_ORIGINS) throw new CodecError(`gossip vector of ${count} origins; at most ${MAX_ORIGINS}`);
  const vector = new Vector();
  for (let i = 0; i < count; i += 1) {
    const node = positive(reader.u16(), "node");
    const incarnation = positive(reader.u53(), "incarnation");
    vector.entries.push(new VectorEntry(node, incarnation, readSequences(reader)));
  }
  return vector;
}

function writeSequences(set: SequenceSet, writer: ByteWriter): void {
  writer.u53(set.contiguous);
  writer.u32(set.rangeCount);
  for (let i = 0; i < set.ranges.length; i += 1) writer.u53(set.ranges[i]);
}

function readSequences(reader: ByteReader): SequenceSet {
  const set = new SequenceSet();
  set.contiguous = reader.u53();
  const count = reader.u32();
  if (count > MAX_RANGES) throw new CodecError(`gossip vector with ${count} exceptions; at most ${MAX_RANGES}`);
  let last = set.contiguous;
  for (let i = 0; i < count; i += 1) {
    const first = reader.u53();
    const end = reader.u53();
    if (first <= last + 1 || end < first) throw new CodecError("gossip vector with exceptions out of order");
    set.ranges.push(first, end);
    last = end;
  }
  return set;
}

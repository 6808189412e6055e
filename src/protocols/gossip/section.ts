/**
 * What a log record of gossip consists of. A record is a row of sections; the state is what the sections make of nothing,
 * in their order, and of nothing else.
 *
 * `record  version u8 = 1 | sections: kind u8, length u32, bytes`
 */
import { ByteReader, type ByteWriter, CodecError } from "../../core/bytes.js";
import type { Incarnation, NodeId } from "../../core/machine.js";
import { positive } from "./item.js";
import { readVector, type Vector, writeVector } from "./origins.js";

const RECORD_VERSION = 1;

export const SectionKind = {
  /** Writes take effect, of this node or of others. */
  writes: 1,
  /** Writes whose stamps are ahead of this node's clock are kept until it has come so far. */
  park: 2,
  /** Writes that others have replaced, and that count as held: what has replaced them is here. */
  covers: 3,
  /** All that a peer held at some moment is held here: the trees were compared, and what differed has come. */
  merge: 4,
  /** Deadlines have passed. */
  expire: 5,
  /** All members hold an origin's writes through a sequence. */
  trim: 6,
  /** What finds an origin's writes by their sequence goes, through a sequence. */
  floor: 7,
  /** What a peer held when it passed writes on: who reads these may go on to read nothing older. */
  barrier: 8,
  /** Writes that a comparison of trees has brought: they take effect, and count as held when it is over. */
  found: 9,
} as const;
type ItemsKind = typeof SectionKind.writes | typeof SectionKind.park | typeof SectionKind.found;
export type SectionKind = (typeof SectionKind)[keyof typeof SectionKind];

/** A write that was replaced where it is told of. */
export interface Cover {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly sequence: number;
  readonly key: string;
}

export interface Expiry {
  readonly key: string;
  readonly version: number;
}

/** A batch is as item.ts has it. */
export type Section =
  | { readonly kind: ItemsKind; readonly batch: Uint8Array }
  | { readonly kind: typeof SectionKind.covers; readonly covers: readonly Cover[] }
  | { readonly kind: typeof SectionKind.merge | typeof SectionKind.barrier; readonly vector: Vector }
  | { readonly kind: typeof SectionKind.expire; readonly expiries: readonly Expiry[] }
  | {
      readonly kind: typeof SectionKind.trim | typeof SectionKind.floor;
      readonly node: NodeId;
      readonly incarnation: Incarnation;
      readonly through: number;
    };

export function writeSection(section: Section, writer: ByteWriter): void {
  if (writer.length === 0) writer.u8(RECORD_VERSION);
  writer.u8(section.kind);
  const at = writer.length;
  writer.u32(0);
  switch (section.kind) {
    case SectionKind.writes:
    case SectionKind.park:
    case SectionKind.found:
      writer.raw(section.batch);
      break;
    case SectionKind.covers:
      writeCovers(section.covers, writer);
      break;
    case SectionKind.merge:
    case SectionKind.barrier:
      writeVector(section.vector, writer);
      break;
    case SectionKind.expire:
      writer.u32(section.expiries.length);
      for (const { key, version } of section.expiries) {
        writer.latin1(key);
        writer.u53(version);
      }
      break;
    default:
      writer.u16(section.node);
      writer.u53(section.incarnation);
      writer.u53(section.through);
  }
  writer.patchU32(at, writer.length - at - 4);
}

export function readSections(payload: Uint8Array): Section[] {
  const reader = new ByteReader(payload);
  const version = reader.u8();
  if (version !== RECORD_VERSION) throw new CodecError(`gossip record version ${version}; this build reads 1`);
  const sections: Section[] = [];
  while (reader.remaining > 0) {
    const kind = reader.u8();
    sections.push(readSection(kind, reader.blob()));
  }
  return sections;
}

function readSection(kind: number, bytes: Uint8Array): Section {
  const reader = new ByteReader(bytes);
  switch (kind) {
    case SectionKind.writes:
    case SectionKind.park:
    case SectionKind.found:
      return { kind, batch: bytes };
    case SectionKind.covers:
      return { kind, covers: readCovers(reader) };
    case SectionKind.merge:
    case SectionKind.barrier:
      return { kind, vector: readVector(reader) };
    case SectionKind.expire: {
      const expiries: Expiry[] = [];
      for (let left = reader.u32(); left > 0; left -= 1) expiries.push({ key: reader.latin1(), version: reader.u53() });
      return { kind, expiries };
    }
    case SectionKind.trim:
    case SectionKind.floor:
      return { kind, node: reader.u16(), incarnation: reader.u53(), through: reader.u53() };
    default:
      throw new CodecError(`gossip record with a section of unknown kind ${kind}`);
  }
}

const MAX_COVERS = 1_048_576;

export function writeCovers(covers: readonly Cover[], writer: ByteWriter): void {
  writer.u32(covers.length);
  for (const { node, incarnation, sequence, key } of covers) {
    writer.u16(node);
    writer.u53(incarnation);
    writer.u53(sequence);
    writer.latin1(key);
  }
}

export function readCovers(reader: ByteReader): Cover[] {
  const count = reader.u32();
  if (count > MAX_COVERS) throw new CodecError(`gossip: ${count} covered writes; at most ${MAX_COVERS}`);
  const covers: Cover[] = [];
  for (let i = 0; i < count; i += 1) {
    const node = positive(reader.u16(), "node");
    const incarnation = positive(reader.u53(), "incarnation");
    covers.push({ node, incarnation, sequence: positive(reader.u53(), "sequence"), key: reader.latin1() });
  }
  return covers;
}

import { assert } from "../core/assert.js";
import { copyBytes } from "../core/bytes.js";
import type { Random } from "../core/random.js";
import type { TraceHash } from "./trace-hash.js";

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** A file's sectors, as they are on the platter and as the page cache has them. Sectors of zeros take no memory. */
export class SimFile {
  private durable = new Map<number, Uint8Array>();
  /** Newer than the durable ones: written and not synced. */
  private cached = new Map<number, Uint8Array>();

  constructor(readonly size: number) {}

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    let at = 0;
    while (at < bytes.length) {
      const sector = Math.floor((offset + at) / SECTOR_BYTES);
      const within = offset + at - sector * SECTOR_BYTES;
      const count = Math.min(SECTOR_BYTES - within, bytes.length - at);
      const held = this.sector(sector);
      if (held !== undefined) bytes.set(held.subarray(within, within + count), at);
      at += count;
    }
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    for (const [sector, from, to] of sectorsOf(offset, bytes.length)) this.writeSector(sector, offset, bytes, from, to);
  }

  /** Any subset of the sectors arrives. */
  writePartly(offset: number, bytes: Uint8Array, random: Random): void {
    if (offset + bytes.length > this.size) return;
    // Mostly a beginning, as the kernel copies in order; sometimes all, nothing, or anything between.
    const share = random.pick([0, 0.3, 0.5, 0.7, 1]);
    for (const [sector, from, to] of sectorsOf(offset, bytes.length)) {
      if (random.chance(share)) this.writeSector(sector, offset, bytes, from, to);
    }
  }

  private writeSector(sector: number, offset: number, bytes: Uint8Array, from: number, to: number): void {
    const held = this.sector(sector);
    const next = held === undefined ? new Uint8Array(SECTOR_BYTES) : copyBytes(held);
    next.set(bytes.subarray(from, to), offset + from - sector * SECTOR_BYTES);
    this.cached.set(sector, next);
  }

  sync(offset: number, length: number): void {
    for (const [sector] of sectorsOf(offset, length)) this.persist(sector);
  }

  /** Sectors that are written and not durable now. */
  unsynced(): readonly number[] {
    return [...this.cached.keys()];
  }

  /** What was in these sectors, or what is now, is durable. */
  persistAll(sectors: readonly number[]): void {
    for (const sector of sectors) this.persist(sector);
  }

  private persist(sector: number): void {
    const written = this.cached.get(sector);
    if (written === undefined) return;
    this.cached.delete(sector);
    if (written.every(isZero)) this.durable.delete(sector);
    else this.durable.set(sector, written);
  }

  /** Of the sectors that were not synced some had been written back, as the dice fall; the others are as before. */
  losePower(random: Random): void {
    const share = random.pick([0, 0.3, 0.5, 0.7, 1]);
    for (const sector of [...this.cached.keys()].sort((a, b) => a - b)) {
      if (random.chance(share)) this.persist(sector);
    }
    this.cached.clear();
  }

  /** Offsets of the sectors that are not all zeros. */
  usedSectors(): number[] {
    const sectors = new Set([...this.durable.keys(), ...this.cached.keys()]);
    return [...sectors].sort((a, b) => a - b).map((sector) => sector * SECTOR_BYTES);
  }

  /** Offsets of the bytes of this sector that are not zero. */
  usedBytes(sectorOffset: number): number[] {
    const sector = sectorOffset / SECTOR_BYTES;
    const held = this.cached.get(sector) ?? this.durable.get(sector)!;
    const used: number[] = [];
    for (let at = 0; at < held.length; at += 1) if (held[at] !== 0) used.push(sectorOffset + at);
    return used;
  }

  flipBit(offset: number, bit: number): void {
    assert(offset < this.size, "sim disk: a bit beyond the file's end");
    const sector = Math.floor(offset / SECTOR_BYTES);
    const within = offset - sector * SECTOR_BYTES;
    for (const sectors of [this.durable, this.cached]) {
      const held = sectors.get(sector);
      // Sectors are shared with clones of this file: never changed in place.
      if (held === undefined && sectors === this.cached) continue;
      const next = held === undefined ? new Uint8Array(SECTOR_BYTES) : copyBytes(held);
      next[within] ^= 1 << bit;
      sectors.set(sector, next);
    }
  }

  clone(): SimFile {
    const copy = new SimFile(this.size);
    copy.durable = new Map(this.durable);
    copy.cached = new Map(this.cached);
    return copy;
  }

  addToHash(hash: TraceHash): void {
    hash.number(this.size);
    for (const sectors of [this.durable, this.cached]) {
      hash.number(sectors.size);
      for (const sector of [...sectors.keys()].sort((a, b) => a - b)) {
        hash.number(sector);
        hash.bytes(sectors.get(sector) as Uint8Array);
      }
    }
  }

  private sector(sector: number): Uint8Array | undefined {
    return this.cached.get(sector) ?? this.durable.get(sector);
  }
}

function isZero(byte: number): boolean {
  return byte === 0;
}

/** The sectors that a write touches, each with the part [from, to) of its bytes. */
function sectorsOf(offset: number, length: number): [sector: number, from: number, to: number][] {
  const touched: [number, number, number][] = [];
  for (let from = 0; from < length; ) {
    const sector = Math.floor((offset + from) / SECTOR_BYTES);
    const to = Math.min(length, (sector + 1) * SECTOR_BYTES - offset);
    touched.push([sector, from, to]);
    from = to;
  }
  return touched;
}

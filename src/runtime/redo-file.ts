import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ByteReader, ByteWriter, CodecError, copyBytes, crc32 } from "../core/bytes.js";
import type { Block } from "../node/state/change-blocks.js";
import { syncFolder } from "./state-store-environment.js";

const MAGIC = 0x4f445247; // "GRDO"
const VERSION = 1;

/** What a checkpoint changes, and what it will say of itself. */
export interface Redo {
  readonly meta: Uint8Array;
  readonly blocks: readonly Block[];
}

/**
 * A checkpoint too large for one transaction of LMDB (which keeps every page that it changes in memory) goes in several.
 * Before the first of them all of it stands in this file, durably: a crash between two of them is made good by doing all
 * of them again.
 *
 * `[magic u32][version u16][group u32][meta, u32-counted]`, then `[length u32][changes]` for each block of changes, and at
 * the end `[0 u32][crc32 of all before it u32]`.
 */
export class RedoFile {
  private readonly path: string;

  constructor(
    private readonly folder: string,
    private readonly group: number,
  ) {
    this.path = join(folder, `redo-${group}`);
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /**
   * `step` runs while the file stands there. Where it fails, and `mayBeBegun` says that no part of it is done, the file goes
   * as well: the disk is full then, and the next attempt writes one of its own.
   */
  during(redo: Redo, step: () => void, mayBeBegun: () => boolean): void {
    this.write(redo);
    try {
      step();
    } catch (error) {
      if (!mayBeBegun()) this.remove();
      throw error;
    }
    this.remove();
  }

  /** Durable when it returns. Throws what the file system throws, and leaves nothing then. */
  write({ meta, blocks }: Redo): void {
    const fresh = `${this.path}.new`;
    const file = openSync(fresh, "w");
    try {
      this.writeAll(file, meta, blocks);
      fsyncSync(file);
    } catch (error) {
      closeSync(file);
      rmSync(fresh, { force: true });
      throw error;
    }
    closeSync(file);
    renameSync(fresh, this.path);
    syncFolder(this.folder);
  }

  private writeAll(file: number, meta: Uint8Array, blocks: readonly Block[]): void {
    const head = new ByteWriter(64 + meta.length);
    head.u32(MAGIC);
    head.u16(VERSION);
    head.u32(this.group);
    head.blob(meta);
    let crc = 0;
    const put = (bytes: Uint8Array): void => {
      crc = crc32(bytes, crc);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at);
    };
    for (const { bytes, length } of blocks) {
      head.u32(length);
      put(head.written());
      put(bytes.subarray(0, length));
      head.reset();
    }
    head.u32(0);
    put(head.written());
    head.reset();
    head.u32(crc);
    put(head.written());
  }

  /** null: there is none, or it is not what was written. */
  read(): Redo | null {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
    try {
      return this.decode(bytes);
    } catch (error) {
      if (error instanceof CodecError) return null;
      throw error;
    }
  }

  private decode(bytes: Uint8Array): Redo | null {
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC || reader.u16() !== VERSION || reader.u32() !== this.group) return null;
    const meta = copyBytes(reader.blob());
    const blocks: Block[] = [];
    for (let length = reader.u32(); length > 0; length = reader.u32()) {
      blocks.push({ bytes: reader.raw(length), length });
    }
    const end = reader.position;
    return reader.u32() === crc32(bytes.subarray(0, end)) && reader.remaining === 0 ? { meta, blocks } : null;
  }

  remove(): void {
    rmSync(this.path, { force: true });
    rmSync(`${this.path}.new`, { force: true });
  }
}

import type { DiskErrorCode } from "../node/ports.js";
import type { EnvironmentOptions, Latin1Buffer, Side } from "./state-store-environment.js";

/** What the main thread asks of the writer. Each job is one transaction, durable when it is answered. */
export type WriterJob =
  /** Makes the group's databases and record if there are none, and empties the side that is not active. */
  | { readonly kind: "open"; readonly group: number }
  | { readonly kind: "commit"; readonly group: number; readonly side: Side; readonly blocks: Block[]; meta: Uint8Array }
  | { readonly kind: "fill"; readonly group: number; readonly side: Side; readonly blocks: Block[] }
  /** Makes this side the active one. */
  | { readonly kind: "switch"; readonly group: number; readonly side: Side; readonly meta: Uint8Array }
  | { readonly kind: "clear"; readonly group: number; readonly side: Side }
  | { readonly kind: "drop"; readonly group: number }
  | { readonly kind: "close" };

export interface WriterAnswer {
  readonly error: { readonly code: DiskErrorCode; readonly message: string } | null;
}

export interface WriterData {
  readonly folder: string;
  readonly options: EnvironmentOptions;
}

/** Packed changes: `[key length u16][value length u32, or DELETION][key][value]` each. Moved to the writer, not copied. */
export interface Block {
  readonly buffer: ArrayBuffer;
  length: number;
}

const DELETION = 0xffff_ffff;
const HEAD_BYTES = 6;
const BLOCK_BYTES = 256 * 1024;

/** Packs a map of changes over several turns: the map may be large, and the event loop must not stall. */
export class ChangePacker {
  readonly blocks: Block[] = [];
  private readonly changes: Iterator<[string, Uint8Array | null]>;
  private bytes: Buffer = Buffer.alloc(0);
  private block: Block | null = null;

  constructor(changes: ReadonlyMap<string, Uint8Array | null>) {
    this.changes = changes.entries();
  }

  /** Packs at most `entriesMax` more. True when all are packed. */
  pack(entriesMax: number): boolean {
    for (let i = 0; i < entriesMax; i += 1) {
      const next = this.changes.next();
      if (next.done) return true;
      this.add(next.value[0], next.value[1]);
    }
    return false;
  }

  private add(key: string, value: Uint8Array | null): void {
    const valueLength = value === null ? 0 : value.length;
    const block = this.blockWithRoom(HEAD_BYTES + key.length + valueLength);
    const bytes = this.bytes;
    let at = block.length;
    at = bytes.writeUInt16LE(key.length, at);
    at = bytes.writeUInt32LE(value === null ? DELETION : valueLength, at);
    at += (bytes as unknown as Latin1Buffer).latin1Write(key, at, key.length);
    if (value !== null) bytes.set(value, at);
    block.length = at + valueLength;
  }

  private blockWithRoom(count: number): Block {
    if (this.block !== null && this.block.length + count <= this.bytes.length) return this.block;
    const buffer = new ArrayBuffer(Math.max(BLOCK_BYTES, count));
    this.bytes = Buffer.from(buffer);
    this.block = { buffer, length: 0 };
    this.blocks.push(this.block);
    return this.block;
  }
}

/** Calls `apply` with each packed change; key and value (null: deletion) are views of the block. */
export function unpackChanges(block: Block, apply: (key: Uint8Array, value: Uint8Array | null) => void): void {
  const bytes = Buffer.from(block.buffer, 0, block.length);
  let at = 0;
  while (at < bytes.length) {
    const keyAt = at + HEAD_BYTES;
    const valueAt = keyAt + bytes.readUInt16LE(at);
    const valueLength = bytes.readUInt32LE(at + 2);
    const key = bytes.subarray(keyAt, valueAt);
    if (valueLength === DELETION) {
      apply(key, null);
      at = valueAt;
    } else {
      at = valueAt + valueLength;
      apply(key, bytes.subarray(valueAt, at));
    }
  }
}

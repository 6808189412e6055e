import { ByteReader, ByteWriter, CodecError } from "../core/bytes.js";
import type { GroupId } from "../core/machine.js";

const FRAME_VERSION = 1;

export const PartKind = {
  /** A message of the group's protocol. */
  message: 1,
  snapshotChunk: 2,
  snapshotStatus: 3,
  /** Asks whether the peer has ever been part of the cluster. */
  formingQuestion: 4,
  formingAnswer: 5,
} as const;
export type PartKind = (typeof PartKind)[keyof typeof PartKind];

/**
 * Collects what goes to one peer in one turn: one frame, one write of the socket.
 * `version u8 | parts: group u32, kind u8, length u32, bytes`.
 */
export class FrameWriter {
  readonly writer = new ByteWriter(16_384);
  private partStart = 0;

  constructor() {
    this.clear();
  }

  get isEmpty(): boolean {
    return this.writer.length === 1;
  }

  get byteLength(): number {
    return this.writer.length;
  }

  clear(): void {
    this.writer.reset();
    this.writer.u8(FRAME_VERSION);
  }

  /** The part's bytes are written to `writer` between `begin` and `end`. */
  begin(group: GroupId, kind: PartKind): void {
    this.writer.u32(group);
    this.writer.u8(kind);
    this.partStart = this.writer.length;
    this.writer.u32(0);
  }

  end(): void {
    this.writer.patchU32(this.partStart, this.writer.length - this.partStart - 4);
  }
}

/** Calls `visit` for every part, with a reader of its bytes alone. Throws {@link CodecError}. */
export function readFrame(frame: Uint8Array, visit: (group: GroupId, kind: PartKind, part: ByteReader) => void): void {
  const reader = new ByteReader(frame);
  const version = reader.u8();
  if (version !== FRAME_VERSION)
    throw new CodecError(`peer frame version ${version}; this build reads ${FRAME_VERSION}`);
  const part = new ByteReader(frame);
  while (reader.remaining > 0) {
    const group = reader.u32();
    const kind = reader.u8();
    if (kind < 1 || kind > PartKind.formingAnswer)
      throw new CodecError(`peer frame with a part of unknown kind ${kind}`);
    part.open(reader.blob());
    visit(group, kind as PartKind, part);
  }
}

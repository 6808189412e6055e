import type { ByteReader } from "../core/bytes.js";
import type { GroupId, NodeId } from "../core/machine.js";
import type { NodeContext } from "./context.js";
import { PartKind } from "./frame.js";
import type { SnapshotReader } from "./state/snapshot-reader.js";

/** Chunks under way at once. */
const WINDOW = 4;
const RESEND_TICKS = 25;
/** Silence after which the peer is given up. */
const GIVE_UP_TICKS = 500;

export const SnapshotStatus = {
  /** The chunks before `sequence` have arrived. */
  wanted: 1,
  installed: 2,
  /** The peer cannot use it: it stands further, or the stream was not sound. */
  refused: 3,
} as const;

/** Streams one checkpoint to one peer, a window of chunks at a time; lost ones are sent again. */
export class SnapshotSender {
  private readonly unacknowledged: Uint8Array[] = [];
  private firstSequence = 0;
  private sentThrough = 0;
  private exhausted = false;
  private silentTicks = 0;
  failed = false;
  private closed = false;
  private readonly id: number;

  constructor(
    private readonly group: GroupId,
    private readonly peer: NodeId,
    private readonly reader: SnapshotReader,
    private readonly context: NodeContext,
  ) {
    this.id = context.nextSnapshotId();
    this.fill();
  }

  get position(): number {
    return this.reader.meta.position;
  }

  private fill(): void {
    while (!this.exhausted && this.unacknowledged.length < WINDOW) {
      const chunk = this.reader.next(this.context.options.snapshotChunkBytes);
      if (chunk === null) this.exhausted = true;
      else this.unacknowledged.push(chunk);
    }
    while (this.sentThrough < this.firstSequence + this.unacknowledged.length) {
      this.send(this.sentThrough);
      this.sentThrough += 1;
    }
    if (this.exhausted) this.reader.close();
  }

  private send(sequence: number): void {
    const frame = this.context.frameTo(this.peer);
    frame.begin(this.group, PartKind.snapshotChunk);
    frame.writer.u53(this.id);
    frame.writer.u32(sequence);
    frame.writer.blob(this.unacknowledged[sequence - this.firstSequence]);
    frame.end();
  }

  /** `going`, or how it ended. Throws {@link CodecError}. */
  takeStatus(part: ByteReader): "going" | "done" | "failed" {
    if (part.u53() !== this.id) return "going";
    const status = part.u8();
    const wanted = part.u32();
    this.silentTicks = 0;
    if (status === SnapshotStatus.wanted) {
      while (this.firstSequence < wanted && this.unacknowledged.length > 0) {
        this.unacknowledged.shift();
        this.firstSequence += 1;
      }
      this.fill();
      return "going";
    }
    this.close();
    return status === SnapshotStatus.installed ? "done" : "failed";
  }

  tick(): void {
    this.silentTicks += 1;
    if (this.silentTicks >= GIVE_UP_TICKS) this.failed = true;
    else if (this.silentTicks % RESEND_TICKS === 0) this.sentThrough = this.firstSequence;
    if (!this.failed) this.fill();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.reader.close();
  }
}

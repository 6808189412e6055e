import { type ByteReader, CodecError, copyBytes } from "../core/bytes.js";
import type { GroupId, NodeId } from "../core/machine.js";
import type { NodeContext } from "./context.js";
import { PartKind } from "./frame.js";
import { SnapshotStatus } from "./snapshot-sender.js";
import type { BufferedState } from "./state/buffered-state.js";
import { SnapshotChunk } from "./state/snapshot-chunk.js";
import type { SnapshotInstall } from "./state/snapshot-install.js";

/** Silence after which a half-received snapshot is thrown away. */
const GIVE_UP_TICKS = 500;

/** As many as a sender has under way, and some. */
const AHEAD_MAX = 8;

export interface SnapshotTarget {
  appliedPosition(): number;
  installed(epoch: number, position: number): void;
}

/** Takes one snapshot at a time from whichever peer began last, and puts it in the place of the state. */
export class SnapshotReceiver {
  private install: SnapshotInstall | null = null;
  private id = 0;
  private peer: NodeId = 0;
  private position = 0;
  private epoch = 0;
  /** A chunk is on its way to the store; the next one is taken after it. */
  private storing = false;
  /** Chunks that came while an earlier one was being stored. */
  private readonly ahead = new Map<number, Uint8Array>();
  private silentTicks = 0;
  finishing = false;
  closed = false;

  constructor(
    private readonly group: GroupId,
    private readonly state: BufferedState,
    private readonly context: NodeContext,
    private readonly target: SnapshotTarget,
  ) {}

  /** Throws {@link CodecError}. */
  takeChunk(peer: NodeId, part: ByteReader): void {
    const id = part.u53();
    const sequence = part.u32();
    const bytes = part.blob();
    const known = this.id === id && this.peer === peer && this.install !== null;
    if (!known && !this.begin(peer, id, sequence, bytes)) return;
    this.silentTicks = 0;
    const wanted = this.install!.nextSequence;
    if (sequence < wanted || sequence >= wanted + AHEAD_MAX) this.report(SnapshotStatus.wanted, wanted);
    else {
      this.ahead.set(sequence, copyBytes(bytes));
      this.acceptNext();
    }
  }

  /** Chunks are stored one at a time, in their order; what comes meanwhile waits. */
  private acceptNext(): void {
    const { install } = this;
    if (this.storing || install === null) return;
    const bytes = this.ahead.get(install.nextSequence);
    if (bytes === undefined) return;
    this.ahead.delete(install.nextSequence);
    this.accept(bytes);
  }

  private begin(peer: NodeId, id: number, sequence: number, bytes: Uint8Array): boolean {
    if (this.storing) return false;
    if (sequence !== 0) {
      // The middle of a stream whose beginning this process has not seen: it must begin again.
      if (this.install === null) this.refuse(peer, id);
      return false;
    }
    this.install?.abort();
    this.install = null;
    this.ahead.clear();
    this.peer = peer;
    this.id = id;
    const chunk = SnapshotChunk.decode(bytes);
    this.position = chunk.position;
    this.epoch = chunk.epoch;
    if (chunk.position <= this.target.appliedPosition()) {
      this.report(SnapshotStatus.installed, 0);
      return false;
    }
    this.install = this.state.beginInstall();
    return true;
  }

  private accept(bytes: Uint8Array): void {
    const install = this.install!;
    this.storing = true;
    try {
      install.accept(bytes, (error) => {
        this.storing = false;
        if (this.closed || this.install !== install) return;
        if (error !== null) this.giveUp(`the snapshot cannot be stored: ${error.message}`);
        else if (install.complete) this.finish(install);
        else {
          this.report(SnapshotStatus.wanted, install.nextSequence);
          this.acceptNext();
        }
        this.context.wake();
      });
    } catch (error) {
      this.storing = false;
      if (!(error instanceof CodecError)) throw error;
      this.giveUp(error.message);
    }
  }

  private finish(install: SnapshotInstall): void {
    if (this.position <= this.target.appliedPosition()) {
      this.giveUp("overtaken by the log");
      return;
    }
    this.finishing = true;
    install.finish((error) => {
      this.finishing = false;
      this.install = null;
      if (error !== null) this.report(SnapshotStatus.refused, 0);
      else {
        this.target.installed(this.epoch, this.position);
        this.report(SnapshotStatus.installed, 0);
      }
      this.context.wake();
    });
  }

  private giveUp(_reason: string): void {
    this.install?.abort();
    this.install = null;
    this.report(SnapshotStatus.refused, 0);
  }

  private refuse(peer: NodeId, id: number): void {
    this.peer = peer;
    this.id = id;
    this.report(SnapshotStatus.refused, 0);
  }

  private report(status: number, wanted: number): void {
    const frame = this.context.frameTo(this.peer);
    frame.begin(this.group, PartKind.snapshotStatus);
    frame.writer.u53(this.id);
    frame.writer.u8(status);
    frame.writer.u32(wanted);
    frame.end();
  }

  tick(): void {
    if (this.install === null || this.finishing || this.storing) return;
    this.silentTicks += 1;
    if (this.silentTicks >= GIVE_UP_TICKS) this.giveUp("the sender fell silent");
  }

  close(): void {
    this.closed = true;
    if (!this.finishing) this.install?.abort();
    this.install = null;
  }
}

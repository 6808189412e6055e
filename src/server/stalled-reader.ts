import type { Socket } from "node:net";

/** Notices a client that takes nothing of what there is for it. */
export class StalledReader {
  /** Bytes that the kernel had taken at the last look, and since when there were no more. */
  private takenBytes = 0;
  private stalledSinceMs = 0;

  constructor(private readonly socket: Socket) {}

  /** For how long the reader has taken nothing although there is something to take. Asked once in a while. */
  stalledMs(nowMs: number): number {
    const waiting = this.socket.writableLength;
    const taken = this.socket.bytesWritten - waiting;
    if (waiting === 0 || taken !== this.takenBytes) this.stalledSinceMs = nowMs;
    this.takenBytes = taken;
    return nowMs - this.stalledSinceMs;
  }
}

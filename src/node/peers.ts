import type { NodeId } from "../core/machine.js";
import { FrameWriter } from "./frame.js";
import type { Net } from "./ports.js";

/** Frames are sent early when they grow past this. */
const FRAME_BYTES_MAX = 4 * 1024 * 1024;

/** What goes to the peers: one frame each and turn. */
export class Peers {
  private readonly frames = new Map<NodeId, FrameWriter>();
  private readonly connected = new Set<NodeId>();

  constructor(private readonly net: Net) {}

  get connectedCount(): number {
    return this.connected.size;
  }

  isConnected(peer: NodeId): boolean {
    return this.connected.has(peer);
  }

  /** Which of the voters this node can talk to, in words. */
  describeReach(own: NodeId, voters: readonly NodeId[]): string {
    const silent = voters.filter((node) => node !== own && !this.isConnected(node));
    const needed = Math.floor(voters.length / 2) + 1;
    const reach = silent.length === 0 ? "all voters are connected" : `not connected: node ${silent.join(", ")}`;
    return `${reach}; ${needed} of ${voters.length} must be, and none of those may be recovering`;
  }

  peerConnected(peer: NodeId): void {
    this.connected.add(peer);
  }

  peerDisconnected(peer: NodeId): void {
    this.connected.delete(peer);
  }

  frameTo(peer: NodeId): FrameWriter {
    let frame = this.frames.get(peer);
    if (frame === undefined) {
      frame = new FrameWriter();
      this.frames.set(peer, frame);
    } else if (frame.byteLength > FRAME_BYTES_MAX) this.send(peer, frame);
    return frame;
  }

  flush(): void {
    for (const [peer, frame] of this.frames) if (!frame.isEmpty) this.send(peer, frame);
  }

  private send(peer: NodeId, frame: FrameWriter): void {
    this.net.send(peer, frame.writer.written());
    frame.clear();
  }
}

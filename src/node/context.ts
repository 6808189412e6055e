import type { NodeId } from "../core/machine.js";
import type { FrameWriter } from "./frame.js";
import type { Log } from "./log/log.js";
import type { NodeOptions } from "./options.js";

/** What the parts of a node share. */
export interface NodeContext {
  readonly options: NodeOptions;
  readonly log: Log;
  /** Set when a turn has answered something: listeners then write what has collected. */
  answered: boolean;
  /** The frame that goes to the peer at the turn's end. */
  frameTo(peer: NodeId): FrameWriter;
  /** Numbers of snapshot streams: unique in this life of the node. */
  nextSnapshotId(): number;
  /** See {@link Clock.wake}. */
  wake(withinMs?: number): void;
  /** Something of this node's data is not what was written: this life ends, and the data are rebuilt. */
  damaged(reason: string): void;
  /** The node cannot go on. */
  fatal(reason: string): void;
}

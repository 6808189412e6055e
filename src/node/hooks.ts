import type { GroupId } from "../core/machine.js";
import type { Gossip } from "../protocols/gossip/gossip.js";
import type { GossipOptions } from "../protocols/gossip/options.js";
import type { RaftOptions } from "../protocols/raft/options.js";
import type { Raft } from "../protocols/raft/raft.js";
import type { BufferedState } from "./state/buffered-state.js";

/** What a world may put in the place of a node's parts, and look at in it. */
export interface NodeHooks {
  /** Another raft, for a planted bug. */
  readonly createRaft?: (options: RaftOptions, state: BufferedState) => Raft;
  /** Another gossip, for a planted bug. */
  readonly createGossip?: (group: GroupId, options: GossipOptions, state: BufferedState) => Gossip;
  /** Sees every entry applied, by group. */
  readonly onApply?: (group: GroupId, index: number, term: number, payload: Uint8Array) => void;
  /** Verify all states in this process before they are used (the runtime has a child process do it). */
  readonly verifyStates?: boolean;
}

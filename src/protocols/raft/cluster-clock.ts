import type { NodeId } from "../../core/machine.js";
import { type Configuration, isVoter } from "./quorum.js";

/**
 * The wall clock by which a leader moves the replicated time: the median of what the voters' clocks say, the lower one
 * of two. A voter whose clock is years ahead ages nothing, even if it leads. A granted vote brings its giver's clock, so
 * that a leader knows a majority's from its first entry on; heartbeat responses keep them fresh.
 */
export class ClusterClock {
  /** Wall clock minus this node's monotonic clock, in ms: goes on by itself while a voter is silent. */
  private readonly offsets = new Map<NodeId, number>();

  constructor(private readonly configuration: Configuration) {}

  /** Both in ms: what `node` has sent, and when it was received here. What was long under way makes it late, never fast. */
  note(node: NodeId, wallMs: number, monotonicMs: number): void {
    if (isVoter(this.configuration, node)) this.offsets.set(node, wallMs - monotonicMs);
  }

  /** In ms, since 1970. */
  nowMs(monotonicMs: number): number {
    const known = [...this.offsets.values()].sort((a, b) => a - b);
    if (known.length === 0) return 0;
    return Math.max(0, Math.floor(known[(known.length - 1) >> 1] + monotonicMs));
  }
}

import type { NodeId } from "../core/machine.js";

/** Which replicas of one group have ever had which entry on their disks, seen from outside. */
export class Holders {
  /** Of each position: the terms of the entries that a node had there, as `node:term`. */
  private readonly entries = new Map<number, Set<string>>();
  /** What lies at or below is in a durable state of the node, which holds committed entries alone. */
  private readonly bases = new Map<NodeId, number>();

  entryDurable(node: NodeId, position: number, term: number): void {
    const found = this.entries.get(position);
    if (found === undefined) this.entries.set(position, new Set([`${node}:${term}`]));
    else found.add(`${node}:${term}`);
  }

  stateDurable(node: NodeId, position: number): void {
    this.bases.set(node, Math.max(position, this.bases.get(node) ?? 0));
  }

  /** Whether the node has ever held the committed entry of that position and term. */
  hasHeld(node: NodeId, position: number, term: number): boolean {
    return position <= (this.bases.get(node) ?? 0) || this.entries.get(position)?.has(`${node}:${term}`) === true;
  }
}

import type { NodeId } from "../core/machine.js";
import { LEVEL_NAMES, type Level } from "./level.js";

/** Evidence of what one operation was really given. */
export interface Receipt {
  readonly asked: Level;
  readonly given: Level;
  readonly protocol: string;
  /** The node that answered, and the leader that ordered or confirmed. */
  readonly node: NodeId;
  readonly leader: NodeId;
  readonly epoch: number;
  /** Where the write stands in the order, or the position that the read has seen. */
  readonly position: number;
  /** Replicas known to hold `position` durably, that is: synced on their disks. */
  readonly durableOn: readonly NodeId[];
  /** Told where it is less than that: in the memory of their operating systems, and synced soon. */
  readonly durability?: "os";
  /** How a read was confirmed: "read-index" (a majority answered after it arrived), "local" or "log". */
  readonly evidence: string;
  /** Without an order: the stamp of the write, or the clock by which a read was made. */
  readonly clock?: { readonly ms: number; readonly logical: number };
  /** Without an order: writes known to exist and not held by the node, and how many of its peers it hears from. */
  readonly staleness?: { readonly missingWrites: number; readonly reachablePeers: number; readonly peers: number };
}

/** One line, for people. */
export function renderReceipt(receipt: Receipt): string {
  const { clock, staleness } = receipt;
  const order =
    clock === undefined
      ? `leader=${receipt.leader} epoch=${receipt.epoch} position=${receipt.position} `
      : `clock=${clock.ms}.${clock.logical} `;
  const stale =
    staleness === undefined
      ? ""
      : ` missing-writes=${staleness.missingWrites} peers-heard=${staleness.reachablePeers}/${staleness.peers}`;
  const where = receipt.durability === undefined ? "" : ` durability=${receipt.durability}`;
  const durable = receipt.durableOn.length > 0 ? ` durable-on=${receipt.durableOn.join(",")}${where}` : "";
  return (
    `level=${LEVEL_NAMES[receipt.given]} asked=${LEVEL_NAMES[receipt.asked]} protocol=${receipt.protocol} ` +
    `node=${receipt.node} ${order}evidence=${receipt.evidence}${durable}${stale}`
  );
}

import type { HostedGroups } from "./hosted-groups.js";
import type { Peers } from "./peers.js";
import type { UnsyncedNote } from "./unsynced-note.js";

/** So long a stop waits for somebody to take over leadership. */
const PATIENCE_TICKS = 100;

/**
 * A stop by the book: leadership handed over, a checkpoint of each group, so that the next start is quick, and everything
 * synced.
 */
export class WindDown {
  private ticks = 0;

  constructor(
    private readonly groups: HostedGroups,
    private readonly peers: Peers,
    private readonly unsynced: UnsyncedNote,
    /** To be called once it is over. */
    readonly done: () => void,
  ) {
    groups.windDown();
  }

  /** Once a tick: whether the node may stop now. */
  isOver(): boolean {
    this.ticks += 1;
    // Nobody is there to take over: no use in waiting.
    const mustWait = (this.peers.connectedCount > 0 && this.groups.leads) || this.groups.isBusy;
    return (!mustWait || this.ticks >= PATIENCE_TICKS) && this.unsynced.mayStop();
  }
}

import type { Identity, IdentityChanges } from "./identity.js";
import type { Log } from "./log/log.js";
import type { NodeOptions } from "./options.js";
import type { DiskError } from "./ports.js";

/** Stands for the boot where nobody can tell which one it is: no later start is taken for one in the same. */
const UNKNOWN_BOOT = "unknown";

/** What is lost if the machine has crashed since the identity file was written, in words; "" if nothing can be. */
export function unsyncedDamage({ unsyncedBoot }: Identity, bootId: string): string {
  if (unsyncedBoot === "" || unsyncedBoot === bootId) return "";
  const promised = "this node had promised what was not synced yet (durability os)";
  if (bootId === "" || unsyncedBoot === UNKNOWN_BOOT) {
    return `${promised}, it was not stopped, and this system does not tell whether the machine has crashed since`;
  }
  return `the machine has been started anew since ${promised}`;
}

export interface NoteHost {
  readonly log: Log;
  /** The change is durable, or the error tells why it need not be. */
  tryIdentity(changes: IdentityChanges, done: (error: DiskError | null) => void): void;
}

const State = {
  /** The log syncs before it stores, and the folder says that all is synced. */
  synced: 0,
  /** The folder is about to say that not all is. */
  noting: 1,
  /** The folder says so, and the log syncs later. */
  unsynced: 2,
  /** The folder says so still; the log syncs first again, and what was not is on its way to the disk. */
  settling: 3,
  /** Nothing is unsynced, and the folder is about to say so. */
  clearing: 4,
} as const;
type State = (typeof State)[keyof typeof State];

/** A stop waits so long for the disk; then the note stays. */
const PATIENCE_MS = 30_000;
/** After a note that could not be written, or taken back: most likely the disk is full. */
const RETRY_MS = 1_000;

/**
 * The note in a node's folder that a crash of the machine may have taken what the node has promised. With durability `os`
 * it is written before the log begins to store without a sync, and taken back when nothing is unsynced any more: after a
 * quiet time, and when the node stops.
 */
export class UnsyncedNote {
  private state: State;
  private recordCount: number;
  private quietTicks = 0;
  private pauseTicks = 0;
  private patienceTicks: number;
  private stopping = false;

  constructor(
    private readonly host: NoteHost,
    identity: Identity,
    private readonly options: Pick<NodeOptions, "durability" | "bootId" | "tickMs" | "quietTicks">,
  ) {
    this.state = identity.unsyncedBoot === "" ? State.synced : State.settling;
    this.recordCount = host.log.recordCount;
    this.patienceTicks = Math.ceil(PATIENCE_MS / options.tickMs);
    // The process died, the machine did not: this one goes on where that one was. But the note is written again: that it can be
    // read does not show that it is on the disk.
    if (this.wanted && this.state === State.settling) this.note();
  }

  /** Whether the log may sync later at all. */
  private get wanted(): boolean {
    return this.options.durability === "os";
  }

  tick(): void {
    const written = this.host.log.recordCount !== this.recordCount;
    this.recordCount = this.host.log.recordCount;
    this.quietTicks = written ? 0 : this.quietTicks + 1;
    this.pauseTicks -= 1;
    if (this.pauseTicks > 0) return;
    if (this.state === State.synced && written && this.wanted && !this.stopping) this.note();
    if (this.state === State.unsynced && this.quietTicks >= this.options.quietTicks) this.settle();
    if (this.state === State.settling && this.host.log.isSynced) this.clear();
  }

  /** Something that was stored may not be on the disk. */
  get mayLack(): boolean {
    return this.state === State.unsynced || !this.host.log.isSynced;
  }

  /** Once a tick while the node stops: whether it may end, all being synced and the folder saying so. */
  mayStop(): boolean {
    this.stopping = true;
    if (this.state === State.unsynced) this.settle();
    this.patienceTicks -= 1;
    return this.state === State.synced || this.patienceTicks <= 0;
  }

  private note(): void {
    this.state = State.noting;
    this.host.tryIdentity({ unsyncedBoot: this.options.bootId || UNKNOWN_BOOT }, (error) => {
      if (error === null) this.begin();
      else this.pause();
    });
  }

  /** The log goes on syncing first. What the folder says now is not known: it may say that not all is synced. */
  private pause(): void {
    this.state = State.settling;
    this.pauseTicks = Math.ceil(RETRY_MS / this.options.tickMs);
  }

  private begin(): void {
    this.state = State.unsynced;
    this.host.log.syncLater(true);
  }

  private settle(): void {
    this.state = State.settling;
    this.host.log.syncLater(false);
  }

  private clear(): void {
    this.state = State.clearing;
    this.host.tryIdentity({ unsyncedBoot: "" }, (error) => {
      if (error === null) this.state = State.synced;
      else this.pause();
    });
  }
}

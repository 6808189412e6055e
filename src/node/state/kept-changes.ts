/** A state that keeps changes in memory which the store has, too. */
export interface Keeper {
  letGo(): void;
}

/**
 * The memory that the states of a node may take for what their last checkpoints have made durable: reading it there costs
 * half of what reading the store does. Who came first goes first.
 */
export class KeptChanges {
  private readonly keepers = new Map<Keeper, number>();
  /** Taken. */
  bytes = 0;

  constructor(private readonly bytesMax: number) {}

  /** False: that is nothing, or more than may be kept. */
  keep(keeper: Keeper, bytes: number): boolean {
    if (bytes === 0 || bytes > this.bytesMax) return false;
    for (const first of this.keepers.keys()) {
      if (this.bytes + bytes <= this.bytesMax) break;
      this.drop(first);
    }
    this.keepers.set(keeper, bytes);
    this.bytes += bytes;
    return true;
  }

  drop(keeper: Keeper): void {
    const bytes = this.keepers.get(keeper);
    if (bytes === undefined) return;
    this.keepers.delete(keeper);
    this.bytes -= bytes;
    keeper.letGo();
  }
}

import { latin1Decode } from "../core/bytes.js";
import type { Change } from "../kv/change-history.js";
import { Level } from "../kv/level.js";
import type { GossipJudge } from "./gossip-judge.js";
import { type BegunWatch, isSelected, type Selection, type WatchJudge, type WatchKind } from "./watcher.js";

/**
 * What one watcher of a gossip keyspace makes of all that it is told, by putting and deleting it in turn: in the end that
 * is what the nodes hold, wherever it went on, and whatever it was told twice.
 */
export class FoldedWatches implements WatchKind, WatchJudge {
  readonly levels = [Level.session, Level.eventual];
  readonly selections: readonly Selection[];
  readonly snapshotPerMille = 1_000;
  private readonly held = new Map<string, number>();

  constructor(
    readonly keyspace: string,
    private readonly judge: GossipJudge,
    /** Of keys; always the same, for what it holds is folded from one watch into the next. */
    private readonly selection: Selection,
  ) {
    this.selections = [selection];
  }

  begins({ options }: BegunWatch): WatchJudge {
    if (options.from === "") this.held.clear();
    return this;
  }

  get isUpToDate(): boolean {
    return this.problem === "";
  }

  /** How what it holds differs from what the nodes hold. */
  get problem(): string {
    return this.judge.heldProblem(this.held, (key) => isSelected(this.selection, key));
  }

  record(key: string, version: number, value: Uint8Array): string {
    return this.put(key, version, value);
  }

  changed({ key, version, isPut, value }: Change): string {
    if (isPut) return this.put(key, version, value);
    if (!isSelected(this.selection, key)) return `was told that ${key} has gone, which is not watched`;
    this.held.delete(key);
    return "";
  }

  private put(key: string, version: number, value: Uint8Array | null): string {
    if (!isSelected(this.selection, key)) return `was told of ${key}, which is not watched`;
    this.held.set(key, version);
    return this.judge.toldProblem(key, version, value === null ? null : latin1Decode(value));
  }

  snapshotEnded(): string {
    return "";
  }

  progressed(): string {
    return "";
  }
}

import { latin1Decode } from "../core/bytes.js";
import { type Change, END_OF_VERSION } from "../kv/change-history.js";
import { NO_DEADLINE } from "../kv/command.js";
import { Level } from "../kv/level.js";
import type { WatchOptions } from "../kv/watch.js";
import type { Fleet } from "./fleet.js";
import type { Reference } from "./reference.js";
import { describeChange, type Story, type StoryChange } from "./story.js";
import { type BegunWatch, EVERYTHING, isSelected, these, under, type WatchJudge, type WatchKind } from "./watcher.js";

/** Watches of the default keyspace: every change that the entries make, in their order, once. */
export class OrderedWatches implements WatchKind {
  readonly keyspace = "default";
  readonly levels = [Level.linearizable, Level.sequential];
  readonly selections = [EVERYTHING, EVERYTHING, under("r"), under("p"), under("m"), these("r1", "c1", "m1", "m2")];
  readonly snapshotPerMille = 600;

  constructor(private readonly fleet: Fleet) {}

  begins({ options, handle, level, place, shown }: BegunWatch): WatchJudge | string {
    const { story } = this.fleet.reference();
    const { from } = options;
    const { beginVersion, beginOrdinal } = handle;
    if (place !== null && (place.version !== beginVersion || place.ordinal !== beginOrdinal)) {
      return `goes on behind ${beginVersion}.${beginOrdinal}; it was told last of ${place.version}.${place.ordinal}`;
    }
    if (from === "" && level === Level.linearizable && beginVersion < story.versionAt(shown)) {
      return `begins at version ${beginVersion}; ${story.versionAt(shown)} was shown before it was asked for`;
    }
    return new OrderedJudge(this.fleet.reference(), options, beginVersion, beginOrdinal);
  }
}

class OrderedJudge implements WatchJudge {
  /** The first change of the story that it has not been told, nor passed over. */
  private next: number;
  /** What the snapshot and the changes beside it have made so far; null: it is over, or there is none. */
  private snapshot: Map<string, { readonly version: number; readonly value: string | null }> | null;

  private readonly story: Story;

  constructor(
    private readonly reference: Reference,
    private readonly options: WatchOptions,
    version: number,
    ordinal: number,
  ) {
    this.story = reference.story;
    this.next = this.story.after(version, ordinal);
    this.snapshot = options.snapshot ? new Map() : null;
  }

  get isUpToDate(): boolean {
    return this.snapshot === null && this.concerned(this.next) === undefined;
  }

  private concerned(from: number): StoryChange | undefined {
    const { changes } = this.story;
    for (let at = from; at < changes.length; at += 1) {
      if (isSelected(this.options, changes[at].key)) return changes[at];
    }
    return undefined;
  }

  changed(change: Change, isResumable: boolean): string {
    const value = change.value === null ? null : latin1Decode(change.value);
    if (isResumable !== (this.snapshot === null)) return "was given a position within a snapshot, or none behind it";
    if (this.snapshot !== null) {
      if (change.isPut) this.snapshot.set(change.key, { version: change.version, value });
      else this.snapshot.delete(change.key);
      return "";
    }
    const expected = this.concerned(this.next);
    const told = describeChange({ ...change, value: change.isPut ? (value ?? "a value") : null });
    if (expected === undefined) return `was told of a ${told}, and there is no further change`;
    const isLast = change.ordinal === END_OF_VERSION;
    const isSame =
      change.key === expected.key &&
      change.version === expected.version &&
      (isLast || change.ordinal === expected.ordinal) &&
      change.cause === expected.cause &&
      change.isPut === (expected.value !== null) &&
      (value === null || value === expected.value);
    if (!isSame) return `was told of a ${told} where the ${describeChange(expected)} comes next`;
    this.next = this.story.after(expected.version, expected.ordinal);
    if (change.isPut && value === null && this.options.values && !this.story.changesAgain(expected.key, this.next)) {
      return `was told of a ${told} without its value, which is still there`;
    }
    if (!isLast) return "";
    const more = this.concerned(this.next);
    if (more?.version === change.version)
      return `was told that the ${told} is the last of its version, before the ${describeChange(more)}`;
    return "";
  }

  progressed(version: number): string {
    const missed = this.concerned(this.next);
    if (missed !== undefined && missed.version <= version) {
      return `was told that nothing happened up to version ${version}, and not of the ${describeChange(missed)}`;
    }
    this.next = Math.max(this.next, this.story.after(version, END_OF_VERSION));
    return "";
  }

  record(key: string, version: number, value: Uint8Array): string {
    if (this.snapshot === null) return `was told of the record ${key} outside of a snapshot`;
    this.snapshot.set(key, { version, value: latin1Decode(value) });
    return "";
  }

  snapshotEnded(version: number): string {
    const { snapshot } = this;
    if (snapshot === null) return "was told of the end of a snapshot that it had not asked for";
    this.snapshot = null;
    this.next = this.story.after(version, END_OF_VERSION);
    const state = this.story.stateAt(version, (key) => isSelected(this.options, key));
    for (const [key, { version: at, value }] of snapshot) {
      const expected = state.get(key);
      if (expected?.version === at && (value === null || value === expected.value)) continue;
      return `holds ${key} of version ${at} at the end of a snapshot of version ${version}, instead of ${expected?.version ?? "nothing"}`;
    }
    for (const [key, { deadlineMs, version: at }] of state) {
      // One whose deadline has passed is absent before it is removed.
      const hasPassed = deadlineMs !== NO_DEADLINE && deadlineMs <= this.reference.timeMs;
      if (!snapshot.has(key) && !hasPassed)
        return `does not hold ${key} of version ${at} at the end of a snapshot of ${version}`;
    }
    return "";
  }
}

import { END_OF_VERSION } from "../kv/change-history.js";
import { KvError } from "../kv/errors.js";
import type { OriginHistory } from "../kv/origin-history.js";
import { decodeOriginPosition, encodeOriginPosition, type OriginPlace } from "../kv/origin-position.js";
import { Seen } from "../kv/seen.js";
import { anotherKeyspace, Compacted, type WatchOptions, type WatchSink } from "../kv/watch.js";
import type { Gossip } from "../protocols/gossip/gossip.js";
import { Watch } from "./watch.js";
import { type WatchedGroup, Watches, type WatchLimits } from "./watches.js";

/** What the watches need of a group without one order of changes. */
export interface WatchedOrigins extends WatchedGroup {
  readonly node: number;
  readonly history: OriginHistory;
  /** Names this memory of changes, which ends with the process. */
  readonly life: number;
  /** Changes are kept from now on. */
  record(): void;
  /** Who has heard of all that is kept has heard of all this. The same object until something takes effect. */
  reach(): OriginPlace;
}

export function watchedOrigins(id: number, { options, changes }: Gossip, host: { wake(): void }): WatchedOrigins {
  const history = options.changes!;
  return {
    id,
    node: options.node,
    life: options.seed,
    history,
    read: (command) => changes!.read(command),
    revision: () => history.end,
    wake: () => host.wake(),
    record: () => changes!.record(),
    reach: () => changes!.reach(),
  };
}

/** Who watches a group without one order. A position is how far a watcher has heard of each origin. */
export class OriginWatches extends Watches {
  constructor(
    protected override readonly group: WatchedOrigins,
    limits: WatchLimits,
  ) {
    super(group, limits);
  }

  /** Whoever records the changes knows by itself where they begin. */
  override restart(): void {}

  protected override begin(options: WatchOptions, clusterId: string, sink: WatchSink): Watch | KvError {
    const { group } = this;
    group.record();
    const { history } = group;
    const reach = group.reach();
    let place = copyOf(reach);
    let first = history.end;
    if (options.from !== "") {
      const from = decodeOriginPosition(options.from, clusterId);
      if (from instanceof KvError) return from;
      if (from.group !== group.id) return anotherKeyspace();
      const isOwn = from.node === group.node && from.life === group.life;
      const isKept = isOwn && from.count >= history.first && from.count <= history.end;
      first = isKept ? from.count : history.firstAfter(from);
      if (first < 0) return this.compacted(clusterId);
      place = isKept ? from : heldOf(from, reach);
      if (!isKept) history.comeBefore(first, place);
    }
    const watch = new OriginWatch(group, options, sink, clusterId, first, place, () => this.remove(watch));
    return watch;
  }

  protected override compacted(clusterId: string): Compacted {
    const { id, node, life, history } = this.group;
    const { seen, expiredBeforeMs } = history.floor;
    return new Compacted(
      encodeOriginPosition(clusterId, { group: id, node, life, count: history.first, seen, expiredBeforeMs }),
    );
  }
}

function copyOf({ seen, expiredBeforeMs }: OriginPlace): OriginPlace {
  const copy = new Seen();
  copy.merge(seen);
  return { seen: copy, expiredBeforeMs };
}

/**
 * What of a place is held here. What is not may be later than what this node tells now, and is to be told again: here when
 * it comes, or wherever the watcher goes on.
 */
function heldOf({ seen, expiredBeforeMs }: OriginPlace, reach: OriginPlace): OriginPlace {
  const held = new Seen();
  for (const { node, incarnation, sequence } of seen.origins) {
    const through = Math.min(sequence, reach.seen.sequenceOf(node, incarnation));
    if (through > 0) held.raise(node, incarnation, through);
  }
  return { seen: held, expiredBeforeMs };
}

/** One watcher, and how far it has heard of each origin. */
class OriginWatch extends Watch {
  /** All before this number stands in `place`. */
  private passed: number;
  private reach: OriginPlace | null = null;

  constructor(
    protected override readonly group: WatchedOrigins,
    options: WatchOptions,
    sink: WatchSink,
    clusterId: string,
    first: number,
    private place: OriginPlace,
    closed: () => void,
  ) {
    super(group, options, sink, clusterId, first, END_OF_VERSION, closed);
    this.passed = first;
  }

  /** Of the beginning, or of what is being told: where that is stands here. */
  override position(): string {
    const { id, node, life } = this.group;
    return encodeOriginPosition(this.clusterId, { group: id, node, life, count: this.passed, ...this.place });
  }

  protected override reaches(number: number): void {
    while (this.passed <= number) {
      this.group.history.pass(this.passed, this.place);
      this.passed += 1;
    }
  }

  protected override advanced(): void {
    this.reaches(this.next - 1);
    if (this.next < this.group.history.end) return;
    const reach = this.group.reach();
    if (reach === this.reach) return;
    this.reach = reach;
    this.place = copyOf(reach);
  }
}

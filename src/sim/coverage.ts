import { VOTERS_MAX } from "../node/options.js";
import type { Nemesis } from "./faults.js";
import type { Fleet } from "./fleet.js";
import type { Safety } from "./safety.js";
import type { World } from "./world.js";

const NOTICES: readonly (readonly [words: string, kind: string])[] = [
  ["started anew", "machine crashes noticed"],
  ["set aside", "damaged data set aside"],
  ["this folder is empty", "lost folders noticed"],
  ["has room again", "disks with room again"],
  ["not well formed", "malformed frames"],
];

/** What a run has come across: a swarm that never gets somewhere has not tested it. */
export class Coverage {
  private readonly counted = new Map<string, number>();

  add(what: string, times = 1): void {
    if (times > 0) this.counted.set(what, (this.counted.get(what) ?? 0) + times);
  }

  /** One call of a disk, in its words. */
  diskCalled(words: string): void {
    if (words.startsWith("remove log-")) this.add("segments cut");
    else if (words.startsWith("create log-")) this.add("segments made");
    else if (words.startsWith("fdatasync ")) this.add("syncs in the background");
  }

  /** What a node said about itself. */
  noticed(message: string): void {
    const found = NOTICES.find(([words]) => message.includes(words));
    this.add(found === undefined ? "disks full" : found[1]);
  }

  take(world: World, fleet: Fleet, safety: Safety, nemesis: Nemesis): void {
    for (const [name, count] of Object.entries(world.network.counters)) this.add(`frames ${name}`, count);
    for (const [name, count] of Object.entries(fleet.counters)) this.add(`operations ${name}`, count);
    for (const [kind, count] of nemesis.done) this.add(`fault ${kind}`, count);
    if (world.plan.nodes > VOTERS_MAX) this.add("worlds with learners");
    if (world.plan.os.length > 0) this.add("worlds with durability os");
    this.add("power lost with nothing unsynced", nemesis.nothingUnsynced);
    this.add("elections won", safety.elections);
    this.add("leaderships handed over", safety.handovers);
    this.add("snapshots installed", safety.snapshotsInstalled);
    this.add("answers of dropped keyspaces", fleet.lives.late);
    this.add("replicas dropped", safety.replicasDropped);
    this.add("states compared", safety.statesCompared);
    for (const { parts } of world.computers) this.add("state commits", parts.store.commitCount);
  }

  counts(): Record<string, number> {
    return Object.fromEntries([...this.counted].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

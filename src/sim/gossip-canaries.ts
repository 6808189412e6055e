/** Planted bugs of gossip: each a promise that it rests on, broken in one place. The swarm must catch every one of them. */
import type { HybridTime } from "../core/hybrid-clock.js";
import { AntiEntropy } from "../protocols/gossip/anti-entropy.js";
import { Gateway } from "../protocols/gossip/gateway.js";
import { Gossip } from "../protocols/gossip/gossip.js";
import { Intake } from "../protocols/gossip/intake.js";
import type { Item } from "../protocols/gossip/item.js";
import type { Origin } from "../protocols/gossip/origins.js";
import type { Peer } from "../protocols/gossip/peers.js";
import { VectorRepair } from "../protocols/gossip/repair.js";
import { SequenceSet } from "../protocols/gossip/sequence-set.js";
import { Sweeper } from "../protocols/gossip/sweeper.js";
import { type Canary, FORGETS_POLITELY } from "./canaries.js";

/** Writes take effect, and are answered, as soon as they are handed to the disk. */
class UnsyncedGossip extends Gossip {
  override flush(): void {
    super.flush();
    super.stored(Number.POSITIVE_INFINITY);
  }

  override stored(): void {}
}

/** Counts its writes from the beginning in every process. */
class ForgetfulGateway extends Gateway {
  override lifeBegins(): void {
    this.sequence = 0;
  }
}

/** Stamps are what the wall clock shows. */
class WallClockGateway extends Gateway {
  protected override nextTime(): HybridTime {
    return { ms: this.gossip.wallMs, logical: 0 };
  }
}

class HastyGateway extends Gateway {
  protected override mustWait(): boolean {
    return false;
  }
}

class SilentGateway extends Gateway {
  protected override dependenciesOf(): readonly [] {
    return [];
  }
}

function gossipWithGateway(make: new (gossip: Gossip) => Gateway): Canary["makeGossip"] {
  return (options, state) =>
    new (class extends Gossip {
      protected override createGateway(): Gateway {
        return new make(this);
      }
    })(options, state);
}

/** Collects tombstones that it holds itself. */
class EarlySweeper extends Sweeper {
  protected override stableThrough(origin: Origin): number {
    return origin.have.contiguous;
  }
}

/** Says that it has what is still on its way to the disk. */
class OptimisticIntake extends Intake {
  protected override taken(node: number, incarnation: number, sequence: number): void {
    super.taken(node, incarnation, sequence);
    this.gossip.replica.origins.get(node, incarnation).have.add(sequence);
  }
}

/** Throws a write away whose stamp is ahead of its clock, and counts it as held. */
class DroppingIntake extends Intake {
  protected override keep({ stamp }: Item): void {
    this.taken(stamp.node, stamp.incarnation, stamp.sequence);
    const origin = this.gossip.replica.origins.get(stamp.node, stamp.incarnation);
    origin.have.add(stamp.sequence);
  }
}

/** Takes any late message for news. */
class TrustingIntake extends Intake {
  override collects(): void {}
}

function gossipWithIntake(make: new (gossip: Gossip) => Intake): Canary["makeGossip"] {
  return gossipWithAntiEntropy(
    class extends AntiEntropy {
      protected override createIntake(): Intake {
        return new make(this.gossip);
      }
    },
  );
}

function gossipWithAntiEntropy(make: new (gossip: Gossip) => AntiEntropy): Canary["makeGossip"] {
  return (options, state) =>
    new (class extends Gossip {
      protected override createAntiEntropy(): AntiEntropy {
        return new make(this);
      }
    })(options, state);
}

/** Sends what comes after all that the asker has, and nothing that it lacks in between. */
class TailRepair extends VectorRepair {
  protected override missing(origin: Origin): number[] {
    const tail = new SequenceSet();
    tail.contiguous = this.taken.find(origin.node, origin.incarnation)?.highest ?? 0;
    return origin.have.minus(tail);
  }
}

class TailAntiEntropy extends AntiEntropy {
  protected override createRepair(peer: Peer, maxBytes: number): VectorRepair {
    return new TailRepair(this.gossip, peer, maxBytes);
  }
}

/** Does not pass tombstones on when trees are compared. */
class LivingAntiEntropy extends AntiEntropy {
  protected override answerStretches(
    ...parts: Parameters<AntiEntropy["answerStretches"]>
  ): ReturnType<AntiEntropy["answerStretches"]> {
    const answer = super.answerStretches(...parts);
    return { ...answer, items: answer.items.filter((item) => !item.isDelete) };
  }
}

export const GOSSIP_CANARIES: readonly Canary[] = [
  {
    name: "answer-before-sync",
    story: "a write is answered, and told to the others, before it is durable",
    makeGossip: (options, state) => new UnsyncedGossip(options, state),
  },
  {
    name: "sequence-reused",
    story: "after a restart writes get sequences that were given out before",
    makeGossip: gossipWithGateway(ForgetfulGateway),
  },
  {
    name: "wall-clock-wins",
    story: "the last writer is the one whose wall clock says so",
    makeGossip: gossipWithGateway(WallClockGateway),
  },
  {
    name: "session-does-not-wait",
    story: "a read is answered although the session has seen more than there is here",
    makeGossip: gossipWithGateway(HastyGateway),
  },
  {
    name: "dependencies-not-told",
    story: "a write does not tell what its session had seen of other nodes' writes",
    makeGossip: gossipWithGateway(SilentGateway),
  },
  {
    name: "tombstone-collected-early",
    story: "a tombstone is collected before every member has it",
    makeGossip: (options, state) =>
      new (class extends Gossip {
        protected override createSweeper(): Sweeper {
          return new EarlySweeper(this);
        }
      })(options, state),
  },
  {
    name: "late-message-believed",
    story: "an old value that was long under way counts as news after its tombstone was collected",
    makeGossip: gossipWithIntake(TrustingIntake),
  },
  {
    name: "vector-ahead-of-disk",
    story: "a replica says that it holds what is not durable there",
    makeGossip: gossipWithIntake(OptimisticIntake),
  },
  {
    name: "parked-write-dropped",
    story: "a write whose stamp is ahead is thrown away instead of kept until its time",
    makeGossip: gossipWithIntake(DroppingIntake),
  },
  {
    name: "repair-skips-exceptions",
    story: "repair sends what comes after the asker's newest write and leaves the gaps before it",
    makeGossip: gossipWithAntiEntropy(TailAntiEntropy),
  },
  {
    name: "tree-without-tombstones",
    story: "a comparison of trees does not bring deletes",
    makeGossip: gossipWithAntiEntropy(LivingAntiEntropy),
  },
  {
    name: "watch-begins-where-the-node-is",
    story: "who goes on watching at another node is told of what happens there from now on",
    makeGossip: (options, state) => {
      const { changes } = options;
      if (changes !== undefined) changes.firstAfter = () => changes.end;
      return new Gossip(options, state);
    },
  },
  FORGETS_POLITELY,
];

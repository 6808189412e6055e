import { copyBytes } from "../core/bytes.js";
import type { Incarnation, NodeId } from "../core/machine.js";
import type { Random } from "../core/random.js";
import { between, perMille } from "./chance.js";
import type { Scheduler } from "./scheduler.js";

/** How bad the net is. Probabilities are in thousandths. */
export interface NetworkOptions {
  readonly delayUsMin: number;
  readonly delayUsMax: number;
  /** Chance that a delay is doubled, and doubled again with the same chance: a long tail. */
  readonly slowPerMille: number;
  readonly lossPerMille: number;
  readonly duplicatePerMille: number;
  /** Whether a frame may overtake an older one of its link. */
  readonly reorder: boolean;
  /** Time until two nodes that can reach each other are connected, at most. */
  readonly connectUsMax: number;
  /** Time until a node learns that its peer is gone, at most. */
  readonly noticeUsMax: number;
  /** Frames of one link in flight beyond which it drops: a sender's bounded buffer. */
  readonly framesInFlightMax: number;
}

export const CALM_NETWORK: NetworkOptions = {
  delayUsMin: 100,
  delayUsMax: 600,
  slowPerMille: 0,
  lossPerMille: 0,
  duplicatePerMille: 0,
  reorder: false,
  connectUsMax: 5_000,
  noticeUsMax: 5_000,
  framesInFlightMax: 4_096,
};

/** What the network does at one node. Frames are the receiver's own copy. */
export interface NetworkEndpoint {
  frameArrived(from: NodeId, incarnation: Incarnation, frame: Uint8Array): void;
  connected(peer: NodeId, incarnation: Incarnation): void;
  disconnected(peer: NodeId): void;
}

const DOUBLINGS_MAX = 8;

/** One direction between two nodes. */
class Link {
  cut = false;
  /** Nothing arrives before this time: a clogged link keeps its frames and then lets them go. */
  cloggedUntilUs = 0;
  /** Life of the peer that the sender is connected to; 0: to none. */
  connectedLife = 0;
  inFlight = 0;
  /** Arrival of the newest frame, for links that keep their order. */
  lastArrivalUs = 0;
  /** Counts up when a notice is overtaken by a newer one. */
  notice = 0;
}

interface Attached {
  readonly endpoint: NetworkEndpoint;
  readonly incarnation: Incarnation;
  /** Counts the processes that the run has started. */
  readonly life: number;
}

/** What the run did to frames, for coverage. */
export class NetworkCounters {
  sent = 0;
  delivered = 0;
  lost = 0;
  duplicated = 0;
  cut = 0;
  overflowed = 0;
  unconnected = 0;
}

/**
 * A net that may lose, double, delay and reorder frames, that can be cut in each direction apart and clogged. A frame
 * in flight outlives its sender and reaches whatever process then stands at the receiver.
 */
export class SimNetwork {
  readonly counters = new NetworkCounters();
  private readonly links: Link[] = [];
  private readonly attached: (Attached | null)[];
  private lives = 0;

  constructor(
    private readonly nodeCount: number,
    private readonly scheduler: Scheduler,
    private readonly random: Random,
    public options: NetworkOptions,
  ) {
    this.attached = new Array<Attached | null>(nodeCount + 1).fill(null);
    for (let i = 0; i < (nodeCount + 1) * (nodeCount + 1); i += 1) this.links.push(new Link());
  }

  /** A process listens from now on. Its peers and it learn of each other after a while. */
  attach(node: NodeId, incarnation: Incarnation, endpoint: NetworkEndpoint): void {
    this.lives += 1;
    this.attached[node] = { endpoint, incarnation, life: this.lives };
    for (let peer = 1; peer <= this.nodeCount; peer += 1) {
      if (peer === node) continue;
      this.reconsider(node, peer);
      this.reconsider(peer, node);
    }
  }

  /** The process is gone. Peers learn it unless it went without a word (a machine that lost its power). */
  detach(node: NodeId, silently: boolean): void {
    this.attached[node] = null;
    for (let peer = 1; peer <= this.nodeCount; peer += 1) {
      if (peer === node) continue;
      this.link(node, peer).connectedLife = 0;
      this.link(node, peer).notice += 1;
      if (!silently) this.reconsider(peer, node);
    }
  }

  send(from: NodeId, to: NodeId, frame: Uint8Array): void {
    const { counters, options } = this;
    const link = this.link(from, to);
    const sender = this.attached[from];
    counters.sent += 1;
    if (sender === null || link.connectedLife === 0) {
      counters.unconnected += 1;
      return;
    }
    if (link.cut) {
      counters.cut += 1;
      return;
    }
    if (perMille(this.random, options.lossPerMille)) {
      counters.lost += 1;
      return;
    }
    this.fly(link, from, to, sender.incarnation, copyBytes(frame));
    if (perMille(this.random, options.duplicatePerMille)) {
      counters.duplicated += 1;
      this.fly(link, from, to, sender.incarnation, copyBytes(frame));
    }
  }

  /** Frames from one to the other are lost from now on. */
  cut(from: NodeId, to: NodeId): void {
    this.link(from, to).cut = true;
    this.reconsider(from, to);
    this.reconsider(to, from);
  }

  clog(from: NodeId, to: NodeId, forUs: number): void {
    const link = this.link(from, to);
    link.cloggedUntilUs = Math.max(link.cloggedUntilUs, this.scheduler.nowUs + forUs);
  }

  /** Every cut and clog ends; nodes that can reach each other connect again. */
  heal(): void {
    for (const link of this.links) {
      link.cut = false;
      link.cloggedUntilUs = 0;
    }
    for (let from = 1; from <= this.nodeCount; from += 1) {
      for (let to = 1; to <= this.nodeCount; to += 1) if (from !== to) this.reconsider(from, to);
    }
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.link(from, to).cut;
  }

  private fly(link: Link, from: NodeId, to: NodeId, incarnation: Incarnation, frame: Uint8Array): void {
    if (link.inFlight >= this.options.framesInFlightMax) {
      this.counters.overflowed += 1;
      return;
    }
    let arrivalUs = this.scheduler.nowUs + this.delayUs();
    if (arrivalUs < link.cloggedUntilUs) arrivalUs = link.cloggedUntilUs + this.delayUs();
    if (!this.options.reorder) arrivalUs = Math.max(arrivalUs, link.lastArrivalUs);
    link.lastArrivalUs = arrivalUs;
    link.inFlight += 1;
    this.scheduler.after(arrivalUs - this.scheduler.nowUs, () => {
      link.inFlight -= 1;
      const receiver = this.attached[to];
      if (receiver === null) return;
      this.counters.delivered += 1;
      receiver.endpoint.frameArrived(from, incarnation, frame);
    });
  }

  private delayUs(): number {
    const { delayUsMin, delayUsMax, slowPerMille } = this.options;
    let delay = between(this.random, delayUsMin, delayUsMax);
    for (let i = 0; i < DOUBLINGS_MAX && perMille(this.random, slowPerMille); i += 1) delay *= 2;
    return delay;
  }

  /** Tells `node` after a while whether `peer` can be reached, if that has changed. */
  private reconsider(node: NodeId, peer: NodeId): void {
    const link = this.link(node, peer);
    link.notice += 1;
    const { notice } = link;
    const limitUs = this.reachable(node, peer) ? this.options.connectUsMax : this.options.noticeUsMax;
    this.scheduler.after(between(this.random, 0, limitUs), () => {
      if (notice !== link.notice) return;
      this.tell(link, node, peer);
    });
  }

  private tell(link: Link, node: NodeId, peer: NodeId): void {
    const here = this.attached[node];
    const there = this.attached[peer];
    if (here === null) return;
    const life = there !== null && this.reachable(node, peer) ? there.life : 0;
    if (life === link.connectedLife) return;
    // A peer that went and came is a new connection: the old one ends first.
    if (link.connectedLife !== 0) here.endpoint.disconnected(peer);
    link.connectedLife = life;
    if (there !== null && life !== 0) here.endpoint.connected(peer, there.incarnation);
  }

  /** A connection needs both directions. */
  private reachable(node: NodeId, peer: NodeId): boolean {
    const bothUp = this.attached[node] !== null && this.attached[peer] !== null;
    return bothUp && !this.link(node, peer).cut && !this.link(peer, node).cut;
  }

  private link(from: NodeId, to: NodeId): Link {
    return this.links[from * (this.nodeCount + 1) + to];
  }
}

import { ByteReader, ByteWriter } from "../../../core/bytes.js";
import { MemoryLost, type NodeId, RecordKind } from "../../../core/machine.js";
import { MapState } from "../../../core/map-state.js";
import type { Command } from "../../../kv/command.js";
import { Level } from "../../../kv/level.js";
import { Request } from "../../../kv/request.js";
import type { Result } from "../../../kv/result.js";
import type { Seen } from "../../../kv/seen.js";
import { Gossip } from "../gossip.js";
import { decodeItems, type Item } from "../item.js";
import { gossipCodec } from "../message.js";
import { GOSSIP_DEFAULTS, type GossipOptions } from "../options.js";
import { Vector, VectorEntry } from "../origins.js";
import { readSections, SectionKind } from "../section.js";
import { SequenceSet } from "../sequence-set.js";

const sink = { reply(): void {} };
const FIRST_MS = 10_000;
const TICK_MS = 20;

function start(gossip: Gossip, ms: number, incarnation: number, recovering: boolean): void {
  gossip.now(ms, ms);
  gossip.start({ position: 0, epoch: 0, incarnation, recovering }, []);
}

function requestOf(command: Command, seen: Seen | null, level: Level): Request {
  const request = new Request(command, level, sink);
  request.seen = seen;
  request.deadlineMs = Number.MAX_SAFE_INTEGER;
  return request;
}

/** Node 1 of two, whose peer is played by the test. Its clock begins at 10,000 ms. */
export class LoneReplica {
  readonly gossip: Gossip;

  constructor(options: Partial<GossipOptions> = {}) {
    const all = { ...GOSSIP_DEFAULTS, node: 1, members: [1, 2], seed: 5, ...options };
    this.gossip = new Gossip(all, new MapState());
    start(this.gossip, FIRST_MS, 1, false);
    for (let i = 0; i < 3; i += 1) this.gossip.sweeper.tick();
    this.settle();
  }

  /** What was handed to the disk is durable. */
  settle(): void {
    this.gossip.flush();
    this.gossip.stored(this.gossip.outbox.issuedSeq);
    this.gossip.outbox.sends.length = 0;
  }

  ask(command: Command, seen: Seen | null = null, level: Level = Level.eventual): Request {
    const request = requestOf(command, seen, level);
    this.gossip.request(request);
    return request;
  }

  answerOf(request: Request): Result | undefined {
    return this.gossip.outbox.replies.find((it) => it.request === request)?.result;
  }

  /** Writes in the newest record. */
  newestItems(): readonly Item[] {
    const record = this.gossip.outbox.records.filter(({ kind }) => kind === RecordKind.entry).at(-1);
    const section = record === undefined ? undefined : readSections(record.payload)[0];
    return section?.kind === SectionKind.writes ? decodeItems(section.batch) : [];
  }

  /** Node 2, in its first life, holds that and nothing else. */
  peerHolds(node: NodeId, incarnation: number, through: number): void {
    const peer = this.gossip.antiEntropy.peers.get(2)!;
    if (peer.incarnation === 0) peer.begins(1);
    peer.recovering = false;
    const sequences = new SequenceSet();
    sequences.contiguous = through;
    peer.have = new Vector();
    peer.have.entries.push(new VectorEntry(node, incarnation, sequences));
    peer.taken = peer.have;
    this.gossip.hard.known.set(2, 1);
  }

  sweepAt(tick: number): void {
    this.gossip.ticks = tick;
    this.gossip.sweeper.tick();
    this.settle();
  }
}

/** Replicas that talk to each other, on disks that are fast and a network that loses nothing. */
export class Replicas {
  /** Nodes that had to begin again with nothing, and why. */
  readonly rebuilt: { readonly node: NodeId; readonly reason: string }[] = [];
  private readonly machines = new Map<NodeId, Gossip>();
  private readonly states = new Map<NodeId, MapState>();
  private ms = FIRST_MS;
  private lives = 1;

  constructor(private readonly members: readonly NodeId[]) {
    for (const node of members) this.begin(node, new MapState(), 1, false);
  }

  private begin(node: NodeId, state: MapState, incarnation: number, recovering: boolean): void {
    const options = { ...GOSSIP_DEFAULTS, node, members: this.members, seed: node * 7 + incarnation };
    const gossip = new Gossip(options, state);
    start(gossip, this.ms, incarnation, recovering);
    this.machines.set(node, gossip);
    this.states.set(node, state);
  }

  at(node: NodeId): Gossip {
    return this.machines.get(node)!;
  }

  has(node: NodeId, key: string): boolean {
    return this.at(node).replica.entries.records.live(key) !== undefined;
  }

  /** A copy of a node's folder, of now. */
  backUp(node: NodeId): MapState {
    const copy = new MapState();
    this.at(node).checkpointing();
    this.states.get(node)!.range("", "\uffff", (key, value) => {
      copy.put(key, value.slice());
      return true;
    });
    return copy;
  }

  /** The node starts on that folder, which is of its first life. */
  putBack(node: NodeId, folder: MapState): void {
    this.begin(node, folder, 1, false);
  }

  /** The node starts with an empty folder. */
  loseMemory(node: NodeId): void {
    this.lives += 1;
    this.begin(node, new MapState(), this.lives, true);
  }

  run(ticks: number): void {
    for (let i = 0; i < ticks; i += 1) {
      this.ms += TICK_MS;
      for (const node of this.members) {
        this.at(node).now(this.ms, this.ms);
        this.at(node).tick();
        this.step(node);
      }
    }
  }

  /** The answer, for which it runs so many ticks at most. */
  ask(node: NodeId, command: Command, seen: Seen | null = null, level: Level = Level.eventual, ticks = 1): Result {
    const request = requestOf(command, seen, level);
    this.at(node).request(request);
    for (let i = 0; i <= ticks; i += 1) {
      this.step(node);
      const reply = this.at(node).outbox.replies.find((it) => it.request === request);
      if (reply !== undefined) return reply.result;
      this.run(1);
    }
    throw new Error(`node ${node} has not answered within ${ticks} ticks`);
  }

  private step(node: NodeId): void {
    const gossip = this.at(node);
    for (let round = 0; round < 4; round += 1) {
      gossip.flush();
      gossip.outbox.records = [];
      gossip.stored(gossip.outbox.issuedSeq);
    }
    const { sends } = gossip.outbox;
    gossip.outbox.sends = [];
    for (const { peer, message } of sends) {
      const writer = new ByteWriter(256);
      gossipCodec.encode(message, writer);
      this.deliver(node, peer, writer.copy());
      this.step(peer);
    }
  }

  /** As a node does it: who finds that its memory is not whole begins again with nothing. */
  private deliver(from: NodeId, to: NodeId, bytes: Uint8Array): void {
    try {
      this.at(to).receive(from, gossipCodec.decode(new ByteReader(bytes)));
    } catch (error) {
      if (!(error instanceof MemoryLost)) throw error;
      this.rebuilt.push({ node: to, reason: error.message });
      this.loseMemory(to);
    }
  }
}

import type { Incarnation, NodeId } from "../core/machine.js";
import type { Random } from "../core/random.js";
import { IDENTITY_FILE, Identity } from "../node/identity.js";
import type { GamutNode } from "../node/node.js";
import type { Ports } from "../node/ports.js";
import { between } from "./chance.js";
import type { SimClock } from "./clock.js";
import type { SimDisk } from "./disk.js";
import type { NetworkEndpoint, SimNetwork } from "./network.js";
import type { Scheduled, Scheduler } from "./scheduler.js";
import type { SimStateStore } from "./state-store.js";
import type { TraceHash } from "./trace-hash.js";

/** A turn follows its first input after up to this long: what else arrives meanwhile shares it. */
const TURN_DELAY_US_MAX = 200;
/** Frames that wait for a process that is not given the processor; more are lost, as a full socket buffer loses them. */
const MAILBOX_FRAMES_MAX = 512;

export type ComputerState = "off" | "starting" | "running" | "stopping";

/** What lasts when the process goes. */
export interface ComputerParts {
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly store: SimStateStore;
  readonly random: Random;
}

/** Who is told of the life of a process. */
export interface ComputerOwner {
  makeNode(ports: Ports): GamutNode;
  /** After each turn; the node may be asked what it likes. */
  turned(computer: Computer): void;
  /** It answers sessions from now on. */
  started(computer: Computer): void;
  /** Sessions are gone without a word. */
  ended(computer: Computer): void;
  notStarted(computer: Computer, problem: string): void;
  /** A broken promise. The process is dead already. */
  failed(computer: Computer, problem: string): void;
}

/** A machine with its clock and disk, and at most one process on it. */
export class Computer implements NetworkEndpoint {
  state: ComputerState = "off";
  node: GamutNode | null = null;
  /** Counts the processes started here: callbacks of an earlier one are void. */
  life = 0;
  /**
   * Since it last ran. Then the log's newest mark may be gone, and with it what tells a last batch that rots from one
   * that was never whole: nobody can notice both at once, so no fault may do both.
   */
  powerLost = false;
  /** Bits have rotted since it last ran. Were the power lost on top of that, nothing could tell rot from a torn write. */
  rotten = false;
  /** Times that the machine has been started. */
  boots = 1;
  private turn: Scheduled | null = null;
  private pausedUntilUs = 0;
  private stalledUntilUs = 0;
  private mailbox: (() => void)[] = [];

  constructor(
    readonly number: NodeId,
    readonly parts: ComputerParts,
    private readonly scheduler: Scheduler,
    private readonly network: SimNetwork,
    private readonly tickMs: number,
    private readonly owner: ComputerOwner,
    private readonly hash: TraceHash,
  ) {}

  get isPaused(): boolean {
    return this.scheduler.nowUs < this.pausedUntilUs;
  }

  start(): void {
    if (this.state !== "off") return;
    this.life += 1;
    const { life } = this;
    this.state = "starting";
    this.parts.clock.processStarted();
    const node = this.owner.makeNode({
      clock: this.parts.clock,
      disk: this.parts.disk,
      store: this.parts.store,
      entropy: { u48: () => this.parts.random.u48() },
      net: { send: (peer, frame) => this.network.send(this.number, peer, frame) },
    });
    this.node = node;
    this.guard(() => node.start((problem) => this.startEnded(life, problem)));
    this.tickLater(life);
  }

  private startEnded(life: number, problem: string | null): void {
    if (life !== this.life || this.node === null) return;
    this.hash.text(`start ${this.number} ${problem ?? ""}`);
    if (problem !== null) {
      this.kill();
      this.owner.notStarted(this, problem);
      return;
    }
    this.state = "running";
    this.powerLost = false;
    this.rotten = false;
    this.network.attach(this.number, this.node.incarnation, this);
    this.owner.started(this);
  }

  /** The node asks for a turn, or something has arrived for it. */
  readonly wake = (): void => {
    if (this.node === null || this.turn !== null) return;
    const waitUs = Math.max(0, this.pausedUntilUs - this.scheduler.nowUs);
    this.turn = this.scheduler.after(waitUs + between(this.parts.random, 0, TURN_DELAY_US_MAX), () => {
      this.turn = null;
      this.runTurn();
    });
  };

  private tickLater(life: number): void {
    this.scheduler.after(this.parts.clock.trueUs(this.tickMs * 1_000), () => {
      if (life !== this.life || this.node === null) return;
      this.wake();
      this.tickLater(life);
    });
  }

  private runTurn(): void {
    const { node } = this;
    if (node === null) return;
    if (this.isPaused) {
      this.wake();
      return;
    }
    const mail = this.mailbox;
    this.mailbox = [];
    this.guard(() => {
      for (const deliver of mail) deliver();
      node.turn();
    });
    if (this.node === node) this.owner.turned(this);
  }

  /** Anything thrown out of a node ends its process: a broken invariant of ours is what the simulator is there to find. */
  guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      const { name, message } = error as Error;
      this.kill();
      this.owner.failed(this, `node ${this.number} threw ${name}: ${message}`);
    }
  }

  // Network

  frameArrived(from: NodeId, incarnation: Incarnation, frame: Uint8Array): void {
    if (this.mailbox.length >= MAILBOX_FRAMES_MAX) return;
    this.hash.number(this.scheduler.nowUs);
    this.hash.number(from * 256 + this.number);
    this.hash.bytes(frame);
    this.post((node) => node.frameReceived(from, incarnation, frame));
  }

  connected(peer: NodeId, incarnation: Incarnation): void {
    this.post((node) => node.peerConnected(peer, incarnation));
  }

  disconnected(peer: NodeId): void {
    this.post((node) => node.peerDisconnected(peer));
  }

  private post(deliver: (node: GamutNode) => void): void {
    const { node } = this;
    if (node === null) return;
    if (this.isPaused) this.mailbox.push(() => deliver(node));
    else this.guard(() => deliver(node));
    this.wake();
  }

  // Ends

  /** The process is not given the processor. */
  pause(forUs: number): void {
    this.pausedUntilUs = Math.max(this.pausedUntilUs, this.scheduler.nowUs + forUs);
  }

  /** Calls of its disk that are made from now on are not answered before the time is over; 0 ends it. */
  stallDisk(forUs: number): void {
    this.stalledUntilUs = this.scheduler.nowUs + forUs;
  }

  get diskStallUs(): number {
    return Math.max(0, this.stalledUntilUs - this.scheduler.nowUs);
  }

  resume(): void {
    this.pausedUntilUs = this.scheduler.nowUs;
  }

  /** The process dies, the operating system lives. */
  kill(): void {
    if (this.node === null) return;
    this.end(false);
    this.parts.disk.kill();
    this.parts.store.kill();
  }

  losePower(): void {
    this.powerLost = true;
    this.boots += 1;
    const ran = this.node !== null;
    if (ran) this.end(true);
    if (this.rotten) this.parts.disk.kill();
    else this.parts.disk.crash();
    if (ran) this.parts.store.losePower();
  }

  /** Its folder says that a crash of the machine may take what the node has promised. */
  get hasUnsyncedNote(): boolean {
    const { disk } = this.parts;
    if (!disk.fileNames().includes(IDENTITY_FILE)) return false;
    return Identity.decode(disk.contents(IDENTITY_FILE)).unsyncedBoot !== "";
  }

  /** A clean stop; `done` when the process has ended, however that came about. */
  stop(): void {
    const { node, life } = this;
    if (node === null || this.state !== "running") return;
    this.state = "stopping";
    this.guard(() =>
      node.stop(() => {
        if (life === this.life && this.node !== null) this.kill();
      }),
    );
    this.wake();
  }

  private end(silently: boolean): void {
    this.node = null;
    this.state = "off";
    this.mailbox = [];
    this.pausedUntilUs = 0;
    if (this.turn !== null) this.turn.cancelled = true;
    this.turn = null;
    this.network.detach(this.number, silently);
    this.owner.ended(this);
  }
}

import type { NodeId } from "../core/machine.js";
import { Random } from "../core/random.js";
import { segmentOfName } from "../node/log/format.js";
import { VOTERS_MAX } from "../node/options.js";
import { between } from "./chance.js";
import type { Computer } from "./computer.js";
import type { Fault } from "./plan.js";
import type { World } from "./world.js";

/** How often a power loss looks for a write that it can tear, and how long it waits between two looks. */
const POWER_TRIES = 4_000;
const POWER_TRY_US = 50;
/** How long the leader and its only listener go on before that one is wiped, and what that one is given to come back. */
const AMBUSH_LAG_US = 150_000;
const AMBUSH_RETURN_US = 600_000;

/**
 * Does to a world what its plan says, as far as the world's promises allow it to be done: memory may be taken from fewer
 * than half of the nodes at a time, and the next one loses its own only when the last is whole again.
 */
export class Nemesis {
  /** Nodes whose memory was taken and that have not been seen whole since. */
  private readonly amnesiac = new Set<NodeId>();
  /** Nodes that have had a memory: before all have, a node that loses its own looks like one that never had any. */
  private readonly everWhole = new Set<NodeId>();
  private readonly random: Random;
  readonly done = new Map<string, number>();
  /** Nodes whose disk has failed or had no room: a process may give up over that. */
  private readonly spoiled = new Set<NodeId>();
  /** Nodes that lose their memory as soon as they next write. */
  private readonly failing = new Set<NodeId>();
  private storms = 0;
  /** Power losses of nodes that sync later, and had nothing to lose. */
  nothingUnsynced = 0;
  isOver = false;

  constructor(
    private readonly world: World,
    private readonly leader: () => Computer | null,
    /** Whether no keyspace counts on a node to be rebuilt. */
    private readonly isSettled: (node: NodeId) => boolean,
  ) {
    this.random = new Random(world.plan.seed).fork("nemesis");
  }

  begin(): void {
    for (const fault of this.world.plan.faults) {
      this.world.scheduler.after(fault.atUs, () => {
        if (!this.isOver && this.strike(fault)) this.done.set(fault.kind, (this.done.get(fault.kind) ?? 0) + 1);
      });
    }
  }

  /** A node that runs and is not recovering has its memory. */
  seenWhole(node: NodeId): void {
    const { disk } = this.world.computer(node).parts;
    if (!disk.willFail && !disk.hasFailed) this.failing.delete(node);
    this.amnesiac.delete(node);
    this.everWhole.add(node);
  }

  isWhole(node: NodeId): boolean {
    return this.everWhole.has(node) && !this.amnesiac.has(node) && !this.failing.has(node);
  }

  isAmnesiac(node: NodeId): boolean {
    return this.amnesiac.has(node);
  }

  mayLoseMemory(node: NodeId): boolean {
    return this.amnesiac.has(node) || this.failing.has(node);
  }

  /** Whether a fault has been done to the node that a process may give up over. */
  excuses(node: NodeId): boolean {
    return this.amnesiac.has(node) || this.spoiled.has(node);
  }

  /** Faults end and what they did is repaired; what was lost stays lost. */
  mend(): void {
    this.isOver = true;
    const { world } = this;
    world.network.heal();
    world.network.options = { ...world.network.options, lossPerMille: 0, duplicatePerMille: 0, slowPerMille: 0 };
    for (const computer of world.computers) {
      computer.resume();
      computer.stallDisk(0);
      this.setFull(computer, false);
      computer.parts.disk.clearFailures();
      computer.start();
    }
  }

  private strike(fault: Fault): boolean {
    const { world } = this;
    const computer = fault.nodes.length > 0 ? world.computer(fault.nodes[0]) : null;
    switch (fault.kind) {
      case "kill":
        return this.down(computer!, fault.forUs, (it) => it.kill());
      case "leader":
        return this.leaderDown(fault);
      case "power":
        return this.powerDown(computer!, fault.forUs, POWER_TRIES);
      case "blackout":
        for (const node of fault.nodes) {
          this.down(world.computer(node), fault.forUs + between(this.random, 0, 300_000), (it) => this.losePower(it));
        }
        return true;
      case "stop":
        computer!.stop();
        if (this.syncsLater(computer!)) this.rebootLater(computer!, fault.forUs + 400_000);
        this.startLater(computer!, fault.forUs + 500_000);
        return true;
      case "wipe":
        return this.takeMemory(computer!, fault, (it) => this.wipe(it));
      case "ambush":
        return this.ambush(computer!, fault);
      case "flip":
        return this.mayRot(computer!) && this.takeMemory(computer!, fault, (it) => this.flip(it, fault.amount));
      case "writeError":
        return this.writeError(computer!, fault);
      case "full":
        this.spoiled.add(computer!.number);
        this.setFull(computer!, true);
        world.scheduler.after(fault.forUs, () => this.setFull(computer!, false));
        return true;
      case "stall":
        return this.stall(fault);
      case "pause":
        computer!.pause(fault.forUs);
        return computer!.node !== null;
      case "cut":
      case "mute":
        return this.cut(fault);
      case "clog":
        world.network.clog(fault.nodes[0], fault.nodes[1], fault.forUs);
        return true;
      case "storm":
        return this.storm(fault);
      case "clock":
        computer!.parts.clock.jump(fault.amount);
        return true;
    }
  }

  private down(computer: Computer, forUs: number, how: (computer: Computer) => void): boolean {
    const ran = computer.node !== null;
    how(computer);
    this.startLater(computer, forUs);
    return ran;
  }

  /** As soon as a write is under way that can be torn, or after a while anyhow: a loss in between has nothing to tear. */
  private powerDown(computer: Computer, forUs: number, tries: number): boolean {
    if (tries === 0 || computer.node === null || computer.parts.disk.canTear) {
      return this.down(computer, forUs, (it) => this.losePower(it));
    }
    this.world.scheduler.after(POWER_TRY_US, () => {
      if (!this.isOver) this.powerDown(computer, forUs, tries - 1);
    });
    return true;
  }

  private writeError(computer: Computer, fault: Fault): boolean {
    const { number } = computer;
    const { disk } = computer.parts;
    if (!this.syncsLater(computer)) disk.failNext("sync", "EIO");
    else {
      // What it had promised and not synced goes with it.
      if (!this.mayTakeMemory(number)) return false;
      this.failing.add(number);
      disk.failNext(this.random.pick(["write", "fdatasync"]), "EIO");
    }
    this.spoiled.add(number);
    this.startLater(computer, fault.forUs + 500_000);
    return true;
  }

  private syncsLater({ number }: Computer): boolean {
    return this.world.plan.os.includes(number);
  }

  /** What is not synced when the power fails is memory: where none may be taken, the process alone dies. */
  private losePower(computer: Computer): void {
    if (!this.syncsLater(computer)) {
      computer.losePower();
    } else if (computer.node === null && !computer.hasUnsyncedNote) {
      computer.losePower();
      this.nothingUnsynced += 1;
    } else if (!this.mayTakeMemory(computer.number)) {
      computer.kill();
    } else {
      computer.losePower();
      if (computer.hasUnsyncedNote) this.amnesiac.add(computer.number);
    }
  }

  /** The machine is started anew after a clean stop, which has left nothing to lose. */
  private rebootLater(computer: Computer, forUs: number): void {
    this.world.scheduler.after(forUs, () => {
      if (!this.isOver && computer.node === null && !computer.hasUnsyncedNote) this.losePower(computer);
    });
  }

  /** No mark vouches for the last batch of one that syncs later: nobody could notice that it rots before the next start. */
  private mayRot(computer: Computer): boolean {
    return !computer.powerLost && !this.syncsLater(computer);
  }

  private leaderDown(fault: Fault): boolean {
    const computer = this.leader();
    return computer !== null && this.down(computer, fault.forUs, (it) => it.kill());
  }

  private stall(fault: Fault): boolean {
    const computer = this.leader();
    if (computer === null) return false;
    computer.stallDisk(fault.forUs);
    const { number } = computer;
    const others = this.world.computers.map((it) => it.number).filter((it) => it !== number);
    const forUs = Math.floor((fault.forUs * fault.amount) / 1_000);
    this.cut({ kind: "cut", atUs: fault.atUs, forUs, nodes: [number, ...others], amount: 1 });
    return true;
  }

  private startLater(computer: Computer, forUs: number): void {
    this.world.scheduler.after(forUs, () => {
      if (!this.isOver) computer.start();
    });
  }

  /** Whether one node more may lose its memory and a majority of those that vote still has its own. */
  private mayTakeMemory(node: NodeId): boolean {
    const { nodes } = this.world.plan;
    const lost = new Set([...this.amnesiac, ...this.failing]).add(node);
    for (const { number } of this.world.computers) if (!this.isSettled(number)) lost.add(number);
    const voters = Math.min(nodes, VOTERS_MAX);
    const votersLost = [...lost].filter((it) => it <= voters).length;
    return this.everWhole.size === nodes && votersLost * 2 < voters;
  }

  private takeMemory(computer: Computer, fault: Fault, how: (computer: Computer) => void): boolean {
    if (!this.mayTakeMemory(computer.number)) return false;
    this.amnesiac.add(computer.number);
    return this.down(computer, fault.forUs, (it) => {
      it.kill();
      how(it);
    });
  }

  private ambush(victim: Computer, fault: Fault): boolean {
    const leader = this.leader();
    if (leader === null || leader === victim || !this.mayTakeMemory(victim.number)) return false;
    const others = this.world.computers
      .map((it) => it.number)
      .filter((it) => it !== leader.number && it !== victim.number);
    const forUs = AMBUSH_LAG_US + fault.forUs + AMBUSH_RETURN_US;
    this.cut({ kind: "cut", atUs: fault.atUs, forUs, nodes: [leader.number, ...others], amount: 1 });
    this.world.scheduler.after(AMBUSH_LAG_US, () => {
      if (!this.isOver) this.takeMemory(victim, fault, (it) => this.wipe(it));
    });
    this.world.scheduler.after(forUs, () => {
      if (!this.isOver) this.down(leader, fault.amount * 1_000, (it) => it.kill());
    });
    return true;
  }

  private wipe({ parts }: Computer): void {
    for (const name of parts.disk.fileNames()) parts.disk.deleteFile(name);
    parts.store.loseFolder();
  }

  private flip(computer: Computer, bits: number): void {
    const { parts } = computer;
    computer.rotten = true;
    // One file of the log: were the last batch and the mark that vouches for it to rot at a time, nobody could tell.
    const files = parts.disk.perishable;
    const segments = files.filter((name) => segmentOfName(name) > 0);
    const name =
      files.length === 0 ? "" : this.random.pick(segments.length > 0 && this.random.chance(0.7) ? segments : files);
    for (let i = 0; i < bits; i += 1) {
      if (name !== "" && this.random.chance(0.7)) parts.disk.flipBit(name, this.random);
      else parts.store.flipBit();
    }
  }

  private setFull({ parts }: Computer, full: boolean): void {
    parts.disk.setCapacity(full ? 0 : Number.POSITIVE_INFINITY);
    parts.store.setDiskFull(full);
  }

  private cut(fault: Fault): boolean {
    const { network, scheduler } = this.world;
    const inside = fault.nodes.slice(0, fault.amount);
    const outside = fault.nodes.slice(fault.amount);
    for (const a of inside) {
      for (const b of outside) {
        network.cut(a, b);
        if (fault.kind === "cut") network.cut(b, a);
      }
    }
    scheduler.after(fault.forUs, () => {
      if (!this.isOver) network.heal();
    });
    return outside.length > 0;
  }

  private storm(fault: Fault): boolean {
    const { network, scheduler, plan } = this.world;
    const { amount } = fault;
    const bad = { lossPerMille: amount, duplicatePerMille: amount, slowPerMille: amount, reorder: true };
    network.options = { ...plan.network, ...bad };
    this.storms += 1;
    scheduler.after(fault.forUs, () => {
      this.storms -= 1;
      if (!this.isOver && this.storms === 0) network.options = plan.network;
    });
    return true;
  }
}

import { expect } from "vitest";
import { latin1Decode, latin1Encode } from "../../core/bytes.js";
import { getCommand, setCommand } from "../../kv/command.js";
import type { Request } from "../../kv/request.js";
import { type Result, ResultKind } from "../../kv/result.js";
import { IDENTITY_FILE, Identity } from "../../node/identity.js";
import { GamutNode } from "../../node/node.js";
import { type Durability, NODE_DEFAULTS } from "../../node/options.js";
import type { Ports } from "../../node/ports.js";
import type { Computer } from "../computer.js";
import { planOf } from "../plan.js";
import { World, type WorldObserver } from "../world.js";

export const SECOND_US = 1_000_000;
const QUIET_US = 2 * SECOND_US;

/** One node with durability `os` on a simulated computer. */
export class LoneNode implements WorldObserver {
  readonly world: World;
  readonly notices: string[] = [];
  /** Why it did not start. */
  readonly problems: string[] = [];
  readonly ends: (readonly [reason: string, rebuild: boolean])[] = [];
  unsyncedWrites = 0;
  durability: Durability = "os";
  knowsBoot = true;

  constructor(seed = 1) {
    this.world = new World({ ...planOf(seed, "raft"), nodes: 1 }, this);
    this.computer.parts.disk.callLog = (call) => {
      if (!call.startsWith("write log-0")) return;
      this.unsyncedWrites += 1;
      expect(this.identity.unsyncedBoot).not.toBe("");
    };
    this.start();
  }

  /** With x = 1, and the note that not all is synced. */
  static withNote(seed?: number): LoneNode {
    const lone = new LoneNode(seed);
    lone.set("x", "1");
    lone.noted();
    return lone;
  }

  get computer(): Computer {
    return this.world.computers[0];
  }

  get identity(): Identity {
    return Identity.decode(this.computer.parts.disk.contents(IDENTITY_FILE));
  }

  makeNode(computer: Computer, ports: Ports): GamutNode {
    return new GamutNode(
      {
        ...NODE_DEFAULTS,
        node: 1,
        members: [{ node: 1, peerAddress: "sim1:1", clientAddress: "sim1:2" }],
        buildVersion: "sim",
        tickMs: this.world.plan.node.tickMs,
        quietTicks: QUIET_US / 1_000 / this.world.plan.node.tickMs,
        durability: this.durability,
        bootId: this.knowsBoot ? `boot ${computer.boots}` : "",
      },
      ports,
      {
        identityChanged: () => {},
        notice: (message) => this.notices.push(message),
        fatal: (reason, rebuild) => this.ends.push([reason, rebuild]),
      },
    );
  }

  turned(): void {}
  started(): void {}
  ended(): void {}

  notStarted(_computer: Computer, problem: string): void {
    this.problems.push(problem);
  }

  start(): void {
    this.computer.start();
    this.until(() => this.computer.state === "running");
  }

  restart(how: "kill" | "losePower"): void {
    this.computer[how]();
    this.start();
  }

  until(holds: () => boolean): void {
    const held = this.world.runUntilHolds(10 * SECOND_US, 1_000, holds);
    expect(this.world.violation).toBeNull();
    expect(held, "it comes to that").toBe(true);
  }

  private ask(command: ReturnType<typeof getCommand>): Result {
    let answer: Result | null = null;
    const session = this.computer.node!.openSession({ name: "test" });
    const sink = {
      reply: (_request: Request, result: Result): void => {
        answer = result;
      },
    };
    this.computer.guard(() => session.submit(command, sink, 1));
    this.until(() => answer !== null);
    return answer!;
  }

  set(key: string, value: string): void {
    this.until(() => this.ask(setCommand(key, latin1Encode(value))).kind !== ResultKind.error);
  }

  get(key: string): string {
    let found = "";
    this.until(() => {
      const result = this.ask(getCommand(key));
      if (result.kind === ResultKind.value) found = latin1Decode(result.value);
      return result.kind !== ResultKind.error;
    });
    return found;
  }

  noted(): void {
    this.until(() => this.identity.unsyncedBoot !== "");
    // The log does what the note allows.
    this.world.runFor(SECOND_US / 10);
  }
}

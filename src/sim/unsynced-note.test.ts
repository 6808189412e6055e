/** One node with durability `os` on a simulated computer: what its folder says of what a crash of the machine may take. */
import { expect, test } from "vitest";
import { latin1Decode, latin1Encode } from "../core/bytes.js";
import { getCommand, setCommand } from "../kv/command.js";
import type { Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { IDENTITY_FILE, Identity } from "../node/identity.js";
import { GamutNode } from "../node/node.js";
import { type Durability, NODE_DEFAULTS } from "../node/options.js";
import type { Ports } from "../node/ports.js";
import type { Computer } from "./computer.js";
import { planOf } from "./plan.js";
import { World, type WorldObserver } from "./world.js";

const SECOND_US = 1_000_000;
const QUIET_US = 2 * SECOND_US;

class Lone implements WorldObserver {
  readonly world: World;
  readonly notices: string[] = [];
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
    throw new Error(problem);
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

test("the note is durable before anything is stored without a sync, however long it takes", () => {
  const lone = new Lone();
  lone.set("x", "1");
  lone.noted();
  lone.until(() => lone.identity.unsyncedBoot === "");
  const { disk } = lone.computer.parts;
  const replace = disk.replace.bind(disk);
  disk.replace = (name, bytes, done) => {
    lone.world.scheduler.after(SECOND_US / 3, () => replace(name, bytes, done));
  };
  const before = lone.unsyncedWrites;
  let sets = 0;
  for (; lone.unsyncedWrites === before; sets += 1) lone.set("x", `${sets}`);
  expect(sets).toBeGreaterThan(5);
  expect(lone.identity.unsyncedBoot).toBe("boot 1");
});

test("a killed process comes back as the one that it was, with all that it had stored", () => {
  const lone = new Lone();
  lone.set("x", "1");
  lone.noted();
  lone.set("x", "2");
  const { incarnation } = lone.identity;
  lone.restart("kill");
  expect(lone.get("x")).toBe("2");
  expect(lone.identity).toMatchObject({ incarnation, recovering: false, unsyncedBoot: "boot 1" });
  expect(lone.notices).toEqual([]);
});

test("after a crash of the machine it is another one, which has lost its memory", () => {
  const lone = new Lone();
  lone.set("x", "1");
  lone.noted();
  const { incarnation } = lone.identity;
  lone.restart("losePower");
  expect(lone.identity.incarnation).toBeGreaterThan(incarnation);
  expect(lone.identity).toMatchObject({ recovering: true, damage: "", unsyncedBoot: "" });
  expect(lone.notices).toEqual([
    "the machine has been started anew since this node had promised what was not synced yet (durability os). " +
      "The old data are set aside; this replica is rebuilt from its peers",
  ]);
});

test("a quiet node takes the note back, and a crash of the machine costs it nothing", () => {
  const lone = new Lone();
  lone.set("x", "1");
  lone.noted();
  lone.set("x", "2");
  lone.until(() => lone.identity.unsyncedBoot === "");
  const { incarnation } = lone.identity;
  lone.restart("losePower");
  expect(lone.get("x")).toBe("2");
  expect(lone.identity.incarnation).toBe(incarnation);
  expect(lone.notices).toEqual([]);
  lone.set("x", "3");
  lone.noted();
  expect(lone.identity.unsyncedBoot).toBe("boot 2");
});

test("a clean stop takes the note back; a crash of the machine after it costs nothing", () => {
  const lone = new Lone();
  lone.set("x", "1");
  lone.noted();
  lone.set("x", "2");
  const { incarnation } = lone.identity;
  lone.computer.stop();
  lone.until(() => lone.computer.state === "off");
  expect(lone.identity.unsyncedBoot).toBe("");
  lone.restart("losePower");
  expect(lone.get("x")).toBe("2");
  expect(lone.identity.incarnation).toBe(incarnation);
});

test("a stop waits for a slow sync, and the note stays until it has returned", () => {
  const lone = new Lone();
  lone.set("x", "1");
  lone.noted();
  const { disk } = lone.computer.parts;
  const sync = disk.sync.bind(disk);
  let synced = 0;
  disk.sync = (name, done) => {
    lone.world.scheduler.after(SECOND_US, () =>
      sync(name, (error) => {
        synced = lone.world.scheduler.nowUs;
        done(error);
      }),
    );
  };
  lone.set("x", "2");
  lone.computer.stop();
  lone.until(() => lone.identity.unsyncedBoot === "");
  expect(synced).toBeGreaterThan(0);
  lone.until(() => lone.computer.state === "off");
  lone.restart("losePower");
  expect(lone.get("x")).toBe("2");
});

test("with sync from the next start on, the note goes as soon as all is synced, and nothing is lost", () => {
  const lone = new Lone();
  lone.set("x", "1");
  lone.noted();
  lone.set("x", "2");
  lone.durability = "sync";
  lone.restart("kill");
  lone.until(() => lone.identity.unsyncedBoot === "");
  lone.set("y", "3");
  lone.restart("losePower");
  expect([lone.get("x"), lone.get("y"), lone.identity.unsyncedBoot]).toEqual(["2", "3", ""]);
  // The setting does not matter for what the folder says.
  lone.durability = "os";
  lone.restart("kill");
  lone.set("x", "4");
  lone.noted();
  lone.durability = "sync";
  lone.restart("losePower");
  expect(lone.notices[0]).toContain("the machine has been started anew");
});

test("where no boot can be told from the next, a killed process counts as a crashed machine", () => {
  const lone = new Lone();
  lone.knowsBoot = false;
  lone.restart("kill");
  lone.set("x", "1");
  lone.noted();
  expect(lone.identity.unsyncedBoot).toBe("unknown");
  lone.restart("kill");
  expect(lone.notices[0]).toContain("this system does not tell whether the machine has crashed since");
  expect(lone.identity.recovering).toBe(true);
});

test.each(["write", "fdatasync"] as const)(
  "a failed %s ends the node, and what it had stored is not believed",
  (kind) => {
    const lone = new Lone();
    lone.set("x", "1");
    lone.noted();
    const { incarnation } = lone.identity;
    lone.computer.parts.disk.failNext(kind, "EIO");
    lone.computer.guard(() =>
      lone.computer
        .node!.openSession({ name: "test" })
        .submit(setCommand("x", latin1Encode("2")), { reply: () => {} }, 1),
    );
    lone.until(() => lone.ends.length > 0);
    const [reason, rebuild] = lone.ends[0];
    expect(reason).toMatch(/the log cannot be written: .*, and promises had not been synced. Check the disk/);
    expect(rebuild).toBe(false);
    lone.restart("kill");
    expect(lone.identity.incarnation).toBeGreaterThan(incarnation);
    expect(lone.notices[0]).toContain("The old data are set aside");
  },
);

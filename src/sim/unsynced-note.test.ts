/** One node with durability `os` on a simulated computer: what its folder says of what a crash of the machine may take. */
import { expect, test } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import { setCommand } from "../kv/command.js";
import { LoneNode, SECOND_US } from "./testing/lone-node.js";

test("the note is durable before anything is stored without a sync, however long it takes", () => {
  const lone = LoneNode.withNote();
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
  const lone = LoneNode.withNote();
  lone.set("x", "2");
  const { incarnation } = lone.identity;
  lone.restart("kill");
  expect(lone.get("x")).toBe("2");
  expect(lone.identity).toMatchObject({ incarnation, recovering: false, unsyncedBoot: "boot 1" });
  expect(lone.notices).toEqual([]);
});

test("after a crash of the machine it is another one, which has lost its memory", () => {
  const lone = LoneNode.withNote();
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
  const lone = LoneNode.withNote();
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
  const lone = LoneNode.withNote();
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
  const lone = LoneNode.withNote();
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
  const lone = LoneNode.withNote();
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
  const lone = new LoneNode();
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
    const lone = LoneNode.withNote();
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

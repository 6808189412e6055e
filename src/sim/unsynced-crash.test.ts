/** Durability `os` where the disk fails at the worst moment: nothing that was answered is lost in silence. */
import { expect, test } from "vitest";
import { IDENTITY_FILE, Identity } from "../node/identity.js";
import { LoneNode, SECOND_US } from "./testing/lone-node.js";

/** kill -9 between the rename of the identity file and the fsync of its folder; later the power fails. */
test.each([1, 2, 3, 4, 5, 6])("a note whose name was not durable yet when the process was killed (seed %s)", (seed) => {
  const lone = LoneNode.withNote(seed);
  lone.until(() => lone.identity.unsyncedBoot === "");
  const { disk } = lone.computer.parts;
  const { incarnation } = lone.identity;
  const realReplace = disk.replace.bind(disk);
  let old: Uint8Array | null = null;
  let durable = true;
  // The rename is visible at once; the fsync of the folder never returns before the process is killed.
  disk.replace = (name, bytes, done) => {
    if (old === null && Identity.decode(bytes).unsyncedBoot !== "") {
      old = disk.contents(name);
      durable = false;
      realReplace(name, bytes, () => {});
      return;
    }
    durable = true;
    realReplace(name, bytes, done);
  };
  lone.set("x", "2");
  lone.until(() => old !== null && lone.identity.unsyncedBoot !== "");
  lone.restart("kill");
  lone.set("x", "3");
  lone.set("x", "4");
  expect(lone.get("x")).toBe("4");
  // The power fails before the folder was ever synced: the old name's file is back.
  lone.computer.losePower();
  if (!durable) {
    disk.replace = realReplace;
    disk.deleteFile(IDENTITY_FILE);
    realReplace(IDENTITY_FILE, old!, () => {});
    lone.world.runFor(SECOND_US / 10);
  }
  lone.start();
  expect(lone.identity.unsyncedBoot).toBe("");
  const lost = lone.identity.incarnation > incarnation;
  if (!lost) expect(lone.get("x")).toBe("4");
});

test.each([1, 2, 3, 4, 5, 6])(
  "fdatasync fails, and so does the note of the damage: the disk is dead for a moment (seed %s)",
  (seed) => {
    const lone = LoneNode.withNote(seed);
    const { incarnation } = lone.identity;
    const { disk } = lone.computer.parts;
    disk.failNext("fdatasync", "EIO");
    disk.failNext("replace", "EIO");
    lone.set("x", "2");
    lone.set("x", "3");
    expect(lone.get("x")).toBe("3");
    lone.until(() => lone.ends.length > 0);
    lone.restart("kill");
    const lost = lone.identity.incarnation > incarnation;
    if (!lost) expect(lone.get("x")).toBe("3");
  },
);

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
  "recovery writes again what was not synced, and that fails (seed %s)",
  (seed) => {
    const lone = LoneNode.withNote(seed);
    const { incarnation } = lone.identity;
    const { disk } = lone.computer.parts;
    lone.set("x", "2");
    lone.set("x", "3");
    lone.computer.kill();
    const realWrite = disk.write.bind(disk);
    let failed = false;
    disk.write = (name, offset, bytes, sync, done) => {
      if (failed || !name.startsWith("log-0")) return realWrite(name, offset, bytes, sync, done);
      failed = true;
      disk.failNext("sync", "EIO");
      const it = disk as unknown as { fileOf(n: string): { losePower(r: unknown): void }; random: unknown };
      realWrite(name, offset, bytes, sync, (error) => {
        // The kernel takes what it could not write for written, and drops it.
        it.fileOf(name).losePower(it.random);
        done(error);
      });
    };
    lone.computer.start();
    lone.until(() => lone.problems.length > 0);
    disk.write = realWrite;
    lone.restart("kill");
    const lost = lone.identity.incarnation > incarnation;
    if (!lost) expect(lone.get("x")).toBe("3");
  },
);

test("a full disk: the node goes on, for reads", () => {
  const lone = LoneNode.withNote();
  const { disk } = lone.computer.parts;
  let used = 0;
  for (const name of disk.fileNames()) used += disk.contents(name).length;
  disk.setCapacity(used);
  lone.world.runFor(4 * SECOND_US);
  expect(lone.ends).toEqual([]);
  expect(lone.get("x")).toBe("1");
});

test("a full disk: the note cannot be written", () => {
  const lone = LoneNode.withNote();
  lone.until(() => lone.identity.unsyncedBoot === "");
  const { disk } = lone.computer.parts;
  let used = 0;
  for (const name of disk.fileNames()) used += disk.contents(name).length;
  disk.setCapacity(used);
  lone.set("x", "2");
  lone.world.runFor(SECOND_US);
  expect(lone.ends).toEqual([]);
  expect(lone.get("x")).toBe("2");
});

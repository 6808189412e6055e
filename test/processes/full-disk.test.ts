/** The disk of one node, and of all nodes, is full: writes are refused, reads go on, writes resume. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Address } from "../../src/cli/address.js";
import { Client } from "../../src/cli/client.js";
import { ReplyError } from "../../src/cli/reply-reader.js";
import { VALUE_BYTES, writeMebibytes } from "./bulk.js";
import { withCluster } from "./cluster.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import { sleep, until } from "./wait.js";

/** Two segments of the log, a third on its way, the state, and its next version. */
const DISK_MEBIBYTES = 112;
const NO_ROOM = /The disk gives no room for the next/;

const root = mkdtempSync(join(tmpdir(), "gamut-disks-"));
const mounted: string[] = [];
let cannotMount = "";

beforeAll(() => {
  for (const node of [1, 2, 3]) {
    const folder = diskOf(node);
    mkdirSync(folder);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MEBIBYTES}m`, "tmpfs", folder], { stdio: "pipe" });
      mounted.push(folder);
    } catch (error) {
      cannotMount = `a small file system cannot be mounted here: ${(error as Error).message.trim()}`;
    }
  }
});

afterAll(() => {
  for (const folder of mounted) execFileSync("umount", ["-l", folder]);
  rmSync(root, { recursive: true, force: true });
});

function diskOf(node: number): string {
  return join(root, `disk-${node}`);
}

function dataOn(node: number): string {
  return join(diskOf(node), `data-${process.pid}`);
}

/** Takes all room that the disk has. */
function fill(node: number): void {
  const file = openSync(join(diskOf(node), "filler"), "w");
  const piece = new Uint8Array(64 * 1024);
  try {
    for (;;) writeSync(file, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(file);
  }
}

function makeRoom(node: number): void {
  rmSync(join(diskOf(node), "filler"));
}

/** Of a value that was written in bulk; the error's code if it cannot be told. */
async function readLength(address: Address): Promise<number | string> {
  const client = await Client.connectTo(address, 10_000);
  const reply = await client.call(["STRLEN", "bulk:0"]);
  client.close();
  return reply instanceof ReplyError ? reply.code : Number(reply);
}

it("one node's disk is full: the others go on, and it joins them again", { timeout: 90_000 }, async (context) => {
  context.skip(cannotMount !== "", cannotMount);
  await withCluster({ dataDir: dataOn }, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    // The leader's: it must hand over.
    const full = await cluster.leader();
    fill(full.node);
    const other = cluster.others(full)[0];
    const beganMs = load.journal.nowMs;
    const refused = await writeMebibytes(other.address, 40);
    expect(refused).toBeNull();
    await full.says(NO_ROOM, 10_000);
    expect(load.journal.silenceMs(beganMs)).toBeLessThan(5_000);
    makeRoom(full.node);
    await full.says(/the disk has room again/, 10_000);
    await judge(cluster, load);
  });
  for (const node of [1, 2, 3]) rmSync(dataOn(node), { recursive: true });
});

it("all disks are full: writes are refused by name, reads go on, writes resume", {
  timeout: 90_000,
}, async (context) => {
  context.skip(cannotMount !== "", cannotMount);
  await withCluster({ dataDir: dataOn }, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    await sleep(500);
    for (const { node } of cluster.members) fill(node);
    const refused = await writeMebibytes(cluster.member(1).address, 80);
    expect(refused?.code).toBe("disk_full");
    expect(refused?.definite).toBe(true);
    for (const member of cluster.members) await member.says(NO_ROOM, 10_000);
    const lengths = await Promise.all(cluster.members.map((member) => readLength(member.address)));
    expect(lengths).toEqual([VALUE_BYTES, VALUE_BYTES, VALUE_BYTES]);
    for (const { node } of cluster.members) makeRoom(node);
    for (const member of cluster.members) await member.says(/the disk has room again/, 10_000);
    // The leader hears of the others' room with their next answers.
    await until("writes resume", 2_000, async () => (await writeMebibytes(cluster.member(2).address, 1)) === null);
    expect(load.refusals.get("disk_full")).toBeGreaterThan(0);
    await judge(cluster, load);
  });
});

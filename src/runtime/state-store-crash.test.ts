import "./fast-bytes.js";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GroupStore } from "../node/ports.js";
import { BufferedState } from "../node/state/buffered-state.js";
import { StateDamaged } from "../node/state/state-damaged.js";
import { damageOf, rangeOf } from "../node/testing/state-twin.js";
import { told, toldValue } from "../node/testing/store-world.js";
import { builtFile } from "./built-file.js";
import { LmdbStateStore } from "./state-store.js";
import { openEnvironment, openLatin1Database, sideDatabase } from "./state-store-environment.js";
import { StateHalfDone } from "./state-store-group.js";
import { buildScripts } from "./testing/built-scripts.js";

/** Lets a child commit, kills it with SIGKILL some ms after its first word, answers the last position that it told. */
function commitUntilKilled(folder: string, keyCount: number, killAfterMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [builtFile("testing/committing-child"), folder, String(keyCount)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (output === "") setTimeout(() => child.kill("SIGKILL"), killAfterMs);
      output += text;
    });
    child.on("close", (code, signal) => {
      if (signal === "SIGKILL") resolve(Number(output.trim().split("\n").at(-1)));
      else reject(new Error(`the child ended by itself with ${code ?? signal}`));
    });
  });
}

/** How many entries the two sides of group 1 hold, the emptier first. */
function sideCounts(folder: string): number[] {
  const root = openEnvironment(folder, { mapBytes: 2 ** 30, groupsMax: 4, readOnly: true });
  const counts = ([0, 1] as const).map(
    (side) => [...openLatin1Database(root, sideDatabase(1, side)).getKeys({ start: "" })].length,
  );
  void root.close();
  return counts.sort((a, b) => a - b);
}

function isHalfDone(folder: string): boolean {
  const store = LmdbStateStore.openToRead(folder);
  const halfDone = store.isHalfDone(1);
  store.close(() => {});
  return halfDone;
}

describe("kill -9 during commits", () => {
  let folder: string;
  beforeEach(async () => {
    await buildScripts();
    folder = mkdtempSync(join(tmpdir(), "gamut-state-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Kills the child so many ms after its first word, and looks at what it left. Answers whether a redo file was there. */
  async function killOnce(keyCount: number, killAfterMs: number): Promise<boolean> {
    const toldPosition = await commitUntilKilled(folder, keyCount, killAfterMs);
    const wasHalfDone = isHalfDone(folder);
    const store = LmdbStateStore.open(folder);
    const group = (await toldValue<GroupStore | null>((done) => store.open(1, done))) as GroupStore;
    const state = new BufferedState(1, group);
    const position = state.lastCheckpoint?.position ?? 0;
    expect(position).toBeGreaterThanOrEqual(toldPosition);
    expect(damageOf(state, 10_000)).toBeNull();
    const content = rangeOf(state, "\x00", "\xff");
    expect(content.length).toBe(keyCount);
    expect(new Set(content.map(([, value]) => value))).toEqual(new Set([String(position)]));
    await told((done) => store.close(done));
    expect(sideCounts(folder)).toEqual([0, keyCount]);
    expect(readdirSync(folder).filter((name) => name.startsWith("redo"))).toEqual([]);
    return wasHalfDone;
  }

  it("leaves the last durable checkpoint whole, and nothing of a half-filled replacement", async () => {
    for (const killAfterMs of [0, 13, 40, 77, 150, 201]) await killOnce(200, killAfterMs);
  });

  it("between the transactions of a large checkpoint leaves one that the next start ends", async () => {
    let halfDone = 0;
    for (let i = 0; i < 40 && halfDone < 3; i += 1) halfDone += (await killOnce(30_000, 37 * i)) ? 1 : 0;
    expect(halfDone).toBe(3);
  });

  it("and a damage to the redo file then leaves a state that is known to be damaged", async () => {
    let tries = 0;
    do {
      tries += 1;
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      await commitUntilKilled(folder, 30_000, 61 * tries);
    } while (!isHalfDone(folder) && tries < 40);
    expect(isHalfDone(folder)).toBe(true);
    // Beside the node, or without it, nobody takes the middle of a checkpoint for a state.
    const beside = LmdbStateStore.openToRead(folder);
    expect(() => beside.read(1).openReader()).toThrow(StateHalfDone);
    await told((done) => beside.close(done));
    const redo = join(folder, "redo-1");
    const bytes = readFileSync(redo);
    bytes[bytes.length >> 1] ^= 4;
    writeFileSync(redo, bytes);
    const store = LmdbStateStore.open(folder);
    const group = (await toldValue<GroupStore | null>((done) => store.open(1, done))) as GroupStore;
    expect(() => new BufferedState(1, group)).toThrow(StateDamaged);
    await told((done) => store.close(done));
  });
});

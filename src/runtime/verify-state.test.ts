import "./fast-bytes.js";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import type { GroupStore } from "../node/ports.js";
import { BufferedState } from "../node/state/buffered-state.js";
import { checkpoint } from "../node/testing/state-twin.js";
import { told, toldValue } from "../node/testing/store-world.js";
import { LmdbStateStore } from "./state-store.js";
import { buildScripts } from "./testing/built-scripts.js";
import { type FolderVerdict, type VerifyOptions, verifyStateInChild } from "./verify-state.js";

const MARK = "a value that is nowhere else";

function verify(folder: string, options: VerifyOptions = {}): Promise<FolderVerdict> {
  return new Promise((resolve) => {
    verifyStateInChild(folder, options, resolve);
  });
}

describe("verifying the states in a folder by a child process", () => {
  let root: string;
  let sound: string;
  let copies = 0;

  beforeAll(async () => {
    await buildScripts();
    root = mkdtempSync(join(tmpdir(), "gamut-state-"));
    sound = join(root, "sound");
    mkdirSync(sound);
    const store = LmdbStateStore.open(sound);
    for (const group of [1, 2]) {
      const map = (await toldValue<GroupStore | null>((done) => store.open(group, done))) as GroupStore;
      const state = new BufferedState(group, map);
      for (let i = 0; i < 3_000; i += 1) state.put(`key ${i}`, latin1Encode(`value ${i} of group ${group}`));
      if (group === 2) state.put("marked", latin1Encode(MARK));
      await checkpoint(state, 10 * group);
    }
    await told((done) => store.close(done));
  });
  beforeEach(() => buildScripts());
  afterAll(() => rmSync(root, { recursive: true }));

  /** A copy of the sound folder whose data file was changed. */
  function damaged(change: (data: Buffer) => void): string {
    copies += 1;
    const folder = join(root, `copy${copies}`);
    mkdirSync(folder);
    copyFileSync(join(sound, "data.mdb"), join(folder, "data.mdb"));
    const data = readFileSync(join(folder, "data.mdb"));
    change(data);
    writeFileSync(join(folder, "data.mdb"), data);
    return folder;
  }

  it("finds a sound folder sound, also while a node has it open", async () => {
    const store = LmdbStateStore.open(sound);
    const verdict = await verify(sound);
    await told((done) => store.close(done));
    expect(verdict).toMatchObject({ outcome: "sound", reason: "" });
    expect(verdict.verdicts).toEqual([
      { group: 1, damage: null, entryCount: 3_000, position: 10 },
      { group: 2, damage: null, entryCount: 3_001, position: 20 },
    ]);
  });

  it("finds any flipped bit of a stored value, and names group and key", async () => {
    const random = new Random(5);
    for (let i = 0; i < 6; i += 1) {
      const byte = random.below(MARK.length);
      const folder = damaged((data) => {
        for (let at = data.indexOf(MARK); at !== -1; at = data.indexOf(MARK, at + 1)) {
          data[at + byte] ^= 1 << random.below(8);
        }
      });
      const verdict = await verify(folder);
      expect(verdict.outcome).toBe("damaged");
      expect(verdict.reason).toMatch(/group 2 is damaged at key "marked": the checksum/);
    }
  });

  it("never calls a folder sound in which pages were overwritten, even if reading them kills the child", async () => {
    const random = new Random(8);
    const outcomes = new Set<string>();
    for (let i = 0; i < 12; i += 1) {
      const folder = damaged((data) => {
        // Behind the two meta pages: whole pages of noise, so that some of them are in use.
        for (let at = 2 * 8_192; at < data.length; at += 8_192) {
          if (random.chance(0.3)) data.fill(random.u32() & 0xff, at + random.below(64), at + 8_192);
        }
      });
      const verdict = await verify(folder);
      outcomes.add(verdict.outcome);
    }
    expect(outcomes).toEqual(new Set(["damaged"]));
  });

  it("leaves no reader behind that keeps pages from being reused, however the check ends", async () => {
    const folder = damaged(() => {});
    const store = LmdbStateStore.open(folder);
    const map = (await toldValue<GroupStore | null>((done) => store.open(1, done))) as GroupStore;
    const state = new BufferedState(1, map);
    for (let i = 0; i < 60_000; i += 1) state.put(`key ${i}`, latin1Encode("v".repeat(100)));
    await checkpoint(state, 11);
    const outcomes: string[] = [];
    for (const timeoutMs of [60, 90, 120, 150, 180]) outcomes.push((await verify(folder, { timeoutMs })).outcome);
    expect(outcomes).toContain("unknown");
    const sizes: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      for (let i = 0; i < 2_000; i += 1) state.put(`key ${i}`, latin1Encode("w".repeat(100)));
      await checkpoint(state, 12 + round);
      sizes.push(statSync(join(folder, "data.mdb")).size);
    }
    await told((done) => store.close(done));
    expect(sizes[11]).toBe(sizes[4]);
  });

  it("does not know what it cannot look at: neither sound nor lost", async () => {
    expect(await verify(join(root, "nowhere"))).toMatchObject({
      outcome: "unknown",
      reason: `there is no state in ${join(root, "nowhere")}`,
    });
    expect(existsSync(join(root, "nowhere"))).toBe(false);
    const late = await verify(sound, { timeoutMs: 1 });
    expect(late).toMatchObject({ outcome: "unknown", reason: "the check was not done after 1 ms" });
    const verdict = await new Promise<FolderVerdict>((resolve) => {
      const stop = verifyStateInChild(sound, {}, resolve);
      stop();
    });
    expect(verdict).toMatchObject({ outcome: "unknown", reason: "the check was stopped" });
  });
});

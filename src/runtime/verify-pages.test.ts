import "./fast-bytes.js";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import type { GroupStore } from "../node/ports.js";
import { BufferedState } from "../node/state/buffered-state.js";
import { type StateVerdict, verifyGroup } from "../node/state/verify-group.js";
import { checkpoint } from "../node/testing/state-twin.js";
import { told, toldValue } from "../node/testing/store-world.js";
import { LmdbStateStore } from "./state-store.js";
import { buildScripts } from "./testing/built-scripts.js";
import { verifyPages } from "./verify-pages.js";

const PAGE_BYTES = 8_192;
const GROUP = 3;

function verifySlowly(store: LmdbStateStore): StateVerdict {
  const steps = verifyGroup(GROUP, store.read(GROUP), 1_000);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

describe("a check of a state's pages", () => {
  let root: string;
  let sound: string;
  let copies = 0;

  /** The verdicts on a copy of the sound folder whose file was changed. The slow one only where the fast one is clear. */
  async function verdictsOn(
    change: (data: Buffer) => void,
  ): Promise<{ fast: StateVerdict | null; slow: string | null }> {
    copies += 1;
    const folder = join(root, `copy-${copies}`);
    cpSync(sound, folder, { recursive: true });
    const file = join(folder, "data.mdb");
    const data = readFileSync(file);
    change(data);
    writeFileSync(file, data);
    const store = LmdbStateStore.openToRead(folder);
    const fast = verifyPages(folder, store, GROUP);
    const slow = fast === null ? null : verifySlowly(store).damage;
    await told((done) => store.close(done));
    rmSync(folder, { recursive: true });
    return { fast, slow };
  }

  /** Where the pages of branches begin that are in use: all those whose head says so, of the group's newest tree. */
  function branchesOf(data: Buffer): number[] {
    const branches: number[] = [];
    for (let at = 2 * PAGE_BYTES; at < data.length; at += PAGE_BYTES) {
      if (data.readUInt16LE(at + 18) === 1 && data.readUInt32LE(at) === at / PAGE_BYTES) branches.push(at);
    }
    return branches;
  }

  beforeAll(async () => {
    await buildScripts();
    root = mkdtempSync(join(tmpdir(), "gamut-pages-"));
    sound = join(root, "sound");
    const store = LmdbStateStore.open(sound);
    const map = (await toldValue<GroupStore | null>((done) => store.open(GROUP, done))) as GroupStore;
    const state = new BufferedState(GROUP, map);
    const random = new Random(4);
    for (let round = 1; round <= 4; round += 1) {
      for (let i = 0; i < 9_000; i += 1) {
        const key = `${"de"[random.below(2)]}${"long".repeat(random.below(12))}${random.below(20_000)}`;
        if (random.chance(0.2)) state.delete(key);
        else state.put(key, latin1Encode("v".repeat(random.below(random.chance(0.01) ? 30_000 : 120))));
      }
      await checkpoint(state, round);
    }
    await told((done) => store.close(done));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it("finds a sound state sound, with the entries and the position that LMDB shows", async () => {
    const store = LmdbStateStore.openToRead(sound);
    const fast = verifyPages(sound, store, GROUP);
    expect(fast?.entryCount).toBeGreaterThan(15_000);
    expect(fast).toEqual(verifySlowly(store));
    await told((done) => store.close(done));
  });

  it("never finds a state sound whose branches lead a search astray", async () => {
    const random = new Random(9);
    const branches = branchesOf(readFileSync(join(sound, "data.mdb")));
    expect(branches.length).toBeGreaterThan(3);
    let unclear = 0;
    for (let i = 0; i < 50; i += 1) {
      const { fast, slow } = await verdictsOn((data) => {
        const page = branches[random.below(branches.length)];
        const nodes = data.readUInt16LE(page + 20) >> 1;
        const node = page + 24 + data.readUInt16LE(page + 24 + 2 * random.below(nodes));
        const key = data.readUInt16LE(node + 6);
        data[node + random.below(8 + key)] ^= 1 << random.below(8);
      });
      if (fast === null) unclear += 1;
      else expect(slow).toBeNull();
    }
    expect(unclear).toBeGreaterThan(10);
  });

  it("never finds a state sound in which any bit of an entry has changed", async () => {
    const random = new Random(10);
    const data = readFileSync(join(sound, "data.mdb"));
    const leaves: number[] = [];
    for (let at = 2 * PAGE_BYTES; at < data.length; at += PAGE_BYTES) {
      if (data.readUInt16LE(at + 18) === 2) leaves.push(at);
    }
    let unclear = 0;
    for (let i = 0; i < 50; i += 1) {
      const { fast, slow } = await verdictsOn((changed) => {
        changed[leaves[random.below(leaves.length)] + random.below(PAGE_BYTES)] ^= 1 << random.below(8);
      });
      if (fast === null) unclear += 1;
      else expect(slow).toBeNull();
    }
    expect(unclear).toBeGreaterThan(5);
  });
});

/** Lists in both directions, on three real nodes: from memory, and from what their checkpoints have left on the disk. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Client as RespClient } from "../../src/cli/client.js";
import { connect, type Gamut, type ListOptions, ok, text } from "../../src/client/index.js";
import { Random } from "../../src/core/random.js";
import { Cluster } from "../processes/cluster.js";
import { until } from "../processes/wait.js";

const WAIT_MS_MAX = 30_000;
const DAY_MS = 86_400_000;

type Range = { readonly prefix: string } | { readonly start: string; readonly end: string };
type Records = [string, string][];

let cluster: Cluster;
let gamut: Gamut<string>;

beforeAll(async () => {
  cluster = await Cluster.start();
  gamut = connect(
    cluster.members.map((member) => `127.0.0.1:${member.clientPort}`),
    { values: text, timeoutMs: 20_000 },
  );
}, 60_000);
afterAll(async () => {
  gamut.close();
  await cluster.close();
});

async function make(keyspace: string, protocol: string): Promise<Gamut<string>> {
  const raw = await RespClient.connectTo(cluster.member(1).address, 10_000);
  await raw.demand(["GAMUT", "KEYSPACE", "CREATE", keyspace, "PROTOCOL", protocol]);
  raw.close();
  return gamut.keyspace(keyspace).session();
}

/** Of one list, or of several that each go on at the cursor of the one before. */
async function recordsOf(from: Gamut<string>, range: Range, options: ListOptions, limit: number): Promise<Records> {
  const records: Records = [];
  let cursor: string | undefined;
  while (cursor !== "") {
    const list = from.list(range, { ...options, ...(limit > 0 && { limit }), ...(cursor !== undefined && { cursor }) });
    for await (const { key, value } of list) records.push([key, value]);
    ({ cursor } = list);
  }
  return records;
}

function drawKey(random: Random): string {
  return `${["", "a", "b", "b:", "bb", "z"][random.below(6)]}${random.below(60)}`;
}

function inside(range: Range, key: string): boolean {
  return "prefix" in range ? key.startsWith(range.prefix) : range.start <= key && key < range.end;
}

/** Both directions, against each other and against what was written. */
async function compare(from: Gamut<string>, written: ReadonlyMap<string, string>, random: Random): Promise<void> {
  const sorted = [...written].sort(([a], [b]) => (a < b ? -1 : 1));
  for (let round = 0; round < 25; round += 1) {
    const range: Range = random.chance(0.5)
      ? { prefix: ["", "a", "b", "bb", "none"][random.below(5)] }
      : { start: drawKey(random), end: drawKey(random) };
    const due = sorted.filter(([key]) => inside(range, key));
    const options = (): [ListOptions, number] => [
      { batchSize: [1, 3, 10, 500][random.below(4)] + 4 * random.below(3) },
      random.chance(0.5) ? 0 : 4 + random.below(20),
    ];
    const [[forth, forthLimit], [back, backLimit]] = [options(), options()];
    expect(await recordsOf(from, range, forth, forthLimit)).toEqual(due);
    expect(await recordsOf(from, range, { ...back, reverse: true }, backLimit)).toEqual(due.reverse());
  }
}

it.each(["raft", "gossip"])(
  "a keyspace of %s lists the same records in reverse, with deletes and deadlines, also after a restart",
  async (protocol) => {
    const random = new Random(protocol.length);
    const records = await make(`reverse-${protocol}`, protocol);
    await until("the keyspace is there", WAIT_MS_MAX, async () => (await records.set("0", "0")).kind === "ok");
    const written = new Map([["0", "0"]]);
    const doomed: string[] = [];
    for (let i = 0; i < 400; i += 1) {
      const key = drawKey(random);
      const what = random.below(10);
      if (what < 3) {
        ok(await records.delete(key));
        written.delete(key);
      } else if (what < 4) {
        ok(await records.set(key, "soon gone", { expireIn: 1 }));
        written.delete(key);
        doomed.push(key);
      } else {
        ok(await records.set(key, `${i}`, what < 6 ? { expireIn: DAY_MS } : {}));
        written.set(key, `${i}`);
      }
    }
    expect(doomed.length).toBeGreaterThan(10);
    const settled = async (): Promise<boolean> =>
      (await recordsOf(records, { prefix: "" }, { reverse: true }, 0)).length === written.size;
    await until("what has a deadline is gone", WAIT_MS_MAX, settled);
    await compare(records, written, random);

    // A node that ends writes a checkpoint.
    await Promise.all(cluster.members.map((member) => member.stop()));
    for (const member of cluster.members) member.start();
    await cluster.ready();
    await until("the nodes have it all again", WAIT_MS_MAX, settled);
    await compare(records, written, random);
    for (const key of [...written.keys()].filter(() => random.chance(0.5))) {
      ok(await records.delete(key));
      written.delete(key);
    }
    await compare(records, written, random);
  },
  120_000,
);

it("a list in reverse has bounds, a limit, and a cursor that goes on in its own direction only", async () => {
  for (let n = 1; n <= 5; n += 1) ok(await gamut.set(["n", n], `${n}`));
  const numbers = async (list: AsyncIterable<{ readonly value: string }>): Promise<number[]> => {
    const found: number[] = [];
    for await (const { value } of list) found.push(Number(value));
    return found;
  };
  const all = { prefix: ["n"] };
  expect(await numbers(gamut.list(all, { reverse: true }))).toEqual([5, 4, 3, 2, 1]);
  expect(await numbers(gamut.list(all, { reverse: false, limit: 2 }))).toEqual([1, 2]);
  expect(await numbers(gamut.list({ ...all, start: ["n", 3] }, { reverse: true }))).toEqual([5, 4, 3]);
  expect(await numbers(gamut.list({ ...all, end: ["n", 3] }, { reverse: true }))).toEqual([2, 1]);
  expect(await numbers(gamut.list({ start: ["n", 2], end: ["n", 5] }, { reverse: true, limit: 2 }))).toEqual([4, 3]);
  expect(await numbers(gamut.list({ start: ["n", 5], end: ["n", 2] }, { reverse: true }))).toEqual([]);

  const list = gamut.list(all, { reverse: true, batchSize: 3 });
  const begin = list.cursor;
  expect((await list.next()).value?.value).toBe("5");
  expect((await list.next()).value?.value).toBe("4");
  // What lies between two records of one page.
  const middle = list.cursor;
  expect(await numbers(gamut.list(all, { reverse: true, cursor: begin }))).toEqual([5, 4, 3, 2, 1]);
  expect(await numbers(gamut.list(all, { reverse: true, cursor: middle }))).toEqual([3, 2, 1]);
  ok(await gamut.delete(["n", 3]));
  expect(await numbers(gamut.list(all, { reverse: true, cursor: middle }))).toEqual([2, 1]);
  expect(await numbers(list)).toEqual([3, 2, 1]);
  expect(list.cursor).toBe("");

  const refused = (options: ListOptions) => () => void gamut.list(all, options);
  const forth = gamut.list(all).cursor;
  expect(refused({ cursor: middle })).toThrow("it is of a list with reverse, and goes on only there");
  expect(refused({ cursor: forth, reverse: true })).toThrow("it is of a list without reverse, and goes on only there");
  expect(refused({ cursor: "r0", reverse: true })).toThrow("none that a list has given");
  const above = gamut.list({ prefix: ["o"] }, { reverse: true }).cursor;
  expect(refused({ cursor: above, reverse: true })).toThrow("it lies behind the bounds of this list");
  expect(refused({ cursor: gamut.list({ prefix: "" }, { reverse: true }).cursor, reverse: true })).toThrow("behind");
});

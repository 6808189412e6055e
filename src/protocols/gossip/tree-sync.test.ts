import { expect, test } from "vitest";
import { ByteReader, ByteWriter, latin1Encode } from "../../core/bytes.js";
import { MapState } from "../../core/map-state.js";
import { hashOf } from "./hash-tree.js";
import { encodeItems, Item } from "./item.js";
import { GossipMessage, gossipCodec, MessageKind } from "./message.js";
import { Vector } from "./origins.js";
import { Peer } from "./peers.js";
import { Replica } from "./replica.js";
import { SectionKind } from "./section.js";
import { Stamp } from "./stamp.js";
import { answerTree, TreeSync } from "./tree-sync.js";

const MAX_BYTES = 4_096;

function write(key: number, sequence: number, isDelete = false): Item {
  const item = new Item(new Stamp(1_000 + sequence, 0, 1, 1, sequence, 0), `key ${key}`, isDelete);
  if (!isDelete) item.value = latin1Encode(`value ${sequence}`);
  return item;
}

function replicaOf(items: readonly Item[]): Replica {
  const replica = new Replica(new MapState());
  while (!replica.entries.treeIsBuilt) replica.entries.buildTree(1_000);
  for (const item of items) replica.applyItem(item);
  return replica;
}

function sizeOf(message: GossipMessage): number {
  const writer = new ByteWriter(1_024);
  gossipCodec.encode(message, writer);
  const decoded = gossipCodec.decode(new ByteReader(writer.copy()));
  expect(decoded.writes).toEqual(message.writes);
  expect(decoded).toEqual(message);
  return writer.length;
}

/** Brings `asker` up to `holder`. Answers the bytes that went over the wire, both ways. */
function compare(asker: Replica, holder: Replica): number {
  const sync = new TreeSync(new Peer(2), 1);
  let bytes = 0;
  for (let round = 0; !sync.isDone; round += 1) {
    expect(round).toBeLessThan(10_000);
    const question = new GossipMessage(MessageKind.treeQuestion, 1);
    question.stretches = sync.question(asker.entries);
    bytes += sizeOf(question);
    const { done, parts, items } = answerTree(holder.entries, question.stretches, MAX_BYTES);
    const answer = new GossipMessage(MessageKind.treeAnswer, 1);
    answer.known = done;
    answer.stretches = parts;
    answer.have = new Vector();
    if (items.length > 0) answer.payload = encodeItems(items);
    bytes += sizeOf(answer);
    asker.apply({ kind: SectionKind.found, batch: encodeItems(items) });
    sync.answered(asker.entries, done, parts);
  }
  return bytes;
}

function expectSame(a: Replica, b: Replica): void {
  expect(a.entries.digest(0, 0xffff_ffff)).toEqual(b.entries.digest(0, 0xffff_ffff));
}

test("finds writes and deletes in bytes that grow with the differences, and hardly with the entries", () => {
  const bytesOf = (entries: number, differences: number): number => {
    const common = Array.from({ length: entries }, (_, i) => write(i, i + 1));
    const asker = replicaOf(common);
    const news = Array.from({ length: differences }, (_, i) =>
      write(Math.floor((i * entries) / differences), entries + 1 + i, i % 3 === 0),
    );
    const holder = replicaOf([...common, ...news]);
    const bytes = compare(asker, holder);
    expectSame(asker, holder);
    return bytes;
  };
  const table: string[] = [];
  for (const entries of [1_000, 10_000, 50_000]) {
    for (const differences of [0, 1, 10, 100]) {
      table.push(`${entries} entries, ${differences} differences: ${bytesOf(entries, differences)} bytes`);
    }
  }
  const bytes = (entries: number, differences: number): number =>
    Number(/: (\d+)/.exec(table.find((line) => line.startsWith(`${entries} entries, ${differences} `))!)![1]);
  for (const entries of [1_000, 10_000, 50_000]) {
    expect(bytes(entries, 0), table.join("\n")).toBeLessThan(200);
    // A level of the tree: sixteen sums asked for and told. With log16(n) levels and a list of versions at the end.
    const levels = Math.ceil(Math.log2(entries) / 4);
    for (const differences of [1, 10, 100]) {
      expect(bytes(entries, differences), table.join("\n")).toBeLessThan(differences * levels * 700);
    }
  }
  // Fifty times the entries cost less than three times the bytes.
  expect(bytes(50_000, 10), table.join("\n")).toBeLessThan(3 * bytes(1_000, 10));
});

test("an empty replica gets everything, in answers of bounded size", () => {
  const holder = replicaOf(Array.from({ length: 3_000 }, (_, i) => write(i, i + 1, i % 10 === 0)));
  const asker = replicaOf([]);
  compare(asker, holder);
  expectSame(asker, holder);
  expect(asker.meta.recordCount).toBe(2_700);
  expect(asker.counters.tombstones).toBe(300);
});

test("what the asker has newer is not in the way", () => {
  const old = Array.from({ length: 400 }, (_, i) => write(i, i + 1));
  const holder = replicaOf(old);
  const asker = replicaOf(Array.from({ length: 200 }, (_, i) => write(i, 1_000 + i)));
  compare(asker, holder);
  expect(asker.meta.recordCount).toBe(400);
  for (let i = 0; i < 400; i += 1)
    expect(asker.entries.current(`key ${i}`)!.sequence).toBe(i < 200 ? 1_000 + i : i + 1);
});

/** Keys of one hash: FNV-1a runs backwards as well, so any client can make them. */
function collidingKeys(count: number): string[] {
  const prime = 0x01000193;
  let inverse = 1;
  for (let i = 0; i < 5; i += 1) inverse = Math.imul(inverse, 2 - Math.imul(prime, inverse));
  const suffixes = new Map<number, string>();
  for (let i = 0; i < 1 << 18; i += 1) {
    const chars = [i & 0x3f, (i >> 6) & 0x3f, (i >> 12) & 0x3f].map((char) => char + 0x30);
    let hash = 0x12345678;
    for (const char of [...chars].reverse()) hash = Math.imul(hash, inverse) ^ char;
    suffixes.set(hash | 0, String.fromCharCode(...chars));
  }
  const found: string[] = [];
  for (let i = 0; found.length < count; i += 1) {
    const prefix = i.toString(36);
    let hash = 0x811c9dc5;
    for (let at = 0; at < prefix.length; at += 1) hash = Math.imul(hash ^ prefix.charCodeAt(at), prime);
    const suffix = suffixes.get(hash | 0);
    if (suffix !== undefined) found.push(prefix + suffix);
  }
  return found;
}

test("a comparison ends though many keys share a hash and do not fit into one answer", () => {
  const keys = collidingKeys(40);
  expect(new Set(keys.map(hashOf)).size).toBe(1);
  const items = keys.map((key, i) => {
    const item = new Item(new Stamp(1_000, 0, 2, 1, i + 1, 0), key, false);
    item.value = new Uint8Array(1_000);
    return item;
  });
  const asker = replicaOf([]);
  compare(asker, replicaOf(items));
  expect(asker.meta.recordCount).toBe(40);
});

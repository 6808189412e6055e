/**
 * LMDB's file, page by page, for a check that must not cost calls into LMDB for every entry. The layout is that of lmdb
 * 3.5.6 (data version 2, 64 bit, little-endian).
 *
 * A page begins with `[number u64][transaction u64][pad u16][flags u16][lower u16][upper u16]`, then offsets of its nodes
 * (u16 each, from the end of this head). A node is `[low u16][high u16][flags u16][key length u16][key]`; in a leaf, low and
 * high are the value's length and the value follows, in a branch low, high and flags are the child's page number.
 */
import { closeSync, openSync, readSync } from "node:fs";

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const PAGE_HEAD_BYTES = 24;
const FLAGS_AT = 18;
const LOWER_AT = 20;
const NODE_HEAD_BYTES = 8;
const KEY_LENGTH_AT = 6;
/** In a meta page: `[magic u32][version u32][address u64][map size u64]`, the trees of free pages and of names, … */
const TREES_AT = PAGE_HEAD_BYTES + 24;
const TREE_BYTES = 48;
const META_BYTES = 256;
/** 128 MB of pages; some 4 MB to remember them. */
const LEAVES_AT_ONCE = 16_384;
/** One call reads up to so many pages in a row, unwanted ones among them if there are few between two that are wanted. */
const WINDOW_PAGES = 64;
const UNWANTED_PAGES_MAX = 8;
/** Deeper than any tree of 2^48 pages. */
const DEPTH_MAX = 32;

const PageFlag = { branch: 1, leaf: 2, overflow: 4 } as const;
const NodeFlag = { large: 1, tree: 2 } as const;

/** Something is not as it must be, or not as this build knows it. Whoever gets this should ask LMDB itself. */
export class PagesUnclear extends Error {
  override readonly name = "PagesUnclear";
}

export interface Tree {
  /** -1: there is no page. */
  readonly root: number;
  readonly depth: number;
  readonly entryCount: number;
}

/** One entry of a leaf, valid during the call that it is given to. */
export class LeafEntry {
  /** Where the key's length (u16) begins, which the key follows. */
  page: Buffer = Buffer.alloc(0);
  keyHeadAt = 0;
  keyLength = 0;
  /** The value may lie on pages of its own. */
  valuePage: Buffer = Buffer.alloc(0);
  valueAt = 0;
  valueLength = 0;
  isTree = false;

  get key(): string {
    const at = this.keyHeadAt + 2;
    return this.page.toString("latin1", at, at + this.keyLength);
  }

  get value(): Buffer {
    return this.valuePage.subarray(this.valueAt, this.valueAt + this.valueLength);
  }
}

/** A part of a page, or a copy. */
interface Key {
  readonly page: Buffer;
  readonly at: number;
  readonly length: number;
}

/** A page of entries, none of which may be below `lower`, nor at `upper` or above. */
interface Leaf {
  readonly number: number;
  readonly lower: Key | null;
  upper: Key | null;
}

export class LmdbPages {
  private readonly file: number;
  private readonly pageBytes: number;
  private readonly lastPage: number;
  /** Number of the newest commit. */
  private readonly transaction: number;
  /** Of the trees that have names. */
  private readonly names: Tree;
  /** The page at hand of each level of branches. */
  private readonly levels: Buffer[] = [];
  /** Found by the walk and not read yet. */
  private readonly leaves: Leaf[] = [];
  /** A row of pages of the file. */
  private readonly window: Buffer;
  private readonly entry = new LeafEntry();
  /** Of what the walk finds next no key may be below this one. */
  private bound: Key | null = null;
  private seenEntries = 0;

  /** The newest commit. A read transaction of this process must be open before and until the end. */
  constructor(path: string) {
    this.file = openSync(path, "r");
    const metas = [this.meta(0)];
    this.pageBytes = metas[0].readUInt32LE(TREES_AT);
    expect(this.pageBytes >= 512 && this.pageBytes <= 65_536, "the page size");
    this.window = Buffer.allocUnsafe(WINDOW_PAGES * this.pageBytes);
    metas.push(this.meta(this.pageBytes));
    metas.sort((a, b) => transactionOf(b) - transactionOf(a));
    this.transaction = transactionOf(metas[0]);
    this.names = readTree(metas[0], TREES_AT + TREE_BYTES);
    this.lastPage = readNumber(metas[0], TREES_AT + 2 * TREE_BYTES);
  }

  close(): void {
    closeSync(this.file);
  }

  private meta(at: number): Buffer {
    const meta = Buffer.alloc(META_BYTES);
    expect(readSync(this.file, meta, 0, META_BYTES, at) === META_BYTES, "a meta page");
    expect(meta.readUInt32LE(PAGE_HEAD_BYTES) === MAGIC, "the magic number");
    expect((meta.readUInt32LE(PAGE_HEAD_BYTES + 4) & 0xffff) === DATA_VERSION, "the data version");
    return meta;
  }

  tree(name: string): Tree {
    const found: Tree[] = [];
    this.walk(this.names, (entry) => {
      // lmdb ends names with a zero.
      if (entry.key !== `${name}\0`) return;
      expect(entry.isTree && entry.valueLength === TREE_BYTES, "the record of a tree");
      found.push(readTree(entry.valuePage, entry.valueAt));
    });
    expect(found.length === 1, `the tree "${name}"`);
    return found[0];
  }

  /**
   * Visits all entries, in any order. Every page on the way is what its place says, keys rise strictly, and each lies where
   * a search from the root looks for it. Throws {@link PagesUnclear}.
   */
  walk(tree: Tree, visit: (entry: LeafEntry) => void): void {
    this.leaves.length = 0;
    this.bound = null;
    this.seenEntries = 0;
    if (tree.root >= 0) this.walkPage(tree.root, tree.depth, visit);
    this.readLeaves(visit);
    expect(this.seenEntries === tree.entryCount, "the number of entries");
  }

  private walkPage(number: number, height: number, visit: (entry: LeafEntry) => void): void {
    expect(height >= 1 && height <= DEPTH_MAX, "the depth of a tree");
    if (height === 1) {
      this.foundLeaf(number, visit);
      return;
    }
    this.levels[height] ??= Buffer.alloc(this.pageBytes);
    const page = this.levels[height];
    this.read(number, page);
    const count = this.nodesOf(page, PageFlag.branch);
    for (let i = 0; i < count; i += 1) {
      const node = this.nodeAt(page, i);
      // A search goes to the first child with all that is below the second: the first one's own key says nothing.
      if (i > 0) this.foundBound(this.keyOf(page, node));
      const child = page.readUInt32LE(node) + page.readUInt16LE(node + 4) * 2 ** 32;
      this.walkPage(child, height - 1, visit);
    }
  }

  /** All that comes from here on is at or above it, all that came before below. */
  private foundBound({ page, at, length }: Key): void {
    const bound: Key = { page: Buffer.from(page.subarray(at, at + length)), at: 0, length };
    expect(this.bound === null || compare(this.bound, bound) < 0, "where a key lies");
    this.bound = bound;
    this.leaves[this.leaves.length - 1].upper = bound;
  }

  /** Leaves are not read as they are found, but many at once, in the order in which they lie in the file. */
  private foundLeaf(number: number, visit: (entry: LeafEntry) => void): void {
    if (this.leaves.length >= LEAVES_AT_ONCE) this.readLeaves(visit);
    expect(number > 1 && number <= this.lastPage, "a page's number");
    this.leaves.push({ number, lower: this.bound, upper: null });
  }

  private readLeaves(visit: (entry: LeafEntry) => void): void {
    const { leaves, pageBytes } = this;
    leaves.sort((a, b) => a.number - b.number);
    for (let from = 0; from < leaves.length; ) {
      const first = leaves[from].number;
      let to = from + 1;
      while (to < leaves.length && isNear(leaves[to].number, leaves[to - 1].number, first)) to += 1;
      const bytes = (leaves[to - 1].number - first + 1) * pageBytes;
      const got = readSync(this.file, this.window, 0, bytes, first * pageBytes);
      expect(got === bytes, "the file's length");
      for (; from < to; from += 1) {
        const at = (leaves[from].number - first) * pageBytes;
        const page = this.window.subarray(at, at + pageBytes);
        this.checkPage(leaves[from].number, page);
        this.walkLeaf(page, leaves[from], visit);
      }
    }
    leaves.length = 0;
  }

  private walkLeaf(page: Buffer, { lower, upper }: Leaf, visit: (entry: LeafEntry) => void): void {
    const { entry } = this;
    const count = this.nodesOf(page, PageFlag.leaf);
    let previous: Key | null = null;
    for (let i = 0; i < count; i += 1) {
      const node = this.nodeAt(page, i);
      const key = this.keyOf(page, node);
      if (previous !== null) expect(compare(previous, key) < 0, "the order of keys");
      else if (lower !== null) expect(compare(lower, key) <= 0, "where a key lies");
      previous = key;
      entry.page = page;
      entry.keyHeadAt = node + KEY_LENGTH_AT;
      entry.keyLength = key.length;
      this.findValue(page, node, key);
      visit(entry);
    }
    if (upper !== null) expect(compare(previous as Key, upper) < 0, "where a key lies");
    this.seenEntries += count;
  }

  /** How many there are, of a page that must be of this kind. */
  private nodesOf(page: Buffer, kind: number): number {
    expect(page.readUInt16LE(FLAGS_AT) === kind, "the kind of a page");
    const lower = page.readUInt16LE(LOWER_AT);
    const upper = page.readUInt16LE(LOWER_AT + 2);
    expect(lower > 1 && lower <= upper && PAGE_HEAD_BYTES + upper <= this.pageBytes, "the nodes of a page");
    return lower >> 1;
  }

  private findValue(page: Buffer, node: number, key: Key): void {
    const { entry } = this;
    const flags = page.readUInt16LE(node + 4);
    expect((flags & ~(NodeFlag.large | NodeFlag.tree)) === 0, "the kind of an entry");
    entry.isTree = (flags & NodeFlag.tree) !== 0;
    entry.valueLength = page.readUInt32LE(node);
    entry.valuePage = page;
    entry.valueAt = key.at + key.length;
    if (flags & NodeFlag.large) this.readLarge(page, entry.valueAt);
    else expect(entry.valueAt + entry.valueLength <= this.pageBytes, "the length of a value");
  }

  /** The value lies on pages of its own, in a row: a leaf has only the first one's number. */
  private readLarge(page: Buffer, at: number): void {
    const { entry } = this;
    expect(at + 8 <= this.pageBytes, "the place of a large value");
    const pages = Math.ceil((PAGE_HEAD_BYTES + entry.valueLength) / this.pageBytes);
    expect(pages <= this.lastPage, "the length of a large value");
    const large = Buffer.allocUnsafe(pages * this.pageBytes);
    this.read(readNumber(page, at), large);
    expect(large.readUInt16LE(FLAGS_AT) === PageFlag.overflow, "the kind of a page");
    entry.valuePage = large;
    entry.valueAt = PAGE_HEAD_BYTES;
  }

  private read(number: number, target: Buffer): void {
    expect(number > 1 && number <= this.lastPage, "a page's number");
    const got = readSync(this.file, target, 0, target.length, number * this.pageBytes);
    expect(got === target.length, "the file's length");
    this.checkPage(number, target);
  }

  private checkPage(number: number, page: Buffer): void {
    expect(readNumber(page, 0) === number, "a page's number");
    // LMDB takes a page of a later transaction than its own for one that it may write to.
    expect(readNumber(page, 8) <= this.transaction, "a page's transaction");
  }

  private nodeAt(page: Buffer, index: number): number {
    const offset = page.readUInt16LE(PAGE_HEAD_BYTES + 2 * index);
    const node = PAGE_HEAD_BYTES + offset;
    expect(offset >= page.readUInt16LE(LOWER_AT + 2) && node + NODE_HEAD_BYTES <= this.pageBytes, "a node's place");
    return node;
  }

  private keyOf(page: Buffer, node: number): Key {
    const length = page.readUInt16LE(node + KEY_LENGTH_AT);
    expect(node + NODE_HEAD_BYTES + length <= this.pageBytes, "the length of a key");
    return { page, at: node + NODE_HEAD_BYTES, length };
  }
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new PagesUnclear(`the state's file: ${what} is not as it should be`);
}

/** Whether a page is read in one call with the one before it and the first of the call. */
function isNear(page: number, previous: number, first: number): boolean {
  return page - previous <= UNWANTED_PAGES_MAX + 1 && page - first < WINDOW_PAGES;
}

/** Byte by byte, a prefix first. */
function compare(a: Key, b: Key): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const difference = a.page[a.at + i] - b.page[b.at + i];
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function readNumber(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

function transactionOf(meta: Buffer): number {
  return readNumber(meta, TREES_AT + 2 * TREE_BYTES + 8);
}

/** `[pad u32][flags u16][depth u16][branch pages u64][leaf pages u64][large pages u64][entries u64][root u64]` */
function readTree(bytes: Buffer, at: number): Tree {
  const hasRoot = bytes.readUInt32LE(at + 40) !== 0xffff_ffff;
  return {
    root: hasRoot ? readNumber(bytes, at + 40) : -1,
    depth: bytes.readUInt16LE(at + 6),
    entryCount: readNumber(bytes, at + 32),
  };
}

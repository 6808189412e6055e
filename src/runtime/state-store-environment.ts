import { closeSync, existsSync, fsyncSync, openSync, statfsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { DiskError, type DiskErrorCode } from "../node/ports.js";

/**
 * How a node's states lie in LMDB: one environment; for each group two named databases ("7.0" and "7.1"), of which one
 * is active while the other is empty or being filled by a replacement; and the database "groups" with one record a
 * group. Nothing of ours lies in the root database. Databases are never dropped while the process runs: LMDB hands a
 * dropped one's number to the next, and an old handle would read another group.
 */
export const GROUPS_DATABASE = "groups";

/** LMDB's name for its file. */
export const DATA_FILE = "data.mdb";

export type Side = 0 | 1;

export function sideDatabase(group: number, side: Side): string {
  return `${group}.${side}`;
}

/** What `lmdb` has and its types lack, or have in another shape. */
export interface LmdbDatabase<Key> {
  /** Bytes of the last value found: `getBinaryFast` answers a reused buffer, whose own length is not to be trusted. */
  readonly lastSize: number;
  getBinaryFast(key: Key, options?: ReadOptions): Uint8Array | undefined;
  getBinary(key: Key, options?: ReadOptions): Uint8Array | undefined;
  getRange(options: RangeOptions<Key>): Iterable<{ key: Key; value: Uint8Array }>;
  getKeys(options: RangeOptions<Key>): Iterable<Key>;
  put(key: Key, value: Uint8Array): unknown;
  remove(key: Key): unknown;
  clearSync(): void;
  dropSync(): void;
}

export interface ReadTransaction {
  done(): void;
}

interface ReadOptions {
  readonly transaction?: ReadTransaction;
}

export interface RangeOptions<Key> extends ReadOptions {
  readonly start?: Key;
  readonly end?: Key;
  /** From `start` down to `end`. */
  readonly reverse?: boolean;
  readonly exclusiveStart?: boolean;
  readonly inclusiveEnd?: boolean;
}

export interface EnvironmentOptions {
  /** Address space for the file: no memory, no disk. LMDB would have to move its map when the file outgrew it. */
  readonly mapBytes: number;
  readonly groupsMax: number;
  readonly readOnly: boolean;
}

/** The folder as a whole is not what was written: none of its states can be trusted. */
export class StateFolderDamaged extends Error {
  override readonly name = "StateFolderDamaged";
}

/**
 * The same in the main thread and in the writer: LMDB shares one environment in a process. Throws {@link DiskError} or
 * {@link StateFolderDamaged}.
 */
export function openEnvironment(folder: string, options: EnvironmentOptions): RootDatabase {
  try {
    const found = existsSync(join(folder, DATA_FILE));
    if (!found && options.readOnly) throw new DiskError("ENOENT", `there is no state in ${folder}`);
    const root = openRoot(folder, options);
    if (!found) for (const path of [folder, dirname(resolve(folder))]) syncFolder(path);
    return root;
  } catch (error) {
    if (tellsDamage(error)) throw new StateFolderDamaged(`the state in ${folder}: ${(error as Error).message}`);
    throw diskErrorOf(error, `cannot open the state in ${folder}`);
  }
}

/** Makes the names in a folder durable: LMDB syncs what is in its file, not that there is one. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function openRoot(folder: string, options: EnvironmentOptions): RootDatabase {
  return open({
    path: folder,
    noSubdir: false,
    encoding: "binary",
    // Keys up to 4,026 bytes; fixed when the file is made.
    pageSize: 8_192,
    mapSize: options.mapBytes,
    maxDbs: 1 + 2 * options.groupsMax,
    // A commit is durable when it returns, and visible no earlier.
    overlappingSync: false,
    readOnly: options.readOnly,
  });
}

/** Node's own functions behind `buffer.write(text, "latin1")`, which @types/node does not name. */
export interface Latin1Buffer {
  readonly length: number;
  [index: number]: number;
  latin1Write(text: string, offset: number, length: number): number;
  latin1Slice(start: number, end: number): string;
}

/** Up to here a loop is faster than the call into native code. */
const WRITE_LOOP_MAX = 22;

/** Latin1 keys are written into LMDB's own key buffer: no Buffer a key. */
const latin1Keys = {
  writeKey(key: string, target: Latin1Buffer, start: number): number {
    const { length } = key;
    // What does not fit would be cut silently; lmdb makes a larger buffer on a RangeError.
    if (start + length > target.length) throw new RangeError("key buffer too short");
    if (length > WRITE_LOOP_MAX) return start + target.latin1Write(key, start, length);
    for (let i = 0; i < length; i += 1) target[start + i] = key.charCodeAt(i);
    return start + length;
  },
  readKey(source: Latin1Buffer, start: number, end: number): string {
    return source.latin1Slice(start, end);
  },
};

export function openLatin1Database(root: RootDatabase, name: string): LmdbDatabase<string> {
  const options = { name, encoding: "binary" as const, keyEncoder: latin1Keys };
  return root.openDB(options) as unknown as LmdbDatabase<string>;
}

/** The writer has keys as bytes already. */
export function openBinaryDatabase(root: RootDatabase, name: string): LmdbDatabase<Uint8Array> {
  return root.openDB({ name, encoding: "binary", keyEncoding: "binary" }) as unknown as LmdbDatabase<Uint8Array>;
}

const MDB_MAP_FULL = -30_792;
/** LMDB tells a number of its own or the system's, Node the system's name. */
const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOSPC: "ENOSPC",
  ENOENT: "ENOENT",
  EIO: "EIO",
  EACCES: "EACCES",
  [MDB_MAP_FULL]: "ENOSPC",
  2: "ENOENT",
  5: "EIO",
  13: "EACCES",
  28: "ENOSPC",
};

/** What LMDB answers when a page is not what it must be (lmdb.h, "Return Codes"). */
const DAMAGE_CODES: readonly number[] = [
  -30_797, // MDB_PAGE_NOTFOUND
  -30_796, // MDB_CORRUPTED
  -30_794, // MDB_VERSION_MISMATCH
  -30_793, // MDB_INVALID
  -30_787, // MDB_CURSOR_FULL
  -30_786, // MDB_PAGE_FULL
  -30_784, // MDB_INCOMPATIBLE
  -30_782, // MDB_BAD_TXN
  -30_781, // MDB_BAD_VALSIZE
  -30_779, // MDB_PROBLEM
];

/** LMDB has met a page that nobody can have written so. */
export function tellsDamage(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === "number" && DAMAGE_CODES.includes(code);
}

export function diskErrorOf(error: unknown, context: string): DiskError {
  if (error instanceof DiskError) return error;
  const { code, message } = error as { code?: unknown; message?: string };
  const known: DiskErrorCode = CODES[String(code)] ?? "other";
  return new DiskError(known, `${context}: ${message ?? String(error)}`);
}

/** A disk with less than this free is full to a transaction. */
const FREE_BYTES_MIN = 4 * 1024 * 1024;

/** Why a transaction failed. LMDB calls a write that a full disk cut short EIO: the free space tells the two apart. */
export function commitErrorOf(error: unknown, folder: string, context: string): DiskError {
  const found = diskErrorOf(error, context);
  if (found.code !== "EIO") return found;
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < FREE_BYTES_MIN ? new DiskError("ENOSPC", `${context}: no space left on the disk`) : found;
}

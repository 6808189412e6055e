/** What can happen to the files of a node that is stopped. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4_096;

/** Segments, the one that is kept ready included. */
export function segmentFiles(dataDir: string): string[] {
  return readdirSync(join(dataDir, "log"))
    .filter((name) => /^log-\d{10}$/.test(name))
    .sort()
    .map((name) => join(dataDir, "log", name));
}

/** Segments of a stopped node that have something in them. */
export function logSegments(dataDir: string): string[] {
  return segmentFiles(dataDir).filter((file) => lastUsed(readFileSync(file)) >= 0);
}

export function stateFile(dataDir: string): string {
  return join(dataDir, "state", "data.mdb");
}

export function identityFile(dataDir: string): string {
  return join(dataDir, "log", "identity");
}

/** One bit, in the middle of what the file's bytes are used for. */
export function flipBit(file: string): void {
  const bytes = readFileSync(file);
  const used = lastUsed(bytes);
  let at = used >> 1;
  while (at > 0 && bytes[at] === 0) at -= 1;
  change(file, at, (byte) => byte ^ 0x10);
}

/** One bit in the middle of each page, as a disk does that is about to die. */
export function flipBitsInPages(file: string): void {
  const descriptor = openSync(file, "r");
  const { size } = fstatSync(descriptor);
  closeSync(descriptor);
  for (let page = 2 * PAGE_BYTES; page < size; page += PAGE_BYTES) change(file, page + 1_000, (byte) => byte ^ 0x04);
}

/** Zeros where the last batch of the log stood. */
export function cutLastBatch(dataDir: string): void {
  const file = logSegments(dataDir).pop()!;
  const used = lastUsed(readFileSync(file));
  const sector = used - (used % SECTOR_BYTES);
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, new Uint8Array(SECTOR_BYTES), 0, SECTOR_BYTES, sector);
  closeSync(descriptor);
}

export function emptyFolder(dataDir: string): void {
  for (const name of readdirSync(dataDir)) rmSync(join(dataDir, name), { recursive: true });
}

/** Offset of the last byte that is not zero; -1 if all are. */
function lastUsed(bytes: Uint8Array): number {
  let at = bytes.length - 1;
  while (at >= 0 && bytes[at] === 0) at -= 1;
  return at;
}

function change(file: string, at: number, by: (byte: number) => number): void {
  const descriptor = openSync(file, "r+");
  const byte = new Uint8Array(1);
  readSync(descriptor, byte, 0, 1, at);
  byte[0] = by(byte[0]);
  writeSync(descriptor, byte, 0, 1, at);
  closeSync(descriptor);
}

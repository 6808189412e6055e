// What the figures were taken on: they mean little without it.
import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { median } from "./scenarios.mjs";

const SYNCS = 100;
const TMPFS_MAGIC = 0x01021994;

/** Describes the machine, with the median time of a small append and fdatasync in `folder`. */
export function describeMachine(folder) {
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    fdatasyncUs: measureSyncUs(folder),
    inMemoryDisk: statfsSync(folder).type === TMPFS_MAGIC,
  };
}

function measureSyncUs(folder) {
  const path = join(folder, "fdatasync-probe");
  const file = openSync(path, "w");
  const block = Buffer.alloc(512, 1);
  const times = [];
  for (let i = 0; i < SYNCS; i += 1) {
    const from = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    times.push((performance.now() - from) * 1000);
  }
  closeSync(file);
  rmSync(path);
  return Math.round(median(times));
}

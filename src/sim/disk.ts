import { assert } from "../core/assert.js";
import { bytesEqual, copyBytes } from "../core/bytes.js";
import type { Random } from "../core/random.js";
import { type Disk, DiskError, type DiskErrorCode, type Done, type DoneWith, type FileInfo } from "../node/ports.js";
import { SECTOR_BYTES, SimFile } from "./disk-file.js";
import type { TraceHash } from "./trace-hash.js";

/** What runs the disk's completions: the world's scheduler. */
export interface DiskTimer {
  after(delayUs: number, run: () => void): unknown;
}

export interface SimDiskOptions {
  /** Bytes of all files together; Infinity: never full. */
  readonly capacityBytes: number;
  /** Latency of a call is uniform in this range; a synced one takes three times as long. */
  readonly latencyMinUs: number;
  readonly latencyMaxUs: number;
}

export type DiskCallKind =
  | "list"
  | "create"
  | "write"
  | "sync"
  | "fdatasync"
  | "read"
  | "replace"
  | "rename"
  | "remove";

/** A call that has been made and not answered. */
interface OpenCall {
  /** Of a write. */
  readonly sectors?: number;
  readonly kind: DiskCallKind;
  /** Does all of it; answers the error, if it cannot be done. */
  perform(): DiskError | null;
  /** The process or the machine dies now: does any part of it, as the dice fall. */
  interrupt(): void;
}

export interface BitFlip {
  readonly name: string;
  readonly offset: number;
  readonly bit: number;
}

/**
 * A disk of the simulator. Bytes lie in sectors that are durable or only written (page cache). What a call does happens
 * when it is answered; until then a death may leave any part of it. Write, create and the rest are durable as the
 * port says, and not a bit more: a synced write syncs its own range, never the rest of the file.
 */
export class SimDisk implements Disk {
  private files = new Map<string, SimFile>();
  private openCalls = new Set<OpenCall>();
  /** Answers to calls of an earlier life of the process are dropped. */
  private life = 0;
  private readonly failures = new Map<DiskCallKind, DiskErrorCode[]>();
  private failedInLife = -1;
  /** Files on which a write or sync has failed, in this life: see {@link write}. */
  private poisoned = new Set<string>();
  private capacityBytes: number;
  /** Told of every call, in words: tests pin what is done in which order. */
  callLog: ((call: string) => void) | null = null;

  constructor(
    private readonly timer: DiskTimer,
    private readonly random: Random,
    private readonly options: SimDiskOptions,
  ) {
    this.capacityBytes = options.capacityBytes;
  }

  list(done: DoneWith<FileInfo[]>): void {
    let infos: FileInfo[] = [];
    const perform = (): null => {
      infos = [...this.files].map(([name, file]) => ({ name, size: file.size }));
      infos.sort((a, b) => (a.name < b.name ? -1 : 1));
      return null;
    };
    this.submit("list", "list", { kind: "list", perform, interrupt: nothing }, (error) => done(error, infos));
  }

  create(name: string, size: number, done: Done): void {
    const perform = (): DiskError | null => {
      if (this.files.has(name)) return new DiskError("EEXIST", `${name} exists`);
      if (!this.hasRoom(size)) return full(name);
      this.files.set(name, new SimFile(size));
      return null;
    };
    // The name may be there before all of the zeros are.
    const interrupt = (): void => {
      if (this.files.has(name) || this.random.chance(0.3)) return;
      const part = this.random.chance(0.3) ? size : this.random.below(size + 1);
      if (this.hasRoom(part)) this.files.set(name, new SimFile(part));
    };
    this.submit(`create ${name} ${size}`, name, { kind: "create", perform, interrupt }, done);
  }

  write(name: string, offset: number, bytes: Uint8Array, sync: boolean, done: Done): void {
    const kind = sync ? "sync" : "write";
    const asked = copyBytes(bytes);
    const perform = (): DiskError | null => {
      assert(bytesEqual(asked, bytes), "sim disk: the bytes of a write changed before it was done");
      const file = this.files.get(name);
      if (file === undefined) return missing(name);
      if (this.poisoned.has(name)) return new DiskError("EIO", `${name}: a write to it has failed before`);
      if (offset + asked.length > file.size) return new DiskError("other", `${name}: a write beyond the file's end`);
      file.write(offset, asked);
      if (sync) file.sync(offset, asked.length);
      return null;
    };
    const interrupt = (): void => this.files.get(name)?.writePartly(offset, asked, this.random);
    const sectors = Math.floor((offset + bytes.length - 1) / SECTOR_BYTES) - Math.floor(offset / SECTOR_BYTES) + 1;
    const call = { kind, perform, interrupt, sectors } as const;
    this.submit(`${kind} ${name} ${offset}+${bytes.length}`, name, call, done);
  }

  /** What is written after the call, or answered after it, may still be lost. */
  sync(name: string, done: Done): void {
    const sectors = this.files.get(name)?.unsynced() ?? [];
    const perform = (): DiskError | null => {
      const file = this.files.get(name);
      if (file === undefined) return missing(name);
      if (this.poisoned.has(name)) return new DiskError("EIO", `${name}: a write to it has failed before`);
      file.persistAll(sectors);
      return null;
    };
    const interrupt = (): void => {
      if (this.random.chance(0.5)) this.files.get(name)?.persistAll(sectors);
    };
    this.submit(`fdatasync ${name}`, name, { kind: "fdatasync", perform, interrupt }, done);
  }

  read(name: string, offset: number, length: number, done: DoneWith<Uint8Array>): void {
    let bytes: Uint8Array = new Uint8Array(0);
    const perform = (): DiskError | null => {
      const file = this.files.get(name);
      if (file === undefined) return missing(name);
      bytes = file.read(offset, length);
      return null;
    };
    const call = { kind: "read" as const, perform, interrupt: nothing };
    this.submit(`read ${name} ${offset}+${length}`, name, call, (error) => done(error, bytes));
  }

  replace(name: string, bytes: Uint8Array, done: Done): void {
    const asked = copyBytes(bytes);
    const perform = (): DiskError | null => {
      if (!this.hasRoom(asked.length)) return full(name);
      const file = new SimFile(asked.length);
      file.write(0, asked);
      file.sync(0, asked.length);
      this.files.set(name, file);
      this.poisoned.delete(name);
      return null;
    };
    this.submit(`replace ${name} ${bytes.length}`, name, this.allOrNothing("replace", perform), done);
  }

  rename(from: string, to: string, done: Done): void {
    const perform = (): DiskError | null => {
      const file = this.files.get(from);
      if (file === undefined) return missing(from);
      this.files.delete(from);
      this.files.set(to, file);
      return null;
    };
    this.submit(`rename ${from} ${to}`, from, this.allOrNothing("rename", perform), done);
  }

  remove(name: string, done: Done): void {
    const perform = (): DiskError | null => (this.files.delete(name) ? null : missing(name));
    this.submit(`remove ${name}`, name, this.allOrNothing("remove", perform), done);
  }

  private allOrNothing(kind: DiskCallKind, perform: () => DiskError | null): OpenCall {
    const interrupt = (): void => {
      if (this.random.chance(0.5)) perform();
    };
    return { kind, perform, interrupt };
  }

  private submit(words: string, name: string, call: OpenCall, done: Done): void {
    if (this.callLog !== null) this.callLog(words);
    const life = this.life;
    this.openCalls.add(call);
    this.timer.after(this.latencyUs(call.kind), () => {
      if (life !== this.life) return;
      this.openCalls.delete(call);
      done(this.perform(name, call));
    });
  }

  private perform(name: string, call: OpenCall): DiskError | null {
    const planned = this.failures.get(call.kind)?.shift();
    if (planned === undefined) return call.perform();
    this.failedInLife = this.life;
    if (call.kind === "write" || call.kind === "sync" || call.kind === "fdatasync") {
      // What a failed write leaves is anyone's guess, and a second sync would claim success.
      this.poisoned.add(name);
      call.interrupt();
      // The kernel takes what it could not write for written, and drops it when it likes.
      if (call.kind === "fdatasync") this.fileOf(name).losePower(this.random);
    }
    return new DiskError(planned, `${name}: planned failure of ${call.kind}`);
  }

  private latencyUs(kind: DiskCallKind): number {
    const { latencyMinUs, latencyMaxUs } = this.options;
    const drawn = latencyMinUs + this.random.below(latencyMaxUs - latencyMinUs + 1);
    return kind === "write" || kind === "read" || kind === "list" ? drawn : 3 * drawn;
  }

  private hasRoom(bytes: number): boolean {
    let used = bytes;
    for (const file of this.files.values()) used += file.size;
    return used <= this.capacityBytes;
  }

  /** The process dies: what it had written stays, calls on their way are done in part. Their answers never come. */
  kill(): void {
    this.life += 1;
    for (const call of this.openCalls) call.interrupt();
    this.openCalls.clear();
    this.poisoned.clear();
  }

  /** The power fails: as {@link kill}, and any subset of the sectors that were not synced is lost. */
  crash(): void {
    this.kill();
    for (const name of this.namesSorted()) this.fileOf(name).losePower(this.random);
  }

  /** A synced write of several sectors is under way: a power loss now may tear it. */
  get canTear(): boolean {
    for (const call of this.openCalls) if (call.kind === "sync" && (call.sectors ?? 0) > 1) return true;
    return false;
  }

  /** The next calls of this kind fail with these errors, one each. */
  failNext(kind: DiskCallKind, ...codes: DiskErrorCode[]): void {
    this.failures.set(kind, [...(this.failures.get(kind) ?? []), ...codes]);
  }

  get willFail(): boolean {
    return [...this.failures.values()].some((codes) => codes.length > 0);
  }

  /** A planned failure has met the process that runs, or ran last. */
  get hasFailed(): boolean {
    return this.failedInLife === this.life;
  }

  /** Planned failures that have not come to pass will not. */
  clearFailures(): void {
    this.failures.clear();
  }

  setCapacity(bytes: number): void {
    this.capacityBytes = bytes;
  }

  /** The files in which a bit can rot: they hold something. */
  get perishable(): string[] {
    return this.namesSorted().filter((name) => this.fileOf(name).usedSectors().length > 0);
  }

  /** A bit rots at rest, in a sector that holds something, often one of the file's last, and mostly where it holds it. */
  flipBit(name: string, random: Random): BitFlip {
    const file = this.fileOf(name);
    const sectors = file.usedSectors();
    const sector = random.pick(random.chance(0.5) ? sectors.slice(-2) : sectors);
    const anywhere = sector + random.below(Math.min(512, file.size - sector));
    const used = file.usedBytes(sector);
    const offset = used.length > 0 && random.chance(0.8) ? random.pick(used) : anywhere;
    const flip = { name, offset, bit: random.below(8) };
    this.flipBitAt(flip);
    return flip;
  }

  flipBitAt(flip: BitFlip): void {
    this.fileOf(flip.name).flipBit(flip.offset, flip.bit);
  }

  /** Somebody deletes a file. */
  deleteFile(name: string): void {
    assert(this.files.delete(name), "sim disk: no such file to delete");
  }

  renameFile(from: string, to: string): void {
    const file = this.fileOf(from);
    this.files.delete(from);
    this.files.set(to, file);
  }

  fileNames(): string[] {
    return this.namesSorted();
  }

  contents(name: string): Uint8Array {
    const file = this.fileOf(name);
    return file.read(0, file.size);
  }

  /** A disk with the same files and no calls on their way, whose further life does not touch this one. */
  fork(timer: DiskTimer, random: Random): SimDisk {
    const copy = new SimDisk(timer, random, this.options);
    copy.capacityBytes = this.capacityBytes;
    for (const [name, file] of this.files) copy.files.set(name, file.clone());
    return copy;
  }

  /** Of all files, durable and merely written. */
  addToHash(hash: TraceHash): void {
    for (const name of this.namesSorted()) {
      hash.text(name);
      this.fileOf(name).addToHash(hash);
    }
  }

  private fileOf(name: string): SimFile {
    const file = this.files.get(name);
    assert(file !== undefined, "sim disk: no such file");
    return file;
  }

  private namesSorted(): string[] {
    return [...this.files.keys()].sort();
  }
}

function nothing(): void {}

function missing(name: string): DiskError {
  return new DiskError("ENOENT", `${name}: no such file`);
}

function full(name: string): DiskError {
  return new DiskError("ENOSPC", `${name}: the disk is full`);
}

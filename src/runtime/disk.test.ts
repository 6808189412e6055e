import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { FileInfo } from "../node/ports.js";
import { call, type DiskWorld, diskSuite } from "../node/testing/disk-suite.js";
import { FileDisk, type WriteFunctions } from "./disk.js";

const folders: string[] = [];

function newFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), "gamut-disk-"));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true });
});

class FileWorld implements DiskWorld {
  readonly disk: FileDisk;

  constructor(
    readonly folder: string,
    functions?: WriteFunctions,
    writesAtOnce = false,
  ) {
    this.disk = FileDisk.open(folder, { functions, writesAtOnce });
  }

  /** Node's own event loop answers. */
  pump(): void {}

  reopen(): FileWorld {
    return new FileWorld(this.folder);
  }

  close(): void {
    this.disk.close();
  }
}

diskSuite("FileDisk", () => new FileWorld(newFolder()));
diskSuite("FileDisk that writes at once", () => new FileWorld(newFolder(), fs, true));

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: planned`), { code });
}

describe("FileDisk in trouble", () => {
  test("a file that a crash left half made is gone when the disk is opened again", async () => {
    const folder = newFolder();
    fs.writeFileSync(join(folder, "log-0000000001.aside"), "half");
    const world = new FileWorld(folder);
    expect(await call<FileInfo[]>(world, (done) => world.disk.list(done))).toEqual([]);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test("a failed synced write is the file's last; other files go on", async () => {
    let fail = false;
    const write = ((descriptor: number, ...rest: unknown[]) => {
      if (!fail) (fs.write as (...all: unknown[]) => void)(descriptor, ...rest);
      else setImmediate(rest[rest.length - 1] as (error: Error) => void, failure("EIO"));
    }) as typeof fs.write;
    const world = new FileWorld(newFolder(), { ...fs, write });
    await call(world, (done) => world.disk.create("a", 100, done));
    await call(world, (done) => world.disk.create("b", 100, done));
    const put = (name: string): Promise<void> =>
      call(world, (done) => world.disk.write(name, 0, new Uint8Array(10).fill(1), true, done));
    fail = true;
    await expect(put("a")).rejects.toMatchObject({ code: "EIO", message: "EIO: planned" });
    fail = false;
    await expect(put("a")).rejects.toMatchObject({ code: "EIO", message: expect.stringContaining("failed before") });
    await put("b");
    world.close();
  });

  test("a failed unsynced write is the file's last, too", async () => {
    let fail = false;
    const write = ((...all: unknown[]) => {
      if (fail) setImmediate(all[all.length - 1] as (error: Error) => void, failure("ENOSPC"));
      else (fs.write as (...args: unknown[]) => void)(...all);
    }) as typeof fs.write;
    const world = new FileWorld(newFolder(), { ...fs, write });
    await call(world, (done) => world.disk.create("a", 100, done));
    const put = (): Promise<void> => call(world, (done) => world.disk.write("a", 0, new Uint8Array(10), false, done));
    fail = true;
    await expect(put()).rejects.toMatchObject({ code: "ENOSPC" });
    fail = false;
    await expect(put()).rejects.toMatchObject({ code: "EIO" });
    world.close();
  });

  test("a failed write at once is the file's last, and answered later", async () => {
    let fail = false;
    const writeSync = ((...all: unknown[]): number => {
      if (fail) throw failure("EIO");
      return (fs.writeSync as (...args: unknown[]) => number)(...all);
    }) as typeof fs.writeSync;
    const world = new FileWorld(newFolder(), { ...fs, writeSync }, true);
    await call(world, (done) => world.disk.create("a", 100, done));
    const put = (): Promise<void> => call(world, (done) => world.disk.write("a", 0, new Uint8Array(10), false, done));
    await put();
    fail = true;
    await expect(put()).rejects.toMatchObject({ code: "EIO", message: "EIO: planned" });
    fail = false;
    await expect(put()).rejects.toMatchObject({ message: expect.stringContaining("failed before") });
    world.close();
  });

  test("a failed sync is the file's last, too", async () => {
    let fail = false;
    const fdatasync = ((descriptor: number, done: (error: Error | null) => void) => {
      if (fail) setImmediate(done, failure("EIO"));
      else fs.fdatasync(descriptor, done);
    }) as typeof fs.fdatasync;
    const world = new FileWorld(newFolder(), { ...fs, fdatasync }, true);
    await call(world, (done) => world.disk.create("a", 100, done));
    const put = (): Promise<void> => call(world, (done) => world.disk.write("a", 0, new Uint8Array(10), false, done));
    const sync = (): Promise<void> => call(world, (done) => world.disk.sync("a", done));
    await put();
    fail = true;
    await expect(sync()).rejects.toMatchObject({ code: "EIO", message: "EIO: planned" });
    fail = false;
    await expect(sync()).rejects.toMatchObject({ message: expect.stringContaining("failed before") });
    await expect(put()).rejects.toMatchObject({ message: expect.stringContaining("failed before") });
    world.close();
  });

  test("what need not be synced is written at once, but not while the file is being synced", async () => {
    const ways: string[] = [];
    const noted = (way: "write" | "writeSync") =>
      ((...all: unknown[]): unknown => {
        ways.push(way);
        return (fs[way] as (...args: unknown[]) => unknown)(...all);
      }) as never;
    let endSync = (): void => {};
    const fdatasync = ((_descriptor: number, done: (error: Error | null) => void) => {
      endSync = () => done(null);
    }) as typeof fs.fdatasync;
    const folder = newFolder();
    fs.writeFileSync(join(folder, "a"), new Uint8Array(100));
    const world = new FileWorld(folder, { write: noted("write"), writeSync: noted("writeSync"), fdatasync }, true);
    const put = (sync: boolean): Promise<void> =>
      call(world, (done) => world.disk.write("a", 0, new Uint8Array(10), sync, done));
    await put(false);
    await put(true);
    const synced = call(world, (done) => world.disk.sync("a", done));
    await put(false);
    endSync();
    await synced;
    await put(false);
    expect(ways).toEqual(["writeSync", "write", "write", "writeSync"]);
    world.close();
  });

  test.each(["write", "fdatasync"] as const)("a create whose %s fails leaves nothing", async (step) => {
    let fail = true;
    const broken = (...all: unknown[]): void => {
      if (fail) setImmediate(all[all.length - 1] as (error: Error) => void, failure("ENOSPC"));
      else (fs[step] as (...args: unknown[]) => void)(...all);
    };
    const world = new FileWorld(newFolder(), { ...fs, [step]: broken });
    const create = (): Promise<void> => call(world, (done) => world.disk.create("a", 100, done));
    await expect(create()).rejects.toMatchObject({ code: "ENOSPC" });
    expect(fs.readdirSync(world.folder)).toEqual([]);
    fail = false;
    await create();
    expect(fs.readdirSync(world.folder)).toEqual(["a"]);
  });

  test("short writes are completed", async () => {
    const short = ((descriptor: number, bytes: Uint8Array, at: number, length: number, offset: number, done: never) =>
      fs.write(descriptor, bytes, at, Math.min(length, 7), offset, done)) as unknown as typeof fs.write;
    const world = new FileWorld(newFolder(), { ...fs, write: short });
    await call(world, (done) => world.disk.create("a", 100, done));
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
    await call(world, (done) => world.disk.write("a", 0, bytes, true, done));
    expect(new Uint8Array(fs.readFileSync(join(world.folder, "a")))).toEqual(bytes);
    world.close();
  });

  test("a folder that cannot be made is named", () => {
    const file = join(newFolder(), "file");
    fs.writeFileSync(file, "");
    expect(() => FileDisk.open(file)).toThrow(file);
  });
});

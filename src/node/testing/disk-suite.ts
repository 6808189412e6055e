/** What every {@link Disk} must do: the runtime's, the simulator's, and whichever comes next. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Disk, DiskError, FileInfo } from "../ports.js";

export interface DiskWorld {
  readonly disk: Disk;
  /** Lets the calls at hand come to their end, where nobody else does. */
  pump(): void;
  /** The same files, seen by a process that starts anew after it was killed between two calls. */
  reopen(): DiskWorld;
  close(): void;
}

type Start<T> = (done: (error: DiskError | null, value: T) => void) => void;

/** Makes one call and waits for its answer, which must come later and once. */
export async function call<T = void>(world: DiskWorld, start: Start<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let returned = false;
    let answers = 0;
    start((error, value) => {
      answers += 1;
      if (!returned) reject(new Error("answered from within the call"));
      else if (answers > 1) throw new Error("answered twice");
      else if (error === null) resolve(value);
      else reject(error);
    });
    returned = true;
    world.pump();
  });
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
}

export function diskSuite(name: string, makeWorld: () => DiskWorld): void {
  describe(`${name} is a disk`, () => {
    let world: DiskWorld;
    let disk: Disk;

    beforeEach(() => {
      world = makeWorld();
      disk = world.disk;
    });
    afterEach(() => world.close());

    const create = (file: string, size: number): Promise<void> => call(world, (done) => disk.create(file, size, done));
    const write = (file: string, offset: number, bytes: Uint8Array, sync: boolean): Promise<void> =>
      call(world, (done) => disk.write(file, offset, bytes, sync, done));
    const read = (file: string, offset: number, length: number): Promise<Uint8Array> =>
      call<Uint8Array>(world, (done) => disk.read(file, offset, length, done));
    const replace = (file: string, bytes: Uint8Array): Promise<void> =>
      call(world, (done) => disk.replace(file, bytes, done));
    const list = (): Promise<FileInfo[]> => call<FileInfo[]>(world, (done) => disk.list(done));

    test("begins empty", async () => {
      expect(await list()).toEqual([]);
    });

    test("creates files of zeros, and lists them by name with their sizes", async () => {
      await create("b", 3000);
      await create("a", 0);
      expect(await list()).toEqual([
        { name: "a", size: 0 },
        { name: "b", size: 3000 },
      ]);
      expect(await read("b", 0, 3000)).toEqual(new Uint8Array(3000));
    });

    test("creates a file larger than what is written at once", async () => {
      await create("large", 2_500_001);
      const bytes = await read("large", 0, 2_500_001);
      expect(bytes.length).toBe(2_500_001);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    });

    test("does not create over a file", async () => {
      await replace("a", pattern(10, 1));
      await expect(create("a", 100)).rejects.toMatchObject({ code: "EEXIST" });
      expect(await read("a", 0, 100)).toEqual(pattern(10, 1));
    });

    test.each([true, false])("reads what was written at any offset (synced: %s)", async (sync) => {
      await create("a", 20_000);
      const expected = new Uint8Array(20_000);
      let seed = 0;
      for (const [offset, length] of [
        [0, 1],
        [511, 2],
        [512, 512],
        [1000, 9000],
        [19_999, 1],
        [300, 0],
        [20_000, 0],
      ]) {
        seed += 1;
        await write("a", offset, pattern(length, seed), sync);
        expected.set(pattern(length, seed), offset);
        expect(await read("a", 0, 20_000)).toEqual(expected);
      }
    });

    test("a read stops at the file's end", async () => {
      await replace("a", pattern(100, 3));
      expect(await read("a", 90, 100)).toEqual(pattern(100, 3).subarray(90));
      expect(await read("a", 100, 10)).toEqual(new Uint8Array(0));
      expect(await read("a", 500, 10)).toEqual(new Uint8Array(0));
    });

    test("a write stays inside the file", async () => {
      await create("a", 100);
      await expect(write("a", 99, pattern(2, 1), true)).rejects.toMatchObject({ code: "other" });
      await expect(write("a", 101, pattern(0, 1), false)).rejects.toMatchObject({ code: "other" });
      expect(await read("a", 0, 200)).toEqual(new Uint8Array(100));
      await write("a", 98, pattern(2, 1), true);
    });

    test("names the missing file", async () => {
      const enoent = { code: "ENOENT", message: expect.stringContaining("gone") };
      await expect(read("gone", 0, 1)).rejects.toMatchObject(enoent);
      await expect(write("gone", 0, pattern(1, 1), true)).rejects.toMatchObject(enoent);
      await expect(call(world, (done) => disk.rename("gone", "b", done))).rejects.toMatchObject(enoent);
      await expect(call(world, (done) => disk.remove("gone", done))).rejects.toMatchObject(enoent);
    });

    test("replaces a file, makes it where there is none, and does not keep the caller's bytes", async () => {
      const bytes = pattern(700, 1);
      const replaced = replace("a", bytes);
      await replaced;
      bytes.fill(0);
      expect(await read("a", 0, 1000)).toEqual(pattern(700, 1));
      await replace("a", pattern(3, 2));
      expect(await read("a", 0, 1000)).toEqual(pattern(3, 2));
      expect(await list()).toEqual([{ name: "a", size: 3 }]);
      await write("a", 0, pattern(3, 9), true);
      expect(await read("a", 0, 1000)).toEqual(pattern(3, 9));
    });

    test("renames over a file, and what is written then goes to the right one", async () => {
      await create("a", 10);
      await create("b", 20);
      await write("a", 0, pattern(10, 1), false);
      await write("b", 0, pattern(20, 2), true);
      await call(world, (done) => disk.rename("a", "b", done));
      expect(await list()).toEqual([{ name: "b", size: 10 }]);
      await write("b", 5, pattern(5, 3), true);
      expect(await read("b", 0, 20)).toEqual(Uint8Array.from([...pattern(5, 1), ...pattern(5, 3)]));
      await expect(write("a", 0, pattern(1, 1), true)).rejects.toMatchObject({ code: "ENOENT" });
    });

    test("removes a file, and a new one of that name is zeros", async () => {
      await create("a", 600);
      await write("a", 0, pattern(600, 1), true);
      await call(world, (done) => disk.remove("a", done));
      expect(await list()).toEqual([]);
      await create("a", 600);
      expect(await read("a", 0, 600)).toEqual(new Uint8Array(600));
    });

    test("syncs a file, written to or not, and goes on with it", async () => {
      await create("a", 4096);
      await write("a", 0, pattern(1000, 1), false);
      await call(world, (done) => disk.sync("a", done));
      await write("a", 1000, pattern(1000, 2), false);
      await call(world, (done) => disk.sync("a", done));
      await call(world, (done) => disk.sync("a", done));
      expect(await read("a", 0, 2000)).toEqual(Uint8Array.from([...pattern(1000, 1), ...pattern(1000, 2)]));
      await expect(call(world, (done) => disk.sync("gone", done))).rejects.toMatchObject({ code: "ENOENT" });
    });

    test("writes while a sync is under way", async () => {
      await create("a", 4096);
      await write("a", 0, pattern(512, 1), false);
      const synced = call(world, (done) => disk.sync("a", done));
      await write("a", 512, pattern(512, 2), false);
      await synced;
      expect(await read("a", 0, 1024)).toEqual(Uint8Array.from([...pattern(512, 1), ...pattern(512, 2)]));
    });

    test("several calls at once are each answered", async () => {
      await create("a", 4096);
      const answers = [0, 1, 2, 3].map((i) => write("a", i * 1024, pattern(1024, i), i % 2 === 0));
      await Promise.all([...answers, create("b", 100), list()]);
      for (let i = 0; i < 4; i += 1) expect(await read("a", i * 1024, 1024)).toEqual(pattern(1024, i));
    });

    test("a process that starts anew finds what the last one wrote", async () => {
      await create("a", 2048);
      await write("a", 0, pattern(1000, 1), true);
      await write("a", 1000, pattern(1000, 2), false);
      const next = world.reopen();
      const bytes = await call<Uint8Array>(next, (done) => next.disk.read("a", 0, 2000, done));
      expect(bytes).toEqual(Uint8Array.from([...pattern(1000, 1), ...pattern(1000, 2)]));
      next.close();
    });
  });
}

import fs from "node:fs";
import { join } from "node:path";
import { type Disk, DiskError, type Done, type DoneWith, type FileInfo } from "../node/ports.js";

/** The files of a folder, to be read. What would change them is taken for done, and is not. */
export class ReadingDisk implements Disk {
  constructor(private readonly folder: string) {}

  list(done: DoneWith<FileInfo[]>): void {
    this.answer(done, [], () =>
      fs
        .readdirSync(this.folder, { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => ({ name, size: fs.statSync(join(this.folder, name)).size })),
    );
  }

  read(name: string, offset: number, length: number, done: DoneWith<Uint8Array>): void {
    this.answer(done, new Uint8Array(0), () => {
      const file = fs.openSync(join(this.folder, name), "r");
      try {
        const bytes = new Uint8Array(length);
        return bytes.subarray(0, fs.readSync(file, bytes, 0, length, offset));
      } finally {
        fs.closeSync(file);
      }
    });
  }

  private answer<T>(done: DoneWith<T>, nothing: T, read: () => T): void {
    setImmediate(() => {
      let value: T;
      try {
        value = read();
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        done(
          new DiskError(code === "ENOENT" || code === "EIO" || code === "EACCES" ? code : "other", message),
          nothing,
        );
        return;
      }
      done(null, value);
    });
  }

  create(_name: string, _size: number, done: Done): void {
    setImmediate(done, null);
  }

  write(_name: string, _offset: number, _bytes: Uint8Array, _sync: boolean, done: Done): void {
    setImmediate(done, null);
  }

  sync(_name: string, done: Done): void {
    setImmediate(done, null);
  }

  replace(_name: string, _bytes: Uint8Array, done: Done): void {
    setImmediate(done, null);
  }

  rename(_from: string, _to: string, done: Done): void {
    setImmediate(done, null);
  }

  remove(_name: string, done: Done): void {
    setImmediate(done, null);
  }
}

import fs from "node:fs";
import { basename, join } from "node:path";
import { type Disk, DiskError, type DiskErrorCode, type Done, type DoneWith, type FileInfo } from "../node/ports.js";

const { O_RDWR, O_DSYNC } = fs.constants;
/** Files on their way to their name. A crash may leave one; it is deleted when the disk is opened. */
const ASIDE_SUFFIX = ".aside";
/** Written at once into a new file; kept, since every new segment needs it. */
const ZEROS = new Uint8Array(1024 * 1024);

/** The functions of node:fs by which bytes reach the disk; tests let them fail. */
export type WriteFunctions = Pick<typeof fs, "write" | "writeSync" | "fdatasync">;

/** A file that is written to. */
interface OpenFile {
  /**
   * Opened with O_DSYNC: a write returns when it is durable. One way to the thread pool instead of two, 38 µs for
   * 4 KiB where write and fdatasync take 42.
   */
  readonly synced: number;
  readonly unsynced: number;
  readonly size: number;
  /** What a failed write left is unknown, and a second try may claim success for what the first one lost. */
  failed: boolean;
  /** Calls of fdatasync under way. */
  syncs: number;
}

export interface FileDiskOptions {
  /**
   * Write from the calling thread what need not be synced: 8 µs of processor time where the way to the thread pool and
   * back takes 25. While the file is being synced the pool takes it after all, for such a write may have to wait.
   */
  readonly writesAtOnce?: boolean;
  readonly functions?: WriteFunctions;
}

/** The files of one folder on Node.js. One process, one FileDisk a folder. */
export class FileDisk implements Disk {
  private readonly openFiles = new Map<string, OpenFile>();

  private constructor(
    private readonly folder: string,
    private readonly functions: WriteFunctions,
    private readonly writesAtOnce: boolean,
  ) {}

  /** Makes the folder if there is none. Throws {@link DiskError}. */
  static open(folder: string, { functions = fs, writesAtOnce = false }: FileDiskOptions = {}): FileDisk {
    try {
      fs.mkdirSync(folder, { recursive: true });
      for (const name of fs.readdirSync(folder)) {
        if (name.endsWith(ASIDE_SUFFIX)) fs.unlinkSync(join(folder, name));
      }
    } catch (error) {
      throw diskError(error as NodeJS.ErrnoException);
    }
    return new FileDisk(folder, functions, writesAtOnce);
  }

  /** Closes what is open; no call may be on its way. */
  close(): void {
    for (const name of [...this.openFiles.keys()]) this.closeFile(name);
  }

  list(done: DoneWith<FileInfo[]>): void {
    fs.readdir(this.folder, { withFileTypes: true }, (error, entries) => {
      if (error !== null) {
        done(diskError(error), []);
        return;
      }
      const names = entries.filter((entry) => entry.isFile() && !entry.name.endsWith(ASIDE_SUFFIX)).map((e) => e.name);
      this.sizes(names.sort(), [], done);
    });
  }

  private sizes(names: string[], infos: FileInfo[], done: DoneWith<FileInfo[]>): void {
    if (infos.length === names.length) {
      done(null, infos);
      return;
    }
    const name = names[infos.length];
    fs.stat(this.path(name), (error, stats) => {
      if (error !== null) {
        done(diskError(error), []);
        return;
      }
      infos.push({ name, size: stats.size });
      this.sizes(names, infos, done);
    });
  }

  create(name: string, size: number, done: Done): void {
    fs.access(this.path(name), (absent) => {
      if (absent === null) done(new DiskError("EEXIST", `${name} exists`));
      else this.writeAside(name, size, ZEROS, done);
    });
  }

  replace(name: string, bytes: Uint8Array, done: Done): void {
    this.closeFile(name);
    this.writeAside(name, bytes.length, bytes.slice(), done);
  }

  /** A file that is all there before it has its name. Whatever fails, nothing is left. */
  private writeAside(name: string, size: number, pattern: Uint8Array, done: Done): void {
    const aside = this.path(name) + ASIDE_SUFFIX;
    const fail = (error: NodeJS.ErrnoException): void => fs.unlink(aside, () => done(diskError(error)));
    fs.open(aside, "w", (openError, descriptor) => {
      if (openError !== null) {
        fail(openError);
        return;
      }
      this.fill(descriptor, size, pattern, (writeError) => {
        fs.close(descriptor, (closeError) => {
          const error = writeError ?? closeError;
          if (error !== null && error !== undefined) fail(error);
          else this.moveAndSync(aside, this.path(name), done);
        });
      });
    });
  }

  /** Writes the pattern again and again up to `size` bytes, then syncs. */
  private fill(
    descriptor: number,
    size: number,
    pattern: Uint8Array,
    done: (error: NodeJS.ErrnoException | null) => void,
  ): void {
    const next = (offset: number): void => {
      if (offset === size) {
        this.functions.fdatasync(descriptor, done);
        return;
      }
      const start = offset % pattern.length;
      const length = Math.min(pattern.length - start, size - offset);
      this.functions.write(descriptor, pattern, start, length, offset, (error, written) => {
        if (error !== null) done(error);
        else next(offset + written);
      });
    };
    next(0);
  }

  write(name: string, offset: number, bytes: Uint8Array, sync: boolean, done: Done): void {
    const file = this.openFile(name);
    if (file instanceof DiskError) {
      answerLater(done, file);
    } else if (file.failed) {
      answerLater(done, new DiskError("EIO", `${this.path(name)}: a write to it has failed before`));
    } else if (offset + bytes.length > file.size) {
      answerLater(done, new DiskError("other", `${this.path(name)}: a write beyond the file's end`));
    } else if (!sync && this.writesAtOnce && file.syncs === 0) {
      this.writeAtOnce(file, offset, bytes, done);
    } else {
      // Unless that is what decides how soon an answer goes out, not even a few unsynced bytes at once from this thread:
      // the file system may make them wait for its journal.
      this.writeAll(file, sync ? file.synced : file.unsynced, offset, bytes, done);
    }
  }

  private writeAll(file: OpenFile, descriptor: number, offset: number, bytes: Uint8Array, done: Done): void {
    this.functions.write(descriptor, bytes, 0, bytes.length, offset, (error, written) => {
      if (error !== null) {
        file.failed = true;
        done(diskError(error));
      } else if (written < bytes.length) {
        this.writeAll(file, descriptor, offset + written, bytes.subarray(written), done);
      } else {
        done(null);
      }
    });
  }

  private writeAtOnce(file: OpenFile, offset: number, bytes: Uint8Array, done: Done): void {
    let problem: DiskError | null = null;
    try {
      for (let at = 0; at < bytes.length; ) {
        at += this.functions.writeSync(file.unsynced, bytes, at, bytes.length - at, offset + at);
      }
    } catch (error) {
      file.failed = true;
      problem = diskError(error as NodeJS.ErrnoException);
    }
    answerLater(done, problem);
  }

  sync(name: string, done: Done): void {
    const file = this.openFile(name);
    if (file instanceof DiskError) {
      answerLater(done, file);
      return;
    }
    if (file.failed) {
      answerLater(done, new DiskError("EIO", `${this.path(name)}: a write to it has failed before`));
      return;
    }
    file.syncs += 1;
    this.functions.fdatasync(file.unsynced, (error) => {
      file.syncs -= 1;
      if (error !== null) file.failed = true;
      done(error === null ? null : diskError(error));
    });
  }

  read(name: string, offset: number, length: number, done: DoneWith<Uint8Array>): void {
    const fail = (error: NodeJS.ErrnoException): void => done(diskError(error), new Uint8Array(0));
    fs.open(this.path(name), "r", (openError, descriptor) => {
      if (openError !== null) {
        fail(openError);
        return;
      }
      fs.fstat(descriptor, (statError, stats) => {
        const count = statError === null ? Math.max(0, Math.min(length, stats.size - offset)) : 0;
        const bytes = new Uint8Array(count);
        readAll(descriptor, offset, bytes, 0, (readError, total) => {
          fs.close(descriptor, () => {
            const error = statError ?? readError;
            if (error !== null) fail(error);
            else done(null, bytes.subarray(0, total));
          });
        });
      });
    });
  }

  rename(from: string, to: string, done: Done): void {
    this.closeFile(from);
    this.closeFile(to);
    this.moveAndSync(this.path(from), this.path(to), done);
  }

  remove(name: string, done: Done): void {
    this.closeFile(name);
    fs.unlink(this.path(name), (error) => {
      if (error !== null) done(diskError(error));
      else this.syncFolder(done);
    });
  }

  private moveAndSync(from: string, to: string, done: Done): void {
    fs.rename(from, to, (error) => {
      if (error !== null) done(diskError(error));
      else this.syncFolder(done);
    });
  }

  /** Makes names durable. */
  private syncFolder(done: Done): void {
    fs.open(this.folder, "r", (openError, descriptor) => {
      if (openError !== null) {
        done(diskError(openError));
        return;
      }
      fs.fsync(descriptor, (syncError) => {
        fs.close(descriptor, () => done(syncError === null ? null : diskError(syncError)));
      });
    });
  }

  private openFile(name: string): OpenFile | DiskError {
    const known = this.openFiles.get(name);
    if (known !== undefined) return known;
    let unsynced = -1;
    try {
      unsynced = fs.openSync(this.path(name), O_RDWR);
      const synced = fs.openSync(this.path(name), O_RDWR | O_DSYNC);
      const file: OpenFile = { synced, unsynced, size: fs.fstatSync(unsynced).size, failed: false, syncs: 0 };
      this.openFiles.set(name, file);
      return file;
    } catch (error) {
      if (unsynced !== -1) fs.closeSync(unsynced);
      return diskError(error as NodeJS.ErrnoException);
    }
  }

  private closeFile(name: string): void {
    const file = this.openFiles.get(name);
    if (file === undefined) return;
    this.openFiles.delete(name);
    fs.closeSync(file.synced);
    fs.closeSync(file.unsynced);
  }

  private path(name: string): string {
    return join(this.folder, basename(name));
  }
}

function readAll(
  descriptor: number,
  offset: number,
  bytes: Uint8Array,
  at: number,
  done: (error: NodeJS.ErrnoException | null, total: number) => void,
): void {
  if (at === bytes.length) {
    done(null, at);
    return;
  }
  fs.read(descriptor, bytes, at, bytes.length - at, offset + at, (error, count) => {
    if (error !== null || count === 0) done(error, at);
    else readAll(descriptor, offset, bytes, at + count, done);
  });
}

function answerLater(done: Done, error: DiskError | null): void {
  process.nextTick(done, error);
}

function diskError(error: NodeJS.ErrnoException): DiskError {
  return new DiskError(codeOf(error.code), error.message);
}

function codeOf(code: string | undefined): DiskErrorCode {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return "ENOSPC";
    case "EIO":
    case "ENOENT":
    case "EEXIST":
      return code;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "EACCES";
    default:
      return "other";
  }
}

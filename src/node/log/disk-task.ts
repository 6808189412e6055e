/** Sequences of disk calls written as generators: recovery reads like a plain function and holds no thread. */
import type { Disk, DiskError, FileInfo } from "../ports.js";

type DiskStep = (resume: (error: DiskError | null, value?: unknown) => void) => void;

/** Yields one disk call at a time; a call that fails throws its {@link DiskError} at the `yield`. */
export type DiskTask<T> = Generator<DiskStep, T, unknown>;

/** Runs a task that handles its disk errors itself. Whatever else it throws comes out of the disk's callback. */
export function runDiskTask<T>(task: DiskTask<T>, done: (value: T) => void): void {
  function advance(result: IteratorResult<DiskStep, T>): void {
    if (result.done === true) {
      done(result.value);
      return;
    }
    result.value((error, value) => advance(error === null ? task.next(value) : task.throw(error)));
  }
  advance(task.next());
}

export function* listFiles(disk: Disk): DiskTask<FileInfo[]> {
  return (yield (resume) => disk.list(resume)) as FileInfo[];
}

export function* readFile(disk: Disk, file: FileInfo): DiskTask<Uint8Array> {
  return (yield (resume) => disk.read(file.name, 0, file.size, resume)) as Uint8Array;
}

export function* createFile(disk: Disk, name: string, size: number): DiskTask<void> {
  yield (resume) => disk.create(name, size, resume);
}

export function* writeSynced(disk: Disk, name: string, offset: number, bytes: Uint8Array): DiskTask<void> {
  yield (resume) => disk.write(name, offset, bytes, true, resume);
}

export function* replaceFile(disk: Disk, name: string, bytes: Uint8Array): DiskTask<void> {
  yield (resume) => disk.replace(name, bytes, resume);
}

export function* renameFile(disk: Disk, from: string, to: string): DiskTask<void> {
  yield (resume) => disk.rename(from, to, resume);
}

export function* removeFile(disk: Disk, name: string): DiskTask<void> {
  yield (resume) => disk.remove(name, resume);
}

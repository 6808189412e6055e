/** One process a folder: a file in it names the process that uses it. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Answers the lock, to be given back. @throws Error if another process uses the folder, which must be there */
export function takeFolder(folder: string): string {
  const lock = join(folder, "pid");
  if (existsSync(lock)) {
    const pid = Number(readFileSync(lock, "utf8"));
    if (pid !== process.pid && isGamut(pid)) {
      throw new Error(`the data folder ${folder} is in use by process ${pid}: stop it first, or choose another folder`);
    }
  }
  writeFileSync(lock, String(process.pid));
  return lock;
}

export function releaseFolder(lock: string): void {
  rmSync(lock, { force: true });
}

/** Whether that process lives and is one of ours: after a crash its number may be somebody else's. */
function isGamut(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("gamut");
  } catch {
    return true;
  }
}

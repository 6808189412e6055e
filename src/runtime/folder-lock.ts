/** One process a folder: a file in it names the process that uses it. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LOCK_FILE = "pid";

/** Answers the lock, to be given back. @throws Error if another process uses the folder, which must be there */
export function takeFolder(folder: string): string {
  const lock = join(folder, LOCK_FILE);
  const owner = livingOwner(lock);
  if (owner !== 0) {
    throw new Error(`the data folder ${folder} is in use by process ${owner}: stop it first, or choose another folder`);
  }
  rmSync(lock, { force: true });
  try {
    writeFileSync(lock, `${process.pid} ${bornAt(process.pid) ?? ""}`, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new Error(
      `the data folder ${folder} is being taken by another process at this moment: choose another folder`,
    );
  }
  return lock;
}

export function releaseFolder(lock: string): void {
  rmSync(lock, { force: true });
}

/** 0 when there is none. */
function livingOwner(file: string): number {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  // Anything else is what a crash or a full disk has left of one.
  const match = /^([1-9]\d{0,9}) (\d*)$/.exec(text);
  if (match === null) return 0;
  const pid = Number(match[1]);
  return pid !== process.pid && lives(pid, match[2]) ? pid : 0;
}

/** Whether it is still that process: after a crash or a reboot its number may be somebody else's, another node's even. */
function lives(pid: number, born: string): boolean {
  const now = bornAt(pid);
  if (born !== "" && now !== null) return now === born;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When the process was started, in the kernel's ticks; "" when it has died; null where there is no /proc to tell. */
function bornAt(pid: number): string | null {
  if (process.platform !== "linux") return null;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the name, in parentheses, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? "" : fields[19];
  } catch {
    return "";
  }
}

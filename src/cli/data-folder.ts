/** The folder that a user names for data: made, tried, and shown. */
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { CliError, Exit } from "./exit.js";

/** Absolute. `flag` names where it was chosen. @throws CliError if it is not there and cannot be made, or not be used */
export function makeFolder(chosen: string, flag: string): string {
  if (chosen.trim() === "") {
    throw new CliError(Exit.usage, `${flag} names no folder: it is empty (an unset variable?)`);
  }
  const folder = resolve(chosen);
  try {
    makeAll(folder);
    if (!statSync(folder).isDirectory()) throw new Error("it is a file");
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = reason(error as NodeJS.ErrnoException);
    throw new CliError(Exit.failed, `the folder ${folder} cannot be used: ${why}; choose another with ${flag}`);
  }
  return folder;
}

/** Node's own recursive way never comes back where the system says that a folder below an existing one is not there (/proc). */
function makeAll(folder: string): void {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeAll(parent);
  mkdirSync(folder);
}

function reason(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "EEXIST":
    case "ENOTDIR":
      return "it is a file, or below one";
    case "EACCES":
    case "EPERM":
      return "this user may not write there";
    case "ENOENT":
      return "no folder can be made there";
    case "EROFS":
      return "the disk can only be read";
    default:
      return error.message;
  }
}

/**
 * A node that keeps everything in memory would begin empty beside data that its user may think it serves.
 * `choice`: what asks for memory. @throws CliError
 */
export function refuseDurableData(folder: string, choice: string, flag: string): void {
  if (!existsSync(join(folder, "log"))) return;
  const found = `${shownFolder(folder)} holds data on the disk, which ${choice} would not read: the node would begin empty`;
  throw new CliError(Exit.failed, `${found}; start without it, or choose another folder with ${flag}`);
}

/** As a person would write it from where they are: relative below the working folder, else absolute. */
export function shownFolder(folder: string, from = process.cwd()): string {
  const path = relative(from, folder);
  return path === "" || path.startsWith("..") || isAbsolute(path) ? folder : path;
}

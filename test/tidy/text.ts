/** Rules on the text of any file: how long it is, and what it gives away. */
import type { Problem, SourceFile } from "./tree.js";

export const LINES_MAX = 450;

/** A file is one noun. Tests may be longer by half: they are lists. */
export function lengthProblems(file: SourceFile): Problem[] {
  const limit = file.path.endsWith(".test.ts") ? LINES_MAX * 1.5 : LINES_MAX;
  const lines = file.text.split("\n").length - (file.text.endsWith("\n") ? 1 : 0);
  if (lines <= limit) return [];
  return [{ path: file.path, line: limit, rule: "length", what: `${lines} lines: split it, ${limit} are allowed` }];
}

/** Folders of a person or of one machine, at the start of a path. */
const MACHINE_PATH = /(?<![\w.:/$}~-])(?:\/(?:home|Users|root|work|mnt|workspace|tmp)\/[\w.-]|[A-Z]:\\\w)/;

export function machinePathProblems(file: SourceFile): Problem[] {
  const problems: Problem[] = [];
  for (const [index, line] of file.text.split("\n").entries()) {
    const match = MACHINE_PATH.exec(line);
    if (match === null) continue;
    const what = `"${line.slice(match.index, match.index + 40)}" is there on one machine only`;
    problems.push({ path: file.path, line: index + 1, rule: "machine-path", what });
  }
  return problems;
}

/** A lock file with addresses ties the installation to the registry that wrote it. */
export function lockProblems(file: SourceFile): Problem[] {
  const lock = JSON.parse(file.text) as { packages?: Record<string, { resolved?: string; link?: boolean }> };
  const problems: Problem[] = [];
  for (const [name, entry] of Object.entries(lock.packages ?? {})) {
    if (entry.resolved === undefined || entry.link === true) continue;
    problems.push({ path: file.path, line: 1, rule: "lock-resolved", what: `${name} names ${entry.resolved}` });
  }
  return problems;
}

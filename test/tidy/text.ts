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

interface Lock {
  readonly packages?: Record<string, { readonly dev?: boolean; readonly engines?: { readonly node?: string } }>;
}

/** Whoever installs the package hears a warning, or is refused, where a dependency wants a newer Node.js than we do. */
export function engineProblems(file: SourceFile): Problem[] {
  const { packages = {} } = JSON.parse(file.text) as Lock;
  const floor = numbersOf(packages[""]?.engines?.node ?? "");
  const problems: Problem[] = [];
  for (const [name, { dev, engines }] of Object.entries(packages)) {
    if (dev === true || engines?.node === undefined) continue;
    if (engines.node.split("||").some((range) => admits(range.trim(), floor))) continue;
    const what = `${name} wants Node.js ${engines.node}, we promise ${floor.join(".")}`;
    problems.push({ path: file.path, line: 1, rule: "lock-engines", what });
  }
  return problems;
}

/** Of `>=20.19`, `^20.19.0`, `20`, `10.*` or `*`. */
function admits(range: string, floor: readonly number[]): boolean {
  if (range === "*") return true;
  const from = numbersOf(range);
  const [major, minor = 0] = from;
  const isBelow = major < floor[0] || (major === floor[0] && minor <= (floor[1] ?? 0));
  return isBelow && (range.startsWith(">=") || major === floor[0]);
}

function numbersOf(range: string): number[] {
  return (range.match(/\d+/g) ?? []).map(Number);
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

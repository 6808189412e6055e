/** Turns what the schema found into sentences that say what is wrong, where, and what to do. */
import { type Document, isMap, isPair, isScalar, type LineCounter } from "yaml";
import type { z } from "zod";

/** A configuration that cannot be used. The message holds all problems, one a line. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    readonly source: string,
    readonly problems: readonly string[],
  ) {
    super(problems.map((problem) => `${source}: ${problem}`).join("\n"));
  }
}

type Path = readonly PropertyKey[];

/** Where a value stands in the file; null for one that came from a flag, or that is not there. */
export type Locator = (path: Path) => string | null;

/** `line 4, members[1].clientPort` */
export function locateInYaml(document: Document, lines: LineCounter): Locator {
  return (path) => {
    const offset = offsetOf(document, path);
    if (offset === null) return null;
    return `line ${lines.linePos(offset).line}`;
  };
}

/** The key's place rather than the value's: the value may stand lines below. */
function offsetOf(document: Document, path: Path): number | null {
  if (path.length === 0) return null;
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const last = path[path.length - 1];
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === last);
    if (pair !== undefined && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
    return null;
  }
  const node = document.getIn(path, true) as { range?: [number, number, number] } | undefined;
  return node?.range ? node.range[0] : null;
}

export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? String(part) : `.${String(part)}`;
  }
  return text;
}

/** One sentence for each issue; `known` gives the allowed names at a path, for the advice on a misspelt one. */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  locate: Locator,
  known: (path: Path) => readonly string[],
): string[] {
  const problems: string[] = [];
  for (const issue of issues) {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) problems.push(unknownName(key, issue.path, locate, known(issue.path)));
    } else {
      problems.push(`${place(issue.path, locate)}${issue.message}`);
    }
  }
  return problems;
}

/** `line 4: members[1].clientPort ` */
function place(path: Path, locate: Locator): string {
  if (path.length === 0) return "";
  let line: string | null = null;
  for (let depth = path.length; depth > 0 && line === null; depth -= 1) line = locate(path.slice(0, depth));
  return `${line === null ? "" : `${line}: `}${formatPath(path)} `;
}

function unknownName(key: string, path: Path, locate: Locator, known: readonly string[]): string {
  const near = (name: string): number => editDistance(name.toLowerCase(), key.toLowerCase());
  const nearest = [...known].sort((a, b) => near(a) - near(b))[0];
  // Of a short word two letters are all that there is to it.
  const close = nearest !== undefined && near(nearest) <= Math.min(2, nearest.length / 3) ? nearest : undefined;
  const advice = close === undefined ? `known here: ${known.join(", ")}` : `did you mean "${close}"?`;
  return `${place([...path, key], locate)}is not a setting; ${advice}`;
}

/** Levenshtein's. The names are short. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

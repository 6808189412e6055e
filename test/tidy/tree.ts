/** The files of the repository, and the rooms that they stand in. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** One broken rule. */
export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly what: string;
}

export function showProblem(problem: Problem): string {
  return `${problem.path}:${problem.line}: ${problem.rule}: ${problem.what}`;
}

/** Every room, and what it may import: always downwards. */
export const ROOM_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  kv: ["core"],
  protocols: ["kv", "core"],
  cluster: ["protocols", "kv", "core"],
  codec: ["kv", "core"],
  check: ["kv", "core"],
  node: ["cluster", "protocols", "codec", "kv", "core"],
  sim: ["node", "check", "cluster", "protocols", "codec", "kv", "core"],
  runtime: ["node", "cluster", "protocols", "codec", "kv", "core"],
  server: ["runtime", "node", "codec", "kv", "core"],
  client: ["codec", "kv", "core"],
  cli: ["client", "server", "runtime", "sim", "node", "check", "cluster", "protocols", "codec", "kv", "core"],
  web: ["sim", "node", "check", "cluster", "protocols", "codec", "kv", "core"],
};

/** Deterministic: nothing in them may depend on anything but their inputs. */
export const PURE_ROOMS: readonly string[] = ["core", "kv", "protocols", "cluster", "codec", "check", "node", "sim"];

/** "" for a file in no room. */
export function roomOf(path: string): string {
  const parts = path.split("/");
  return parts[0] === "src" && parts.length > 2 ? parts[1] : "";
}

/** Tests, and helpers of tests, may use the world. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.includes("/testing/");
}

export function isPure(path: string): boolean {
  return PURE_ROOMS.includes(roomOf(path)) && !isTest(path);
}

/** What git has, or would take: neither built nor installed files. */
export function listTree(): string[] {
  // A checkout may belong to another user than the one that tests it.
  const listFiles = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", listFiles, { cwd: ROOT });
  const paths = listed.toString("utf8").split("\0");
  return [...new Set(paths)].filter((path) => path !== "" && existsSync(join(ROOT, path)) && isFile(path)).sort();
}

function isFile(path: string): boolean {
  return statSync(join(ROOT, path)).isFile();
}

export function readTree(isWanted: (path: string) => boolean): SourceFile[] {
  return listTree()
    .filter(isWanted)
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** The rooms' TypeScript projects: they are what makes a wrong-way import a compile error. */
import { join } from "node:path";
import ts from "typescript";
import { type Problem, PURE_ROOMS, ROOM_IMPORTS, type SourceFile } from "./tree.js";

interface ProjectFile {
  readonly extends?: string;
  readonly compilerOptions?: { readonly types?: readonly string[]; readonly lib?: readonly string[] };
  readonly references?: readonly { readonly path: string }[];
}

/**
 * `src/<room>/tsconfig.json` or `tsconfig.test.json`, against the table. `rooms`: those that there are, for not every
 * room of the table is built yet.
 */
export function projectProblems(file: SourceFile, rooms: readonly string[]): Problem[] {
  const room = file.path.split("/")[1];
  const isTestProject = file.path.endsWith("tsconfig.test.json");
  const project = ts.parseConfigFileTextToJson(file.path, file.text).config as ProjectFile;
  const problems: Problem[] = [];
  const report = (what: string) => problems.push({ path: file.path, line: 1, rule: "project", what });

  const found = (project.references ?? [])
    .map((reference) => reference.path)
    .filter((path) => !isTestsOfBelow(path, room, isTestProject));
  const wanted = (ROOM_IMPORTS[room] ?? []).filter((name) => rooms.includes(name)).map((name) => `../${name}`);
  if (isTestProject) wanted.push("./tsconfig.json");
  const missing = wanted.filter((path) => !found.includes(path));
  const extra = found.filter((path) => !wanted.includes(path));
  if (missing.length > 0) report(`does not reference ${missing.join(" ")}`);
  if (extra.length > 0) report(`references ${extra.join(" ")}, which ${room} may not import`);

  if (project.extends !== "../../tsconfig.base.json") report("must extend tsconfig.base.json");
  const options = project.compilerOptions ?? {};
  if (options.lib !== undefined) report("must not choose a lib of its own");
  if (!isTestProject && PURE_ROOMS.includes(room) && (options.types ?? []).length > 0) {
    report(`is a pure room and must not see the types of ${options.types?.join(" ")}`);
  }
  return problems;
}

/** Tests of a room may use the acceptance suites of the rooms below it. */
function isTestsOfBelow(path: string, room: string, isTestProject: boolean): boolean {
  const match = /^\.\.\/(\w+)\/tsconfig\.test\.json$/.exec(path);
  return isTestProject && match !== null && (ROOM_IMPORTS[room] ?? []).includes(match[1]);
}

/** The root project must build every room, and the tests of every room. */
export function rootProblems(file: SourceFile, rooms: readonly string[]): Problem[] {
  const project = ts.parseConfigFileTextToJson(file.path, file.text).config as ProjectFile;
  const found = (project.references ?? []).map((reference) => join(reference.path));
  const wanted = rooms.flatMap((room) => [`src/${room}`, `src/${room}/tsconfig.test.json`]);
  return wanted
    .filter((path) => !found.includes(path))
    .map((path) => ({ path: file.path, line: 1, rule: "project", what: `does not reference ${path}` }));
}

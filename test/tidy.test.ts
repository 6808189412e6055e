/**
 * The house's rules that neither compiler nor linter knows. Each rule is first shown to bite: on a planted example it
 * must find what it forbids, and nothing in a harmless one that looks alike.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { importProblems, nodeGlobals } from "./tidy/imports.js";
import { projectProblems, rootProblems } from "./tidy/projects.js";
import { purityProblems } from "./tidy/purity.js";
import { engineProblems, LINES_MAX, lengthProblems, lockProblems, machinePathProblems } from "./tidy/text.js";
import { isPure, listTree, PURE_ROOMS, ROOM_IMPORTS, ROOT, readTree, roomOf, showProblem } from "./tidy/tree.js";

const tree = listTree();
const rooms = [...new Set(tree.map(roomOf))].filter((room) => room in ROOM_IMPORTS);
const isCode = (path: string) => /\.(ts|mjs|js)$/.test(path);

/** Rules broken by a file of a pure room with this text. */
function impurities(text: string): string[] {
  return purityProblems([{ path: "src/core/planted.ts", text }]).map((problem) => problem.rule);
}

function importRules(path: string, text: string): string[] {
  return importProblems({ path, text }).map((problem) => problem.rule);
}

describe("pure rooms", () => {
  it("the rule bites on every name and syntax that it forbids", () => {
    const planted: [string, string][] = [
      ["const t = Date.now();", "Date"],
      ["const t = new Date();", "Date"],
      ["function f(at: Date) { return at; }", "Date"],
      ["const t = performance.now();", "performance"],
      ["const t = globalThis.performance.now();", "globalThis"],
      ["const id = crypto.randomUUID();", "crypto"],
      ["const r = Math.random();", "Math.random"],
      ['const r = Math["random"]();', "Math.random"],
      ["const { random } = Math;", "Math"],
      ["const m = Math; m.random();", "Math"],
      ["const all = { ...Math };", "Math"],
      ["const x = 1.5 ** 0.5;", "**"],
      ["let x = 3; x **= 2;", "**"],
      ["async function f() {}", "async"],
      ["const f = async () => 1;", "async"],
      ["class A { async f() {} }", "async"],
      ["await f();", "await"],
      ["for await (const x of xs) f(x);", "await"],
      ["const p = Promise.resolve(1);", "Promise"],
      ["let p: Promise<number>;", "Promise"],
      ["new WeakRef(o);", "WeakRef"],
      ["new FinalizationRegistry(() => {});", "FinalizationRegistry"],
      ["a.localeCompare(b);", "localeCompare"],
      ['a["localeCompare"](b);', "localeCompare"],
      ["xs.sort((a, b) => a.localeCompare(b));", "localeCompare"],
      ["(5).toLocaleString();", "toLocaleString"],
      ["new Intl.Collator();", "Intl"],
      ["try { f(); } catch (oops) { log(oops.stack); }", "Error.stack"],
      ["try { f(); } catch (oops) { log((oops as Error).stack); }", "Error.stack"],
      ['const s = new Error("x").stack;', "Error.stack"],
      ['const boom = new RangeError("x"); f(boom.stack);', "Error.stack"],
      ["Error.captureStackTrace(o);", "Error.stack"],
      ['console.log("x");', "console"],
      ["setTimeout(f, 1);", "setTimeout"],
      ["queueMicrotask(f);", "queueMicrotask"],
      ["process.exit(1);", "process"],
      ["const o = { process };", "process"],
      ["const o = { p: process };", "process"],
      ["const { a = process } = {};", "process"],
      ["let b: Buffer;", "Buffer"],
      ["Buffer.from([1]);", "Buffer"],
      ["new SharedArrayBuffer(8);", "SharedArrayBuffer"],
      ["const here = import.meta.url;", "import.meta"],
      ['/// <reference types="node" />\nexport {};', "reference"],
      ['/// <reference lib="dom" />\nexport {};', "reference"],
    ];
    for (const name of ["sin", "cos", "tan", "exp", "log", "log2", "log10", "pow", "cbrt", "hypot", "atan2", "log1p"]) {
      planted.push([`const x = Math.${name}(2);`, `Math.${name}`]);
    }
    for (const [text, rule] of planted) expect([text, ...impurities(`${text}\nexport {};`)]).toEqual([text, rule]);
  });

  it("the rule says the line", () => {
    const [problem] = purityProblems([{ path: "src/kv/x.ts", text: "// Date\n\nexport const a = 1;\nDate.now();\n" }]);
    expect(showProblem(problem)).toBe("src/kv/x.ts:4: Date: time comes through the clock port");
  });

  it("the rule leaves alone what only looks alike", () => {
    const harmless = [
      "// Date.now() and Math.random() and await",
      'const s = "process.exit(), console.log, new Date()";',
      "const s = `Promise Buffer`;",
      "const x = Math.floor(1.5) + Math.sqrt(2) + Math.max(1, 2) + Math.imul(2, 3) + Math.PI;",
      "function f(process: number) { return process + 1; }",
      "const o = { process: 1, console: 2, Date: 3 }; f(o.process, o.console, o.Date);",
      "for (const { process } of operations) f(process);",
      "interface Operation { process: number; stack: number[]; }",
      "class Search { stack: number[] = []; push() { this.stack.push(1); } }",
      "const search = { stack: [1] }; search.stack.pop();",
      "const crypto = 1; f({ crypto });",
      "const TWO_32 = 2 ** 32; const big = 2n ** 64n;",
      'import { Date } from "./dates.js"; Date.now();',
      'import type { Buffer } from "./b.js"; let b: Buffer;',
      "function* steps() { yield 1; }",
    ];
    for (const text of harmless) expect([text, ...impurities(`${text}\nexport {};`)]).toEqual([text]);
  });

  it("hold to it", () => {
    const files = readTree((path) => path.endsWith(".ts") && isPure(path));
    expect(files.length).toBeGreaterThan(10);
    expect(purityProblems(files).map(showProblem)).toEqual([]);
  });
});

describe("imports", () => {
  it("the rule bites on each room that imports one it may not", () => {
    for (const [room, allowed] of Object.entries(ROOM_IMPORTS)) {
      for (const other of Object.keys(ROOM_IMPORTS)) {
        const expected = other === room || allowed.includes(other) ? [] : ["room-import"];
        const found = importRules(`src/${room}/planted.ts`, `import { x } from "../${other}/x.js";`);
        expect([room, other, ...found]).toEqual([room, other, ...expected]);
      }
    }
  });

  it("the rule sees every way to import, at any depth", () => {
    const ways = [
      'import "../../kv/x.js";',
      'import type { A } from "../../kv/x.js";',
      'export { a } from "../../kv/x.js";',
      'export * from "../../kv/x.js";',
      'let a: import("../../kv/x.js").A;',
    ];
    for (const text of ways) expect(importRules("src/core/deep/planted.ts", text)).toEqual(["room-import"]);
    expect(importRules("src/runtime/planted.ts", 'const a = import("../server/x.js");')).toEqual(["room-import"]);
    expect(importRules("src/core/planted.ts", 'const a = import("./x.js");')).toEqual(["dynamic-import"]);
  });

  it("the table has no circle: each room stands above all that it imports", () => {
    const below = (room: string): string[] => {
      const rooms = ROOM_IMPORTS[room];
      return rooms.concat(rooms.flatMap(below));
    };
    for (const room of Object.keys(ROOM_IMPORTS)) expect(below(room)).not.toContain(room);
  });

  it("the rule bites on packages, Node.js, the own name, machine paths, missing endings, test helpers", () => {
    const rule = (text: string, path = "src/kv/planted.ts") => importRules(path, text).join();
    expect(rule('import { z } from "zod";')).toBe("package-import");
    expect(rule('import fs from "node:fs";')).toBe("package-import");
    expect(rule('import fs = require("fs");')).toBe("package-import");
    expect(rule('import prand from "pure-rand";', "src/sim/planted.ts")).toBe("package-import");
    expect(rule('import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";', "src/sim/planted.ts")).toBe(
      "",
    );
    expect(rule('import { z } from "zod";', "src/cli/planted.ts")).toBe("");
    expect(rule('import fs from "node:fs";', "src/kv/planted.test.ts")).toBe("");
    expect(rule('import { check } from "gamut/check";', "src/cli/planted.ts")).toBe("self-import");
    expect(rule('import { check } from "gamut";', "src/cli/planted.test.ts")).toBe("self-import");
    expect(rule('import { x } from "/srv/x.js";', "src/cli/planted.ts")).toBe("absolute-import");
    expect(rule('import { x } from "./x";')).toBe("import-ending");
    expect(rule('import { x } from "./testing/x.js";')).toBe("test-import");
    expect(rule('import { x } from "../../scripts/x.js";')).toBe("room-import");
    expect(rule('// import { z } from "zod";\nconst s = "import fs from \'node:fs\'";')).toBe("");
  });

  it("the rule bites on the client that needs more than its one socket", () => {
    const rule = (text: string, path: string) => importRules(path, text).join();
    expect(rule('import { connect } from "node:net";', "src/client/link.ts")).toBe("client-import");
    expect(rule('import { randomBytes } from "node:crypto";', "src/client/socket.ts")).toBe("client-import");
    expect(rule('import { z } from "zod";', "src/client/link.ts")).toBe("client-import");
    expect(rule('import { connect } from "node:net";', "src/client/socket.ts")).toBe("");
    expect(rule('import { test } from "vitest";', "src/client/link.test.ts")).toBe("");
    expect(nodeGlobals("setImmediate(() => Buffer.from(process.env.X));")).toEqual([
      "setImmediate",
      "Buffer",
      "process",
    ]);
    expect(nodeGlobals('// Buffer\nconst a = { process: "Buffer" }; f(a.process);')).toEqual([]);
  });

  it("the client uses globals of Node.js in its one socket alone", () => {
    const files = readTree((path) => /^src\/client\/[^/]+(?<!\.test)\.ts$/.test(path) && !path.endsWith("/socket.ts"));
    expect(files.length).toBeGreaterThan(10);
    expect(files.flatMap(({ path, text }) => nodeGlobals(text).map((name) => `${path}: ${name}`))).toEqual([]);
  });

  it("go downwards", () => {
    const files = readTree((path) => path.endsWith(".ts") && path.startsWith("src/"));
    expect(files.flatMap(importProblems).map(showProblem)).toEqual([]);
  });

  it("every folder under src is a room of the table", () => {
    const folders = new Set(tree.filter((path) => path.startsWith("src/")).map((path) => path.split("/")[1]));
    for (const folder of folders) expect(Object.keys(ROOM_IMPORTS)).toContain(folder);
  });
});

describe("files", () => {
  it("the rule on length bites at its limit", () => {
    const long = (path: string, lines: number) => lengthProblems({ path, text: "x\n".repeat(lines) }).length;
    expect(long("src/kv/x.ts", LINES_MAX)).toBe(0);
    expect(long("src/kv/x.ts", LINES_MAX + 1)).toBe(1);
    expect(long("src/kv/x.test.ts", LINES_MAX * 1.5)).toBe(0);
    expect(long("src/kv/x.test.ts", LINES_MAX * 1.5 + 1)).toBe(1);
  });

  it("are short", () => {
    expect(readTree(isCode).flatMap(lengthProblems).map(showProblem)).toEqual([]);
  });

  it("the rule on machine paths bites on them, and not on addresses or relative paths", () => {
    const found = (text: string) => machinePathProblems({ path: "x.md", text }).length;
    for (const folder of ["home/ann", "Users/ann", "root/x", "work/main", "tmp/x"]) {
      expect(found(`see /${folder}/file`)).toBe(1);
      expect(found(`"/${folder}"`)).toBe(1);
    }
    expect(found(`C:${"\\"}Users`)).toBe(1);
    const harmless = [
      "https://example.org/home/x",
      "./work/x",
      "src/tmp/x",
      `${"$"}{base}/tmp/x`,
      "GET /metrics",
      "/dev/null",
    ];
    for (const text of harmless) expect([text, found(text)]).toEqual([text, 0]);
  });

  it("name no path of a machine", () => {
    const files = readTree((path) => !/\.(png|ico|woff2?|lock)$/.test(path) && !path.includes("/testdata/"));
    expect(files.flatMap(machinePathProblems).map(showProblem)).toEqual([]);
  });

  it("the rule on the lock file bites on an address", () => {
    const lock = (entry: object) =>
      lockProblems({ path: "x", text: JSON.stringify({ packages: { a: entry } }) }).length;
    expect(lock({ resolved: "https://registry.example/a.tgz" })).toBe(1);
    expect(lock({ version: "1.0.0", integrity: "sha512-x" })).toBe(0);
  });

  it("the rule on engines bites on a dependency that wants a newer Node.js", () => {
    const lock = (node: string, dev = false) => {
      const packages = { "": { engines: { node: ">=20.20" } }, a: { dev, engines: { node } } };
      return engineProblems({ path: "x", text: JSON.stringify({ packages }) }).length;
    };
    for (const range of [">=22", ">=20.21", "^18.0.0", "^20.21.0 || >=22.1", "10.*"])
      expect([range, lock(range)]).toEqual([range, 1]);
    for (const range of [">= 8", ">=20.20.0", "^18 || ^20.19.0", "20 || >=22", "*"])
      expect([range, lock(range)]).toEqual([range, 0]);
    expect(lock(">=22", true)).toBe(0);
  });

  it("no dependency wants a newer Node.js than the package promises", () => {
    expect(
      readTree((path) => path === "package-lock.json")
        .flatMap(engineProblems)
        .map(showProblem),
    ).toEqual([]);
  });

  it("the lock file names no registry", () => {
    expect(
      readTree((path) => path === "package-lock.json")
        .flatMap(lockProblems)
        .map(showProblem),
    ).toEqual([]);
  });
});

describe("TypeScript projects", () => {
  const project = (room: string, references: string[], types: string[] = [], name = "tsconfig.json") => {
    const compilerOptions = { types };
    const json = {
      extends: "../../tsconfig.base.json",
      compilerOptions,
      references: references.map((path) => ({ path })),
    };
    const text = JSON.stringify(json);
    return projectProblems({ path: `src/${room}/${name}`, text }, Object.keys(ROOM_IMPORTS)).map(
      (problem) => problem.what,
    );
  };

  it("the rule bites on a reference too many, one too few, and on types in a pure room", () => {
    expect(project("codec", ["../kv", "../core"])).toEqual([]);
    expect(project("codec", ["../kv"])).toEqual(["does not reference ../core"]);
    expect(project("codec", ["../kv", "../core", "../node"])).toEqual([
      "references ../node, which codec may not import",
    ]);
    expect(project("codec", ["../kv", "../core"], ["node"])).toEqual([
      "is a pure room and must not see the types of node",
    ]);
    const test = "tsconfig.test.json";
    expect(project("kv", ["./tsconfig.json", "../core", "../core/tsconfig.test.json"], ["node"], test)).toEqual([]);
    expect(project("kv", ["./tsconfig.json", "../core", "../node/tsconfig.test.json"], ["node"], test)).toHaveLength(1);
    expect(
      rootProblems({ path: "tsconfig.json", text: '{"references": [{"path": "./src/kv"}]}' }, ["kv"]),
    ).toHaveLength(1);
  });

  it("reference exactly what their rooms may import", () => {
    const files = readTree((path) => /^src\/\w+\/tsconfig(\.test)?\.json$/.test(path));
    expect(files.length).toBe(2 * rooms.length);
    const root = readTree((path) => path === "tsconfig.json");
    const problems = files.flatMap((file) => projectProblems(file, rooms)).concat(rootProblems(root[0], rooms));
    expect(problems.map(showProblem)).toEqual([]);
  });

  it("stand on a base without types of Node.js or of the browser", () => {
    const [base] = readTree((path) => path === "tsconfig.base.json");
    const { compilerOptions } = JSON.parse(base.text) as { compilerOptions: { types: string[]; lib: string[] } };
    expect(compilerOptions).toMatchObject({ types: [], lib: [expect.stringMatching(/^ES\d+$/)], strict: true });
    for (const room of PURE_ROOMS) expect(rooms).toContain(room);
  });
});

describe("the compiler", () => {
  const folder = mkdtempSync(join(tmpdir(), "gamut-tidy-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  // The projects as they are, around two files: the proof must not wait for a whole room to compile.
  for (const part of ["package.json", "tsconfig.base.json", "src/core/tsconfig.json", "src/kv/tsconfig.json"]) {
    cpSync(join(ROOT, part), join(folder, part));
  }
  writeFileSync(join(folder, "src/core/below.ts"), "export const below = 1;\n");
  writeFileSync(join(folder, "src/kv/above.ts"), "export const above = 1;\n");
  // Types that a pure room could see, were it not told to see none.
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");

  function compile(room: string, name: string, text: string): string {
    const path = join(folder, "src", room, name);
    writeFileSync(path, text);
    try {
      const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
      execFileSync(process.execPath, [tsc, "-b", join(folder, "src", room)], { encoding: "utf8" });
      return "";
    } catch (error) {
      return (error as { stdout: string }).stdout;
    } finally {
      rmSync(path);
    }
  }

  it("accepts an import downwards and refuses one upwards", () => {
    const upwards = 'import { above } from "../kv/above.js";\nexport const x = above;\n';
    expect(compile("core", "planted.ts", upwards)).toMatch(/TS6307|TS6059/);
    const downwards = 'import { below } from "../core/below.js";\nexport const x = below;\n';
    expect(compile("kv", "planted.ts", downwards)).toBe("");
  });

  it("refuses Node.js and the browser in a pure room", () => {
    expect(compile("core", "planted.ts", 'import fs from "node:fs";\nexport const x = fs;\n')).toContain("TS2591");
    for (const name of ["Buffer", "process", "console", "setTimeout", "document", "performance"]) {
      expect([name, compile("core", "planted.ts", `export const x: unknown = ${name};\n`)]).toEqual([
        name,
        expect.stringMatching(/planted\.ts\(1,\d+\): error TS2/),
      ]);
    }
  });
});

describe("what a node loads when it starts", () => {
  it("has none of the packages that only HTTP, the metrics or other commands need", async () => {
    const { metafile } = await build({
      entryPoints: [join(ROOT, "src/cli/main.ts"), join(ROOT, "src/cli/node-process.ts")],
      absWorkingDir: ROOT,
      outdir: "out",
      write: false,
      metafile: true,
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      packages: "external",
      ignoreAnnotations: true,
    });
    const byName = new Map(Object.entries(metafile.outputs));
    const seen = new Set(["out/main.js", "out/node-process.js"]);
    for (const name of seen) {
      const imports = byName.get(name)?.imports ?? [];
      for (const { path, kind } of imports) if (kind === "import-statement") seen.add(path);
    }
    const loaded = [...seen].filter((name) => !byName.has(name) && !name.startsWith("node:"));
    expect(loaded.sort()).toEqual(["cli-table3", "commander", "lmdb", "yaml", "zod"]);
  });
});

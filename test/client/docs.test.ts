/** The program of docs/client.md, run as a user would: from outside, against three nodes. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { expect, it } from "vitest";
import { withCluster } from "../processes/cluster.js";
import { ROOT } from "../tidy/tree.js";

const page = readFileSync(join(ROOT, "docs/client.md"), "utf8");
const program = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1]).join("\n");

/** Behind each console.log, or in the lines below it. */
function promised(): string[] {
  const lines = program.split("\n").map((line) => /^(?:.*console\.log\(.*\);|) ?\/\/ (.*)$/.exec(line)?.[1]);
  return lines.filter((line) => line !== undefined);
}

/** The page's addresses, made this cluster's. */
function onPorts(ports: readonly number[]): string {
  return program.replace(/127\.0\.0\.1:700([1-3])/g, (_, n) => `127.0.0.1:${ports[Number(n) - 1]}`);
}

it("is a program without errors of type", { timeout: 90_000 }, () => {
  const path = join(ROOT, "test/client/page.ts");
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts"],
    module: ts.ModuleKind.NodeNext,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ["node"],
    paths: { "gamut/client": [join(ROOT, "src/client/index.ts")] },
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === path || fileExists(name);
  host.getSourceFile = (name, ...rest) =>
    name === path ? ts.createSourceFile(name, program, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest);
  const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram([path], options, host));
  expect(diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))).toEqual([]);
});

it("prints what the page says", { timeout: 90_000 }, async () => {
  expect(promised().length).toBeGreaterThan(10);
  const folder = mkdtempSync(join(tmpdir(), "gamut-client-docs-"));
  try {
    // As npm would put it there: the program finds the built package by its name.
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(ROOT, join(folder, "node_modules/gamut"), "junction");
    await withCluster({}, async (cluster) => {
      const text = onPorts(cluster.members.map((member) => member.clientPort));
      const { outputText } = ts.transpileModule(text, {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
      });
      writeFileSync(join(folder, "page.mjs"), outputText);
      const ran = await promisify(execFile)(process.execPath, ["page.mjs"], { cwd: folder, timeout: 30_000 });
      expect(ran.stderr).toBe("");
      expect(ran.stdout.trimEnd().split("\n")).toEqual(promised());
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

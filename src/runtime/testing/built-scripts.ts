import { readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { builtFile } from "../built-file.js";

const SCRIPTS = ["state-store-writer", "verify-state-child", "testing/committing-child"];
const FOLDERS = ["core", "node", "node/state", "runtime", "runtime/testing"];
const SOURCE = fileURLToPath(new URL("../..", import.meta.url));

function sources(): string[] {
  const names = FOLDERS.flatMap((folder) => readdirSync(SOURCE + folder).map((name) => `${SOURCE}${folder}/${name}`));
  return names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
}

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Makes the scripts that worker threads and child processes run, when the last build has not, or has older ones. */
export async function buildScripts(): Promise<void> {
  const files = sources();
  const newestMs = Math.max(...files.map(modifiedMs));
  if (SCRIPTS.every((name) => modifiedMs(builtFile(name)) > newestMs)) return;
  await build({
    entryPoints: files,
    outdir: fileURLToPath(new URL("../../../dist", import.meta.url)),
    outbase: SOURCE,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "error",
  });
}

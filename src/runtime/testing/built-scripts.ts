import { readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { builtFile } from "../built-file.js";

const SCRIPTS = ["state-store-writer", "verify-state-child"];
const SOURCE = fileURLToPath(new URL("../..", import.meta.url));

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Makes the scripts that worker threads and child processes run, when the last build has not, or has older ones. */
export async function buildScripts(): Promise<void> {
  const sources = ["core", "node/state", "runtime"].flatMap((room) =>
    readdirSync(`${SOURCE}/${room}`).map((name) => `${SOURCE}/${room}/${name}`),
  );
  const newestMs = Math.max(...sources.filter((path) => path.endsWith(".ts")).map(modifiedMs));
  if (SCRIPTS.every((name) => modifiedMs(builtFile(name)) > newestMs)) return;
  await build({
    entryPoints: SCRIPTS.map((name) => `${SOURCE}/runtime/${name}.ts`),
    outdir: fileURLToPath(new URL("../../../dist/runtime", import.meta.url)),
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "error",
  });
}

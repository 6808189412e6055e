import { fileURLToPath } from "node:url";

/**
 * A script of this room that a worker thread or a child process runs. When this file itself runs from source (under
 * vitest), the script is the one of the last build: plain Node.js cannot run TypeScript.
 */
export function builtFile(name: string): string {
  const folder = import.meta.url.endsWith(".ts") ? "../../dist/runtime/" : "./";
  return fileURLToPath(new URL(`${folder}${name}.js`, import.meta.url));
}

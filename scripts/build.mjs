// Transpiles src/ to dist/, file by file. Types are checked apart (`npm run types`): a user who only wants to start
// the cluster should not wait for the type checker.
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = join(root, "src");
const files = readdirSync(source, { recursive: true })
  .map((name) => join(source, String(name)))
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && statSync(name).isFile());

for (const stale of readdirSync(root).includes("dist") ? readdirSync(join(root, "dist")) : []) {
  if (!stale.startsWith(".") && stale !== "types") rmSync(join(root, "dist", stale), { recursive: true, force: true });
}
await build({
  entryPoints: files,
  outdir: join(root, "dist"),
  outbase: source,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: true,
  logLevel: "warning",
});

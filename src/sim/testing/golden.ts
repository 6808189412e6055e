import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runTraceFile, type TraceDriver } from "../script.js";

/**
 * One test for each `.txt` file of a folder. `GAMUT_REWRITE=1` writes what the world answered into the files: read the
 * difference before you keep it. A folder with fewer than `least` is not the one that was meant.
 */
export function goldenTraces(folder: URL, makeDriver: () => TraceDriver, least = 1): void {
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  expect(names.length, `traces in ${fileURLToPath(folder)}`).toBeGreaterThanOrEqual(least);
  for (const name of names.sort()) {
    test(name, () => {
      const path = new URL(name, folder);
      const text = readFileSync(path, "utf8");
      const answered = runTraceFile(text, makeDriver());
      if (process.env.GAMUT_REWRITE === "1") writeFileSync(path, answered);
      else expect(answered).toBe(text);
    });
  }
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { expect, it } from "vitest";
import { shownFolder } from "./data-folder.js";
import { ownName } from "./own-name.js";

it("is what the shell would find", () => {
  const folder = mkdtempSync(join(tmpdir(), "gamut-path-"));
  const ofPackage = join(folder, "node_modules", ".bin");
  mkdirSync(ofPackage, { recursive: true });
  writeFileSync(join(ofPackage, "gamut"), "");
  expect(ownName(["", ofPackage, join(folder, "none")].join(delimiter))).toBe("npx gamut");
  writeFileSync(join(folder, "gamut"), "");
  expect(ownName([ofPackage, folder].join(delimiter))).toBe("gamut");
  rmSync(folder, { recursive: true });
});

it("folders below the working folder are shown from there", () => {
  const here = tmpdir();
  expect(shownFolder(join(here, "gamut-data"), here)).toBe("gamut-data");
  expect(shownFolder(join(here, "a", "b"), here)).toBe(join("a", "b"));
  for (const other of [here, dirname(here), join(`${here}-2`, "data")]) expect(shownFolder(other, here)).toBe(other);
});

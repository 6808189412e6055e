import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseHistory } from "./history.js";
import { importKnossos } from "./import-knossos.js";
import { importPorcupineEtcd, importPorcupineKv } from "./import-porcupine.js";
import { checkLinearizable } from "./linearizable.js";
import type { Operation } from "./operation.js";
import { checkSequential } from "./sequential.js";
import { isExplainable } from "./testing/brute-force.js";
import type { Verdict } from "./verdict.js";
import { verifyOrder } from "./verify.js";

function expectVerdict(operations: readonly Operation[], verdict: Verdict, isValid: boolean): void {
  expect(verdict.kind, verdict.sentence).toBe(isValid ? "valid" : "invalid");
  if (verdict.kind === "valid") expect(verifyOrder(operations, verdict.order, verdict.model)).toBeUndefined();
  if (verdict.kind === "invalid") expect(verdict.witness.length).toBeGreaterThan(0);
}

describe("our own histories", () => {
  const folder = join(dirname(fileURLToPath(import.meta.url)), "testdata");
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), "utf8");
    const header = JSON.parse(text.slice(0, text.indexOf("\n"))) as {
      note: string;
      linearizable: boolean;
      sequential: boolean;
    };
    test(`${name}: ${header.note}`, () => {
      const operations = parseHistory(text);
      expectVerdict(operations, checkLinearizable(operations), header.linearizable);
      expectVerdict(operations, checkSequential(operations), header.sequential);
      expect(isExplainable(operations, "real time")).toBe(header.linearizable);
      expect(isExplainable(operations, "session")).toBe(header.sequential);
    });
  }
});

/** Jepsen, Porcupine and Knossos histories, which other projects recorded and judged; not part of this repository. */
const theirs = process.env.GAMUT_HISTORIES;

describe("histories of others", () => {
  if (theirs === undefined) {
    test.skip("GAMUT_HISTORIES does not name the folder that holds them and their manifest.json", () => {});
    return;
  }
  const manifest = JSON.parse(readFileSync(join(theirs, "manifest.json"), "utf8"));
  for (const { file, expected } of manifest.files as { file: string; expected?: { linearizable: boolean } }[]) {
    if (expected === undefined) continue;
    test(file, () => {
      const operations = importByPlace(file, readFileSync(join(theirs, file), "utf8"));
      expectVerdict(operations, checkLinearizable(operations), expected.linearizable);
    });
  }
});

function importByPlace(file: string, text: string): Operation[] {
  if (file.startsWith("porcupine/jepsen/")) return importPorcupineEtcd(text);
  if (file.startsWith("porcupine/kv/")) return importPorcupineKv(text);
  // The folder is judged against a register that holds 0 at first, and a read of nil says nothing there.
  return importKnossos(text, { nilRead: "unconstrained", initial: 0 });
}

import "./fast-bytes.js";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DiskError } from "../node/ports.js";
import { type Redo, RedoFile } from "./redo-file.js";

describe("the redo file of a checkpoint", () => {
  let folder: string;
  let file: RedoFile;
  const redo: Redo = {
    meta: new Uint8Array([1, 2]),
    blocks: [{ bytes: new Uint8Array(3_000).fill(7), length: 2_000 }],
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gamut-redo-"));
    file = new RedoFile(folder, 4);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const noSpace = (): never => {
    throw new DiskError("ENOSPC", "no space left on the disk");
  };

  it("stands there while the checkpoint goes on, whole, and no longer", () => {
    let found: number[][] = [];
    file.during(
      redo,
      () => {
        const { meta, blocks } = file.read() as Redo;
        found = [[...meta], ...blocks.map(({ bytes }) => [...bytes])];
      },
      () => true,
    );
    expect(found).toEqual([[1, 2], new Array(2_000).fill(7)]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("takes no room on a full disk for a checkpoint that was not even begun", () => {
    expect(() => file.during(redo, noSpace, () => false)).toThrow("no space left");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("stays for one that may have begun", () => {
    expect(() => file.during(redo, noSpace, () => true)).toThrow("no space left");
    expect([...(file.read() as Redo).meta]).toEqual([1, 2]);
  });
});

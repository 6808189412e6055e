import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { releaseFolder, takeFolder } from "./folder-lock.js";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gamut-lock-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function leave(text: string): void {
  writeFileSync(join(folder, "pid"), text);
}

describe("the lock of a data folder", () => {
  it("keeps others out while its owner lives, and no longer", async () => {
    const owner = spawn("sleep", ["60"]);
    await new Promise((done) => owner.once("spawn", done));
    const stat = readFileSync(`/proc/${owner.pid}/stat`, "latin1");
    leave(`${owner.pid} ${stat.split(" ")[21]}`);
    expect(() => takeFolder(folder)).toThrow(`is in use by process ${owner.pid}`);
    owner.kill("SIGKILL");
    await new Promise((done) => owner.once("exit", done));
    releaseFolder(takeFolder(folder));
  });

  it("is not held by another process that has the same number by chance", () => {
    leave("1 999999999");
    releaseFolder(takeFolder(folder));
  });

  it("is not held by what a crash or a full disk has left of it", () => {
    for (const rest of ["", "nonsense", "0", "-1", "2147483646 ", "4294967295 1", "1\n"]) {
      leave(rest);
      releaseFolder(takeFolder(folder));
    }
  });

  it("can be taken again by the process that has it: a node that is rebuilt starts anew in place", () => {
    takeFolder(folder);
    releaseFolder(takeFolder(folder));
  });
});

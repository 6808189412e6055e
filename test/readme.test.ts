import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePortBase, UpProcess } from "../src/cli/testing/up-process.js";
import { renderGrants } from "../src/kv/grants.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const README_PORT = 7001;

interface Step {
  readonly command: string;
  readonly output: string;
}

/** The `$ command` lines of a block, each with what it is shown to print. */
function stepsOf(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command, ...output] = part.trimEnd().split("\n");
      return { command, output: output.join("\n") };
    });
}

const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const blocks = [...readme.matchAll(/^```console\n(.*?)^```/gms)].map((match) => match[1]);
const scripts = (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> })
  .scripts;
/** What differs from start to start: ports, processes, who was first, who leads, the cluster's name. */
function withoutChance(output: string, base: number): string {
  const lines = output
    .replace(/:(\d+)|-p (\d+)|nc 127\.0\.0\.1 (\d+)/g, (_, a, b, c) => `port ${(Number(a ?? b ?? c) - base) % 1000}`)
    .replace(/│ \d+ +│ (?:leader {2}|follower)/g, "│ process │ role")
    .replace(/^node \d is up \(/gm, "node is up (")
    .replace(/^ready {4}cluster [0-9a-f]{12}$/m, "ready    cluster name");
  return lines.replace(/ +/g, " ").replace(/─+/g, "─").trim();
}

const hasRedisCli = spawnSync("redis-cli", ["--version"]).status === 0;

describe("README", () => {
  let up: UpProcess;
  let folder: string;
  let base: number;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "gamut-readme-"));
    // What an installed package would put on the path. The cluster is started without it, as in a clone.
    writeFileSync(join(folder, "gamut"), `#!/bin/sh\nexec "${process.execPath}" "${ROOT}/bin/gamut.js" "$@"\n`);
    chmodSync(join(folder, "gamut"), 0o755);
    base = await freePortBase(3);
    up = await UpProcess.start(["--port-base", String(base)], folder);
  });

  afterAll(async () => {
    await up.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the two commands are scripts of the package", () => {
    const commands = [...readme.matchAll(/^```sh\nnpm ci && npm (\w+)\n```/gm)].map((match) => match[1]);
    expect(commands).toEqual(["start", "test"]);
    for (const command of commands) expect(scripts[command]).toBeTruthy();
  });

  test("shows what `npm start` prints", () => {
    const shown = /^```text\n(Starting 3 nodes.*?)^```/ms.exec(readme)?.[1] ?? "";
    expect(withoutChance(up.output, base)).toBe(withoutChance(shown, README_PORT));
  });

  test("has blocks to run", () => expect(blocks.length).toBeGreaterThanOrEqual(3));

  test.each(blocks.flatMap(stepsOf))("$command", ({ command, output }) => {
    if (command.startsWith("redis-cli") && !hasRedisCli) {
      if (process.env.CI) throw new Error("redis-cli is missing: apt-get install redis-tools");
      return;
    }
    const ran = spawnSync(
      "sh",
      ["-c", command.replace(/-p (700\d)/, (_, port) => `-p ${base + Number(port) - README_PORT}`)],
      {
        cwd: ROOT,
        encoding: "utf8",
        env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, GAMUT_ADDRESS: `127.0.0.1:${base}` },
        timeout: 60_000,
      },
    );
    const printed = (ran.stdout + ran.stderr).trimEnd();
    if (output !== "") expect(printed).toBe(output);
    else expect(printed).not.toMatch(/^gamut: /m);
  });
});

test("the table of guarantees is the one in the code", () => {
  const page = readFileSync(join(ROOT, "docs/guarantees.md"), "utf8");
  expect(/<!-- grants.*?-->\n(.*?)\n<!-- \/grants -->/s.exec(page)?.[1].trim()).toBe(renderGrants().trim());
});

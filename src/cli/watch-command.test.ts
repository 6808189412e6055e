/** `gamut watch` as text: what a line looks like, and what is said at its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { FakeNode } from "./testing/fake-node.js";
import { GAMUT, runCli } from "./testing/run-cli.js";
import { freePortBase, UpProcess } from "./testing/up-process.js";

class Watching {
  out = "";
  err = "";
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [GAMUT, "watch", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString("utf8");
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString("utf8");
    });
    this.ended = new Promise((done) => this.child.on("close", done));
    onTestFinished(() => void this.child.kill("SIGKILL"));
  }

  async hears(text: string): Promise<void> {
    const deadline = Date.now() + 15_000;
    while (!this.out.includes(text)) {
      if (Date.now() > deadline || this.child.exitCode !== null) throw new Error(`${this.out}\n${this.err}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

it("tells a line a change, and the position to go on from when its cluster is gone", { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "gamut-watch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const base = await freePortBase(1);
  const upArgs = ["--nodes", "1", "--data", folder, "--port-base", String(base)];
  const address = ["--address", `127.0.0.1:${base}`];
  const up = await UpProcess.start(upArgs);
  onTestFinished(async () => void (await up.stop()));
  const put = async (key: string, value: string): Promise<void> => {
    expect((await runCli(["set", key, value, ...address])).code).toBe(0);
  };
  await put("w:first", "x");
  const watch = new Watching(["w", "--snapshot", "--timeout", "500ms", ...address]);
  await watch.hears("w\\:first");
  await put("w\nline: 1", "a b\nc");
  await put("w:empty", "");
  await watch.hears("w\\:empty");
  await up.stop();
  expect(await watch.ended).toBe(3);
  expect(watch.out).toBe("record w\\:first:x\nput w\\nline\\: 1:a b\\nc\nput w\\:empty:\n");
  const from = /^gamut: go on with (--from) ([0-9a-f]+)\ngamut: no node answers /m.exec(watch.err);
  expect(from, watch.err).not.toBeNull();

  const again = await UpProcess.start(upArgs);
  onTestFinished(async () => void (await again.stop()));
  await put("w:next", "y");
  const rest = new Watching(["w", "--no-values", from![1], from![2], ...address]);
  await rest.hears("w\\:next");
  rest.child.kill("SIGINT");
  expect(await rest.ended).toBe(0);
  // A put whose value is not told has no colon, unlike one of an empty value.
  expect(rest.out).toBe("put w\\:next\n");
  expect(rest.err).toMatch(/^gamut: go on with --from [0-9a-f]+\n$/);
});

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const push = (...items: string[]): string => `>${items.length + 1}\r\n${bulk("watch")}${items.join("")}`;

it("writes what came together with the end, and tells what it has heard", async () => {
  const told = (code: string): string =>
    bulk("4757") +
    push(bulk("put"), bulk("k"), ":7\r\n", bulk("4758"), bulk("v")) +
    push(bulk("end"), bulk(`ERR ${code}: it is so`), bulk(""));
  const ended = async (code: string): Promise<[number | null, string, string]> => {
    const node = await FakeNode.start(told(code));
    const ran = await runCli(["watch", "--address", node.address, "--timeout", "2s"]);
    node.close();
    return [ran.code, ran.out, ran.err];
  };
  expect(await ended("compacted")).toEqual([
    3,
    "put k:v\n",
    expect.stringMatching(/^gamut: this was heard up to 4758\ngamut: .*it is so\n$/),
  ]);
  expect(await ended("operation_unsupported")).toEqual([
    3,
    "put k:v\n",
    expect.stringMatching(/^gamut: go on with --from 4758\ngamut: .*it is so\n$/),
  ]);
  expect(await ended("keyspace_gone")).toEqual([3, "put k:v\n", expect.stringMatching(/^gamut: .*it is so\n$/)]);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { GAMUT, runCli } from "./testing/run-cli.js";
import { freePortBase } from "./testing/up-process.js";

it("a sound protocol keeps its promises: 0, with a line for each seed when asked", async () => {
  const { code, out, err } = await runCli(["sim", "--seeds", "3", "--progress"]);
  expect([code, out]).toEqual([0, expect.stringMatching(/^raft: 3 worlds, .*\n(.*\n)*every promise was kept\n$/)]);
  expect(err.match(/^seed [123] {2}\d+ ms {2}[0-9a-f]+ {2}ok$/gm)).toHaveLength(3);
});

it("a planted bug is caught: 1, with the command that shows it again", async () => {
  const { code, out } = await runCli(["sim", "--canary", "unheld-vote", "--seeds", "50", "--json"]);
  const { failures } = JSON.parse(out) as { failures: { seed: number; violation: string; replay: string }[] };
  expect([code, failures.length]).toEqual([1, 1]);
  const { seed, violation, replay } = failures[0];
  expect(replay).toBe(`gamut sim --protocol raft --seed ${seed} --canary unheld-vote`);
  const again = await runCli(replay.split(" ").slice(1));
  expect([again.code, again.out]).toEqual([1, expect.stringContaining(`seed ${seed}: ${violation}`)]);
});

it("what it does not know is a usage error", async () => {
  const protocol = await runCli(["sim", "--protocol", "paxos"]);
  expect([protocol.code, protocol.err]).toEqual([2, expect.stringContaining("it knows raft")]);
  const canary = await runCli(["sim", "--canary", "parrot"]);
  expect([canary.code, canary.err]).toEqual([2, expect.stringContaining("stale-leader-read")]);
  expect((await runCli(["sim", "--seeds", "0"])).code).toBe(2);
  expect((await runCli(["sim", "--canary", "list"])).out).toMatch(/^unheld-vote +a vote leaves before it is durable/m);
  const nothing = await runCli(["sim", "--replay", "no-such-folder"]);
  expect([nothing.code, nothing.err]).toEqual([2, expect.stringContaining("there is no such file")]);
  expect((await runCli(["sim", "--replay", "no-such-folder", "--seeds", "3"])).err).toContain("leave --seeds");
});

it("replays what a real node has recorded", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gamut-record-"));
  const port = await freePortBase(1);
  const config = {
    node: 1,
    cluster: "recorded",
    dataDir: join(folder, "data"),
    members: [{ node: 1, clientPort: port }],
  };
  writeFileSync(join(folder, "node.yaml"), JSON.stringify(config));
  const recording = join(folder, "recording");
  const node = spawn(process.execPath, [GAMUT, "node", "--config", join(folder, "node.yaml"), "--record", recording]);
  try {
    const at = ["--address", `127.0.0.1:${port}`, "--explain"];
    const deadline = Date.now() + 20_000;
    while ((await runCli(["set", "x", "1", ...at])).code !== 0) expect(Date.now()).toBeLessThan(deadline);
    expect((await runCli(["get", "x", ...at])).out).toBe("1");
    expect((await runCli(["incr", "x", ...at])).out).toBe("2\n");
  } finally {
    node.kill("SIGTERM");
    await once(node, "exit");
  }
  const again = await runCli(["node", "--config", join(folder, "node.yaml"), "--record", recording]);
  expect([again.code, again.err]).toEqual([3, expect.stringContaining("is a recording already")]);
  const { code, out, err } = await runCli(["sim", "--replay", recording, "--json"]);
  expect([err, code]).toEqual(["", 0]);
  expect(JSON.parse(out)).toMatchObject({ divergence: null });
  rmSync(folder, { recursive: true, force: true });
});

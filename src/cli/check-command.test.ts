import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { runCli } from "./testing/run-cli.js";

const history = (name: string): string => fileURLToPath(new URL(`../check/testdata/${name}.jsonl`, import.meta.url));

it("valid is 0, invalid is 1 and shows why", async () => {
  const valid = await runCli(["check", history("counted-once")]);
  expect([valid.code, valid.err, valid.out]).toEqual([0, "", expect.stringMatching(/^linearizable: /)]);
  const invalid = await runCli(["check", history("stale-read")]);
  expect([invalid.code, invalid.err, invalid.out]).toEqual([1, "", expect.stringMatching(/^not linearizable: /)]);
  expect(invalid.out).toMatch(/process \d+ .*\|-+\|/);
});

it("another model, stdin, JSON", async () => {
  const input = readFileSync(history("stale-read"));
  const sequential = await runCli(["check", "-", "--model", "sequential", "--json"], { input });
  expect([sequential.code, JSON.parse(sequential.out)]).toEqual([
    0,
    expect.objectContaining({ verdict: "valid", model: "sequential" }),
  ]);
  const linearizable = await runCli(["check", "-", "--json"], { input });
  expect(linearizable.code).toBe(1);
  const { verdict, witness } = JSON.parse(linearizable.out) as { verdict: string; witness: object[] };
  expect(verdict).toBe("invalid");
  expect(witness.length).toBeGreaterThan(1);
});

it("other formats", async () => {
  const etcd = [
    "INFO  jepsen.util - 0	:invoke	:write	1",
    "INFO  jepsen.util - 0	:ok	:write	1",
    "INFO  jepsen.util - 1	:invoke	:read	nil",
    "INFO  jepsen.util - 1	:ok	:read	2",
  ].join("\n");
  expect((await runCli(["check", "-", "--format", "porcupine-etcd"], { input: etcd })).code).toBe(1);
  const knossos = "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 0}\n";
  const args = ["check", "-", "--format", "knossos"];
  expect((await runCli(args, { input: knossos })).code).toBe(1);
  expect((await runCli([...args, "--initial", "0"], { input: knossos })).code).toBe(0);
  expect((await runCli([...args, "--initial", "zero"], { input: knossos })).code).toBe(2);
});

it("what cannot be read is 2, and says where", async () => {
  const missing = await runCli(["check", "no-such-file.jsonl"]);
  expect([missing.code, missing.err]).toEqual([2, expect.stringContaining("no-such-file.jsonl")]);
  const broken = await runCli(["check", "-"], { input: '{"process":0}\n' });
  expect([broken.code, broken.err]).toEqual([2, expect.stringMatching(/stdin: line 1: /)]);
  const json = await runCli(["check", "-", "--json"], { input: "nonsense" });
  expect([json.code, JSON.parse(json.out)]).toEqual([2, { verdict: "unreadable", problem: expect.any(String) }]);
  expect((await runCli(["check", history("stale-read"), "--model", "perfect"])).code).toBe(2);
  const folder = await runCli(["check", fileURLToPath(new URL(".", import.meta.url))]);
  expect([folder.code, folder.err]).toEqual([2, expect.stringContaining("is a folder: name the file in it")]);
});

it("nothing recorded is not a sound history", async () => {
  for (const input of ["", "\n"]) {
    const { code, out, err } = await runCli(["check", "-"], { input });
    expect([code, out, err]).toEqual([2, "", expect.stringContaining("there is no operation in it")]);
  }
});

it("a spent budget is 2", async () => {
  const { code, out } = await runCli(["check", history("counted-once"), "--max-steps", "1", "--json"]);
  expect([code, JSON.parse(out)]).toEqual([2, expect.objectContaining({ verdict: "unknown" })]);
});

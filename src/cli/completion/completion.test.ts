/** The scripts, run by the shells that they are for. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../testing/run-cli.js";

const folder = mkdtempSync(join(tmpdir(), "gamut-completion-"));
const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

const has = (shell: Shell): boolean => spawnSync(shell, ["-c", "true"]).status === 0;
const script = (shell: Shell): string => join(folder, `gamut.${shell}`);

beforeAll(async () => {
  writeFileSync(join(folder, "some-file"), "");
  for (const shell of SHELLS) {
    const { code, out, err } = await runCli(["completion", shell]);
    expect([code, err]).toEqual([0, ""]);
    writeFileSync(script(shell), out);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(shell: Shell, args: readonly string[]): string {
  const options = { cwd: folder, encoding: "utf8", timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(shell, args, options);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

/** What bash offers for the last of these words, split as it splits them. */
function inBash(...words: string[]): string[] {
  const ask = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gamut; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return run("bash", ["--norc", "-c", ask, script("bash"), "gamut", ...words])
    .split("\n")
    .filter((line) => line !== "");
}

/** What fish offers for a line. */
function inFish(line: string): string[] {
  const out = run("fish", ["--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, script("fish"), line]);
  return out.split("\n").flatMap((each) => (each === "" ? [] : [each.split("\t")[0]]));
}

/** What becomes of each line when Tab is pressed at its end, in a zsh at a terminal. */
function inZsh(lines: readonly string[]): string[] {
  const driver = join(folder, "driver.zsh");
  writeFileSync(
    driver,
    `zmodload zsh/zpty
zpty z "TERM=dumb zsh -f -i"
zpty -w z "autoload -Uz compinit; compinit -u -D; source $1; shown() { zle complete-word; print -r -- \\"<\\$BUFFER>\\"; BUFFER=; }; zle -N shown; bindkey '^T' shown; print READ''Y"
zpty -r -m z out '*READY*'
shift
for line in "$@"; do
  zpty -w -n z "$line"$'\\C-t'
  zpty -r -m z out '*<*>*'
  print -r -- "\${\${out##*<}%%>*}"
done
zpty -d z
`,
  );
  return run("zsh", ["-f", driver, script("zsh"), ...lines])
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd());
}

const CI = process.env.CI !== undefined;

describe.skipIf(!has("bash") && !CI)("bash (needs bash)", () => {
  it("offers commands, those below them, options, choices and files", () => {
    expect(inBash("key")).toEqual(["keyspace"]);
    expect(inBash("")).toEqual(expect.arrayContaining(["up", "get", "cas", "dump", "top", "completion", "help"]));
    expect(inBash("keyspace", "")).toEqual(["create", "list", "drop", "help"]);
    expect(inBash("keyspace", "create", "carts", "--pro")).toEqual(["--protocol"]);
    expect(inBash("keyspace", "create", "carts", "--protocol", "")).toEqual(["raft", "gossip"]);
    expect(inBash("get", "--level", "s")).toEqual(["sequential", "session"]);
    expect(inBash("up", "--durability", "")).toEqual(["sync", "os", "memory"]);
    expect(inBash("get", "-l", "lin")).toEqual(["linearizable"]);
    expect(inBash("get", "--level", "=", "s")).toEqual(["sequential", "session"]);
    expect(inBash("get", "--level", "=")).toContain("eventual");
    expect(inBash("completion", "")).toEqual([...SHELLS]);
    expect(inBash("help", "sta")).toEqual(["status"]);
    expect(inBash("check", "some")).toEqual(["some-file"]);
    expect(inBash("node", "--config", "some")).toEqual(["some-file"]);
    expect(inBash("get", "some")).toEqual([]);
  });

  it("does not take an option's value for a command", () => {
    expect(inBash("get", "--keyspace", "keyspace", "cre")).toEqual([]);
    expect(inBash("get", "--keyspace", "keyspace", "--lev")).toEqual(["--level"]);
    expect(inBash("keyspace", "--json", "cre")).toEqual(["create"]);
  });
});

describe.skipIf(!has("fish") && !CI)("fish (needs fish)", () => {
  it("offers commands, those below them, options, choices and files", () => {
    expect(inFish("gamut key")).toEqual(["keyspace"]);
    expect(inFish("gamut keyspace ").sort()).toEqual(["create", "drop", "help", "list"]);
    expect(inFish("gamut keyspace create carts --protocol ").sort()).toEqual(["gossip", "raft"]);
    expect(inFish("gamut get --level s").sort()).toEqual(["sequential", "session"]);
    expect(inFish("gamut get --lev")).toEqual(["--level"]);
    expect(inFish("gamut completion ").sort()).toEqual([...SHELLS].sort());
    expect(inFish("gamut help sta")).toEqual(["status"]);
    expect(inFish("gamut check some")).toEqual(["some-file"]);
    expect(inFish("gamut get --keyspace keyspace cre")).toEqual([]);
  });
});

describe.skipIf(!has("zsh") && !CI)("zsh (needs zsh)", () => {
  it("completes commands, those below them, options, choices and files", () => {
    const lines: readonly (readonly [string, string])[] = [
      ["gamut keysp", "gamut keyspace"],
      ["gamut keyspace cr", "gamut keyspace create"],
      ["gamut keyspace create carts --protocol g", "gamut keyspace create carts --protocol gossip"],
      ["gamut get --level li", "gamut get --level linearizable"],
      ["gamut get --level=li", "gamut get --level=linearizable"],
      ["gamut get --expl", "gamut get --explain"],
      ["gamut help sta", "gamut help status"],
      ["gamut check some", "gamut check some-file"],
      ["gamut get --keyspace keyspace cre", "gamut get --keyspace keyspace cre"],
    ];
    expect(inZsh(lines.map(([typed]) => typed))).toEqual(lines.map(([, completed]) => completed));
  });
});

it("a shell that there is no script for is a usage error", async () => {
  const { code, err } = await runCli(["completion", "tcsh"]);
  expect([code, err]).toEqual([2, expect.stringContaining("Allowed choices are bash, zsh, fish.")]);
});

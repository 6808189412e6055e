/** What looks at the replicas one by one, and writes on the strength of what it has seen: dump, top, cas. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { differing } from "./dump-command.js";
import { FakeNode } from "./testing/fake-node.js";
import { GAMUT, type Ran, type RunOptions, runCli } from "./testing/run-cli.js";
import { freePortBase, UpProcess } from "./testing/up-process.js";
import type { ClusterFigures } from "./top/figures.js";

const folder = mkdtempSync(join(tmpdir(), "gamut-replicas-"));
const ESCAPE = "\x1b";
let base = 0;
let cluster: UpProcess;
let env: Record<string, string>;

const run = (args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  runCli(args, { ...options, env: { ...env, ...options.env } });

/** Stdout of a command that must succeed. */
async function out(...args: string[]): Promise<string> {
  const { code, out: text, err } = await run(args);
  expect(code, `gamut ${args.join(" ")}: ${err}`).toBe(0);
  return text;
}

beforeAll(async () => {
  base = await freePortBase(3);
  env = { GAMUT_ADDRESS: `127.0.0.1:${base},127.0.0.1:${base + 1}` };
  cluster = await UpProcess.start(["--no-restart", "--data", join(folder, "three"), "--port-base", String(base)]);
});

afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function versionOf(key: string, ...flags: string[]): Promise<string> {
  const { version } = JSON.parse(await out("get", key, "--json", ...flags)) as { version: number };
  return String(version);
}

describe("cas", () => {
  it("writes at the version that get tells, and at no other; it tells the new one", async () => {
    await out("set", "stock", "7");
    const version = await versionOf("stock");
    const explained = await run(["get", "stock", "--explain"]);
    expect([explained.out, explained.err]).toEqual([
      "7",
      expect.stringMatching(new RegExp(`^version: ${version}$`, "m")),
    ]);
    const next = (await out("cas", "stock", version, "6")).trim();
    expect(await versionOf("stock", "--level", "sequential")).toBe(next);
    const late = await run(["cas", "stock", version, "5"]);
    expect([late.code, late.out, late.err]).toEqual([
      1,
      "",
      `gamut: not set: the key is at version ${next}, not ${version}: read it again\n`,
    ]);
    expect(JSON.parse((await run(["cas", "stock", version, "5", "--json"])).out)).toEqual({
      key: "stock",
      done: false,
      version: Number(next),
    });
    expect(await out("get", "stock")).toBe("6");
  });

  it("absent: only where there is no such key", async () => {
    const made = await run(["cas", "new", "absent", "-", "--ttl", "1h", "--explain"], { input: "a\0b" });
    expect([made.code, made.err]).toEqual([0, expect.stringMatching(/^receipt: level=linearizable .* evidence=log/)]);
    expect((await run(["get", "new"])).bytes).toEqual(Buffer.from("a\0b"));
    const again = await run(["cas", "new", "absent", "x"]);
    expect([again.code, again.err]).toEqual([1, "gamut: not set: the key is there\n"]);
    const gone = await run(["cas", "nobody", "5", "x"]);
    expect([gone.code, gone.err]).toEqual([1, "gamut: not set: the key is absent, not at version 5\n"]);
    for (const bad of ["0", "-1", "1.5", "x", "9007199254740992"])
      expect((await run(["cas", "new", bad, "x"])).code).toBe(2);
    expect((await run(["cas", "k".repeat(2_049), "absent", "x"])).err).toContain("2048");
  });

  it("goes on with a token, in the keyspace named; without an order of writes it is refused", async () => {
    await out("keyspace", "create", "other", "--level", "sequential");
    const made = JSON.parse(await out("cas", "k", "absent", "1", "-k", "other", "--print-token", "--json"));
    const at = ["-k", "other", "--token", made.token as string, "--address", `127.0.0.1:${base + 2}`];
    expect(await versionOf("k", ...at)).toBe(String(made.version));
    expect((await run(["get", "k"])).code).toBe(1);
    expect(JSON.parse(await out("keyspace", "create", "carts", "--protocol", "gossip", "--json"))).toEqual({
      keyspace: "carts",
      protocol: "gossip",
      created: true,
    });
    const refused = await run(["cas", "k", "absent", "1", "-k", "carts"]);
    expect([refused.code, refused.err]).toEqual([3, expect.stringContaining("a keyspace of protocol raft does it")]);
  });
});

describe("an answer that does not come, or cannot be read", () => {
  it("leaves the outcome of cas unknown, and is a definite error of dump", async () => {
    for (const answer of [undefined, null, "$3\r\nabc\r\n", "$2\r\nAG\r\n", "+OK\r\n"]) {
      const fake = await FakeNode.start(answer);
      const ask = ["--address", fake.address, "--timeout", "300ms", "--json"];
      const written = await run(["cas", "x", "absent", "1", ...ask]);
      expect([answer, written.code]).toEqual([answer, 4]);
      expect(JSON.parse(written.out)).toMatchObject({ error: { definite: false } });
      const read = await run(["dump", ...ask]);
      expect([answer, read.code]).toEqual([answer, 3]);
      expect(JSON.parse(read.out)).toMatchObject({ error: { definite: true } });
      fake.close();
    }
  });
});

describe("dump", () => {
  it("writes every record once, in the order of the keys, over many pages", async () => {
    const value = "v".repeat(400_000);
    for (const i of [3, 1, 5, 2, 4]) expect((await run(["set", `big${i}`, "-"], { input: value })).code).toBe(0);
    const lines = (await out("dump", "big")).split("\n");
    expect(lines).toEqual([...[1, 2, 3, 4, 5].map((i) => `big${i}:${value}`), ""]);
    expect(await out("dump", "none")).toBe("");
    const all = (await out("dump")).split("\n");
    expect(all).toEqual([...lines.slice(0, 5), "new:a\\x00b", "stock:6", ""]);
    expect(JSON.parse(await out("dump", "stock", "--format", "json"))).toEqual({
      key: "stock",
      value: "6",
      version: Number(await versionOf("stock")),
    });
  });

  it("--node tells what that one holds, whatever is asked in between", async () => {
    const { leader } = JSON.parse(await out("keyspace", "list", "--json")).find(
      ({ name }: { name: string }) => name === "default",
    ) as { leader: number };
    const other = [1, 2, 3].find((node) => node !== leader)!;
    // Without a majority nobody can confirm a leader; what the last one holds can still be read.
    const stopped = [1, 2, 3].filter((node) => node !== other).map((node) => cluster.pidOf(node));
    for (const pid of stopped) process.kill(pid, "SIGSTOP");
    try {
      const at = ["--address", `127.0.0.1:${base + other - 1}`, "--timeout", "2s"];
      expect((await run(["dump", "stock", "--node", String(other), ...at])).out).toBe("stock:6\n");
      expect((await run(["dump", "stock", ...at])).code).toBe(3);
    } finally {
      for (const pid of stopped) process.kill(pid, "SIGCONT");
    }
    const nobody = await run(["dump", "--node", "9"]);
    expect([nobody.code, nobody.err]).toEqual([2, "gamut: --node 9: the cluster's nodes are 1, 2, 3\n"]);
  }, 30_000);

  it("--out: a file for each node, which are compared", async () => {
    const dir = join(folder, "dumped");
    await out("set", "last", "x");
    const token = (await run(["get", "last", "--print-token"])).err.trim();
    for (const i of [0, 1, 2]) {
      await out("get", "last", "--level", "sequential", "--token", token, "--address", `127.0.0.1:${base + i}`);
    }
    expect(await out("dump", "--out", dir)).toMatch(
      /^node 1: 8 records in .*node-1\.txt\n(.*\n){2}they are the same\n$/,
    );
    expect(readdirSync(dir).sort()).toEqual(["node-1.txt", "node-2.txt", "node-3.txt"]);
    const files = [1, 2, 3].map((node) => readFileSync(join(dir, `node-${node}.txt`), "utf8"));
    expect(files).toEqual([await out("dump"), files[0], files[0]]);
    const json = JSON.parse(await out("dump", "last", "--out", dir, "--node", "2", "--json"));
    expect(json).toMatchObject({ same: true, nodes: [{ node: 2, records: 1, problem: "" }] });
    expect(readFileSync(join(dir, "node-2.jsonl"), "utf8")).toMatch(/^\{"key":"last","value":"x","version":\d+\}\n$/);
    const file = await run(["dump", "--out", join(dir, "node-1.txt")]);
    expect([file.code, file.err]).toEqual([3, expect.stringContaining("cannot be used")]);
    if (process.platform === "linux") {
      const nowhere = await run(["dump", "--out", "/proc/gamut/x"]);
      expect([nowhere.code, nowhere.err]).toEqual([3, expect.stringContaining("no folder can be made there")]);
    }
    const [a, b] = [
      { sha256: "1", file: "a" },
      { sha256: "2", file: "b" },
    ];
    expect([differing([a, a]), differing([a, a, b]), differing([])]).toEqual([undefined, b, undefined]);
  });

  it("of gossip: node by node, at the level that it grants", async () => {
    await out("set", "apple", "1", "-k", "carts");
    const whole = await run(["dump", "-k", "carts"]);
    expect([whole.code, whole.err]).toEqual([2, expect.stringContaining("name a node with --node N")]);
    expect(await out("dump", "-k", "carts", "--node", "1")).toBe("apple:1\n");
    const unknown = await run(["dump", "-k", "nowhere"]);
    expect([unknown.code, unknown.err]).toEqual([3, expect.stringContaining("gamut keyspace create nowhere")]);
  });
});

/** `gamut top` at a terminal of its own. */
class Terminal {
  output = "";
  readonly exited: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(command: string) {
    // To Node.js a machine with CI set has no colours, whatever its terminal.
    this.child = spawn("script", ["-qec", `unset CI; stty cols 150 rows 40; ${command}`, "/dev/null"], {
      env: { ...process.env, ...env, TERM: "xterm", SHELL: "/bin/sh" },
    });
    this.child.stdout!.on("data", (chunk: Buffer) => {
      this.output += chunk.toString("utf8");
    });
    this.exited = new Promise((done) => this.child.on("close", done));
  }

  type(text: string): void {
    this.child.stdin!.write(text);
  }

  /** Waits until it comes after all that is there now. */
  async shows(what: RegExp): Promise<void> {
    const from = this.output.length;
    const deadline = Date.now() + 20_000;
    while (!what.test(this.output.slice(from))) {
      if (Date.now() > deadline || this.child.exitCode !== null) throw new Error(`no ${what} in:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const noTerminal = spawnSync("script", ["-qec", "true", "/dev/null"]).status !== 0;

describe("top", () => {
  it("--once: what happened in an interval, as text without control characters", async () => {
    const load = run(["bench", "--duration", "3", "--warmup", "0", "--connections", "4", "--first"]);
    const [figures, text] = await Promise.all([
      out("top", "--once", "--json").then((json) => JSON.parse(json) as ClusterFigures),
      out("top"),
    ]);
    expect((await load).code).toBe(0);
    expect(figures.nodes.map(({ node, processId }) => [node, processId])).toEqual(
      [1, 2, 3].map((node) => [node, cluster.pidOf(node)]),
    );
    const [first, second] = figures.nodes;
    expect(first.writesPerSecond).toBeGreaterThan(10);
    expect(second.writesPerSecond).toBe(0);
    expect(first.memoryBytes).toBeGreaterThan(10_000_000);
    expect(first.cpuShare).toBeGreaterThan(0);
    const resp = figures.wires.find(({ wire }) => wire === "resp")!;
    expect(resp.write!.perSecond).toBe(first.writesPerSecond);
    expect(resp.write!.p50Ms).toBeGreaterThan(0);
    expect(resp.write!.p99Ms).toBeGreaterThanOrEqual(resp.write!.p50Ms!);
    expect(resp.connections).toBeGreaterThanOrEqual(4);
    const keyspace = figures.keyspaces.find(({ name }) => name === "default")!;
    expect(keyspace.replicas.map(({ node }) => node)).toEqual([1, 2, 3]);
    for (const { lag, checkpoint } of keyspace.replicas)
      expect([lag, checkpoint]).toEqual([expect.any(Number), expect.any(Number)]);
    expect(text).toMatch(/^cluster [0-9a-f]{12}: 3 of 3 nodes answer\n/);
    expect(text).toMatch(/^default +raft +[1-3] +\d+ +\d+ +1: \d+ {2}2: \d+ {2}3: \d+ +1: \d+/m);
    expect(text).not.toContain("\x1b");
    expect((await run(["top", "--interval", "1ms"])).code).toBe(2);
  }, 30_000);

  it.skipIf(noTerminal && process.env.CI === undefined)(
    "at a terminal (needs script): goes on while nodes come and go, and leaves the terminal as it was",
    async () => {
      const terminal = new Terminal(`"${process.execPath}" "${GAMUT}" top --interval 100ms --timeout 500ms`);
      await terminal.shows(new RegExp(`3 of 3 nodes answer.*${ESCAPE}\\[32mleader${ESCAPE}`, "s"));
      process.kill(cluster.pidOf(2), "SIGSTOP");
      try {
        await terminal.shows(/2 of 3 nodes answer.*no answer: /s);
      } finally {
        process.kill(cluster.pidOf(2), "SIGCONT");
      }
      await terminal.shows(/3 of 3 nodes answer/);
      terminal.type("q");
      expect(await terminal.exited).toBe(0);
      expect(terminal.output.startsWith("\x1b[?1049h")).toBe(true);
      expect(terminal.output.endsWith("\x1b[?25h\x1b[?1049l")).toBe(true);
    },
    60_000,
  );

  it.skipIf(noTerminal && process.env.CI === undefined)(
    "at a terminal (needs script): without colours where they are not wanted, drawn anew when its size changes",
    async () => {
      const now = join(folder, "now");
      const narrower = `(until [ -e "${now}" ]; do sleep 0.05; done; stty cols 30 </dev/tty) &`;
      // Within this interval nothing is drawn by itself.
      const terminal = new Terminal(`${narrower} NO_COLOR=1 "${process.execPath}" "${GAMUT}" top --interval 1h`);
      await terminal.shows(/cluster [0-9a-f]{12}: 3 of 3 nodes answer/);
      writeFileSync(now, "");
      await terminal.shows(new RegExp(`cluster [0-9a-f]{12}: 3 of 3 n${ESCAPE}`));
      terminal.type("\x03");
      expect(await terminal.exited).toBe(0);
      expect(terminal.output).not.toMatch(new RegExp(`${ESCAPE}\\[\\d*m`));
    },
    60_000,
  );
});

describe("with a node that is dead", () => {
  it("dump --out writes the others', and leaves no old file for it; top tells, and ends with 1", async () => {
    const dir = join(folder, "dumped");
    process.kill(cluster.pidOf(3), "SIGKILL");
    await cluster.says(/^node 3 is left dead\./m);
    const dumped = await run(["dump", "stock", "--out", dir]);
    expect([dumped.code, dumped.err]).toEqual([3, expect.stringMatching(/^gamut: node 3: .*connection refused/)]);
    expect(readFileSync(join(dir, "node-2.txt"), "utf8")).toBe("stock:6\n");
    const left = readdirSync(dir).filter((name) => name.startsWith("node-3"));
    expect(left).toEqual(["node-3.txt.old"]);
    const top = await run(["top", "--interval", "100ms"]);
    expect([top.code, top.out]).toEqual([1, expect.stringMatching(/^3 .* no answer: connection refused$/m)]);
    const nobody = await run(["top", "--address", "127.0.0.1:1"]);
    expect([nobody.code, nobody.err]).toEqual([3, expect.stringContaining("127.0.0.1:1: connection refused")]);
  });
});

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClusterView } from "./cluster-view.js";
import { FakeNode } from "./testing/fake-node.js";
import { GAMUT, type Ran, type RunOptions, runCli } from "./testing/run-cli.js";
import { freePortBase, UpProcess } from "./testing/up-process.js";

const folder = mkdtempSync(join(tmpdir(), "gamut-cli-"));
const data = join(folder, "three");
let base = 0;
let cluster: UpProcess;
let env: Record<string, string>;
const ups: UpProcess[] = [];

async function up(...args: string[]): Promise<UpProcess> {
  const started = await UpProcess.start(args);
  ups.push(started);
  return started;
}

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
  env = { GAMUT_ADDRESS: [0, 1, 2].map((i) => `127.0.0.1:${base + i}`).join(",") };
  cluster = await up("--data", data, "--port-base", String(base));
});

afterAll(async () => {
  await Promise.all(ups.map((each) => each.stop()));
  rmSync(folder, { recursive: true, force: true });
});

describe("records", () => {
  it("set, get, del: nothing is added to what a pipe reads", async () => {
    expect(await out("set", "greeting", "hello")).toBe("OK\n");
    expect(await out("get", "greeting")).toBe("hello");
    expect(await out("del", "greeting", "nobody")).toBe("1\n");
    const gone = await run(["get", "greeting"]);
    expect([gone.code, gone.out, gone.err]).toEqual([1, "", "gamut: there is no key greeting\n"]);
    expect((await run(["del", "greeting"])).code).toBe(1);
  });

  it("values are bytes, from stdin and to stdout", async () => {
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) & 0xff);
    expect((await run(["set", "photo", "-"], { input: bytes })).code).toBe(0);
    expect((await run(["get", "photo"])).bytes.equals(bytes)).toBe(true);
    const { valueBase64 } = JSON.parse(await out("get", "photo", "--json")) as { valueBase64: string };
    expect(Buffer.from(valueBase64, "base64").equals(bytes)).toBe(true);
    await out("set", "empty", "");
    expect(await out("get", "empty")).toBe("");
    await out("set", "umlaut ü", "größer");
    expect(await out("get", "umlaut ü")).toBe("größer");
  });

  it("set --nx --xx --get --ttl", async () => {
    expect((await run(["set", "lock", "mine", "--xx"])).code).toBe(1);
    expect((await run(["set", "lock", "mine", "--nx"])).code).toBe(0);
    const taken = await run(["set", "lock", "yours", "--nx"]);
    expect([taken.code, taken.out, taken.err]).toEqual([1, "", "gamut: not set: the key is there\n"]);
    const shown = await run(["set", "lock", "yours", "--nx", "--get"]);
    expect([shown.code, shown.out]).toEqual([1, "mine"]);
    expect(await out("set", "lock", "ours", "--get")).toBe("mine");
    expect(JSON.parse(await out("set", "lock", "theirs", "--xx", "--get", "--json"))).toEqual({
      key: "lock",
      done: true,
      previous: "ours",
    });
    expect((await run(["set", "lock", "x", "--nx", "--xx"])).code).toBe(2);
    await out("set", "long", "x", "--ttl", "1h");
    expect(await out("get", "long")).toBe("x");
    await out("set", "brief", "x", "--ttl", "300ms");
    const deadline = Date.now() + 10_000;
    while ((await run(["get", "brief"])).code !== 1) expect(Date.now()).toBeLessThan(deadline);
    expect((await run(["set", "brief", "x", "--ttl", "soon"])).code).toBe(2);
  });

  it("incr", async () => {
    expect(await out("incr", "visits")).toBe("1\n");
    expect(await out("incr", "visits", "-5")).toBe("-4\n");
    expect(await out("incr", "visits", "9223372036854775807")).toBe("9223372036854775803\n");
    expect(JSON.parse(await out("incr", "visits", "--json"))).toEqual({ key: "visits", value: "9223372036854775804" });
    const over = await run(["incr", "visits", "9000", "--json"]);
    expect(over.code).toBe(3);
    expect(JSON.parse(over.out)).toMatchObject({ error: { definite: true } });
    expect((await run(["incr", "visits", "some"])).code).toBe(2);
    const wide = await run(["incr", "visits", "99999999999999999999"]);
    expect([wide.code, wide.err]).toEqual([2, expect.stringContaining("it must fit into 64 bits")]);
  });

  it("scan: all keys once, in order, by pages; bytes and JSON", async () => {
    const names = Array.from({ length: 25 }, (_, i) => `page:${String(i).padStart(2, "0")}`);
    for (const name of names.slice(0, 5)) await out("set", name, "x");
    for (const name of names.slice(5)) await out("incr", name);
    expect(await out("scan", "--match", "page:*", "--count", "7")).toBe(`${names.join("\n")}\n`);
    expect(await out("scan", "--match", "page:*", "--limit", "3")).toBe(`${names.slice(0, 3).join("\n")}\n`);
    const last = [...names].reverse();
    expect(await out("scan", "--match", "page:*", "--count", "7", "--reverse")).toBe(`${last.join("\n")}\n`);
    expect(await out("scan", "--match", "page:*", "--limit", "2", "--reverse")).toBe("page:24\npage:23\n");
    await out("set", "line\nbreak", "x");
    expect(await out("scan", "--match", "line*", "--json")).toBe('"line\\nbreak"\n');
    for (const none of ["none*", ""]) expect(await out("scan", "--match", none)).toBe("");
    expect((await run(["scan", "--count", "0"])).code).toBe(2);
  }, 30_000);
});

describe("sessions", () => {
  it("--explain tells the level given and on what evidence", async () => {
    const written = await run(["set", "proof", "x", "--explain"]);
    expect(written.err).toMatch(
      /^receipt: level=linearizable asked=linearizable protocol=raft node=1 leader=[1-3] epoch=\d+ position=\d+ evidence=log/,
    );
    const read = await run(["get", "proof", "--explain", "--level", "sequential"]);
    expect(read.out).toBe("x");
    expect(read.err).toMatch(/^receipt: level=sequential asked=sequential .* evidence=local/);
    const { receipt } = JSON.parse(await out("get", "proof", "--explain", "--json")) as {
      receipt: { evidence: string; position: number; durableOn: number[] };
    };
    expect(receipt).toMatchObject({ level: "linearizable", node: 1, evidence: "read-index" });
    expect(receipt.position).toBeGreaterThan(0);
    expect(receipt.durableOn).toContain(1);
    const absent = await run(["get", "proof of nothing", "--explain"]);
    expect([absent.code, absent.err]).toEqual([1, expect.stringMatching(/evidence=read-index/)]);
  });

  it("the leader knows a majority that holds a write durably", async () => {
    const view = JSON.parse(await out("status", "--json")) as ClusterView;
    expect(view.nodes.map(({ processId }) => processId)).toEqual([1, 2, 3].map((node) => cluster.pidOf(node)));
    expect(view.nodes.map(({ role }) => role).sort()).toEqual(["follower", "follower", "leader"]);
    const { leader } = view.keyspaces.find(({ name }) => name === "default")!;
    const { clientAddress } = view.nodes.find(({ node }) => node === leader)!;
    const { receipt } = JSON.parse(
      await out("set", "durable", "x", "--explain", "--json", "--address", clientAddress),
    ) as { receipt: { durableOn: number[] } };
    expect(receipt.durableOn.length).toBeGreaterThanOrEqual(2);
  });

  it("a token carries what was seen to another node", async () => {
    const written = await run(["set", "seen", "by token", "--print-token"]);
    expect(written.out).toBe("OK\n");
    const token = written.err.trim();
    for (const i of [1, 2]) {
      const other = ["--address", `127.0.0.1:${base + i}`, "--level", "sequential", "--token", token];
      expect(await out("get", "seen", ...other)).toBe("by token");
    }
    expect(JSON.parse(await out("get", "seen", "--json", "--print-token"))).toMatchObject({
      token: expect.any(String),
    });
    expect((await run(["get", "seen", "--token", "foo"])).code).toBe(2);
    const bad = await run(["get", "seen", "--token", "abcd"]);
    expect([bad.code, bad.err]).toEqual([3, expect.stringMatching(/token/)]);
  });

  it("a level that the protocol does not grant is refused, with what would grant it", async () => {
    const refused = await run(["get", "x", "--level", "eventual"]);
    expect([refused.code, refused.err]).toEqual([3, expect.stringContaining("ask for linearizable or sequential")]);
    const misspelt = await run(["get", "x", "--level", "perfect"]);
    expect([misspelt.code, misspelt.err]).toEqual([
      2,
      expect.stringContaining('there is no level "perfect"; raft grants linearizable and sequential; gossip grants '),
    ]);
    const answer = await fetch(`http://127.0.0.1:${base}/v1/keyspaces/default/keys/x?level=perfect`);
    expect(await answer.json()).toMatchObject({
      status: 400,
      detail: 'there is no level "perfect"; this keyspace (raft) grants linearizable and sequential',
    });
  });
});

describe("keyspaces", () => {
  it("are made, used, listed, dropped", async () => {
    expect(await out("keyspace", "create", "orders", "--level", "sequential")).toContain("keyspace orders is made");
    await out("set", "x", "in orders", "--keyspace", "orders", "--address", `127.0.0.1:${base + 2}`);
    expect(await out("get", "x", "--keyspace", "orders", "--level", "linearizable")).toBe("in orders");
    expect((await run(["get", "x"])).code).toBe(1);
    const listed = JSON.parse(await out("keyspace", "list", "--json")) as object[];
    expect(listed).toContainEqual({
      name: "orders",
      protocol: "raft",
      level: "sequential",
      leader: expect.any(Number),
      replicas: [1, 2, 3],
    });
    expect(await out("keyspace", "list")).toMatch(/│ orders +│ raft +│ sequential +│/);
    const again = await run(["keyspace", "create", "orders", "--json"]);
    expect(again.code).toBe(3);
    expect(JSON.parse(again.out)).toMatchObject({ error: { code: "keyspace_exists", definite: true } });
    await out("keyspace", "drop", "orders");
    const gone = await run(["get", "x", "--keyspace", "orders"]);
    expect([gone.code, gone.err]).toEqual([3, expect.stringContaining("gamut keyspace create orders")]);
    expect((await run(["keyspace", "drop", "orders"])).code).toBe(3);
    expect((await run(["keyspace", "drop", "default"])).err).toContain("cannot be dropped");
  });

  it("with a wrong name, or a level that they could never grant, are refused", async () => {
    expect((await run(["keyspace", "create", "Not/A/Name"])).err).toContain("is not a keyspace name");
    const weak = await run(["keyspace", "create", "weak", "--level", "eventual"]);
    expect([weak.code, weak.err]).toEqual([3, expect.stringContaining("does not grant the level eventual")]);
  });
});

describe("addresses", () => {
  it("are tried in turn, and all that do not answer are named", async () => {
    await out("set", "turn", "x");
    const dead = "127.0.0.1:1";
    expect(await out("get", "turn", "--address", dead, "--address", `127.0.0.1:${base}`)).toBe("x");
    const nobody = await run(["get", "turn", "--address", dead, "--json"]);
    expect(nobody.code).toBe(3);
    expect(nobody.out).toContain("127.0.0.1:1: connection refused");
    expect(nobody.out).toContain("gamut up");
    expect((await run(["get", "turn"], { env: { GAMUT_ADDRESS: "somewhere" } })).code).toBe(2);
    expect((await run(["get", "turn", "--address", "somewhere"])).code).toBe(2);
  });

  it("an answer that does not come: unknown for a write, an error for a read", async () => {
    for (const answer of [undefined, null, "-UNKNOWN nobody knows\r\n", "gibberish\r\n"]) {
      const fake = await FakeNode.start(answer);
      const ask = ["--address", fake.address, "--timeout", "300ms", "--json"];
      const written = await run(["set", "x", "1", ...ask]);
      expect([answer, written.code]).toEqual([answer, 4]);
      expect(JSON.parse(written.out)).toMatchObject({ error: { code: "unknown", definite: false } });
      const read = await run(["get", "x", ...ask]);
      if (!answer?.startsWith("-UNKNOWN")) expect([answer, read.code]).toEqual([answer, 3]);
      // Refused before the command was sent: it cannot have taken effect.
      if (answer === null) expect((await run(["set", "x", "1", "--keyspace", "k", ...ask])).code).toBe(3);
      fake.close();
    }
    const refusing = await FakeNode.start("-TRYAGAIN unavailable: no majority could be reached in time\r\n");
    const refused = await run(["set", "x", "1", "--address", refusing.address]);
    expect([refused.code, refused.err]).toEqual([3, "gamut: no majority could be reached in time\n"]);
    refusing.close();
  });
});

describe("the command line", () => {
  it("what it does not know is a usage error that names the nearest", async () => {
    const typo = await run(["stauts"]);
    expect([typo.code, typo.err]).toEqual([2, expect.stringContaining("Did you mean status?")]);
    expect((await run(["get", "x", "--lvel", "sequential"])).err).toContain("Did you mean --level?");
    expect((await run(["get"])).code).toBe(2);
    expect((await run(["get", "x", "y"])).code).toBe(2);
    expect((await run(["bench", "--driver", "smoke"])).code).toBe(2);
    const bench = await run(["bench", "--duration", "-1", "--connections", "0"]);
    expect([bench.code, bench.err]).toEqual([
      2,
      "gamut: --connections must be a whole number from 1 to 10000; --duration must be a number from 0.001 to 86400\n",
    ]);
    expect((await run(["bench", "--driver", "etcd"])).code).toBe(2);
    expect((await run(["bench"], { env: { GAMUT_ADDRESS: "somewhere" } })).code).toBe(2);
    expect((await run(["up", "--nodes", "0"])).code).toBe(2);
    expect((await run(["up", "--nodes", "three"])).code).toBe(2);
    expect((await run([])).code).toBe(2);
  });

  it("every command has help with an example", async () => {
    const help = await out("--help");
    const commands = [...help.slice(help.indexOf("Commands:")).matchAll(/^ {2}([a-z]+) {2,}|^ {2}([a-z]+) [[<]/gm)].map(
      ([, plain, withArguments]) => plain ?? withArguments,
    );
    expect(commands).toEqual(expect.arrayContaining(["up", "get", "set", "del", "incr", "scan", "keyspace", "status"]));
    const paths = commands.filter((name) => !["keyspace", "help"].includes(name)).map((name) => [name]);
    paths.push(["keyspace", "create"], ["keyspace", "list"], ["keyspace", "drop"]);
    const helps = await Promise.all(paths.map((path) => out(...path, "--help")));
    for (const [i, text] of helps.entries()) {
      expect([paths[i], text]).toEqual([paths[i], expect.stringContaining("Examples:\n  gamut ")]);
    }
    expect(await out("get", "--help")).toContain("4  the outcome is unknown");
    expect(await out("get", "--help")).toMatch(
      /raft\s+grants\s+linearizable\s+and\s+sequential;\s+gossip\s+grants\s+session\s+and\s+eventual;/s,
    );
    expect(await out("scan", "--help")).not.toMatch(/^ {2}1 /m);
    const advice = "write npx gamut instead";
    expect((await run(["get", "--help"], { env: { PATH: "" } })).out).toContain(advice);
    writeFileSync(join(folder, process.platform === "win32" ? "gamut.cmd" : "gamut"), "");
    expect((await run(["get", "--help"], { env: { PATH: folder } })).out).not.toContain(advice);
    expect((await run(["get"], { env: { PATH: "" } })).err).toContain("(see npx gamut get --help)");
    expect(await out("--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("scan ends without a complaint when its reader has seen enough", async () => {
    await out("set", "first", "x");
    const { spawnSync } = await import("node:child_process");
    const { GAMUT } = await import("./testing/run-cli.js");
    const shell = spawnSync("/bin/sh", ["-c", `"${process.execPath}" "${GAMUT}" scan --count 1 | head -n 1`], {
      env: { ...process.env, ...env },
      encoding: "utf8",
    });
    expect([shell.status, shell.stderr, shell.stdout.split("\n").length]).toEqual([0, "", 2]);
  });
});

describe("up", () => {
  it("says what is in the way: a port, a folder in use, a folder that is none", async () => {
    const config = readFileSync(join(data, "node-1", "config.yaml"), "utf8");
    const port = await run(["up", "--data", join(folder, "other"), "--port-base", String(base)]);
    expect([port.code, port.err]).toEqual([
      3,
      expect.stringContaining(`port ${base} on 127.0.0.1 is in use by process`),
    ]);
    if (process.platform === "linux")
      expect(port.err).toMatch(/: stop the `gamut up` that runs it \(Ctrl-C there, or kill \d+\)/);
    const peer = await run(["up", "--data", join(folder, "other"), "--port-base", String(base + 998), "--nodes", "3"]);
    expect([peer.code, peer.err]).toEqual([3, expect.stringMatching(/port \d+ on 127.0.0.1 is in use/)]);
    const used = await run(["up", "--data", data, "--port-base", String(await freePortBase(3))]);
    expect([used.code, used.err]).toEqual([3, expect.stringContaining(`${data} is in use by process`)]);
    expect(readFileSync(join(data, "node-1", "config.yaml"), "utf8")).toBe(config);
    const file = join(folder, "file");
    writeFileSync(file, "");
    for (const bad of [file, join(file, "below")]) {
      const refused = await run(["up", "--data", bad, "--port-base", String(await freePortBase(3))]);
      expect([refused.code, refused.err]).toEqual([3, expect.stringContaining(`${bad} cannot be used: it is a file`)]);
    }
    const empty = await run(["up", "--data", "", "--port-base", String(await freePortBase(3))]);
    expect([empty.code, empty.err]).toEqual([2, expect.stringContaining("--data names no folder")]);
    if (process.platform !== "linux") return;
    const nowhere = await run(["up", "--data", "/proc/gamut/data", "--port-base", String(await freePortBase(3))]);
    expect([nowhere.code, nowhere.err]).toEqual([3, expect.stringContaining("no folder can be made there")]);
  });

  it("starts a killed node again; meanwhile status tells that it does not answer", async () => {
    await out("set", "before", "the kill");
    process.kill(cluster.pidOf(2), "SIGKILL");
    await cluster.says(/^node 2 ended by SIGKILL \(process \d+\); its log is /m);
    const status = await run(["status"]);
    expect([status.code, status.out]).toEqual([1, expect.stringContaining("2 of 3 nodes answer")]);
    expect(status.out).toMatch(/│ 2 +│ +│ +│ 127\.0\.0\.1:\d+ +│ 127\.0\.0\.1:\d+ +│ +│ no answer: connection refused/);
    expect(await out("get", "before")).toBe("the kill");
    await cluster.says(/node 2 is up again/);
    expect(cluster.output.match(/^node 2 ended/gm)).toHaveLength(1);
    const two = `127.0.0.1:${base + 1}`;
    expect(await out("get", "before", "--address", two)).toBe("the kill");
    const view = JSON.parse(await out("status", "--address", two, "--json")) as ClusterView;
    expect(view.nodes.map(({ node, problem }) => [node, problem])).toEqual([1, 2, 3].map((node) => [node, ""]));
    const { replicas, leader } = view.keyspaces.find(({ name }) => name === "default")!;
    expect(replicas.map(({ node }) => node)).toEqual([1, 2, 3]);
    expect(leader).toBeGreaterThan(0);
  });

  it("stops on Ctrl-C, and goes on with the data that were there", async () => {
    await out("set", "lasting", "x");
    expect(await cluster.stop()).toBe(0);
    expect(cluster.output).toMatch(/stopping …\n(.*\n)*stopped\n$/);
    expect((await run(["status", "--timeout", "1s"])).code).toBe(3);
    for (const node of [1, 2, 3]) {
      expect(readFileSync(join(data, `node-${node}`, "node.log"), "utf8")).toMatch(/stopped\n$/);
    }
    expect(readdirSync(data)).not.toContain("pid");
    cluster = await up("--data", data, "--port-base", String(base));
    expect(await out("get", "lasting")).toBe("x");
    expect(await cluster.stop()).toBe(0);
    const more = await run(["up", "--data", data, "--port-base", String(base), "--nodes", "5"]);
    expect([more.code, more.err]).toEqual([3, expect.stringContaining("holds a cluster of 3 nodes, and the members")]);
    expect(readdirSync(data)).not.toContain("node-4");
    rmSync(join(data, "node-2", "log"), { recursive: true });
    cluster = await up("--data", data, "--port-base", String(base));
    await cluster.says(/^node 2: .*rebuilt from its peers$/m);
    expect(await out("get", "lasting", "--address", `127.0.0.1:${base + 1}`)).toBe("x");
  }, 60_000);

  it("--durability os: what it is shows, and not together with --memory", async () => {
    const both = await run(["up", "--durability", "os", "--memory"]);
    expect([both.code, both.err]).toEqual([2, expect.stringContaining("cannot be used with")]);
    const wrong = await run(["up", "--durability", "disk"]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("Allowed choices are sync, os, memory")]);
    const base = await freePortBase(1);
    const folderOfOne = join(folder, "os");
    const one = await up("--nodes", "1", "--durability", "os", "--data", folderOfOne, "--port-base", String(base));
    const at = ["--address", `127.0.0.1:${base}`];
    const set = await run(["set", "x", "1", "--explain", ...at]);
    expect(set.out + set.err).toContain("durable-on=1 durability=os");
    expect(await one.stop()).toBe(0);
    expect(readFileSync(join(folderOfOne, "node-1", "config.yaml"), "utf8")).toContain("durability: os");
    expect(one.output).not.toContain("Durability was");
    const synced = await up("--nodes", "1", "--data", folderOfOne, "--port-base", String(base));
    expect(synced.output).toMatch(
      /^Durability was os here and is sync from now on; --durability os goes on with that$/m,
    );
    expect((await run(["get", "x", ...at])).out).toBe("1");
    expect(await synced.stop()).toBe(0);
  });

  it("--no-restart: a dead node is started by hand, and with the last one up ends", async () => {
    const base = await freePortBase(2);
    const choice = ["--nodes", "2", "--data", join(folder, "left"), "--port-base", String(base)];
    const two = await up(...choice, "--no-restart");
    process.kill(two.pidOf(2), "SIGKILL");
    await two.says(/^node 2 is left dead\. By hand: .*gamut node --config .*node-2\/config\.yaml$/m);
    const file = join(folder, "left", "node-2", "config.yaml");
    const byHand = spawn(process.execPath, [GAMUT, "node", "--config", file], { stdio: "ignore" });
    const gone = new Promise((done) => byHand.on("exit", done));
    try {
      // Both are wanted for that.
      const deadline = Date.now() + 20_000;
      const set = ["set", "x", "1", "--address", `127.0.0.1:${base + 1}`];
      while ((await run(set)).code !== 0) expect(Date.now()).toBeLessThan(deadline);
    } finally {
      byHand.kill("SIGKILL");
      await gone;
    }
    process.kill(two.pidOf(1), "SIGKILL");
    expect(await two.exited).toBe(3);
    expect(two.output).toMatch(/^node 1 is left dead.*\nno node is left that this command runs: it ends\n/m);
    const again = await up(...choice);
    expect(await out("get", "x", "--address", `127.0.0.1:${base}`)).toBe("1");
    expect(await again.stop()).toBe(0);
  }, 60_000);

  it("says what npm has done with flags that do not stand behind --", async () => {
    const plain = await run(["up", "7101"]);
    expect([plain.code, plain.err]).toEqual([2, expect.stringContaining('does not take "7101": everything is chosen')]);
    const byNpm = await run(["up", "7101", "data"], { env: { npm_lifecycle_event: "start" } });
    expect([byNpm.code, byNpm.err]).toEqual([2, expect.stringContaining("npm start -- --port-base 7101")]);
  });

  it("--memory is refused where data lie on the disk", async () => {
    const lasting = join(folder, "one-lasting");
    const base = await freePortBase(1);
    const choice = ["--nodes", "1", "--data", lasting, "--port-base", String(base)];
    const durable = await up(...choice);
    await out("set", "kept", "x", "--address", `127.0.0.1:${base}`);
    expect(await durable.stop()).toBe(0);
    const refused = await run(["up", ...choice, "--memory"]);
    expect(refused.code).toBe(3);
    expect(refused.err).toMatch(/node-1 holds data on the disk, which --memory would not read.*--data/);
    const file = join(lasting, "node-1", "config.yaml");
    const node = await run(["node", "--config", file, "--durability", "memory"]);
    expect([node.code, node.err]).toEqual([3, expect.stringContaining("durability: memory would not read")]);
    const again = await up(...choice);
    expect(await out("get", "kept", "--address", `127.0.0.1:${base}`)).toBe("x");
    expect(await again.stop()).toBe(0);
  }, 60_000);

  it("--memory --nodes 5: five nodes, and nothing left behind", async () => {
    const five = await freePortBase(5);
    const memory = await up("--nodes", "5", "--memory", "--data", join(folder, "five"), "--port-base", String(five));
    const at = ["--address", `127.0.0.1:${five + 4}`];
    await out("set", "fleeting", "x", ...at);
    const read = await run(["get", "fleeting", "--explain", ...at]);
    expect([read.out, read.err]).toEqual(["x", expect.not.stringContaining("durable-on")]);
    const view = JSON.parse(await out("status", "--json", ...at)) as ClusterView;
    expect(view.nodes.length).toBe(5);
    const pids = [1, 2, 3, 4, 5].map((node) => memory.pidOf(node));
    // A killed node leaves its files; its next life removes them.
    process.kill(pids[4], "SIGKILL");
    await memory.says(/node 5 is up again/);
    expect(await out("get", "fleeting", ...at)).toBe("x");
    expect(await memory.stop()).toBe(0);
    if (process.platform !== "linux") return;
    const left = readdirSync("/dev/shm").filter((name) => pids.some((pid) => name.endsWith(`-${pid}`)));
    expect(left).toEqual([]);
  });
});

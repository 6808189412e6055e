/** `gamut export`: what is left in the folders when no majority comes back. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { Exit } from "../../src/cli/exit.js";
import { Identity } from "../../src/node/identity.js";
import { HEADER_BYTES, segmentOfName } from "../../src/node/log/format.js";
import { type Cluster, withCluster } from "./cluster.js";
import { identityFile } from "./damage.js";
import { type Member, PROGRAM } from "./member.js";
import { until } from "./wait.js";

const CALL_MS_MAX = 10_000;
const KEYS = 300;
const DOCS = readFileSync(new URL("../../docs/running.md", import.meta.url), "utf8");

interface Exported {
  readonly code: number;
  /** Key → value. */
  readonly records: Map<string, string>;
  readonly said: string;
}

async function exportFrom(member: Member, ...flags: string[]): Promise<Exported> {
  const words = [PROGRAM, "export", "--data", member.dataDir, ...flags];
  const run = await promisify(execFile)(process.execPath, words, { maxBuffer: 2 ** 26 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  const lines = run.stdout.split("\n").filter((line) => line !== "");
  const records = lines.map((line) => JSON.parse(line) as { key: string; value: string });
  return { code: run.code, records: new Map(records.map(({ key, value }) => [key, value])), said: run.stderr };
}

/** Those of the log and the state; lmdb's lock file changes when somebody reads. */
function hashOfFiles({ dataDir }: Member): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(dataDir, { recursive: true }).map(String).sort()) {
    if (/^(log|state)\/[^.]+$|data\.mdb$/.test(name)) hash.update(name).update(readFileSync(join(dataDir, name)));
  }
  return hash.digest("hex");
}

/** Each write is acknowledged. */
async function write(member: Member, keyspace: string, name: string, count: number): Promise<void> {
  const client = await Client.connectTo(member.address, CALL_MS_MAX);
  try {
    await client.demand(["SELECT", keyspace]);
    for (let i = 0; i < count; i += 1) await client.demand(["SET", `${name}${i}`, `${name} ${i}`]);
  } finally {
    client.close();
  }
}

async function demand(cluster: Cluster, words: string[]): Promise<void> {
  const client = await Client.connectTo(cluster.member(1).address, CALL_MS_MAX);
  await client.demand(words).finally(() => client.close());
}

it("an acknowledged write is in the folders of a majority, in the checkpoint or in the log, and reading changes nothing", {
  timeout: 120_000,
}, async () => {
  await withCluster({}, async (cluster) => {
    await demand(cluster, ["GAMUT", "KEYSPACE", "CREATE", "carts", "PROTOCOL", "gossip"]);
    await write(cluster.member(1), "default", "early", KEYS);
    await write(cluster.member(2), "carts", "early", KEYS);
    // A stop makes a checkpoint.
    await Promise.all(cluster.members.map((member) => member.stop()));
    for (const member of cluster.members) member.start();
    await cluster.ready();
    const running = await exportFrom(cluster.member(1));
    expect(running.code).toBe(Exit.failed);
    expect(running.said).toContain("is in use by process");

    await write(cluster.member(3), "default", "late", KEYS);
    await write(cluster.member(2), "carts", "late", KEYS);
    await Promise.all(cluster.members.map((member) => member.kill()));

    const before = cluster.members.map(hashOfFiles);
    const found = await Promise.all(cluster.members.map((member) => exportFrom(member)));
    expect(cluster.members.map(hashOfFiles)).toEqual(before);
    for (const name of ["early", "late"]) {
      for (let i = 0; i < KEYS; i += 1) {
        const holders = found.filter(({ records }) => records.get(`${name}${i}`) === `${name} ${i}`);
        expect(holders.length, `${name}${i}`).toBeGreaterThanOrEqual(2);
      }
    }
    for (const { code, said } of found) {
      expect(code).toBe(0);
      expect(said).toMatch(
        /keyspace default \(raft\) as node \d held them at position \d+: the checkpoint at \d+, and/,
      );
      expect(said).toContain("this is ONE node's part: writes that were acknowledged may be missing from it");
      expect(said).toContain("may have writes among them that nobody was told of");
    }

    const gossip = await exportFrom(cluster.member(2), "--keyspace", "carts");
    expect(gossip.said).toContain("keyspace carts (gossip) as node 2 held them");
    expect(gossip.records.size).toBe(2 * KEYS);
    expect(gossip.records.get(`late${KEYS - 1}`)).toBe(`late ${KEYS - 1}`);

    const unknown = await exportFrom(cluster.member(1), "--keyspace", "bills");
    expect(unknown.code).toBe(Exit.failed);
    expect(unknown.said).toContain("this folder knows no keyspace bills; it knows carts, default");
    const parent = await exportFrom({ ...cluster.member(1), dataDir: cluster.folder } as Member);
    expect(parent.code).toBe(Exit.usage);
    expect(parent.said).toContain("holds the folders of several nodes: name one");

    damageLog(cluster.member(3));
    const damaged = await exportFrom(cluster.member(3));
    expect(damaged.code).toBe(Exit.failed);
    expect(damaged.said).toMatch(/The log is damaged: log-0000000001 at 0: .* can be had with --no-log/);
    expect(damaged.records.size).toBe(0);
    const checkpoint = await exportFrom(cluster.member(3), "--no-log");
    expect(checkpoint.code).toBe(0);
    expect(checkpoint.said).toContain("without the log");
    expect(checkpoint.records.get("early7")).toBe("early 7");
    expect(checkpoint.records.has("late7")).toBe(false);

    for (const member of cluster.members.slice(0, 2)) member.start();
    await cluster.ready();
  });
});

/** The script of docs/running.md, as it stands there. */
function importScript(folder: string): string {
  const [, script] = /^```js\n(import [^`]*)^```/m.exec(DOCS)!;
  const file = join(folder, "import.mjs");
  const client = new URL("../../dist/client/index.js", import.meta.url).href;
  writeFileSync(file, script.replace('"gamut/client"', JSON.stringify(client)));
  return file;
}

it("goes into a new cluster with the script of the docs, bytes and deadlines and all", {
  timeout: 120_000,
}, async () => {
  const exported: string[] = [];
  const deadlineMs = Date.now() + 3_600_000;
  const values = new Map([
    ["plain", "value"],
    ["line\u2028\n", "\u2028\r\n"],
    ["bytes", "\xff\x00"],
    ["large", "\x01".repeat(1_048_576)],
    ...Array.from({ length: KEYS }, (_, i) => [`many${i}`, `${i}`] as const),
  ]);
  const asBytes = (value: string): Uint8Array => Buffer.from(value, value.charCodeAt(0) === 0xff ? "latin1" : "utf8");
  await withCluster({}, async (cluster) => {
    await demand(cluster, ["GAMUT", "KEYSPACE", "CREATE", "carts", "PROTOCOL", "gossip"]);
    for (const keyspace of ["default", "carts"]) {
      const client = await Client.connectTo(cluster.member(1).address, CALL_MS_MAX);
      await client.demand(["SELECT", keyspace]);
      for (const [key, value] of values) await client.demand(["SET", key, asBytes(value)]);
      await client.demand(["SET", "brief", "x", "PXAT", String(deadlineMs)]);
      client.close();
    }
    await Promise.all(cluster.members.map((member) => member.stop()));
    for (const keyspace of ["default", "carts"]) {
      const words = [PROGRAM, "export", "--data", cluster.member(1).dataDir, "--keyspace", keyspace];
      exported.push((await promisify(execFile)(process.execPath, words, { maxBuffer: 2 ** 26 })).stdout);
    }
    for (const member of cluster.members) member.start();
    await cluster.ready();
  });
  await withCluster({}, async (cluster) => {
    await demand(cluster, ["GAMUT", "KEYSPACE", "CREATE", "carts", "PROTOCOL", "gossip"]);
    const script = importScript(cluster.folder);
    for (const [at, keyspace] of ["default", "carts"].entries()) {
      const { host, port } = cluster.member(2).address;
      const run = promisify(execFile)(process.execPath, [script, `${host}:${port}`, keyspace]);
      run.child.stdin!.end(`${exported[at]}{"key":"late","value":"x","version":1,"deadlineMs":1}\n`);
      expect(await run).toEqual({ stdout: "", stderr: "" });
      const client = await Client.connectTo(cluster.member(2).address, CALL_MS_MAX);
      await client.demand(["SELECT", keyspace]);
      for (const [key, value] of values) {
        expect(Buffer.from((await client.demand(["GET", key])) as Uint8Array).equals(asBytes(value)), key).toBe(true);
      }
      const left = Number(await client.demand(["PTTL", "brief"]));
      expect(left).toBeGreaterThan(deadlineMs - Date.now() - 60_000);
      expect(left).toBeLessThan(3_600_000);
      expect(await client.demand(["EXISTS", "late", "brief"])).toBe(1);
      client.close();
      expect(exported[at]).toContain('"deadlineMs":');
    }
  });
});

/** With the shell lines of docs/running.md: they make `old` in the working folder. */
async function putTogether({ dataDir }: Member, cwd: string): Promise<string> {
  const [, lines] = /^```sh\n(mkdir -p old\/log\n[^`]*)gamut export --data old [^`]*^```/m.exec(DOCS)!;
  const script = lines.replace("state-old-…", "state-old-*").replaceAll("/var/lib/gamut", dataDir);
  await promisify(execFile)("sh", ["-euc", script], { cwd });
  return join(cwd, "old");
}

it("tells of promises that a crash of the machine may have taken, and reads what was set aside", {
  timeout: 120_000,
}, async () => {
  await withCluster({ settings: { durability: "os" } }, async (cluster) => {
    await demand(cluster, ["GAMUT", "KEYSPACE", "CREATE", "carts", "PROTOCOL", "gossip"]);
    await write(cluster.member(1), "default", "early", KEYS);
    await write(cluster.member(1), "carts", "early", KEYS);
    const victim = cluster.member(3);
    await until("it has noted that it syncs later", 10_000, () => identityOf(victim).unsyncedBoot !== "");
    await cluster.ready();
    await victim.kill();
    const sound = await exportFrom(victim);
    expect([sound.code, sound.said]).toEqual([0, expect.not.stringContaining("durability os")]);
    const crashed = identityOf(victim).with({ unsyncedBoot: "00000000-0000-0000-0000-000000000000" });
    writeFileSync(identityFile(victim.dataDir), crashed.encode());
    const told = await exportFrom(victim);
    expect(told.code).toBe(0);
    expect(told.said).toContain(
      "the machine has been started anew since this node had promised what was not synced yet (durability os): the end of what node 3 had promised may be missing here",
    );
    expect(told.records).toEqual(sound.records);
    const carts = await exportFrom(victim, "--keyspace", "carts");

    const from = victim.log.length;
    victim.start();
    await victim.says(/The old data are set aside/, 30_000, from);
    await cluster.ready();
    await victim.stop();
    const old = { ...victim, dataDir: await putTogether(victim, cluster.folder) } as Member;
    const again = await exportFrom(old);
    expect([again.code, again.records]).toEqual([0, sound.records]);
    expect((await exportFrom(old, "--keyspace", "carts")).records).toEqual(carts.records);
    victim.start();
    await cluster.ready();
  });
});

function identityOf({ dataDir }: Member): Identity {
  return Identity.decode(readFileSync(identityFile(dataDir)));
}

/** In the first batch, which many have followed. */
function damageLog({ dataDir }: Member): void {
  const first = readdirSync(join(dataDir, "log"))
    .filter((name) => segmentOfName(name) > 0)
    .sort()[0];
  const file = join(dataDir, "log", first);
  const bytes = readFileSync(file);
  bytes[HEADER_BYTES + 3] ^= 4;
  writeFileSync(file, bytes);
}

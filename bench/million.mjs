// A million keys on three durable nodes: memory, lateness of the event loop under load, time to serve after kill -9.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine } from "./machine.mjs";
import { freePortBase, start, stop, waitFor } from "./processes.mjs";

const GAMUT = fileURLToPath(new URL("../bin/gamut.js", import.meta.url));
const WATCH = new URL("./loop-watch.mjs", import.meta.url).href;
const HOST = "127.0.0.1";
const PEER_PORT_OFFSET = 1_000;
const NODES = [1, 2, 3];
const SAMPLE_MS = 250;
const RESTARTS = 3;

const { values: options } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "15" },
    folder: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});

const folder = mkdtempSync(join(options.folder, "gamut-million-"));
const base = await freePortBase(NODES.length, [0, PEER_PORT_OFFSET]);
const addressOf = (node) => `${HOST}:${base + node - 1}`;
const watchFile = (node) => join(folder, `loop-${node}`);
for (const node of NODES) {
  mkdirSync(join(folder, `node-${node}`));
  const members = NODES.map((each) => ({
    node: each,
    clientPort: base + each - 1,
    peerPort: base + PEER_PORT_OFFSET + each - 1,
  }));
  // JSON is YAML.
  const config = { node, cluster: "million", dataDir: join(folder, `node-${node}`), members };
  writeFileSync(join(folder, `node-${node}.yaml`), JSON.stringify(config));
}

function startNode(node) {
  process.env.GAMUT_LOOP_WATCH = watchFile(node);
  const parameters = ["--import", WATCH, GAMUT, "node", "--config", join(folder, `node-${node}.yaml`)];
  return start(process.execPath, parameters, join(folder, `node-${node}.log`));
}

function bench(...parameters) {
  const targets = NODES.flatMap((node) => ["-a", addressOf(node)]);
  const all = [GAMUT, "bench", ...targets, "--keys", options.keys, "--value-size", "100", "--json", ...parameters];
  const run = spawnSync(process.execPath, all, { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (run.status !== 0) throw new Error(`the generator ended with ${run.status}: ${run.stderr}`);
  return JSON.parse(run.stdout);
}

/** The generator is waited for, so it runs in a thread of its own way: a child, with samples in between. */
async function load(...parameters) {
  const targets = NODES.flatMap((node) => ["-a", addressOf(node)]);
  const file = join(folder, "load.json");
  const all = [GAMUT, "bench", ...targets, "--keys", options.keys, "--value-size", "100", "--json", ...parameters];
  const child = start(process.execPath, all, file);
  const peak = new Map(NODES.map((node) => [node, 0]));
  while (child.failure === null) {
    for (const node of NODES) peak.set(node, Math.max(peak.get(node), rssAnonMb(children.get(node).pid)));
    await sleep(SAMPLE_MS);
  }
  const text = readFileSync(file, "utf8");
  rmSync(file);
  return { report: JSON.parse(text), peakMb: [...peak.values()] };
}

function rssAnonMb(pid) {
  const match = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match[1]) / 1_000;
}

async function lateness() {
  for (const node of NODES) {
    rmSync(watchFile(node), { force: true });
    children.get(node).kill("SIGUSR2");
  }
  await waitFor("the nodes' reports", [...children.values()], () =>
    NODES.every((node) => existsSync(watchFile(node)) && readFileSync(watchFile(node), "utf8").endsWith("\n"))
      ? true
      : undefined,
  );
  return NODES.map((node) => JSON.parse(readFileSync(watchFile(node), "utf8")));
}

/** Resolves when the node has answered a linearizable read. */
async function serves(node, limitMs) {
  const end = performance.now() + limitMs;
  while (performance.now() < end) {
    const reply = await ask(node, "DBSIZE");
    if (reply.startsWith(":")) return Number(reply.slice(1));
    await sleep(10);
  }
  throw new Error(`node ${node} did not serve within ${limitMs} ms`);
}

function ask(node, command) {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port: base + node - 1 });
    socket.once("error", () => resolve(""));
    socket.once("connect", () => socket.write(`${command}\r\n`));
    socket.once("data", (chunk) => {
      resolve(chunk.toString("latin1").trim());
      socket.destroy();
    });
  });
}

const children = new Map();
try {
  console.error(`${options.keys} keys of 16 bytes with values of 100, three nodes, data in ${folder}`);
  for (const node of NODES) children.set(node, startNode(node));
  for (const node of NODES) await serves(node, 60_000);
  bench("--op", "set", "-P", "16", "--fill", "--warmup", "0", "--duration", "1");
  const result = { machine: describeMachine(folder), keys: await serves(1, 5_000), loads: [], restarts: [] };
  for (const [name, ...parameters] of [
    ["SET, 64 connections", "--op", "set"],
    ["SET, 64 connections, 16 deep", "--op", "set", "-P", "16"],
    ["half GET half SET, 64 connections", "--op", "mixed"],
  ]) {
    await lateness();
    const { report, peakMb } = await load(...parameters, "--duration", options.seconds);
    const late = await lateness();
    result.loads.push({ name, throughputPerSecond: report.throughputPerSecond, peakMb, late });
    print(result.loads.at(-1));
  }
  for (let round = 0; round < RESTARTS; round += 1) {
    for (const child of children.values()) child.kill("SIGKILL");
    await waitFor("the end", [], () => ([...children.values()].every((child) => child.failure) ? true : undefined));
    const from = performance.now();
    for (const node of NODES) children.set(node, startNode(node));
    const ms = await Promise.all(NODES.map((node) => serves(node, 60_000).then(() => performance.now() - from)));
    result.restarts.push(ms.map(Math.round));
    console.log(
      `all killed under the log of the last load, started: serving after ${ms.map(Math.round).join(", ")} ms`,
    );
    await sleep(1_000);
  }
  result.idleMb = NODES.map((node) => rssAnonMb(children.get(node).pid));
  console.log(`RssAnon after the restarts: ${result.idleMb.map(Math.round).join(", ")} MB`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
} finally {
  await stop([...children.values()]);
  rmSync(folder, { recursive: true, force: true });
}

function print({ name, throughputPerSecond, peakMb, late }) {
  const ms = (key) => late.map((node) => node[key].toFixed(1)).join(", ");
  console.log(
    `${name}: ${Math.round(throughputPerSecond)}/s; event loop late p99.9 ${ms("p999")} ms, longest ${ms("max")} ms; ` +
      `RssAnon at most ${peakMb.map(Math.round).join(", ")} MB`,
  );
}

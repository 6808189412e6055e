// The systems side by side: each starts three replicas on loopback, finds its leader, and stops.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { flags, freePortBase, start, stop, waitFor } from "./processes.mjs";

const GAMUT = fileURLToPath(new URL("../bin/gamut.js", import.meta.url));
const HOST = "127.0.0.1";
const REPLICAS = 3;
/** Gamut's peers listen this much above its clients' port. */
const PEER_PORT_OFFSET = 1_000;
const SETTLE_MS = 300;
const GOSSIP_KEYSPACE = "feed";

/**
 * A system: `name`; `driver` of the generator; `missing()` says why it cannot run here, or null; `version()`; and
 * `start(folder)`, which resolves to `{ address, pids, settle, stop }`: the leader's host:port, the pids of all its
 * processes, what to do between two runs so that the next does not suffer from the one before, and how to end it.
 */
export const systems = [
  ...[
    { name: "gamut", driver: "resp", keyspace: "" },
    { name: "gamut-gossip", driver: "resp", keyspace: GOSSIP_KEYSPACE },
    // Beside Redis with appendfsync everysec: written before the answer, synced a second later.
    { name: "gamut-gossip-os", driver: "resp", keyspace: GOSSIP_KEYSPACE, durability: "os" },
    { name: "gamut-memcached", driver: "memcached", keyspace: "" },
    { name: "gamut-http", driver: "http", keyspace: "" },
  ].map((system) => ({
    ...system,
    family: "gamut",
    missing: gamutMissing,
    version: gamutVersion,
    start: (folder) => startGamut(folder, system),
  })),
  { name: "etcd", family: "etcd", driver: "etcd", missing: etcdMissing, version: etcdVersion, start: startEtcd },
  ...["always", "everysec"].map((appendfsync) => ({
    name: `redis-${appendfsync}`,
    family: "redis",
    driver: "resp",
    missing: redisMissing,
    version: redisVersion,
    start: (folder) => startRedis(folder, appendfsync),
  })),
];

function gamutMissing() {
  if (!existsSync(GAMUT)) return "bin/gamut.js is not there yet";
  return existsSync(fileURLToPath(new URL("../dist", import.meta.url))) ? null : "run node scripts/build.mjs first";
}

function etcdMissing() {
  return runs("etcd") ? null : "the program etcd is not installed (Debian: etcd-server)";
}

function redisMissing() {
  return runs("redis-server") ? null : "redis-server is not installed (Debian: redis-server)";
}

function gamutVersion() {
  return firstLine(process.execPath, [GAMUT, "--version"]);
}

function etcdVersion() {
  return firstLine("etcd", ["--version"]);
}

function redisVersion() {
  return firstLine("redis-server", ["--version"]);
}

function runs(program) {
  return spawnSync(program, ["--version"]).status === 0;
}

function firstLine(program, parameters) {
  return (spawnSync(program, parameters, { encoding: "utf8" }).stdout ?? "").split("\n")[0];
}

async function startGamut(folder, { keyspace, durability = "sync" }) {
  const base = await freePortBase(REPLICAS, [0, PEER_PORT_OFFSET]);
  const data = join(folder, "data");
  const log = join(folder, "up.log");
  const parameters = [GAMUT, "up", ...flags({ nodes: REPLICAS, data, durability, "port-base": base })];
  // SIGINT always: killed outright it could not end its nodes.
  const up = start(process.execPath, parameters, log, "SIGINT");
  try {
    await waitFor("gamut", [up], () => (/^ready/m.test(readFileSync(log, "utf8")) ? true : undefined), 60_000);
    const pids = readdirSync(data)
      .filter((name) => name.startsWith("node-"))
      .map((name) => Number.parseInt(readFileSync(join(data, name, "pid"), "utf8"), 10));
    const address = await gamutLeader(`${HOST}:${base}`);
    if (keyspace !== "") await makeGossipKeyspace(address, keyspace, [up]);
    return { address, pids: [...new Set([up.pid, ...pids])], settle: pause, stop: () => stop([up], "SIGINT") };
  } catch (error) {
    await stop([up], "SIGINT");
    throw error;
  }
}

/** And waits until it takes writes. */
async function makeGossipKeyspace(address, keyspace, processes) {
  await askRedis(address, `GAMUT KEYSPACE CREATE ${keyspace} PROTOCOL gossip LEVEL eventual`);
  const ask = () =>
    askRedis(address, `SELECT ${keyspace}`).then(
      () => true,
      () => undefined,
    );
  await waitFor("the gossip keyspace", processes, ask);
  await pause();
}

/** The leader as the first node names it, or the first node when it names none. */
async function gamutLeader(first) {
  const info = await askRedis(first, "INFO replication");
  const leader = /^gamut_leader_address:(\S+)/m.exec(info);
  if (leader === null) console.error(`gamut named no leader: the load goes to ${first}, which forwards it`);
  return leader === null ? first : leader[1];
}

async function startEtcd(folder) {
  const base = await freePortBase(2 * REPLICAS);
  const ids = Array.from({ length: REPLICAS }, (_, i) => i);
  const client = (i) => `http://${HOST}:${base + i}`;
  const peer = (i) => `http://${HOST}:${base + REPLICAS + i}`;
  const cluster = ids.map((i) => `n${i}=${peer(i)}`).join(",");
  const nodes = ids.map((i) =>
    start(
      "etcd",
      flags({
        name: `n${i}`,
        "data-dir": join(folder, `n${i}`),
        "log-level": "warn",
        "listen-client-urls": client(i),
        "advertise-client-urls": client(i),
        "listen-peer-urls": peer(i),
        "initial-advertise-peer-urls": peer(i),
        "initial-cluster": cluster,
        "initial-cluster-state": "new",
      }),
      join(folder, `n${i}.log`),
    ),
  );
  try {
    const leader = await waitFor("etcd", nodes, () => etcdLeader(ids.map(client)));
    const pids = nodes.map((node) => node.pid);
    return { address: leader.replace("http://", ""), pids, settle: () => settleEtcd(leader), stop: () => stop(nodes) };
  } catch (error) {
    await stop(nodes);
    throw error;
  }
}

/**
 * etcd 3.4 copies its buffer of recent writes for every read, and keeps it at the size of the largest burst until two
 * of its commits have held no write of a key: reads after a burst of writes would run at a third of their speed. Two
 * leases, each in a commit of its own (they are 100 ms apart), give etcd its best reads.
 */
async function settleEtcd(url) {
  await pause();
  for (let commit = 0; commit < 2; commit += 1) {
    const reply = await fetch(`${url}/v3/lease/grant`, { method: "POST", body: JSON.stringify({ TTL: 3600 }) });
    if (!reply.ok) throw new Error(`etcd refused a lease: ${await reply.text()}`);
    await pause();
  }
}

/** For work that goes on after the last reply: replicas that catch up, writes that wait for their sync. */
function pause() {
  return sleep(SETTLE_MS);
}

/** The client URL of the node that calls itself leader, once all nodes agree on it. */
async function etcdLeader(clients) {
  const states = await Promise.all(
    clients.map(async (url) => {
      const reply = await fetch(`${url}/v3/maintenance/status`, { method: "POST", body: "{}" });
      const status = await reply.json();
      return { url, member: status.header?.member_id, leader: status.leader };
    }),
  );
  const leader = states.find((state) => state.member !== undefined && state.member === state.leader);
  return leader && states.every((state) => state.leader === leader.member) ? leader.url : undefined;
}

async function startRedis(folder, appendfsync) {
  const base = await freePortBase(REPLICAS);
  const nodes = [];
  for (let i = 0; i < REPLICAS; i += 1) {
    const data = join(folder, `n${i}`);
    mkdirSync(data);
    const parameters = flags({
      port: base + i,
      bind: HOST,
      dir: data,
      save: "",
      appendonly: "yes",
      appendfsync,
      "repl-diskless-sync-delay": 0,
    });
    if (i > 0) parameters.push("--replicaof", HOST, `${base}`);
    nodes.push(start("redis-server", parameters, join(folder, `n${i}.log`)));
  }
  const address = `${HOST}:${base}`;
  try {
    await waitFor("redis", nodes, async () => {
      const info = await askRedis(address, "INFO replication");
      return info.match(/state=online/g)?.length === REPLICAS - 1 ? true : undefined;
    });
    return { address, pids: nodes.map((node) => node.pid), settle: pause, stop: () => stop(nodes) };
  } catch (error) {
    await stop(nodes);
    throw error;
  }
}

/** Sends one inline command and resolves to its reply: a bulk's content, or the line. */
function askRedis(address, command) {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port) });
    let text = "";
    socket.setTimeout(2_000, () => socket.destroy(new Error(`${address} did not answer ${command}`)));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`${address} closed the connection at ${command}`)));
    socket.once("connect", () => socket.write(`${command}\r\n`));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const header = /^\$(\d+)\r\n/.exec(text);
      if (header !== null && text.length >= header[0].length + Number(header[1]) + 2) {
        resolve(text.slice(header[0].length, -2));
        socket.destroy();
      } else if (/^[+:]/.test(text) && text.endsWith("\r\n")) {
        resolve(text.trim());
        socket.destroy();
      } else if (text.startsWith("-") && text.endsWith("\r\n")) {
        reject(new Error(`${address} answered ${text.trim()} to ${command}`));
        socket.destroy();
      }
    });
  });
}

/** The configuration of one node: a YAML file, and flags that override it. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { dirname, join, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import type { Durability } from "../node/options.js";
import { DEFAULT_PORT_BASE, LOOPBACK_HOST, PEER_PORT_OFFSET } from "./address.js";
import { ConfigError, describeIssues, formatPath, type Locator, locateInYaml } from "./config-problems.js";
import { DURABILITIES } from "./durabilities.js";
import { unreadable } from "./output.js";
import { yamlProblem } from "./yaml-problem.js";

const NODE_MAX = 0xffff;
const PORT_MAX = 0xffff;
const MEMBERS_MAX = 64;
const CLIENT_PORT_MAX = PORT_MAX - PEER_PORT_OFFSET;

const MIB = 1024 * 1024;

/** A number with its range in the message, for the usual "expected number" says neither what nor why. */
function whole(what: string, min: number, max: number) {
  const rule = `must be ${what}: a whole number from ${min} to ${max}`;
  return z
    .number({
      error: (issue) => (issue.input === undefined ? `is missing: ${what}` : `${rule}, not ${shown(issue.input)}`),
    })
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, {
      error: (issue) => `${rule}, not ${shown(issue.input)}`,
    });
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

function text(what: string, isRight: (value: string) => boolean) {
  const error = (issue: { input?: unknown }) =>
    issue.input === undefined ? `is missing: ${what}` : `must be ${what}, not ${shown(issue.input)}`;
  return z.string({ error }).refine(isRight, { error });
}

function oneOf<const T extends readonly [string, ...string[]]>(names: T) {
  return z.enum(names, { error: (issue) => `must be one of ${names.join(", ")}, not ${shown(issue.input)}` });
}

/** An object of settings; what is none of its names is reported with the nearest one. */
function settings<T extends z.ZodRawShape>(what: string, shape: T) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "invalid_type") return undefined;
      return issue.input === undefined ? `is missing: ${what}` : `must be ${what}, not ${shown(issue.input)}`;
    },
  });
}

/** One that may be left out, or left empty: all of its settings are then what they are by default. */
function section<T extends z.ZodType>(schema: T) {
  return z.preprocess((given) => given ?? {}, schema);
}

const hostName = text("a host name or an IP address", isHost);
const clientPort = whole("the port for clients", 1, PORT_MAX);
const peerPort = whole("the port for the other nodes", 1, PORT_MAX);

const memberSchema = settings("a member: node, host, clientPort", {
  node: whole("a node number", 1, NODE_MAX),
  host: hostName.default(LOOPBACK_HOST),
  clientPort,
  peerPort: peerPort.optional(),
});

const listenSchema = settings("host, clientPort, peerPort", {
  host: hostName.optional(),
  clientPort: clientPort.optional(),
  peerPort: peerPort.optional(),
});

const timingSchema = settings("tickMs, heartbeatMs, electionMs", {
  tickMs: whole("the length of a tick in ms", 1, 1000).default(20),
  heartbeatMs: whole("a leader's heartbeat in ms", 1, 60_000).default(60),
  electionMs: whole("the silence before an election in ms", 1, 600_000).default(500),
});

const limitsSchema = settings("limits", {
  clientConnections: whole("clients connected at a time", 1, 1_000_000).default(10_000),
  requestTimeoutMs: whole("how long a request may take in ms", 10, 3_600_000).default(5000),
  peerUnsentBytes: whole("what may wait for one slow peer in bytes", MIB, 1024 * MIB).default(64 * MIB),
});

const watchSchema = settings("changes, bytes, ageMs", {
  changes: whole("the changes of a keyspace that are kept for watches", 1, 16_777_216).default(65_536),
  bytes: whole("what these may take in bytes", MIB, 1024 * MIB).default(16 * MIB),
  ageMs: whole("how long they are kept in ms", 1000, 7 * 86_400_000).default(600_000),
});

const gossipSchema = settings("maxOffsetMs, pushIntervalMs", {
  maxOffsetMs: whole("how far a clock may be ahead in ms", 1, 60_000).default(500),
  pushIntervalMs: whole("the time from one push of writes to the next in ms", 0, 1000).default(4),
});

const logSchema = settings("level, json", {
  level: oneOf(["debug", "info", "warn", "error"]).default("info"),
  json: z.boolean({ error: (issue) => `must be true or false, not ${shown(issue.input)}` }).default(false),
});

const fileSchema = settings("settings: node, cluster, dataDir, members, …", {
  node: whole("this node's number in members", 1, NODE_MAX),
  cluster: text("the cluster's name: 1 to 64 of A–Z a–z 0–9 . _ -", (name) => /^[A-Za-z0-9._-]{1,64}$/.test(name)),
  dataDir: text("the folder for this node's data", (folder) => folder.trim() !== ""),
  listen: listenSchema.prefault({}),
  members: z
    .array(memberSchema, {
      error: (issue) =>
        issue.input === undefined ? "is missing: all nodes of the cluster" : "must be a list of members",
    })
    .min(1, "must name at least this node")
    .max(MEMBERS_MAX, `may name ${MEMBERS_MAX} nodes at most`),
  durability: oneOf(DURABILITIES).default("sync"),
  timing: section(timingSchema),
  limits: section(limitsSchema),
  watch: section(watchSchema),
  gossip: section(gossipSchema),
  log: section(logSchema),
});

type ConfigFile = z.output<typeof fileSchema>;

export interface Member {
  readonly node: number;
  readonly host: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

/** Ready for use: every default filled in, the data folder an absolute path, ports of `listen` those of the own member. */
export interface NodeConfig {
  readonly node: number;
  readonly cluster: string;
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly clientPort: number; readonly peerPort: number };
  /** In ascending order of node. */
  readonly members: readonly Member[];
  readonly durability: Durability;
  readonly timing: Readonly<ConfigFile["timing"]>;
  readonly limits: Readonly<ConfigFile["limits"]>;
  /** Past any of these the oldest changes of a keyspace are forgotten. */
  readonly watch: Readonly<ConfigFile["watch"]>;
  readonly gossip: Readonly<ConfigFile["gossip"]>;
  readonly log: Readonly<ConfigFile["log"]>;
}

/** What flags may override; undefined leaves the file's. */
export interface ConfigOverrides {
  readonly node?: number;
  readonly dataDir?: string;
  readonly host?: string;
  readonly clientPort?: number;
  readonly peerPort?: number;
  readonly durability?: string;
  readonly logLevel?: string;
  readonly logJson?: boolean;
}

const FLAGS: readonly {
  readonly flag: string;
  readonly name: keyof ConfigOverrides;
  readonly path: readonly string[];
}[] = [
  { flag: "--node", name: "node", path: ["node"] },
  { flag: "--data-dir", name: "dataDir", path: ["dataDir"] },
  { flag: "--host", name: "host", path: ["listen", "host"] },
  { flag: "--client-port", name: "clientPort", path: ["listen", "clientPort"] },
  { flag: "--peer-port", name: "peerPort", path: ["listen", "peerPort"] },
  { flag: "--durability", name: "durability", path: ["durability"] },
  { flag: "--log-level", name: "logLevel", path: ["log", "level"] },
  { flag: "--log-json", name: "logJson", path: ["log", "json"] },
];

/** A relative `dataDir` is meant from the file's folder, or from the working folder when a flag gave it. @throws ConfigError */
export function loadNodeConfig(path: string, overrides: ConfigOverrides = {}): NodeConfig {
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (error) {
    const why = unreadable(error as NodeJS.ErrnoException);
    throw new ConfigError(path, [`${why}; name the node's configuration, or start a cluster here with \`gamut up\``]);
  }
  return parseNodeConfig(source, path, overrides);
}

/** As {@link loadNodeConfig}, on text; `path` is for messages and for the data folder. @throws ConfigError */
export function parseNodeConfig(source: string, path: string, overrides: ConfigOverrides = {}): NodeConfig {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => `line ${lines.linePos(error.pos[0]).line}: ${yamlProblem(error)}`);
    throw new ConfigError(path, problems);
  }
  // Aliases may blow a small file up to gigabytes: the parser's own limit refuses that.
  let raw: unknown;
  try {
    raw = document.toJS();
  } catch (error) {
    throw new ConfigError(path, [(error as Error).message]);
  }
  const flagged = new Set<string>();
  const merged = applyOverrides(raw, overrides, flagged);
  const inFile = locateInYaml(document, lines);
  const locate: Locator = (at) => {
    const flag = FLAGS.find((candidate) => formatPath(candidate.path) === formatPath(at));
    return flag !== undefined && flagged.has(flag.flag) ? flag.flag : inFile(at);
  };
  return check(merged, path, locate, flagged.has("--data-dir") ? process.cwd() : dirname(path));
}

function applyOverrides(raw: unknown, overrides: ConfigOverrides, flagged: Set<string>): unknown {
  const base = raw ?? {};
  if (typeof base !== "object" || Array.isArray(base)) return base;
  const merged: Record<string, unknown> = { ...base };
  for (const { flag, name, path } of FLAGS) {
    const value = overrides[name];
    if (value === undefined) continue;
    flagged.add(flag);
    const [section, field] = path;
    const inner = merged[section];
    if (field === undefined) merged[section] = value;
    else merged[section] = { ...(typeof inner === "object" ? inner : {}), [field]: value };
  }
  return merged;
}

function check(raw: unknown, source: string, locate: Locator, baseDir: string): NodeConfig {
  const parsed = fileSchema.safeParse(raw);
  if (!parsed.success) throw new ConfigError(source, describeIssues(parsed.error.issues, locate, namesAt));
  const config = complete(parsed.data, baseDir);
  const problems = contradictions(parsed.data, config).map(([path, problem]) => {
    const line = locate(path);
    return `${line === null ? "" : `${line}: `}${formatPath(path)} ${problem}`;
  });
  if (problems.length > 0) throw new ConfigError(source, problems);
  return config;
}

const SECTION_NAMES: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(fileSchema.shape),
  listen: Object.keys(listenSchema.shape),
  members: Object.keys(memberSchema.shape),
  timing: Object.keys(timingSchema.shape),
  limits: Object.keys(limitsSchema.shape),
  watch: Object.keys(watchSchema.shape),
  gossip: Object.keys(gossipSchema.shape),
  log: Object.keys(logSchema.shape),
};

/** Every setting of a file, as `limits.peerUnsentBytes`; what holds others is not one. */
export const SETTING_NAMES: readonly string[] = Object.entries(SECTION_NAMES).flatMap(([section, names]) =>
  section === ""
    ? names.filter((name) => SECTION_NAMES[name] === undefined)
    : names.map((name) => (section === "members" ? `members[].${name}` : `${section}.${name}`)),
);

function namesAt(path: readonly PropertyKey[]): readonly string[] {
  return SECTION_NAMES[path.length === 0 ? "" : String(path[0])] ?? [];
}

function complete(file: ConfigFile, baseDir: string): NodeConfig {
  const members = file.members
    .map((member) => ({ ...member, peerPort: member.peerPort ?? member.clientPort + PEER_PORT_OFFSET }))
    .sort((a, b) => a.node - b.node);
  const own = members.find((member) => member.node === file.node);
  const client = file.listen.clientPort ?? own?.clientPort ?? 0;
  return {
    node: file.node,
    cluster: file.cluster,
    dataDir: resolve(baseDir, file.dataDir),
    listen: {
      host: file.listen.host ?? LOOPBACK_HOST,
      clientPort: client,
      peerPort: file.listen.peerPort ?? own?.peerPort ?? client + PEER_PORT_OFFSET,
    },
    members,
    durability: file.durability,
    timing: file.timing,
    limits: file.limits,
    watch: file.watch,
    gossip: file.gossip,
    log: file.log,
  };
}

type Contradiction = readonly [path: readonly PropertyKey[], problem: string];

/** What each setting alone does not show. */
function contradictions(file: ConfigFile, config: NodeConfig): Contradiction[] {
  return [...memberContradictions(file), ...listenContradictions(file, config), ...timingContradictions(config)];
}

function memberContradictions(file: ConfigFile): Contradiction[] {
  const found: Contradiction[] = [];
  const nodes = new Map<number, number>();
  const addresses = new Map<string, string>();
  for (const [i, member] of file.members.entries()) {
    const before = nodes.get(member.node);
    if (before !== undefined) {
      found.push([
        ["members", i, "node"],
        `is ${member.node}, as is members[${before}].node: each node needs its own number`,
      ]);
    }
    nodes.set(member.node, i);
    if (member.peerPort === undefined && member.clientPort > CLIENT_PORT_MAX) {
      const advice = `set peerPort, or choose a clientPort up to ${CLIENT_PORT_MAX}`;
      found.push([["members", i, "clientPort"], `plus ${PEER_PORT_OFFSET} is no port for the peers: ${advice}`]);
    }
    const peer = member.peerPort ?? member.clientPort + PEER_PORT_OFFSET;
    for (const [name, port] of [
      ["clientPort", member.clientPort],
      ["peerPort", peer],
    ] as const) {
      const address = `${member.host}:${port}`;
      const taken = addresses.get(address);
      const mine = `members[${i}].${name}`;
      if (taken !== undefined)
        found.push([["members", i, name], `(${address}) is ${taken} as well: each needs its own`]);
      else addresses.set(address, mine);
    }
  }
  if (!nodes.has(file.node)) {
    const known = [...nodes.keys()].sort((a, b) => a - b).join(", ");
    found.push([["node"], `is ${file.node}, but members has ${known}: add this node there, or correct the number`]);
  }
  return found;
}

function listenContradictions(file: ConfigFile, config: NodeConfig): Contradiction[] {
  const found: Contradiction[] = [];
  const { listen } = config;
  if (listen.clientPort === listen.peerPort) {
    found.push([["listen", "peerPort"], `is the clientPort (${listen.clientPort}) as well: each needs its own`]);
  }
  const elsewhere = file.members.findIndex((member) => !isLoopback(member.host));
  if (elsewhere >= 0 && isLoopback(listen.host)) {
    const host = file.members[elsewhere].host;
    const advice = 'set listen.host to this machine\'s address, or to "0.0.0.0" for all of them';
    const problem = `is ${listen.host}, which other machines cannot reach, but members[${elsewhere}] is on ${host}: ${advice}`;
    found.push([["listen", "host"], problem]);
  }
  return found;
}

function timingContradictions({ timing }: NodeConfig): Contradiction[] {
  const found: Contradiction[] = [];
  if (timing.heartbeatMs < timing.tickMs) {
    const problem = `is ${timing.heartbeatMs}, less than a tick of ${timing.tickMs} ms: a heartbeat takes at least one tick`;
    found.push([["timing", "heartbeatMs"], problem]);
  }
  if (timing.electionMs < 3 * timing.heartbeatMs) {
    const advice = `raise it to ${3 * timing.heartbeatMs} or more`;
    const problem = `is ${timing.electionMs}: one late heartbeat would start an election; ${advice}`;
    found.push([["timing", "electionMs"], problem]);
  }
  return found;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** RFC 1123 names, and addresses. Numbers and dots alone that are no address would ask the resolver for nonsense. */
function isHost(host: string): boolean {
  if (isIP(host) !== 0) return true;
  if (host.length > 253 || /^[0-9.]+$/.test(host)) return false;
  return host.split(".").every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));
}

export interface ClusterChoice {
  /** How many, 1 to 64. */
  readonly nodes: number;
  /** Each node gets a folder `node-<number>` in it. */
  readonly dataDir: string;
  /** Client port of node 1; the others follow. */
  readonly portBase?: number;
  readonly durability?: Durability;
  readonly cluster?: string;
}

/** A cluster on this machine, as `gamut up` starts it. @throws ConfigError */
export function clusterConfigs(choice: ClusterChoice): NodeConfig[] {
  const { nodes, dataDir, portBase = DEFAULT_PORT_BASE, durability = "sync", cluster = "local" } = choice;
  const problems: string[] = [];
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > MEMBERS_MAX) {
    problems.push(`--nodes must be a whole number from 1 to ${MEMBERS_MAX}, not ${nodes}`);
  } else if (!Number.isInteger(portBase) || portBase < 1 || portBase + nodes - 1 > CLIENT_PORT_MAX) {
    const last = CLIENT_PORT_MAX - nodes + 1;
    const why = `for ${nodes} nodes follow each other, and each takes that port plus ${PEER_PORT_OFFSET} as well`;
    problems.push(`--port-base must be a whole number from 1 to ${last}, ${why}; not ${portBase}`);
  }
  if (problems.length > 0) throw new ConfigError("gamut up", problems);
  const members = Array.from({ length: nodes }, (_, i) => ({ node: i + 1, clientPort: portBase + i }));
  return members.map(({ node }) => {
    const raw = { node, cluster, dataDir: join(dataDir, `node-${node}`), members, durability };
    return check(raw, "gamut up", () => null, process.cwd());
  });
}

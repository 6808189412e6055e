// What is measured, and the ratios that are made of it.

const everyone = [
  "gamut",
  "gamut-gossip",
  "gamut-gossip-os",
  "gamut-memcached",
  "gamut-http",
  "etcd",
  "redis-always",
  "redis-everysec",
];
const single = ["gamut", "etcd", "redis-always", "redis-everysec"];
const pipelined = ["gamut", "gamut-gossip", "gamut-gossip-os", "redis-always", "redis-everysec"];

/** `load` is what differs from run to run among the generator's options. */
export const scenarios = [
  scenario("set-64", "SET, 64 connections", everyone, { operation: "set", connections: 64 }),
  scenario("set-64-wait", "SET and WAIT 1, 64 connections", ["redis-always"], {
    operation: "set",
    connections: 64,
    waitReplicas: 1,
  }),
  scenario("get-64", "GET, 64 connections", everyone, { operation: "get", connections: 64 }),
  scenario("set-1", "SET, 1 connection", single, { operation: "set", connections: 1 }),
  scenario("get-1", "GET, 1 connection", single, { operation: "get", connections: 1 }),
  ...[16, 64].flatMap((pipeline) =>
    ["set", "get"].map((operation) =>
      scenario(
        `${operation}-64x${pipeline}`,
        `${operation.toUpperCase()}, 64 connections, ${pipeline} in flight on each`,
        pipelined,
        { operation, connections: 64, pipeline },
      ),
    ),
  ),
  // As a gRPC client may do it: few connections, many streams. It shows what one request a connection costs etcd.
  scenario("set-8x8", "SET, 8 connections, 8 in flight on each", ["etcd"], {
    operation: "set",
    connections: 8,
    pipeline: 8,
  }),
  scenario("get-8x8", "GET, 8 connections, 8 in flight on each", ["etcd"], {
    operation: "get",
    connections: 8,
    pipeline: 8,
  }),
];

function scenario(name, title, systems, load) {
  return { name, title, systems, load };
}

/** One measure of two runs: `ours` over `theirs`, and what it must be; a null `limit` is a ratio without a target. */
function ratio(title, measure, ours, theirs, limit, target) {
  return { title, measure, ours, theirs, limit, target };
}

const gamut = (name) => ({ system: "gamut", scenario: name });
const gossip = (name) => ({ system: "gamut-gossip-os", scenario: name });
const everysec = (name) => ({ system: "redis-everysec", scenario: name });
const etcd = (name) => ({ system: "etcd", scenario: name });

const ratios = [
  ratio("SET server CPU / etcd's", "cpuSecondsPer1000", gamut("set-64"), etcd("set-64"), "at most", 1 / 3),
  ratio("GET server CPU / etcd's", "cpuSecondsPer1000", gamut("get-64"), etcd("get-64"), "at most", 1 / 3),
  ratio("SET throughput / etcd's", "throughputPerSecond", gamut("set-64"), etcd("set-64"), "at least", 3),
  ratio("GET throughput / etcd's", "throughputPerSecond", gamut("get-64"), etcd("get-64"), "at least", 3),
  ratio("SET p99 / etcd's", "p99", gamut("set-64"), etcd("set-64"), "below", 1),
  ratio("GET p99 / etcd's", "p99", gamut("get-64"), etcd("get-64"), "below", 1),
  ratio("one connection, SET p50 / etcd's", "p50", gamut("set-1"), etcd("set-1"), "at most", 0.7),
  ratio("one connection, GET p50 / etcd's", "p50", gamut("get-1"), etcd("get-1"), "at most", 0.7),
  ratio(
    "pipelined SET throughput / etcd's SET",
    "throughputPerSecond",
    gamut("set-64x16"),
    etcd("set-64"),
    "at least",
    12,
  ),
  ratio(
    "durable SET throughput / Redis always + WAIT 1",
    "throughputPerSecond",
    gamut("set-64"),
    { system: "redis-always", scenario: "set-64-wait" },
    "above",
    1,
  ),
  ...["", "x16", "x64"].flatMap((depth) => [
    ratio(
      `gossip SET${depth} throughput / Redis everysec's`,
      "throughputPerSecond",
      gossip(`set-64${depth}`),
      everysec(`set-64${depth}`),
      "at least",
      0.7,
    ),
    ratio(
      `gossip GET${depth} throughput / Redis everysec's`,
      "throughputPerSecond",
      gossip(`get-64${depth}`),
      everysec(`get-64${depth}`),
      "at least",
      0.6,
    ),
  ]),
  ...["set-64", "get-64"].map((name) =>
    ratio(
      `memcached ${name} throughput / RESP's`,
      "throughputPerSecond",
      { system: "gamut-memcached", scenario: name },
      gamut(name),
      "at least",
      0.9,
    ),
  ),
  ratio("SET throughput / etcd's over 8 x 8", "throughputPerSecond", gamut("set-64"), etcd("set-8x8"), null, null),
  ratio("GET throughput / etcd's over 8 x 8", "throughputPerSecond", gamut("get-64"), etcd("get-8x8"), null, null),
  ratio("SET server CPU / etcd's over 8 x 8", "cpuSecondsPer1000", gamut("set-64"), etcd("set-8x8"), null, null),
  ratio("GET server CPU / etcd's over 8 x 8", "cpuSecondsPer1000", gamut("get-64"), etcd("get-8x8"), null, null),
];

const holds = {
  "at most": (value, target) => value <= target,
  "at least": (value, target) => value >= target,
  below: (value, target) => value < target,
  above: (value, target) => value > target,
};

/** The ratios of medians: each with its value (null where a side was not measured) and whether it is met. */
export function computeRatios(medians) {
  return ratios.map((wanted) => {
    const ours = pick(medians, wanted.ours, wanted.measure);
    const theirs = pick(medians, wanted.theirs, wanted.measure);
    const value = ours === null || theirs === null || theirs === 0 ? null : ours / theirs;
    return judge(wanted, value);
  });
}

/**
 * The median of the ratios of each round: where all systems are measured in turns, a slow minute of the machine is in
 * both halves of a ratio.
 */
export function computePairedRatios(runs) {
  const rounds = [...new Set(runs.map((run) => run.round))];
  const each = rounds.map((round) => computeRatios(computeMedians(runs.filter((run) => run.round === round))));
  return ratios.map((wanted, i) => {
    const value = median(each.map((ofRound) => ofRound[i].value).filter((found) => found !== null));
    return judge(wanted, value);
  });
}

function judge({ title, limit, target }, value) {
  const met = value === null || limit === null ? null : holds[limit](value, target);
  return { title, value, limit, target, met };
}

function pick(medians, { system, scenario: name }, measure) {
  return medians.find((row) => row.system === system && row.scenario === name)?.[measure] ?? null;
}

/** One row for each system and scenario: the median of each measure on its own. */
export function computeMedians(runs) {
  const groups = new Map();
  for (const run of runs) {
    const key = `${run.scenario} ${run.system}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()].map((group) => {
    const of = (read) => median(group.map((run) => read(run.report)).filter((value) => value !== null));
    return {
      system: group[0].system,
      scenario: group[0].scenario,
      rounds: group.length,
      throughputPerSecond: of((report) => report.throughputPerSecond),
      throughputSpread: spread(group.map((run) => run.report.throughputPerSecond)),
      p50: of((report) => report.latencyUs.p50),
      p99: of((report) => report.latencyUs.p99),
      cpuSecondsPer1000: of((report) => report.server.cpuSecondsPer1000),
      serverCores: of((report) => report.server.cores),
      generatorShare: of((report) => report.generator.machineShare),
      othersShare: of((report) => report.othersShare),
      generatorBound: group.some((run) => run.report.generator.bound),
      errors: group.reduce((sum, run) => sum + run.report.errors, 0),
      misses: group.reduce((sum, run) => sum + run.report.misses, 0),
    };
  });
}

/** The middle value, or the mean of the two middle ones; null of none. */
export function median(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** (largest - smallest) / median: how far the rounds disagree. */
function spread(values) {
  const middle = median(values);
  return middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / middle;
}

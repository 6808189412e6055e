import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  clusterConfigs,
  isLoopback,
  loadNodeConfig,
  type NodeConfig,
  parseNodeConfig,
  SETTING_NAMES,
} from "./config.js";
import { ConfigError } from "./config-problems.js";
import { configWarnings } from "./config-warnings.js";
import { portInUse } from "./port-probe.js";

const folder = mkdtempSync(join(tmpdir(), "gamut-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const GOOD = `
node: 2
cluster: orders
dataDir: data/two
members:
  - { node: 1, clientPort: 7001 }
  - { node: 3, clientPort: 7003, peerPort: 9003 }
  - { node: 2, clientPort: 7002 }
`;

const BOOT = "0b1e6d0c-0000-4000-8000-000000000000";

function parse(source: string, overrides = {}): NodeConfig {
  return parseNodeConfig(source, "/etc/gamut/n2.yaml", overrides);
}

/** The problems, without the file's name. */
function problemsOf(source: string, overrides = {}): readonly string[] {
  try {
    parse(source, overrides);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
  throw new Error("the configuration was accepted");
}

describe("a node's configuration", () => {
  it("gets its defaults, its ports from its own member, its folder from the file's", () => {
    expect(parse(GOOD)).toEqual({
      node: 2,
      cluster: "orders",
      dataDir: "/etc/gamut/data/two",
      listen: { host: "127.0.0.1", clientPort: 7002, peerPort: 8002 },
      members: [
        { node: 1, host: "127.0.0.1", clientPort: 7001, peerPort: 8001 },
        { node: 2, host: "127.0.0.1", clientPort: 7002, peerPort: 8002 },
        { node: 3, host: "127.0.0.1", clientPort: 7003, peerPort: 9003 },
      ],
      durability: "sync",
      timing: { tickMs: 20, heartbeatMs: 60, electionMs: 500 },
      limits: {
        clientConnections: 10000,
        requestTimeoutMs: 5000,
        peerUnsentBytes: 67108864,
      },
      watch: { changes: 65_536, bytes: 16_777_216, ageMs: 600_000 },
      gossip: { maxOffsetMs: 500, pushIntervalMs: 4 },
      log: { level: "info", json: false },
    });
  });

  it("is overridden by flags; a folder of a flag is meant from the working folder", () => {
    const config = parse(GOOD, {
      node: 3,
      dataDir: "elsewhere",
      host: "0.0.0.0",
      clientPort: 7777,
      peerPort: 8888,
      durability: "memory",
      logLevel: "debug",
      logJson: true,
    });
    expect(config.node).toBe(3);
    expect(config.dataDir).toBe(resolve("elsewhere"));
    expect(config.listen).toEqual({ host: "0.0.0.0", clientPort: 7777, peerPort: 8888 });
    expect(config.durability).toBe("memory");
    expect(config.log).toEqual({ level: "debug", json: true });
  });

  it("is read from a file; one that is missing or a folder says so", () => {
    const path = join(folder, "n2.yaml");
    writeFileSync(path, GOOD);
    expect(loadNodeConfig(path).dataDir).toBe(join(folder, "data/two"));
    expect(() => loadNodeConfig(join(folder, "none.yaml"))).toThrow(
      "there is no such file; name the node's configuration",
    );
    expect(() => loadNodeConfig(folder)).toThrow("is a folder");
  });

  it("names the file, the line, the setting, and what is allowed", () => {
    expect(() => parse(GOOD.replace("clientPort: 7001", "clientPort: 70010"))).toThrow(
      "/etc/gamut/n2.yaml: line 6: members[0].clientPort must be the port for clients: a whole number from 1 to 65535, not 70010",
    );
    expect(problemsOf(GOOD.replace("clientPort: 7001", 'clientPort: "7001"'))[0]).toContain('not "7001"');
    expect(problemsOf(GOOD.replace("clientPort: 7001", "clientPort: 7001.5"))[0]).toContain("not 7001.5");
    expect(problemsOf(`${GOOD}durability: fsync\n`)).toEqual([
      'line 9: durability must be one of sync, os, memory, not "fsync"',
    ]);
    expect(problemsOf(`${GOOD}log: { json: yes please }\n`)[0]).toContain("line 9: log.json must be true or false");
    expect(problemsOf(GOOD.replace("cluster: orders", "cluster: two words"))[0]).toContain("line 3: cluster must be");
  });

  it("names every problem at once", () => {
    expect(problemsOf("node: 0\nmembers: []\n")).toEqual([
      "line 1: node must be this node's number in members: a whole number from 1 to 65535, not 0",
      "cluster is missing: the cluster's name: 1 to 64 of A–Z a–z 0–9 . _ -",
      "dataDir is missing: the folder for this node's data",
      "line 2: members must name at least this node",
    ]);
  });

  it("knows misspelt settings", () => {
    expect(problemsOf(`${GOOD}durabilty: sync\n`)).toEqual([
      'line 9: durabilty is not a setting; did you mean "durability"?',
    ]);
    expect(problemsOf(GOOD.replace("peerPort", "peerport"))).toEqual([
      'line 7: members[1].peerport is not a setting; did you mean "peerPort"?',
    ]);
    expect(problemsOf(`${GOOD}foo: bar\n`)[0]).toMatch(/^line 9: foo is not a setting; known here: node, cluster, /);
    expect(problemsOf(`${GOOD}limits: { valueBytes: 5 }\n`)[0]).toContain("limits.valueBytes is not a setting");
    expect(problemsOf(`${GOOD}listen:\n  address: x\n`)).toEqual([
      "line 10: listen.address is not a setting; known here: host, clientPort, peerPort",
    ]);
  });

  it("refuses what is not YAML, not settings, or a trap, with the line where there is one", () => {
    expect(problemsOf("node: [1\n")[0]).toMatch(/^line 2: a \[ or \{ that was opened before is not closed/);
    expect(problemsOf('cluster: "x\n')[0]).toMatch(/^line \d: a quote is not closed/);
    expect(problemsOf("a: 1\na: 2\n")[0]).toMatch(/^line 2: .*unique/);
    expect(problemsOf("- 1\n- 2\n")[0]).toContain("must be settings");
    expect(problemsOf("")[0]).toContain("node is missing");
    let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (let i = 1; i < 9; i += 1) bomb += `a${i}: &a${i} [${new Array(10).fill(`*a${i - 1}`).join(", ")}]\n`;
    expect(problemsOf(bomb)[0]).toContain("alias");
  });

  it("finds contradictions between settings", () => {
    expect(problemsOf(GOOD.replace("node: 2\ncluster", "node: 7\ncluster"))).toEqual([
      "line 2: node is 7, but members has 1, 2, 3: add this node there, or correct the number",
    ]);
    expect(problemsOf(GOOD.replace("{ node: 3", "{ node: 1"))[0]).toContain(
      "line 7: members[1].node is 1, as is members[0].node",
    );
    expect(problemsOf(GOOD.replace("peerPort: 9003", "peerPort: 7001"))[0]).toContain(
      "line 7: members[1].peerPort (127.0.0.1:7001) is members[0].clientPort as well",
    );
    expect(problemsOf(GOOD.replace("7003, peerPort: 9003", "65000"))[0]).toContain("choose a clientPort up to 64535");
    expect(problemsOf(`${GOOD}timing: { electionMs: 100 }\n`)[0]).toContain("raise it to 180 or more");
    expect(problemsOf(`${GOOD}timing: { tickMs: 100 }\n`)[0]).toContain("a heartbeat takes at least one tick");
    expect(problemsOf(GOOD, { clientPort: 8002 })).toEqual([
      "listen.peerPort is the clientPort (8002) as well: each needs its own",
    ]);
  });

  it("listens on loopback unless told otherwise, and says so when the other members are elsewhere", () => {
    const spread = GOOD.replace("node: 1,", "node: 1, host: a.example,");
    expect(problemsOf(spread)[0]).toMatch(/listen\.host is 127\.0\.0\.1, which other machines cannot reach/);
    expect(parse(`${spread}listen: { host: 0.0.0.0 }\n`).listen.host).toBe("0.0.0.0");
    expect(parse(spread, { host: "10.0.0.2" }).listen.host).toBe("10.0.0.2");
  });

  it("says that a wrong value came from a flag", () => {
    expect(problemsOf(GOOD, { clientPort: 0 })[0]).toContain("--client-port: listen.clientPort must be");
    expect(problemsOf(GOOD, { durability: "none" })[0]).toContain("--durability: durability must be one of");
  });

  it("knows hosts from nonsense", () => {
    const withHost = (host: string) => GOOD.replace("node: 1,", `node: 1, host: "${host}",`);
    for (const host of ["localhost", "127.0.0.1", "::1"]) expect(parse(withHost(host)).members[0].host).toBe(host);
    for (const host of ["", "a b", "1.2.3", "256.1.1.1", "-x.example", "x..y", "http://x"]) {
      expect(problemsOf(withHost(host))[0]).toContain("must be a host name or an IP address");
    }
    expect(["127.8.9.1", "localhost", "::1"].every(isLoopback)).toBe(true);
    expect(["127.example.com", "0.0.0.0", "10.0.0.1"].some(isLoopback)).toBe(false);
  });
});

describe("what is told when a node starts", () => {
  it("nothing, as a rule", () => expect(configWarnings(parse(GOOD), BOOT)).toEqual([]));

  it("a port that the others do not look for", () => {
    expect(configWarnings(parse(GOOD, { clientPort: 7777, peerPort: 8888 }), BOOT)).toEqual([
      expect.stringContaining("listen.clientPort is 7777, but members says 7002 for node 2"),
      expect.stringContaining("listen.peerPort is 8888, but members says 8002 for node 2"),
    ]);
  });

  it("that with durability os the machine of a majority must not crash, once a machine", () => {
    const os = { durability: "os" };
    expect(configWarnings(parse(GOOD, os), BOOT)).toEqual([]);
    expect(configWarnings(parse(GOOD, { ...os, node: 1 }), BOOT)).toEqual([
      "durability is os, which relies on machines that do not fail together: 3 of 3 members are on one (127.0.0.1), and a crash of that machine loses the data",
    ]);
    const apart = GOOD.replace("node: 1, ", "node: 1, host: a.internal, ").replace(
      "node: 3, ",
      "node: 3, host: c.internal, ",
    );
    expect(configWarnings(parse(apart, { ...os, host: "10.0.0.2" }), BOOT).length).toBe(1);
    expect(configWarnings(parse(GOOD, os), "")).toEqual([expect.stringContaining("has to be rebuilt from the others")]);
  });

  it("that whoever reaches it may do everything", () => {
    const [warning, ...more] = configWarnings(parse(GOOD, { host: "0.0.0.0" }), BOOT);
    expect(warning).toMatch(/^this node listens on 0\.0\.0\.0; there is no authentication and no encryption/);
    expect(more).toEqual([]);
  });
});

describe("docs/running.md", () => {
  const page = readFileSync(new URL("../../docs/running.md", import.meta.url), "utf8");
  /** `| `name` | default | meaning |` */
  const rows = new Map(
    [...page.matchAll(/^\| `([^`]+)` \| ([^|]*) \|/gm)].map(([, name, value]) => [name, value.trim()]),
  );

  it("names every setting, and none that there is not", () => {
    expect([...rows.keys()].sort()).toEqual([...SETTING_NAMES].sort());
  });

  it("tells the defaults", () => {
    const config = parse(GOOD);
    const told = {
      durability: config.durability,
      timing: config.timing,
      limits: config.limits,
      watch: config.watch,
      log: config.log,
    };
    for (const [section, values] of Object.entries(told)) {
      const entries = typeof values === "string" ? [[section, values]] : Object.entries(values);
      for (const [name, value] of entries) {
        const path = typeof values === "string" ? section : `${section}.${name}`;
        expect([path, rows.get(path)]).toEqual([path, `\`${value}\``]);
      }
    }
  });

  it("has configurations that a node takes", () => {
    const configs = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => match[1]);
    expect(configs.length).toBeGreaterThan(0);
    for (const config of configs) expect(parse(config).members.length).toBe(3);
  });
});

describe("clusterConfigs", () => {
  it("lays out a cluster on this machine", () => {
    const configs = clusterConfigs({ nodes: 3, dataDir: folder, portBase: 7101, durability: "memory" });
    expect(configs.map((config) => config.listen)).toEqual([
      { host: "127.0.0.1", clientPort: 7101, peerPort: 8101 },
      { host: "127.0.0.1", clientPort: 7102, peerPort: 8102 },
      { host: "127.0.0.1", clientPort: 7103, peerPort: 8103 },
    ]);
    expect(configs.map((config) => config.dataDir)).toEqual([1, 2, 3].map((node) => join(folder, `node-${node}`)));
    expect(configs.every((config) => config.durability === "memory" && config.members.length === 3)).toBe(true);
  });

  it("takes a durability; another one is refused by name", () => {
    expect(clusterConfigs({ nodes: 1, dataDir: folder })[0].durability).toBe("sync");
    expect(clusterConfigs({ nodes: 1, dataDir: folder, durability: "os" })[0].durability).toBe("os");
    expect(() => clusterConfigs({ nodes: 1, dataDir: folder, durability: "fsync" as "os" })).toThrow(
      'gamut up: durability must be one of sync, os, memory, not "fsync"',
    );
  });

  it("refuses numbers that cannot be, and says which can", () => {
    expect(() => clusterConfigs({ nodes: 0, dataDir: "x" })).toThrow(
      "--nodes must be a whole number from 1 to 64, not 0",
    );
    expect(() => clusterConfigs({ nodes: 3, dataDir: "x", portBase: 64_534 })).toThrow("from 1 to 64533");
    expect(clusterConfigs({ nodes: 3, dataDir: "x", portBase: 64_533 })[2].listen.peerPort).toBe(65_535);
    expect(() => clusterConfigs({ nodes: 3, dataDir: "x", portBase: Number.NaN })).toThrow("--port-base must be");
  });
});

describe("portInUse", () => {
  it("is null for a free port, and names port, process and way out for a taken one", async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as { port: number };
    const problem = await portInUse("127.0.0.1", port, "--port");
    expect(problem).toContain(`port ${port} on 127.0.0.1 is in use`);
    expect(problem).toContain("or choose another with --port");
    if (process.platform === "linux") expect(problem).toContain(`by process ${process.pid} (`);
    await new Promise<void>((done) => server.close(() => done()));
    expect(await portInUse("127.0.0.1", port, "--port")).toBeNull();
  });

  it("says when the address is not this machine's", async () => {
    expect(await portInUse("192.0.2.1", 7001, "--port")).toContain("this machine has no address 192.0.2.1");
  });
});

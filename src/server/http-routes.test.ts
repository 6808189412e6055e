import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { HttpClient } from "./testing/http-client.js";
import { closeOpen, type Served, serve } from "./testing/serve.js";

afterEach(closeOpen);

// biome-ignore lint/suspicious/noExplicitAny: a part of a document that the test itself looks into
type Json = any;

const DEFAULT = "/v1/keyspaces/default";

async function start(): Promise<Served & { http: HttpClient }> {
  const served = await serve();
  return { ...served, http: await HttpClient.connect(served.listener.port) };
}

describe("a batch", () => {
  test("is one atomic operation", async () => {
    const { http, backend } = await start();
    const ops: Op[] = [];
    backend.onExecute = ({ command }) => ops.push(command.op);
    const answer = await http.sendJson("POST", `${DEFAULT}/batch`, {
      operations: [
        { op: "set", key: "a", value: "ä" },
        { op: "set", keyBase64: "/w==", valueBase64: "AP8=", ttl: "5m" },
        { op: "get", key: "a" },
        { op: "get", keyBase64: "/w==" },
        { op: "get", key: "none" },
        { op: "increment", key: "n", by: "9223372036854775807" },
        { op: "increment", key: "n" },
        { op: "increment", key: "n", by: -7 },
        { op: "delete", key: "a" },
        { op: "delete", key: "a" },
      ],
    });
    expect(ops).toEqual([Op.atomic]);
    expect(answer.headers["gamut-token"]).toBe("0102fa");
    const { results, version } = answer.json;
    expect(results).toEqual([
      { version: 1 },
      { version: 2 },
      { found: true, value: "ä", version: 1 },
      { found: true, valueBase64: "AP8=", version: 2, ttlMs: expect.any(Number) },
      { found: false },
      { integer: "9223372036854775807", version: 3 },
      { error: { code: "overflow", detail: expect.any(String), definite: true } },
      { integer: "9223372036854775800", version: 4 },
      { deleted: true, version: 5 },
      { deleted: false },
    ]);
    expect(version).toBe(5);
  });

  test("is done only if all checks hold", async () => {
    const { http } = await start();
    const batch = (checks: unknown) =>
      http.sendJson("POST", `${DEFAULT}/batch`, { checks, operations: [{ op: "set", key: "a", value: "v" }] });
    expect((await batch([{ key: "a", version: 0 }])).status).toBe(200);
    const refused = await batch([{ key: "a", version: 0 }]);
    expect(refused.json).toMatchObject({ status: 409, code: "conflict", definite: true });
    expect(
      (
        await batch([
          { key: "a", version: 1 },
          { key: "b", version: 0 },
        ])
      ).json.version,
    ).toBe(2);
    expect(
      (
        await batch([
          { key: "a", version: 2 },
          { key: "b", version: 1 },
        ])
      ).status,
    ).toBe(409);
  });

  test("of reads alone is a read, at the level asked for", async () => {
    const { http, backend } = await start();
    await http.send("PUT", `${DEFAULT}/keys/a`, { body: "text" });
    const seen: number[] = [];
    backend.onExecute = ({ command, level }) => seen.push(command.op, level);
    const body = {
      operations: [
        { op: "get", key: "a" },
        { op: "get", key: "b" },
      ],
      encoding: "base64",
    };
    const answer = await http.sendJson("POST", `${DEFAULT}/batch?level=sequential&explain`, body);
    expect(answer.json.results).toEqual([{ found: true, valueBase64: "dGV4dA==", version: 1 }, { found: false }]);
    expect(answer.json.receipt).toMatchObject({ asked: "sequential", given: "sequential", evidence: "local" });
    expect(seen).toEqual([Op.getMany, 2]);
  });

  test("that is wrong is refused, with the place", async () => {
    const { http, backend } = await start();
    let executed = 0;
    backend.onExecute = () => {
      executed += 1;
    };
    const detail = async (body: unknown) => {
      const answer = await http.sendJson("POST", `${DEFAULT}/batch`, body);
      expect(answer.status).toBe(400);
      return answer.json.detail;
    };
    const one = (operation: object) => ({ operations: [{ op: "get", key: "a" }, operation] });
    expect(await detail({ operations: [] })).toBe("body/operations must have at least 1 element; nothing was done");
    expect(await detail(one({ op: "get" }))).toContain("body/operations/1");
    expect(await detail(one({ op: "get", key: "a", keyBase64: "YQ==" }))).toContain("one of them");
    expect(await detail(one({ op: "get", keyBase64: "?" }))).toContain("body/operations/1/keyBase64");
    expect(await detail(one({ op: "fly", key: "a" }))).toBe(
      'body/operations/1/op is "fly"; it must be one of "get", "set", "delete", "increment"; nothing was done',
    );
    expect(await detail(one({ op: "set", key: "a" }))).toContain("needs value");
    expect(await detail(one({ op: "set", key: "a", value: "v", tll: "1s" }))).toBe(
      'body/operations/1 has "tll", which there is not here; there are op, key, keyBase64, value, valueBase64, ttl; nothing was done',
    );
    expect(await detail(one({ op: "set", key: "a", value: "v", ttl: 30 }))).toContain(
      "body/operations/1/ttl must be a duration in quotes: 30s",
    );
    expect(await detail(one({ op: "set", key: 7, value: "v" }))).toContain("1/key is 7; it must be text");
    expect(await detail(one({ op: "set", key: "a", value: "v", ttl: "soon" }))).toContain("30s");
    expect(await detail(one({ op: "set", key: "a", value: "\ud800" }))).toContain("surrogate");
    expect(await detail(one({ op: "increment", key: "a", by: "9223372036854775808" }))).toContain("64-bit");
    expect(await detail(one({ op: "increment", key: "a", by: 2 ** 60 }))).toContain("body/operations/1/by");
    const long = await http.sendJson("POST", `${DEFAULT}/batch`, one({ op: "get", key: "k".repeat(3_000) }));
    expect(long.json).toMatchObject({ status: 413, code: "key_too_long" });
    expect(await detail({ operations: [{ op: "get", key: "a" }], checks: [{ key: "a", version: -1 }] })).toContain(
      "version",
    );
    expect(await detail([])).toContain("body");
    const send = (body: string, headers = { "Content-Type": "application/json" }) =>
      http.send("POST", `${DEFAULT}/batch`, { body, headers });
    expect((await send("{")).json).toMatchObject({ status: 400, code: "bad_request" });
    for (const body of ["{", ""]) expect((await send(body)).json.detail).toContain("the body cannot be read as JSON");
    expect((await send("x", { "Content-Type": "text/plain" })).json).toMatchObject({ status: 415 });
    expect((await send(`"${"x".repeat(9_000_000)}"`)).json).toMatchObject({ status: 413, code: "body_too_large" });
    expect((await send('{"operations":[{"op":"get","key":"a"}],"__proto__":{}}')).status).toBe(400);
    expect(executed).toBe(0);
  });

  test("may be large, but not long", async () => {
    const { http } = await start();
    const value = Buffer.alloc(1_048_576, 0xfe);
    const set = { op: "set", key: "a", valueBase64: value.toString("base64") };
    expect((await http.sendJson("POST", `${DEFAULT}/batch`, { operations: [set] })).status).toBe(200);
    expect((await http.send("GET", `${DEFAULT}/keys/a`)).body.equals(value)).toBe(true);
    const got = await http.sendJson("POST", `${DEFAULT}/batch`, { operations: [{ op: "get", key: "a" }] });
    expect(got.json.results[0].valueBase64).toBe(set.valueBase64);
    set.valueBase64 = Buffer.alloc(1_048_577).toString("base64");
    const tooLarge = await http.sendJson("POST", `${DEFAULT}/batch`, { operations: [set] });
    expect([400, 413]).toContain(tooLarge.status);
    const many = Array.from({ length: 1_000_000 }, () => 1);
    for (const body of [{ operations: many }, { operations: [{ op: "get", key: "a" }], checks: many }]) {
      expect((await http.sendJson("POST", `${DEFAULT}/batch`, body)).json).toMatchObject({ code: "batch_too_large" });
    }
    const strange = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`field${i}`, 1]));
    const refused = await http.sendJson("POST", `${DEFAULT}/batch`, strange);
    expect([refused.status, refused.text.length < 3_000]).toEqual([400, true]);
  });

  test("an outcome that nobody knows is 504", async () => {
    const { http, backend } = await start();
    backend.failures.set(Op.atomic, new KvError("unknown"));
    const answer = await http.sendJson("POST", `${DEFAULT}/batch`, { operations: [{ op: "delete", key: "a" }] });
    expect(answer.json).toMatchObject({ status: 504, code: "unknown", definite: false });
    expect(backend.openSessions).toBe(0);
  });
});

describe("the list of keys", () => {
  test("page by page, over a range, whatever bytes they are", async () => {
    const { http, client } = await start();
    const raw = await client();
    const keys = ["a", "a\x00", "a1", "a2", "a\xff", "b", "b1", "ä-not-utf8\xe4", "\xff", "\xff\xff"];
    for (const key of keys) await raw.ask(["SET", key, "v"]);
    const walk = async (query: string): Promise<string[]> => {
      const found: string[] = [];
      let cursor: string | null = "";
      while (cursor !== null) {
        const page: { json: { keys: { key?: string; keyBase64?: string }[]; cursor: string | null } } = await http.send(
          "GET",
          `${DEFAULT}/keys?${query}${cursor === "" ? "" : `&cursor=${cursor}`}`,
        );
        for (const { key, keyBase64 } of page.json.keys) {
          found.push(
            key === undefined
              ? Buffer.from(keyBase64!, "base64").toString("latin1")
              : Buffer.from(key).toString("latin1"),
          );
        }
        cursor = page.json.cursor;
      }
      return found;
    };
    const list = async (query: string): Promise<string[]> => {
      const found = await walk(query);
      expect(await walk(`${query}&reverse=true`)).toEqual([...found].reverse());
      return found;
    };
    const sorted = [...keys].sort();
    for (const limit of [1, 3, 100]) {
      expect(await list(`limit=${limit}`)).toEqual(sorted);
      expect(await list(`limit=${limit}&prefix=a`)).toEqual(["a", "a\x00", "a1", "a2", "a\xff"]);
      expect(await list(`limit=${limit}&start=a1&end=b1`)).toEqual(["a1", "a2", "a\xff", "b"]);
      expect(await list(`limit=${limit}&prefix=%FF`)).toEqual(["\xff", "\xff\xff"]);
      expect(await list(`limit=${limit}&prefix=b&start=a`)).toEqual(["b", "b1"]);
      expect(await list(`limit=${limit}&start=a2&prefix=a&encoding=base64`)).toEqual(["a2", "a\xff"]);
    }
    expect(await list("start=b&end=a")).toEqual([]);
    const [first] = (await http.send("GET", `${DEFAULT}/keys?explain&limit=1`)).json.keys;
    expect(first).toEqual({ key: "a", version: 1 });
    for (const wrong of [
      "limit=0",
      "limit=x",
      "limit=10001",
      "cursor=x",
      "cursor=kYQ&start=b",
      "cursor=rYg&end=a&reverse",
      "cursor=rYg",
      "cursor=kYg&reverse",
      "cursor=r!&reverse",
      "reverse=1",
      "from=a",
      "level=x",
      "prefix=%",
    ]) {
      expect([wrong, (await http.send("GET", `${DEFAULT}/keys?${wrong}`)).json.code]).toEqual([wrong, "bad_request"]);
    }
    const detail = async (query: string): Promise<string> =>
      (await http.send("GET", `${DEFAULT}/keys?${query}`)).json.detail;
    expect(await detail("limit=0")).toBe("parameter limit must be at least 1; nothing was done");
    expect(await detail("limit=x")).toBe("parameter limit is no number; it must be a number; nothing was done");
    expect(await detail("limit=1.5")).toBe("parameter limit is 1.5; it must be a whole number; nothing was done");
    expect(await detail("limt=5")).toBe(
      'the query has "limt", which there is not here; there are level, explain, prefix, start, end, limit, reverse, cursor, encoding; nothing was done',
    );
    expect(await detail("cursor=kYg&reverse")).toBe("the cursor is of a list without reverse, and goes on only there");
    expect(await detail("cursor=rYg")).toBe("the cursor is of a list with reverse, and goes on only there");
    expect(await detail("level=strong")).toMatch(
      /^parameter level is wrong: there is no level "strong"; raft grants linearizable and sequential; gossip grants /,
    );
    expect(await detail("explain=false")).toBe(
      'parameter explain is "false"; it must be one of "", "true"; nothing was done',
    );
    expect((await http.send("GET", `${DEFAULT}/keys?explain=true`)).json.receipt).toBeDefined();
    expect((await http.send("GET", "/v1/keyspaces/none/keys")).json.code).toBe("keyspace_unknown");
  });

  test("in reverse ends with its last page, and goes on below a key that is gone", async () => {
    const { http, client } = await start();
    const raw = await client();
    for (const key of ["", "a", "b1", "b2", "b3", "c"]) await raw.ask(["SET", key, "v"]);
    const page = async (query: string): Promise<[string[], string | null]> => {
      const { keys, cursor } = (await http.send("GET", `${DEFAULT}/keys?reverse&${query}`)).json;
      return [keys.map(({ key }: { key: string }) => key), cursor];
    };
    expect(await page("prefix=b&limit=3")).toEqual([["b3", "b2", "b1"], null]);
    expect(await page("start=b1%00&limit=3")).toEqual([["c", "b3", "b2"], null]);
    expect(await page("limit=6")).toEqual([["c", "b3", "b2", "b1", "a", ""], null]);
    const [first, cursor] = await page("prefix=b&limit=1");
    expect(first).toEqual(["b3"]);
    await raw.ask(["DEL", "b2", "b3"]);
    await raw.ask(["SET", "b15", "v"]);
    expect(await page(`prefix=b&cursor=${cursor}`)).toEqual([["b15", "b1"], null]);
  });
});

test("a request field of this wire that there is not, or not there, is refused", async () => {
  const { http } = await start();
  const problem = async (method: string, path: string, field: string): Promise<string> => {
    const { status, json } = await http.send(method, path, { headers: { [field]: "5s" } });
    expect([path, status, json?.code]).toEqual([path, 400, "bad_request"]);
    return json.detail;
  };
  const misspelt = 'there is no request field "gamut-tll"; there are Gamut-Token and Gamut-TTL';
  for (const path of [`${DEFAULT}/keys/k`, `${DEFAULT}/keys`, `${DEFAULT}/watch`, "/v1/status", "/nowhere"]) {
    expect(await problem("GET", path, "Gamut-TLL")).toBe(misspelt);
  }
  expect(await problem("PUT", `${DEFAULT}/keys/k`, "Gamut-TLL")).toBe(misspelt);
  expect((await http.send("GET", `${DEFAULT}/keys/k`)).status).toBe(404);
  expect(await problem("GET", `${DEFAULT}/keys`, "Gamut-TTL")).toMatch(/^Gamut-TTL goes with PUT and increment /);
  // Others' fields are none of ours.
  expect((await http.send("GET", "/v1/status", { headers: { "X-Gamut-TLL": "5s", Gamut: "x" } })).status).toBe(200);
});

describe("keyspaces", () => {
  test("are made, listed and dropped", async () => {
    const { http } = await start();
    const made = await http.sendJson("PUT", "/v1/keyspaces/orders", { level: "sequential" });
    expect([made.status, made.json]).toEqual([201, { name: "orders", protocol: "raft", defaultLevel: "sequential" }]);
    expect((await http.send("PUT", "/v1/keyspaces/plain")).json.defaultLevel).toBe("linearizable");
    expect((await http.send("PUT", "/v1/keyspaces/plain")).json).toMatchObject({
      status: 409,
      code: "keyspace_exists",
    });
    expect((await http.sendJson("PUT", "/v1/keyspaces/x", { level: "exact" })).status).toBe(400);
    expect((await http.sendJson("PUT", "/v1/keyspaces/x", { protocol: "hearsay" })).status).toBe(400);
    expect((await http.send("PUT", "/v1/keyspaces/")).status).toBe(400);
    const names = (await http.send("GET", "/v1/keyspaces")).json.keyspaces.map(({ name }: { name: string }) => name);
    expect(names).toEqual(["default", "orders", "plain"]);
    expect((await http.send("GET", "/v1/keyspaces/orders")).json.defaultLevel).toBe("sequential");
    expect((await http.send("DELETE", "/v1/keyspaces/orders")).status).toBe(204);
    expect((await http.send("DELETE", "/v1/keyspaces/orders")).json).toMatchObject({ status: 404 });
    expect((await http.send("GET", "/v1/keyspaces/orders")).json).toMatchObject({ code: "keyspace_unknown" });
  });
});

describe("health", () => {
  test("the process lives, and is ready when it knows a leader", async () => {
    const { http, backend } = await start();
    expect((await http.send("GET", "/healthz")).json).toEqual({ status: "ok" });
    expect((await http.send("HEAD", "/healthz")).status).toBe(200);
    expect((await http.send("GET", "/readyz")).status).toBe(200);
    backend.leader = 0;
    const unready = await http.send("GET", "/readyz");
    expect(unready.json).toMatchObject({ status: 503, code: "not_ready", reasons: ["default: no leader is known"] });
    expect((await http.send("GET", "/healthz")).status).toBe(200);
    expect((await http.send("GET", "/v1/status")).json.clusterId).toBe("0123456789abcdef");
  });
});

describe("paths and methods that there are not", () => {
  test("are told with what there is", async () => {
    const { http } = await start();
    for (const path of ["/", "/v1", "/v2/status", "/v1/keyspaces/default/nope", "/%ff", "/../x"]) {
      expect([path, (await http.send("GET", path)).json.code]).toEqual([path, "route_unknown"]);
    }
    expect((await http.send("PUT", "/v1/status")).headers.allow).toBe("GET, HEAD");
    expect((await http.send("GET", `${DEFAULT}/batch`)).headers.allow).toBe("POST");
    expect((await http.send("PATCH", "/v1/keyspaces/x")).headers.allow).toBe("GET, HEAD, PUT, DELETE");
  });
});

describe("metrics", () => {
  test("are Prometheus' text, with what was counted on every wire", async () => {
    const { http, client, backend } = await start();
    const raw = await client();
    await raw.ask(["SET", "a", "1"], ["GET", "a"], ["SET", "a", "2", "NX"], ["INCR", "a"]);
    backend.failures.set(Op.getMany, new KvError("unavailable"));
    backend.failures.set(Op.append, new KvError("unknown"));
    await raw.ask(["MGET", "a"], ["APPEND", "a", "x"]);
    await http.send("GET", `${DEFAULT}/keys/a`);
    const { text, headers } = await http.send("GET", "/metrics");
    expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    const samples = parseMetrics(text);
    const count = (labels: string) => samples.get(`gamut_requests_total{${labels}}`);
    expect(count('wire="resp",command="set",outcome="ok"')).toBe(1);
    expect(count('wire="resp",command="set",outcome="not_done"')).toBe(1);
    expect(count('wire="resp",command="get_many",outcome="error"')).toBe(1);
    expect(count('wire="resp",command="append",outcome="unknown"')).toBe(1);
    expect(count('wire="http",command="get",outcome="ok"')).toBe(1);
    expect(samples.get('gamut_request_duration_seconds_count{wire="resp",kind="write"}')).toBe(4);
    expect(samples.get('gamut_request_duration_seconds_bucket{wire="resp",kind="write",le="+Inf"}')).toBe(4);
    expect(samples.get('gamut_connections{wire="resp"}')).toBe(1);
    expect(samples.get('gamut_raft_leader{keyspace="default"}')).toBe(1);
    expect(samples.get('gamut_raft_role{keyspace="default",role="follower"}')).toBe(1);
    expect(samples.get('gamut_raft_replica_lag{keyspace="default",replica="2"}')).toBe(1);
    expect(samples.get('gamut_checkpoint_position{keyspace="default"}')).toBe(5);
    expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(samples.has("nodejs_eventloop_lag_p99_seconds")).toBe(true);
    // Buckets only grow, and what was counted before is still there.
    await http.send("GET", `${DEFAULT}/keys/a`);
    const later = parseMetrics((await http.send("GET", "/metrics")).text);
    expect(later.get('gamut_requests_total{wire="http",command="get",outcome="ok"}')).toBe(2);
    const buckets = [...later].filter(([name]) =>
      name.startsWith('gamut_request_duration_seconds_bucket{wire="http",kind="read"'),
    );
    expect(buckets.map(([, value]) => value)).toEqual(buckets.map(([, value]) => value).sort((a, b) => a - b));
  });
});

/** The samples of Prometheus' text format by name and labels. @throws Error for a line that is not of it */
function parseMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const typed = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue;
    const type = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) {
      if (typed.has(type[1])) throw new Error(`${type[1]} is there twice`);
      typed.set(type[1], type[2]);
      continue;
    }
    const sample = /^((\w+)(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line);
    if (sample === null) throw new Error(`not a sample: ${line}`);
    const [, name, metric, value] = sample;
    const base = metric.replace(/_(bucket|sum|count)$/, "");
    if (!typed.has(metric) && !typed.has(base)) throw new Error(`no type: ${line}`);
    if (typed.get(metric) === "counter" && metric.startsWith("gamut_") && !metric.endsWith("_total")) {
      throw new Error(`a counter's name ends with _total: ${line}`);
    }
    if (samples.has(name)) throw new Error(`twice: ${name}`);
    samples.set(name, Number(value));
  }
  return samples;
}

describe("the OpenAPI document", () => {
  test("is whole: references, operation ids, path parameters", async () => {
    const { http } = await start();
    const { document } = http;
    expect(document.openapi).toBe("3.1.0");
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
    for (const [, name] of references) expect([name, name in document.components.schemas]).toEqual([name, true]);
    const ids: string[] = [];
    for (const [path, item] of Object.entries<Json>(document.paths)) {
      const { parameters = [], ...operations } = item;
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(parameters.map(({ name }: { name: string }) => name)).toEqual(names);
      for (const operation of Object.values<Json>(operations)) {
        ids.push(operation.operationId);
        expect(Object.keys(operation.responses)).toContain("default");
      }
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBe(17);
    for (const schema of Object.values<Json>(document.components.schemas)) z.fromJSONSchema(schema);
  });

  test("an answer that it does not describe would be noticed", async () => {
    const { http } = await start();
    http.document.components.schemas.Health.properties.status = { const: "fine" };
    await expect(http.send("GET", "/healthz")).rejects.toThrow("does not fit");
  });
});

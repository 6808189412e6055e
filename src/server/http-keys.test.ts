import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { Op } from "../kv/command.js";
import { ERRORS, type ErrorCode, KvError } from "../kv/errors.js";
import { COMMAND_LIMITS } from "../kv/limits.js";
import type { ServerLimits } from "./limits.js";
import { HttpClient } from "./testing/http-client.js";
import { closeOpen, type Served, serve } from "./testing/serve.js";

afterEach(closeOpen);

const KEYS = "/v1/keyspaces/default/keys";

async function start(limits: Partial<ServerLimits> = {}): Promise<Served & { http: HttpClient }> {
  const served = await serve(limits);
  return { ...served, http: await HttpClient.connect(served.listener.port) };
}

describe("a key", () => {
  test("is written, read, asked about and deleted", async () => {
    const { http, backend } = await start();
    const put = await http.send("PUT", `${KEYS}/greeting`, { body: "hello", headers: { "Content-Type": "text/html" } });
    expect([put.status, put.headers.etag, put.headers["gamut-token"]]).toEqual([204, '"1"', "0102fa"]);
    const get = await http.send("GET", `${KEYS}/greeting`);
    expect([get.status, get.text, get.headers.etag]).toEqual([200, "hello", '"1"']);
    // What somebody has stored is never a page of this origin.
    expect(get.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache",
    });
    const head = await http.send("HEAD", `${KEYS}/greeting`);
    expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, "5", 0]);
    expect((await http.send("DELETE", `${KEYS}/greeting`)).status).toBe(204);
    for (const method of ["GET", "HEAD", "DELETE"]) {
      expect((await http.send(method, `${KEYS}/greeting`)).status).toBe(404);
    }
    expect((await http.send("GET", `${KEYS}/greeting`)).json).toMatchObject({ code: "absent", definite: true });
    expect(backend.openSessions).toBe(0);
  });

  test("and its value are any bytes", async () => {
    const { http, client } = await start();
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const encoded = [...all].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
    expect((await http.send("PUT", `${KEYS}/${encoded}`, { body: all })).status).toBe(204);
    expect((await http.send("GET", `${KEYS}/${encoded.toUpperCase()}`)).body).toEqual(all);
    // The other wire sees the same record.
    const raw = await client();
    const latin1 = all.toString("latin1");
    expect(await raw.ask(["GET", latin1])).toEqual([`$256\r\n${latin1}\r\n`]);
    for (const key of ["", "a%2Fb", "%", "+", "a b"].map((text) => text.replace(/^%$/, "%25").replace(" ", "%20"))) {
      expect((await http.send("PUT", `${KEYS}/${key}`, { body: `of ${key}` })).status).toBe(204);
      expect((await http.send("GET", `${KEYS}/${key}`)).text).toBe(`of ${key}`);
    }
    expect(await raw.ask(["GET", "a/b"], ["GET", "+"], ["GET", "a b"])).toEqual([
      "$8\r\nof a%2Fb\r\n",
      "$4\r\nof +\r\n",
      "$8\r\nof a%20b\r\n",
    ]);
    expect((await http.send("GET", `${KEYS}/%zz`)).json).toMatchObject({ status: 400, code: "bad_request" });
    expect((await http.send("GET", `${KEYS}/a/b`)).json.detail).toContain("%2F");
    expect((await http.send("PUT", `${KEYS}/empty`, { body: "" })).status).toBe(204);
    expect((await http.send("GET", `${KEYS}/empty`)).body.length).toBe(0);
  });

  test("has a limit, and so has its value", async () => {
    const { http } = await start();
    const { keyBytesMax, valueBytesMax } = COMMAND_LIMITS;
    expect((await http.send("PUT", `${KEYS}/${"%ff".repeat(keyBytesMax)}`, { body: "x" })).status).toBe(204);
    expect((await http.send("GET", `${KEYS}/${"k".repeat(keyBytesMax + 1)}`)).json).toMatchObject({
      status: 413,
      code: "key_too_long",
    });
    const value = Buffer.alloc(valueBytesMax, 7);
    expect((await http.send("PUT", `${KEYS}/large`, { body: value })).status).toBe(204);
    expect((await http.send("GET", `${KEYS}/large`)).body.equals(value)).toBe(true);
    const tooLarge = await http.send("PUT", `${KEYS}/large`, { body: Buffer.alloc(valueBytesMax + 1) });
    expect(tooLarge.json).toMatchObject({ status: 413, code: "value_too_large", definite: true });
    expect(tooLarge.json.detail).toContain(`${valueBytesMax} are allowed: divide it`);
    const chunked = await http.send("PUT", `${KEYS}/large`, {
      body: Buffer.alloc(valueBytesMax + 1),
      headers: { "Transfer-Encoding": "chunked" },
    });
    expect(chunked.json).toMatchObject({ status: 413, code: "value_too_large" });
    expect((await http.send("GET", `${KEYS}/large`)).body.length).toBe(valueBytesMax);
  });

  test("takes GET, HEAD, PUT and DELETE, and nothing that it would have to forget", async () => {
    const { http } = await start();
    for (const method of ["POST", "PATCH", "OPTIONS", "PROPFIND"]) {
      const answer = await http.send(method, `${KEYS}/k`);
      expect([answer.status, answer.headers.allow]).toEqual([405, "GET, HEAD, PUT, DELETE"]);
    }
    const refused = async (headers: Record<string, string>, path = `${KEYS}/k`) =>
      (await http.send("PUT", path, { body: "x", headers })).json;
    expect(await refused({ "Content-Encoding": "gzip" })).toMatchObject({ status: 415 });
    // Node would drop the 2,001st field, and If-Match with it.
    const many = Object.fromEntries(Array.from({ length: 2_100 }, (_, i) => [`a${i}`, ""]));
    expect((await refused({ ...many, "If-Match": '"9"' })).status).toBe(412);
    expect(await refused({ "Content-Range": "bytes 0-1/2" })).toMatchObject({ status: 400 });
    expect((await refused({}, `${KEYS}/k?levle=eventual`)).detail).toContain('no parameter "levle"');
    expect((await refused({}, `${KEYS}/k?level=a&level=b`)).status).toBe(400);
    expect((await refused({}, `${KEYS}/k?by=1`)).status).toBe(400);
    expect((await refused({}, `${KEYS}/k?level=exact`)).detail).toContain("linearizable and sequential");
    for (const [method, path] of [
      ["GET", `${KEYS}/k`],
      ["DELETE", `${KEYS}/k`],
      ["POST", `${KEYS}/k/increment`],
    ]) {
      const headers = { "Content-Length": "8" };
      expect((await http.send(method, path, { body: '{"by":5}', headers })).json.detail).toContain("no body");
    }
    expect((await http.send("GET", `${KEYS}/k`)).status).toBe(404);
  });
});

describe("conditions", () => {
  test("of a write are decided where it takes effect", async () => {
    const { http } = await start();
    const put = async (headers: Record<string, string>) => {
      const answer = await http.send("PUT", `${KEYS}/k`, { body: "v", headers });
      return [answer.status, answer.headers.etag ?? answer.json?.code];
    };
    expect(await put({ "If-Match": "*" })).toEqual([412, "precondition_failed"]);
    expect(await put({ "If-Match": '"1"' })).toEqual([412, "precondition_failed"]);
    expect(await put({ "If-None-Match": "*" })).toEqual([204, '"1"']);
    expect(await put({ "If-None-Match": "*" })).toEqual([412, "precondition_failed"]);
    expect(await put({ "If-Match": '"1"' })).toEqual([204, '"2"']);
    // The version that it has instead.
    expect(await put({ "If-Match": '"1"' })).toEqual([412, '"2"']);
    expect(await put({ "If-Match": "*" })).toEqual([204, '"3"']);
    for (const tag of ['W/"3"', '"0"', '"03"', '"three"', '"99999999999999999999"']) {
      expect(await put({ "If-Match": tag })).toEqual([412, "precondition_failed"]);
    }
    for (const bad of ["3", '"3', "", '"1" "2"']) expect((await put({ "If-Match": bad }))[0]).toBe(400);
    expect((await put({ "If-Match": '"3", "4"' }))[0]).toBe(400);
    expect((await put({ "If-None-Match": '"3"' }))[0]).toBe(400);
    expect((await put({ "If-None-Match": "*", "If-Match": '"3"' }))[0]).toBe(400);
    const remove = async (headers: Record<string, string>) =>
      (await http.send("DELETE", `${KEYS}/k`, { headers })).status;
    expect(await remove({ "If-Match": '"2"' })).toBe(412);
    expect(await remove({ "If-Match": '"3"' })).toBe(204);
    expect(await remove({ "If-Match": "*" })).toBe(412);
    expect(await remove({})).toBe(404);
    const count = async (headers: Record<string, string>) =>
      (await http.send("POST", `${KEYS}/k/increment`, { headers })).status;
    expect(await count({ "If-Match": "*" })).toBe(412);
    expect(await count({ "If-None-Match": "*" })).toBe(200);
    expect(await count({ "If-None-Match": "*" })).toBe(412);
  });

  test("of a read: 304, 412", async () => {
    const { http } = await start();
    await http.send("PUT", `${KEYS}/k`, { body: "v" });
    const get = async (headers: Record<string, string>) => {
      const answer = await http.send("GET", `${KEYS}/k`, { headers });
      return [answer.status, answer.body.length > 0 ? (answer.json?.code ?? answer.text) : ""];
    };
    expect(await get({ "If-None-Match": '"1"' })).toEqual([304, ""]);
    expect(await get({ "If-None-Match": '"7", W/"1"' })).toEqual([304, ""]);
    expect(await get({ "If-None-Match": "*" })).toEqual([304, ""]);
    expect(await get({ "If-None-Match": '"2"' })).toEqual([200, "v"]);
    expect(await get({ "If-Match": '"2", "1"' })).toEqual([200, "v"]);
    expect(await get({ "If-Match": '"2"' })).toEqual([412, "precondition_failed"]);
  });

  test("one of many writers who saw the same version wins", async () => {
    const { http } = await start();
    await http.send("PUT", `${KEYS}/k`, { body: "0" });
    const writers = Array.from({ length: 20 }, (_, i) =>
      http.send("PUT", `${KEYS}/k`, { body: `${i}`, headers: { "If-Match": '"1"' } }),
    );
    const statuses = (await Promise.all(writers)).map((answer) => answer.status);
    expect(statuses.filter((status) => status === 204)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412)).toHaveLength(19);
  });
});

describe("a time to live", () => {
  test("is set by field or parameter, and told", async () => {
    const { http, client } = await start();
    const put = await http.send("PUT", `${KEYS}/k`, { body: "v", headers: { "Gamut-TTL": "30s" } });
    expect(put.headers["gamut-ttl"]).toBe("30000ms");
    const left = async () => Number.parseInt((await http.send("GET", `${KEYS}/k`)).headers["gamut-ttl"] as string, 10);
    expect(await left()).toBeGreaterThan(20_000);
    expect(await left()).toBeLessThanOrEqual(30_000);
    await http.send("PUT", `${KEYS}/k?ttl=5m`, { body: "v" });
    expect((await http.send("PUT", `${KEYS}/seconds?ttl=30`, { body: "v" })).headers["gamut-ttl"]).toBe("30000ms");
    expect(await left()).toBeGreaterThan(200_000);
    await http.send("PUT", `${KEYS}/k?ttl=keep`, { body: "w" });
    expect(await left()).toBeGreaterThan(200_000);
    await http.send("PUT", `${KEYS}/k`, { body: "v" });
    expect(await left()).toBeNaN();
    expect((await http.send("POST", `${KEYS}/n/increment?ttl=1h`)).text).toBe("1");
    const [ttl] = await (await client()).ask(["TTL", "n"]);
    expect(Number(ttl.slice(1))).toBeGreaterThan(3_500);
    for (const bad of ["0", "-1", "soon", "1e3"]) {
      expect((await http.send("PUT", `${KEYS}/k?ttl=${bad}`, { body: "v" })).json).toMatchObject({ status: 400 });
    }
    const both = { body: "v", headers: { "Gamut-TTL": "1s" } };
    expect((await http.send("PUT", `${KEYS}/k?ttl=2s`, both)).status).toBe(400);
    expect((await http.send("GET", `${KEYS}/k?ttl=2s`)).status).toBe(400);
    await http.send("PUT", `${KEYS}/short?ttl=1ms`, { body: "v" });
    await expect.poll(async () => (await http.send("GET", `${KEYS}/short`)).status).toBe(404);
  });
});

describe("a counter", () => {
  test("is exact over all of 64 bits", async () => {
    const { http } = await start();
    const add = async (by: string) => {
      const answer = await http.send("POST", `${KEYS}/n/increment${by}`);
      return answer.status === 200 ? answer.text : answer.json.code;
    };
    expect(await add("")).toBe("1");
    expect(await add("?by=9223372036854775806")).toBe("9223372036854775807");
    expect(await add("")).toBe("overflow");
    expect(await add("?by=-9223372036854775808")).toBe("-1");
    for (const by of ["1.5", "", "x", "9223372036854775808"]) expect(await add(`?by=${by}`)).toBe("bad_request");
    expect((await http.send("POST", `${KEYS}/n/increment?by=abc`)).json).toMatchObject({
      status: 400,
      detail: 'parameter by is "abc"; it must be a signed 64-bit integer, as by=-5',
    });
    await http.send("PUT", `${KEYS}/n`, { body: "word" });
    expect(await add("")).toBe("not_an_integer");
    expect((await http.send("GET", `${KEYS}/n/increment`)).headers.allow).toBe("POST");
  });
});

describe("the session", () => {
  test("is its token; level and receipt are asked for", async () => {
    const { http, backend } = await start();
    const seen: (number | string)[] = [];
    backend.onExecute = ({ level }, keyspace) => seen.push(level, keyspace);
    backend.addKeyspace("other");
    const get = await http.send("GET", "/v1/keyspaces/other/keys/k?level=sequential&explain", {
      headers: { "Gamut-Token": "01FF03" },
    });
    expect([get.status, get.headers["gamut-token"]]).toEqual([404, "01ff03"]);
    expect(get.headers["gamut-receipt"]).toMatch(/^level=sequential asked=sequential .* evidence=local$/);
    expect(seen).toEqual([2, "other"]);
    expect((await http.send("GET", `${KEYS}/k`)).headers["gamut-receipt"]).toBeUndefined();
    expect((await http.send("GET", `${KEYS}/k?explain=true`)).headers["gamut-receipt"]).toBeDefined();
    for (const value of ["false", "maybe", "1"]) {
      const refused = await http.send("GET", `${KEYS}/k?explain=${value}`);
      expect(refused.json).toMatchObject({
        status: 400,
        detail: `parameter explain is "${value}"; it must be one of "", "true", or not be there`,
      });
    }
    expect((await http.send("GET", `${KEYS}/k?level=liniarizable`)).json).toMatchObject({
      status: 400,
      detail: expect.stringMatching(/^there is no level "liniarizable"; raft grants linearizable and sequential; /),
    });
    for (const token of ["zz", "0", "0102"]) {
      const refused = await http.send("GET", `${KEYS}/k`, { headers: { "Gamut-Token": token } });
      expect(refused.json).toMatchObject({ status: 400, code: "bad_token" });
    }
    expect((await http.send("GET", "/v1/keyspaces/none/keys/k")).json).toMatchObject({
      status: 404,
      code: "keyspace_unknown",
    });
    expect(backend.openSessions).toBe(0);
  });
});

describe("errors", () => {
  test("each has a status; only what is not definite is 504", async () => {
    const { http, backend } = await start();
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const { definite, summary } = ERRORS[code];
      backend.failures.set(Op.set, new KvError(code, "told so"));
      const answer = await http.send("PUT", `${KEYS}/k`, { body: "v" });
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      expect(answer.json).toEqual({
        type: `urn:gamut:problem:${code}`,
        title: summary,
        status: answer.status,
        detail: "told so",
        code,
        definite,
      });
      expect([code, answer.status === 504]).toEqual([code, !definite]);
      expect([code, answer.headers["retry-after"]]).toEqual([
        code,
        [429, 503].includes(answer.status) ? "1" : undefined,
      ]);
    }
  });

  test("a client that goes away takes its request with it", async () => {
    const { backend, client, listener } = await start();
    backend.held = true;
    const raw = await client();
    raw.sendBytes(`GET ${KEYS}/k HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await expect.poll(() => backend.queuedMost).toBe(1);
    raw.socket.resetAndDestroy();
    await expect.poll(() => [backend.cancelled.length, backend.openSessions]).toEqual([1, 0]);
    await expect.poll(() => listener.connectionCount).toBeLessThanOrEqual(1);
    backend.release();
  });
});

describe("curl", () => {
  const hasCurl = spawnSync("curl", ["--version"]).status === 0;

  /** The server is in this process: it must not wait for curl. */
  async function curl(args: readonly string[], input = ""): Promise<string> {
    const child = spawn("curl", ["-sS", "--max-time", "20", ...args]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString("latin1");
      });
    }
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    await once(child, "close");
    return output;
  }

  test.skipIf(!hasCurl && process.env.CI === undefined)("needs no flag but the method", async () => {
    const { listener } = await start();
    const url = `http://127.0.0.1:${listener.port}${KEYS}/k`;
    const asksFirst = ["-H", "Expect: 100-continue", "-T", "-"];
    const large = "x".repeat(900_000);
    expect(await curl([...asksFirst, url], large)).toBe("");
    expect(await curl([url])).toBe(large);
    expect(await curl(["-X", "PUT", "-d", "small", "-w", "%{http_code}", url])).toBe("204");
    expect(await curl([url, url])).toBe("smallsmall");
    expect(await curl(["-I", url])).toContain('ETag: "2"');
    expect(await curl(["-X", "DELETE", "-w", "%{http_code}", url])).toBe("204");
    expect(await curl([...asksFirst, url], "y".repeat(2_000_000))).toContain("value_too_large");
    expect(await curl(["-T", "-", "-H", "Expect:", url], "y".repeat(2_000_000))).toContain("value_too_large");
    expect(await curl([url])).toContain('"absent"');
  });
});

/** What goes over one connection: pipelines, slow and wrong bytes, strangers, the end. */
import { Agent, get } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import { Op } from "../kv/command.js";
import { send } from "./testing/http-client.js";
import type { RawClient } from "./testing/raw-client.js";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

const KEYS = "/v1/keyspaces/default/keys";
const HOST = "Host: localhost\r\n";

function request(method: string, path: string, body = "", fields = ""): string {
  const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
  return `${method} ${path} HTTP/1.1\r\n${HOST}${fields}${length}\r\n${body}`;
}

/** The responses that a connection has brought, in order: status and body. */
function responses(text: string): [status: number, body: string][] {
  const found: [number, string][] = [];
  let rest = text;
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n") + 4;
    const head = rest.slice(0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    found.push([Number(head.slice(9, 12)), rest.slice(end, end + length)]);
    rest = rest.slice(end + length);
  }
  return found;
}

async function untilEnd(raw: RawClient): Promise<[status: number, body: string][]> {
  return responses(await raw.untilEnd());
}

/** Sends all of it, says that this was all, and hears what is answered. */
async function exchange(client: () => Promise<RawClient>, bytes: string): Promise<[status: number, body: string][]> {
  const raw = await client();
  raw.sendBytes(bytes);
  raw.socket.end();
  return untilEnd(raw);
}

describe("pipelined requests", () => {
  test("are answered in order, each after the one before", async () => {
    const { client, backend } = await serve();
    const ops: number[] = [];
    backend.onExecute = ({ command }) => ops.push(command.op);
    const answers = await exchange(
      client,
      request("PUT", `${KEYS}/x`, "1") +
        request("GET", `${KEYS}/x`) +
        request("GET", "/healthz") +
        request("POST", `${KEYS}/x/increment`) +
        request("GET", `${KEYS}/x`) +
        request("DELETE", `${KEYS}/x`) +
        request("GET", `${KEYS}/x`),
    );
    expect(answers.map(([status]) => status)).toEqual([204, 200, 200, 200, 200, 204, 404]);
    expect(answers.slice(1, 5).map(([, body]) => body)).toEqual(["1", '{"status":"ok"}', "2", "2"]);
    expect(ops).toEqual([Op.set, Op.get, Op.increment, Op.get, Op.delete, Op.get]);
    expect(backend.queuedMost).toBe(1);
    expect(backend.openSessions).toBe(0);
  });

  test("past the limit are refused, in their place", async () => {
    const { client, backend } = await serve({ pipelinedMax: 4 });
    backend.held = true;
    const raw = await client();
    raw.sendBytes(request("GET", `${KEYS}/x`).repeat(8));
    raw.socket.end();
    await expect.poll(() => backend.queuedMost).toBe(1);
    backend.release();
    const statuses = (await untilEnd(raw)).map(([status]) => status);
    expect(statuses).toEqual([404, 404, 404, 404, 404, 429, 429, 429]);
  });

  test("the same wherever they are cut", async () => {
    const { client } = await serve();
    const text = request("PUT", `${KEYS}/cut`, "value", "If-None-Match: *\r\n") + request("DELETE", `${KEYS}/cut`);
    for (let i = 1; i < text.length; i += 3) {
      const raw = await client();
      raw.sendBytes(text.slice(0, i));
      await new Promise((resolve) => setTimeout(resolve, 2));
      raw.sendBytes(text.slice(i));
      raw.socket.end();
      expect((await untilEnd(raw)).map(([status]) => status)).toEqual([204, 204]);
    }
  });

  test("of HTTP/1.0, and with large bodies between", async () => {
    const { client } = await serve();
    expect(await exchange(client, `GET ${KEYS}/x HTTP/1.0\r\n\r\n`)).toMatchObject([[404, expect.anything()]]);
    const large = "v".repeat(1_000_000);
    const put = request("PUT", `${KEYS}/x`, large);
    const answers = await exchange(client, `${put}${request("GET", `${KEYS}/x`)}${put}${request("GET", `${KEYS}/x`)}`);
    expect(answers.map(([status, body]) => [status, body.length])).toEqual([
      [204, 0],
      [200, 1_000_000],
      [204, 0],
      [200, 1_000_000],
    ]);
  });
});

describe("a slow or wrong request", () => {
  test("a header section, a body that do not arrive in time", async () => {
    const { client, backend } = await serve({ firstLineMsMax: 300, requestMsMax: 600 });
    const [line, header, body] = [await client(), await client(), await client()];
    line.sendBytes("GET /v1/sta");
    header.sendBytes(`GET /healthz HTTP/1.1\r\n${HOST}X-Slow`);
    body.sendBytes(request("PUT", `${KEYS}/x`, "v").replace("Content-Length: 1", "Content-Length: 1000"));
    expect(await line.untilEnd()).toMatch(/^ERROR the first line did not arrive/);
    expect((await untilEnd(header))[0][0]).toBe(408);
    const [[status, problem]] = await untilEnd(body);
    expect([status, JSON.parse(problem).code]).toEqual([408, "request_timeout"]);
    await expect.poll(() => backend.openSessions).toBe(0);
  });

  test("a connection without requests is closed, others are not", async () => {
    const { client, listener } = await serve({ httpIdleMsMax: 200 });
    const [http, resp] = [await client(), await client()];
    expect(await resp.ask(["PING"])).toEqual(["+PONG\r\n"]);
    http.sendBytes(request("GET", "/healthz"));
    expect((await untilEnd(http))[0][0]).toBe(200);
    await expect.poll(() => listener.connectionCount).toBe(1);
    expect(await resp.ask(["PING"])).toEqual(["+PONG\r\n"]);
  });

  test("is told what is wrong with it", async () => {
    const { client } = await serve({ httpHeaderBytesMax: 4_096, firstLineBytesMax: 2_048 });
    const told = async (bytes: string): Promise<[number, string]> => {
      const [[status, body]] = await exchange(client, bytes);
      return [status, JSON.parse(body).code];
    };
    expect(await told(`GET /healthz HTTP/1.1\r\n${HOST}X: ${"y".repeat(5_000)}\r\n\r\n`)).toEqual([
      431,
      "headers_too_large",
    ]);
    expect(await told(`GET /${"y".repeat(3_000)} HTTP/1.1\r\n${HOST}\r\n`)).toEqual([414, "uri_too_long"]);
    expect(await told(`GET /healthz HTTP/1.1\r\n${HOST}Content-Length: x\r\n\r\n`)).toEqual([400, "not_http"]);
    // Request smuggling: two lengths, or a length and chunks.
    expect(await told(request("PUT", `${KEYS}/x`, "v", "Content-Length: 2\r\n"))).toEqual([400, "not_http"]);
    expect(await told(request("PUT", `${KEYS}/x`, "v", "Transfer-Encoding: chunked\r\n"))).toEqual([400, "not_http"]);
    expect(await told(`BREW /coffee HTTP/1.1\r\n${HOST}\r\n`)).toEqual([400, "not_http"]);
    const first = request("GET", "/healthz");
    const raw = await client();
    raw.sendBytes(`${first}GET /${"z".repeat(3_000)} HTTP/1.1\r\n${HOST}\r\n${first}`);
    raw.socket.end();
    expect((await untilEnd(raw)).map(([status]) => status)).toEqual([200, 414, 200]);
    expect(await exchange(client, `GET /healthz HTTP/1.1\r\n\r\n`)).toMatchObject([
      [400, expect.stringContaining("Host")],
    ]);
    expect(await told(`OPTIONS * HTTP/1.1\r\n${HOST}\r\n`)).toEqual([400, "bad_request"]);
    // As a proxy is asked.
    const absolute = `GET http://localhost${KEYS}/x HTTP/1.1\r\n${HOST}\r\n`;
    expect(await told(absolute)).toEqual([404, "absent"]);
    expect(await told(absolute.replace(`${KEYS}/x`, "?x"))).toEqual([404, "route_unknown"]);
  });

  test("is told in its place, after the answers to what came before it", async () => {
    const { client, backend } = await serve({ requestMsMax: 400 });
    const executed: Op[] = [];
    backend.onExecute = ({ command }) => executed.push(command.op);
    const put = request("PUT", `${KEYS}/x`, "v");
    const chunked = `PUT ${KEYS}/y HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;
    for (const wrong of [
      "\0\0\r\n\r\n",
      `${chunked}zz\r\n`,
      `GET ${KEYS}/x HTTP/1.1\r\n${HOST}X`,
      `${chunked}5\r\nab`,
    ]) {
      backend.held = true;
      const raw = await client();
      raw.sendBytes(put + put + wrong);
      await expect.poll(() => backend.queuedMost).toBe(1);
      // Longer than the broken request may take.
      await new Promise((resolve) => setTimeout(resolve, wrong.endsWith("\n") ? 20 : 1_600));
      expect(raw.received.toString()).toBe("");
      backend.release();
      const statuses = (await untilEnd(raw)).map(([status]) => status);
      expect([statuses.slice(0, 2), statuses.length]).toEqual([[204, 204], 3]);
      expect([400, 408]).toContain(statuses[2]);
      expect(executed.splice(0)).toEqual([Op.set, Op.set]);
    }
    expect((await exchange(client, request("GET", `${KEYS}/y`)))[0][0]).toBe(404);
    expect(backend.openSessions).toBe(0);
  });

  test("a client that does not read what it asks for, or is gone but for its ear, is cut off", async () => {
    const { client, backend, listener } = await serve({ stalledMsMax: 300, hangUpMsMax: 300 });
    expect((await exchange(client, request("PUT", `${KEYS}/x`, "v".repeat(1_000_000))))[0][0]).toBe(204);
    const stalled = await client();
    stalled.socket.pause();
    stalled.sendBytes(request("GET", `${KEYS}/x`).repeat(20));
    await expect.poll(() => listener.connectionCount).toBe(1);
    await expect.poll(() => listener.connectionCount, { timeout: 10_000 }).toBe(0);
    backend.held = true;
    const gone = await client();
    gone.sendBytes(request("GET", `${KEYS}/x`));
    gone.socket.end();
    await expect.poll(() => [gone.closed, backend.openSessions], { timeout: 10_000 }).toEqual([true, 0]);
  });

  test("any bytes: nothing breaks, and nothing is left over", async () => {
    const { client, backend, listener } = await serve({ hangUpMsMax: 1_000 });
    const random = new Random(20_240_611);
    const words = [
      ...[
        "GET ",
        "PUT ",
        "DELETE ",
        "POST ",
        KEYS,
        "/x",
        "%",
        "%ff",
        "/increment",
        "?by=",
        "&ttl=1s",
        "=",
        " HTTP/1.1\r\n",
      ],
      ...["Host: localhost\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n"],
      ...[
        'If-Match: "1"\r\n',
        "Upgrade: h2c\r\n",
        "\r\n",
        "\r\n\r\n",
        "abc",
        "\0",
        "\xff",
        "/v1/keyspaces/default/batch",
      ],
      ...['{"operations":[', "Content-Type: application/json\r\n", "/v1/", "CONNECT a:1"],
    ];
    for (let round = 0; round < 300; round += 1) {
      const raw = await client();
      let text = random.below(3) === 0 ? "" : request("GET", `${KEYS}/x`);
      const count = random.below(14);
      for (let i = 0; i < count; i += 1) text += words[random.below(words.length)];
      raw.sendBytes(text);
      raw.socket.end();
      if (round % 20 === 19) await raw.untilEnd();
    }
    const port = listener.port;
    expect((await send(port, "GET", "/healthz")).status).toBe(200);
    await expect
      .poll(() => [listener.connectionCount <= 1, backend.openSessions], { timeout: 10_000 })
      .toEqual([true, 0]);
  });
});

describe("strangers", () => {
  const names = (host: string) => ({ headers: { Host: host } });

  test("a page whose own name leads here is not answered", async () => {
    const { listener } = await serve();
    const status = async (host: string) => (await send(listener.port, "GET", "/v1/status", names(host))).status;
    for (const host of ["localhost", "localhost:7001", "app.localhost", "127.0.0.1:1", "[::1]:7001", "10.0.0.1"]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (const host of ["evil.example", "evil.example:7001", "localhost.evil.example", "127.0.0.1.evil.example"]) {
      expect([host, await status(host)]).toEqual([host, 421]);
    }
  });

  test("a page of another origin does not write", async () => {
    const { listener, backend } = await serve();
    let executed = 0;
    backend.onExecute = () => {
      executed += 1;
    };
    const put = async (headers: Record<string, string>) => {
      const host = { Host: `localhost:${listener.port}` };
      return (await send(listener.port, "PUT", `${KEYS}/x`, { headers: { ...host, ...headers }, body: "v" })).status;
    };
    expect(await put({ Origin: "https://evil.example" })).toBe(403);
    expect(await put({ Origin: "null" })).toBe(403);
    expect(await put({ Origin: "http://localhost:1" })).toBe(403);
    expect(await put({ "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(executed).toBe(0);
    expect(await put({ Origin: `http://localhost:${listener.port}`, "Sec-Fetch-Site": "same-origin" })).toBe(204);
    const read = await send(listener.port, "GET", `${KEYS}/x`, { headers: { Origin: "https://evil.example" } });
    expect([read.status, read.headers["access-control-allow-origin"]]).toEqual([200, undefined]);
    const preflight = await send(listener.port, "OPTIONS", `${KEYS}/x`, {
      headers: { Origin: "https://evil.example" },
    });
    expect(preflight.status).toBe(405);
  });
});

describe("when the node stops", () => {
  test("what is under way is answered, and idle connections are closed", async () => {
    const { listener, backend, client } = await serve();
    const agent = new Agent({ keepAlive: true });
    const idle = await client();
    idle.sendBytes(request("GET", "/healthz"));
    await expect.poll(() => idle.received.includes("ok")).toBe(true);
    backend.held = true;
    const answer = new Promise<[number, string | undefined]>((resolve, reject) => {
      const options = { agent, host: "127.0.0.1", port: listener.port, path: `${KEYS}/x` };
      get(options, (incoming) => {
        incoming.resume();
        resolve([incoming.statusCode!, incoming.headers.connection]);
      }).on("error", reject);
    });
    await expect.poll(() => backend.queuedMost).toBe(1);
    const closed = listener.close();
    await idle.untilEnd();
    backend.release();
    expect(await answer).toEqual([404, "close"]);
    await closed;
    expect(backend.openSessions).toBe(0);
    agent.destroy();
  });
});

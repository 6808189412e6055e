/** Connections that come before what HTTP needs is there. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { HttpService } from "./http-service.js";
import { LazyHttp } from "./lazy-http.js";
import { SERVER_LIMITS } from "./limits.js";
import { Metrics } from "./metrics.js";
import { ServerStats } from "./stats.js";
import { MemoryBackend } from "./testing/memory-backend.js";
import { RawClient } from "./testing/raw-client.js";
import { closeOpen, open } from "./testing/serve.js";

afterEach(closeOpen);

/** Bounds hangs only. */
const SOON = { timeout: 20_000 };
const REQUEST = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

function createService(): Promise<HttpService> {
  const backend = new MemoryBackend();
  const stats = new ServerStats();
  const metrics = new Metrics({ stats, status: () => backend.status(), connections: () => ({}) });
  return HttpService.create(backend, SERVER_LIMITS, stats, metrics);
}

/** A service whose loading ends when the test says so; `loads`: one for each time that it was begun. */
class Gate {
  readonly loads: { resolve: (service: HttpService) => void; reject: (error: Error) => void }[] = [];
  readonly load = (): Promise<HttpService> =>
    new Promise((resolve, reject) => {
      this.loads.push({ resolve, reject });
    });
}

/** As the listener: the first bytes decide, then the socket is handed over. */
async function serveLazily(): Promise<{ http: LazyHttp; gate: Gate; client: () => Promise<RawClient> }> {
  const gate = new Gate();
  const http = new LazyHttp(gate.load);
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (chunk: Buffer) => http.open(socket, chunk));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      http.close();
      server.close();
    },
  });
  const client = async (): Promise<RawClient> => {
    const raw = await RawClient.connect((server.address() as AddressInfo).port);
    open.push(raw);
    return raw;
  };
  return { http, gate, client };
}

describe("HTTP is loaded with its first connection", () => {
  test("and those that come meanwhile, and have said all that they will say, are answered", async () => {
    const { http, gate, client } = await serveLazily();
    expect(gate.loads.length).toBe(0);
    const clients = [await client(), await client(), await client()];
    for (const raw of clients) raw.sendBytes(REQUEST);
    clients[0].socket.end();
    await expect.poll(() => http.connectionCount, SOON).toBe(3);
    clients[1].sendBytes(REQUEST);
    expect(gate.loads.length).toBe(1);
    gate.loads[0].resolve(await createService());
    expect(await clients[0].untilEnd()).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*\{"status":"ok"\}$/);
    const both = /^HTTP\/1\.1 200 OK[\s\S]*\{"status":"ok"\}HTTP\/1\.1 200 OK[\s\S]*\{"status":"ok"\}$/;
    await expect.poll(() => clients[1].received.toString("latin1"), SOON).toMatch(both);
    await expect.poll(() => clients[2].received.toString("latin1"), SOON).toMatch(/^HTTP\/1\.1 200 OK/);
    const late = await client();
    late.sendBytes(REQUEST);
    await expect.poll(() => late.received.toString("latin1"), SOON).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(gate.loads.length).toBe(1);
  });

  test("one that hangs up while it waits is forgotten", async () => {
    const { http, gate, client } = await serveLazily();
    const raw = await client();
    raw.sendBytes(REQUEST);
    await expect.poll(() => http.connectionCount, SOON).toBe(1);
    raw.socket.resetAndDestroy();
    // What it had sent is still in its socket: the reset shows when somebody reads or writes.
    gate.loads[0].resolve(await createService());
    await expect.poll(() => http.connectionCount, SOON).toBe(0);
  });

  test("a load that fails is told, and the next connection tries again", async () => {
    const { gate, client } = await serveLazily();
    const first = await client();
    first.sendBytes(REQUEST);
    await expect.poll(() => gate.loads.length, SOON).toBe(1);
    gate.loads[0].reject(new Error("Cannot find package 'fastify'"));
    const answer = await first.untilEnd();
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain("cannot load what HTTP needs: Cannot find package 'fastify'");
    const second = await client();
    second.sendBytes(REQUEST);
    await expect.poll(() => gate.loads.length, SOON).toBe(2);
    gate.loads[1].resolve(await createService());
    await expect.poll(() => second.received.toString("latin1"), SOON).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test("a node that stops meanwhile hangs up", async () => {
    const { http, gate, client } = await serveLazily();
    const raw = await client();
    raw.sendBytes(REQUEST);
    await expect.poll(() => gate.loads.length, SOON).toBe(1);
    http.drain();
    expect(await raw.untilEnd()).toBe("");
    await expect.poll(() => http.connectionCount, SOON).toBe(0);
    gate.loads[0].resolve(await createService());
  });
});

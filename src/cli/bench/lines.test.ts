// The drivers of memcached and HTTP/1.1, held against replies that are cut anywhere.
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Driver, FAILED, MISS, OK } from "./driver.js";
import { HttpDriver } from "./http.js";
import { MemcachedDriver } from "./memcached.js";
import { waitUntil } from "./testing/servers.js";
import { MemorySink } from "./testing/sink.js";
import { GET, SET } from "./workload.js";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function open(driver: Driver) {
  let sent = "";
  const server = createServer();
  servers.push(server);
  const accepted = new Promise<Socket>((resolve) => {
    server.once("connection", (socket) => {
      socket.on("data", (chunk) => {
        sent += chunk.toString("latin1");
      });
      socket.on("error", () => {});
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sink = new MemorySink();
  const { port } = server.address() as { port: number };
  const connection = await driver.connect({ host: "127.0.0.1", port }, sink);
  return { sink, connection, socket: await accepted, sent: () => sent, port };
}

/** What comes of the replies to three reads and a write, wherever they are cut. */
async function expectOutcomes(make: () => Driver, replies: string, outcomes: readonly [number, string][]) {
  for (let split = 1; split < replies.length; split += 1) {
    const { sink, connection, socket } = await open(make());
    for (const kind of [GET, GET, SET, GET] as const) connection.send(kind, 7, 1);
    connection.flush();
    socket.write(replies.slice(0, split));
    await waitUntil("the first part", async () => sink.turns > 0);
    socket.write(replies.slice(split));
    await waitUntil("all replies", async () => sink.replies.length === 4);
    expect(sink.replies.map(({ outcome, reason }) => [outcome, reason])).toEqual(outcomes);
    connection.close();
  }
}

describe("memcached driver", () => {
  const make = () => new MemcachedDriver(Buffer.from("hello"), 4);

  it("writes requests whole", async () => {
    const { connection, sent } = await open(make());
    connection.send(SET, 42, 1);
    connection.send(GET, 43, 1);
    connection.flush();
    const expected = "set key:000000000042 0 0 5\r\nhello\r\nget key:000000000043\r\n";
    await waitUntil("the requests", async () => sent().length >= expected.length);
    expect(sent()).toBe(expected);
    connection.close();
  });

  it("reads replies however they are split", async () => {
    const replies = "VALUE k 0 7\r\na\nEND\r\n\r\nEND\r\nEND\r\nSERVER_ERROR no\r\nVALUE k 0 0\r\n\r\nEND\r\n";
    await expectOutcomes(make, replies, [
      [OK, ""],
      [MISS, ""],
      [FAILED, "SERVER_ERROR no"],
      [OK, ""],
    ]);
  });
});

describe("HTTP driver", () => {
  const make = () => new HttpDriver(Buffer.from("hello"), 4, "feed");

  it("writes requests whole", async () => {
    const { connection, sent, port } = await open(make());
    connection.send(SET, 42, 1);
    connection.send(GET, 43, 1);
    connection.flush();
    const host = `Host: 127.0.0.1:${port}\r\n`;
    const expected =
      `PUT /v1/keyspaces/feed/keys/key:000000000042 HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello` +
      `GET /v1/keyspaces/feed/keys/key:000000000043 HTTP/1.1\r\n${host}\r\n`;
    await waitUntil("the requests", async () => sent().length >= expected.length);
    expect(sent()).toBe(expected);
    connection.close();
  });

  it("reads replies however they are split", async () => {
    const replies =
      "HTTP/1.1 200 OK\r\nContent-Type: x\r\ncontent-length: 5\r\n\r\na\r\n\r\n" +
      "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}" +
      'HTTP/1.1 204 No Content\r\nETag: "1"\r\n\r\n' +
      "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    await expectOutcomes(make, replies, [
      [OK, ""],
      [MISS, ""],
      [OK, ""],
      [FAILED, "status 503"],
    ]);
  });
});

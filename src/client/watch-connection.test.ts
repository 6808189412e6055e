/** One connection of a watch, to nodes that a test plays. */
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Address } from "../codec/address.js";
import { settingsFrom } from "./options.js";
import { type Push, WatchConnection } from "./watch-connection.js";

const REQUEST = { keyspace: "default", words: ["", "VALUES"], level: "sequential", token: "" };
const STATUS = JSON.stringify({ node: 1, clusterId: "c", members: [] });
const GREETING = `$${STATUS.length}\r\n${STATUS}\r\n+OK\r\n+OK\r\n$2\r\n47\r\n`;

const open: { close(reason: string): unknown }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close("over");
});

/** `serve` plays the node, from the first bytes of a connection on. */
async function node(serve: (socket: Socket) => void): Promise<Address> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    open.push({ close: () => socket.destroy() });
    socket.once("data", () => serve(socket));
  });
  open.push({ close: () => server.close() });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { host: "127.0.0.1", port: (server.address() as { port: number }).port };
}

function connectTo(address: Address, settings: object = {}): WatchConnection {
  const connection = new WatchConnection(address, settingsFrom(settings));
  open.push(connection);
  return connection;
}

const accept = (): string => "";

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

function texts(push: Push): (string | number | null)[] {
  return push.map((item) => (item instanceof Uint8Array ? Buffer.from(item).toString() : item));
}

test("begins, and tells what comes; an error that follows does not cost what came before it", async () => {
  const address = await node((socket) => {
    socket.write(
      `${GREETING}*6\r\n${["watch", "put", "k"].map(bulk).join("")}:7\r\n${bulk("4757")}$-1\r\n+PONG\r\n?\r\n`,
    );
  });
  const connection = connectTo(address);
  expect(await connection.begin(REQUEST, accept)).toBe("47");
  expect(texts(await connection.next())).toEqual(["put", "k", 7, "4757", null]);
  await expect(connection.next()).rejects.toMatchObject({ code: "unavailable", definite: true });
  await expect(connection.next()).rejects.toThrow(/^unavailable: 127.0.0.1:\d+: /);
});

test("is refused with the node's words, or with the client's", async () => {
  const address = await node((socket) => {
    socket.write(`${bulk(STATUS)}+OK\r\n-ERR level_unsupported: not here\r\n`);
  });
  const error = { code: "level_unsupported", message: "level_unsupported: not here" };
  await expect(connectTo(address).begin(REQUEST, accept)).rejects.toMatchObject(error);
  const refused = connectTo(address).begin(REQUEST, () => "it is a stranger");
  await expect(refused).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("a stranger") });
  const alien = await node((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await expect(connectTo(alien).begin(REQUEST, accept)).rejects.toMatchObject({ code: "unavailable" });
});

test("a node that answers PING lives, one that says nothing does not", async () => {
  let pings = 0;
  const address = await node((socket) => {
    socket.write(GREETING);
    socket.on("data", () => {
      pings += 1;
      if (pings < 4) socket.write("+PONG\r\n");
    });
  });
  const connection = connectTo(address, { silenceMs: 200 });
  await connection.begin(REQUEST, accept);
  await expect(connection.next()).rejects.toThrow("it has said nothing for 200 ms");
  expect(pings).toBeGreaterThanOrEqual(4);
});

test("what nobody takes stays with the node", async () => {
  const value = "x".repeat(100_000);
  const push = Buffer.from(`*6\r\n${["watch", "put", "k"].map(bulk).join("")}:7\r\n${bulk("4757")}${bulk(value)}`);
  const count = 2_000;
  let far: Socket | null = null;
  let written = 0;
  const address = await node((socket) => {
    far = socket;
    socket.write(GREETING);
    const write = (): void => {
      while (written < count && socket.write(push)) written += 1;
      if (written < count) written += 1;
    };
    socket.on("drain", write);
    write();
  });
  const connection = connectTo(address, { silenceMs: 200 });
  await connection.begin(REQUEST, accept);
  // Held up: nothing more is taken, for longer than a node may be silent.
  let sent = -1;
  while (sent !== far!.bytesWritten) {
    sent = far!.bytesWritten;
    await new Promise((done) => setTimeout(done, 500));
  }
  expect(written).toBeLessThan(count / 2);
  for (let i = 0; i < count; i += 1) expect((await connection.next()).length).toBe(5);
  expect(written).toBe(count);
  connection.close("over");
  await expect(connection.next()).rejects.toThrow("over");
});

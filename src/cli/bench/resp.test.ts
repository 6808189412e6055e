import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { FAILED, MISS, OK } from "./driver.js";
import { RespDriver } from "./resp.js";
import { waitUntil } from "./testing/servers.js";
import { MemorySink } from "./testing/sink.js";
import { GET, INCR, SET } from "./workload.js";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that gathers what it is sent; returns its port and the accepted socket. */
async function listen(): Promise<{ port: number; socket: Promise<Socket>; sent: () => string }> {
  let text = "";
  const server = createServer();
  servers.push(server);
  const socket = new Promise<Socket>((resolve) => {
    server.once("connection", (accepted) => {
      accepted.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      accepted.on("error", () => {});
      resolve(accepted);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as { port: number }).port, socket, sent: () => text };
}

async function open(pipeline: number, waitReplicas = 0) {
  const server = await listen();
  const sink = new MemorySink();
  const driver = new RespDriver(Buffer.from("hello"), pipeline, waitReplicas);
  const connection = await driver.connect({ host: "127.0.0.1", port: server.port }, sink);
  return { server, sink, connection, socket: await server.socket };
}

describe("RESP driver", () => {
  it("writes requests whole, with the key patched in, in one write", async () => {
    const { server, connection } = await open(3);
    connection.send(SET, 42, 1);
    connection.send(GET, 1_234_567_890, 2);
    connection.send(INCR, 0, 3);
    expect(connection.ready()).toBe(false);
    connection.flush();
    const expected =
      "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$5\r\nhello\r\n" +
      "*2\r\n$3\r\nGET\r\n$16\r\nkey:001234567890\r\n" +
      "*2\r\n$4\r\nINCR\r\n$16\r\nctr:000000000000\r\n";
    await waitUntil("the requests", async () => server.sent().length >= expected.length);
    expect(server.sent()).toBe(expected);
    connection.close();
  });

  it("reads replies the same however they are split", async () => {
    const replies = "+OK\r\n$-1\r\n$7\r\na\r\n+b\r\n\r\n:-15\r\n-ERR no such thing\r\n$0\r\n\r\n";
    for (let split = 1; split < replies.length; split += 1) {
      const { sink, connection, socket } = await open(6);
      for (let i = 0; i < 6; i += 1) connection.send(GET, i, 10 + i);
      connection.flush();
      socket.setNoDelay(true);
      socket.write(replies.slice(0, split));
      await waitUntil("the first part", async () => sink.turns > 0);
      socket.write(replies.slice(split));
      await waitUntil("all replies", async () => sink.replies.length === 6);
      expect(sink.replies).toEqual([
        { startedUs: 10, outcome: OK, reason: "" },
        { startedUs: 11, outcome: MISS, reason: "" },
        { startedUs: 12, outcome: OK, reason: "" },
        { startedUs: 13, outcome: OK, reason: "" },
        { startedUs: 14, outcome: FAILED, reason: "ERR no such thing" },
        { startedUs: 15, outcome: OK, reason: "" },
      ]);
      expect(connection.ready()).toBe(true);
      connection.close();
    }
  });

  it("counts a write as done when WAIT is answered by enough replicas", async () => {
    const { server, sink, connection, socket } = await open(4, 2);
    connection.send(SET, 1, 1);
    connection.send(GET, 1, 2);
    connection.send(SET, 1, 3);
    connection.send(INCR, 1, 4);
    connection.flush();
    socket.write("+OK\r\n");
    await waitUntil("a turn", async () => sink.turns > 0);
    expect(sink.replies).toEqual([]);
    socket.write(":2\r\n$1\r\nx\r\n+OK\r\n:1\r\n-ERR not a number\r\n:2\r\n");
    await waitUntil("the replies", async () => sink.replies.length === 4);
    expect(sink.replies.map((reply) => [reply.startedUs, reply.outcome, reply.reason])).toEqual([
      [1, OK, ""],
      [2, OK, ""],
      [3, FAILED, "WAIT 2 was answered by 1 replicas"],
      [4, FAILED, "ERR not a number"],
    ]);
    expect(server.sent().match(/WAIT\r\n\$1\r\n2\r\n/g)).toHaveLength(3);
    connection.close();
  });

  it.each([
    ["HTTP/1.1 400 Bad Request\r\n", 1, "no reply to SET, GET, INCR or WAIT: it begins with byte 0x48"],
    ["+OK\r\n+OK\r\n", 1, "a reply that nobody asked for"],
  ])("gives up a connection on which the server sent %j", async (reply, sends, reason) => {
    const { sink, connection, socket } = await open(2);
    for (let i = 0; i < sends; i += 1) connection.send(GET, i, i);
    connection.flush();
    socket.write(reply);
    await waitUntil("the loss", async () => sink.losses.length > 0);
    expect(sink.losses).toHaveLength(1);
    expect(sink.losses[0]!.reason).toContain(reason);
  });

  it("says how many operations a closed connection took with it", async () => {
    const { sink, connection, socket } = await open(5);
    for (let i = 0; i < 5; i += 1) connection.send(GET, i, i);
    connection.flush();
    socket.end("$-1\r\n");
    await waitUntil("the loss", async () => sink.losses.length > 0);
    expect(sink.losses).toEqual([{ reason: "the server closed the connection", inFlight: 4 }]);
    expect(sink.replies).toHaveLength(1);
  });

  it("never overwrites bytes that the kernel has not taken yet", async () => {
    const value = Buffer.alloc(1 << 18, "v");
    const server = await listen();
    const sink = new MemorySink();
    const driver = new RespDriver(value, 64, 0);
    const connection = await driver.connect({ host: "127.0.0.1", port: server.port }, sink);
    const socket = await server.socket;
    socket.pause();
    for (let i = 0; i < 64; i += 1) {
      connection.send(SET, i, i);
      connection.flush();
    }
    socket.resume();
    const expectedBytes =
      64 * `*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$262144\r\n\r\n`.length + 64 * value.length;
    await waitUntil("all requests", async () => server.sent().length >= expectedBytes);
    const keys = [...server.sent().matchAll(/key:(\d{12})/g)].map((match) => Number(match[1]));
    expect(keys).toEqual(Array.from({ length: 64 }, (_, i) => i));
    expect(server.sent().length).toBe(expectedBytes);
    connection.close();
  });

  it("names the address that it cannot reach", async () => {
    const server = await listen();
    const closed = servers.pop()!;
    await new Promise((resolve) => closed.close(resolve));
    const driver = new RespDriver(Buffer.from("v"), 1, 0);
    await expect(driver.connect({ host: "127.0.0.1", port: server.port }, new MemorySink())).rejects.toThrow(
      `cannot connect to 127.0.0.1:${server.port}: connect ECONNREFUSED`,
    );
  });
});

// The driver against Node's own HTTP/2 server, which encodes and decodes headers by an implementation that is not ours.
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { connect, createServer as createTcpServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { FAILED, MISS, OK } from "./driver.js";
import { EtcdDriver } from "./etcd.js";
import { waitUntil } from "./testing/servers.js";
import { MemorySink } from "./testing/sink.js";
import { GET, SET } from "./workload.js";

interface Call {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const servers: (Http2Server | Server)[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function portOf(server: Http2Server | Server): number {
  return (server.address() as { port: number }).port;
}

async function serve(answer: (call: Call) => void): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.on("stream", (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => answer({ stream, headers, body: Buffer.concat(chunks) }));
    stream.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return portOf(server);
}

/** Answers as a gRPC server: a message of `messageBytes`, then the status in trailers. */
function reply(call: Call, messageBytes: number, status: string, message = ""): void {
  call.stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  call.stream.on("wantTrailers", () => call.stream.sendTrailers({ "grpc-status": status, "grpc-message": message }));
  call.stream.end(Buffer.alloc(messageBytes));
}

async function open(port: number, pipeline: number, value = Buffer.alloc(100, "v"), serializable = false) {
  const sink = new MemorySink();
  const connection = await new EtcdDriver(value, pipeline, serializable).connect({ host: "127.0.0.1", port }, sink);
  return { sink, connection };
}

/** Forwards to `port`, handing on the server's bytes in pieces of `size`. */
async function slice(port: number, size: number): Promise<number> {
  const proxy = createTcpServer((client) => {
    const upstream = connect({ host: "127.0.0.1", port });
    client.setNoDelay(true);
    client.on("data", (chunk) => upstream.write(chunk));
    client.on("close", () => upstream.destroy());
    client.on("error", () => {});
    upstream.on("error", () => {});
    let queue: Buffer = Buffer.alloc(0);
    let busy = false;
    const pump = () => {
      busy = queue.length > 0;
      if (!busy) return;
      client.write(queue.subarray(0, size), () => setImmediate(pump));
      queue = queue.subarray(size);
    };
    upstream.on("data", (chunk: Buffer) => {
      queue = Buffer.concat([queue, chunk]);
      if (!busy) pump();
    });
  });
  servers.push(proxy);
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return portOf(proxy);
}

describe("etcd driver", () => {
  it("sends gRPC calls that an independent HTTP/2 server understands, first use and later uses alike", async () => {
    const calls: Call[] = [];
    const port = await serve((call) => {
      calls.push(call);
      reply(call, 80, "0");
    });
    const { sink, connection } = await open(port, 1, Buffer.from("a value"));
    const kinds = [SET, SET, GET, SET, GET, GET] as const;
    for (const [i, kind] of kinds.entries()) {
      connection.send(kind, 1000 + i, i);
      connection.flush();
      await waitUntil("the reply", async () => sink.replies.length === i + 1);
    }
    connection.close();
    expect(sink.replies.map((done) => done.outcome)).toEqual([OK, OK, OK, OK, OK, OK]);
    for (const [i, { headers, body }] of calls.entries()) {
      expect(headers).toMatchObject({
        ":method": "POST",
        ":scheme": "http",
        ":authority": `127.0.0.1:${port}`,
        ":path": kinds[i] === SET ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range",
        "content-type": "application/grpc",
        te: "trailers",
      });
      const key = `\x0a\x10key:00000000${1000 + i}`;
      const message = kinds[i] === SET ? `${key}\x12\x07a value` : key;
      expect(body.toString("latin1")).toBe(`\0\0\0\0${String.fromCharCode(message.length)}${message}`);
    }
  });

  it("asks for serializable reads when told to", async () => {
    let body: Buffer = Buffer.alloc(0);
    const port = await serve((call) => {
      body = call.body;
      reply(call, 80, "0");
    });
    const { sink, connection } = await open(port, 1, Buffer.alloc(1), true);
    connection.send(GET, 7, 0);
    connection.flush();
    await waitUntil("the reply", async () => sink.replies.length === 1);
    expect(body.subarray(-2)).toEqual(Buffer.from([0x38, 0x01]));
    connection.close();
  });

  it.each([1, 2, 7, 100])("reads replies that come in pieces of %i bytes", async (size) => {
    const port = await serve((call) => {
      const key = Number(call.body.subarray(7, 23).toString().slice(4));
      if (key % 3 === 0) reply(call, 300, "0");
      else if (key % 3 === 1) reply(call, 20, "0");
      else call.stream.respond({ ":status": 200, "grpc-status": "8", "grpc-message": "too many" }, { endStream: true });
    });
    const { sink, connection } = await open(await slice(port, size), 9);
    for (let key = 0; key < 9; key += 1) connection.send(GET, key, key);
    expect(connection.ready()).toBe(false);
    connection.flush();
    await waitUntil("all replies", async () => sink.replies.length === 9);
    connection.close();
    for (const { startedUs, outcome, reason } of sink.replies) {
      expect([outcome, reason]).toEqual(
        [
          [OK, ""],
          [MISS, ""],
          [FAILED, "grpc-status 8: too many"],
        ][startedUs % 3],
      );
    }
  });

  it("decodes every printable character of an error message", async () => {
    const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
    // Alone and doubled, so that every code meets every bit offset; a leading or trailing space would be trimmed.
    const messages = printable.flatMap((character) => [`x${character}y`, `${"e".repeat(3)}${character}${character}x`]);
    let next = 0;
    const port = await serve((call) => reply(call, 0, "13", messages[next++]!));
    const { sink, connection } = await open(port, 1);
    for (let i = 0; i < messages.length; i += 1) {
      connection.send(SET, i, i);
      connection.flush();
      await waitUntil("the reply", async () => sink.replies.length === i + 1);
    }
    connection.close();
    expect(sink.replies.map((done) => done.reason)).toEqual(messages.map((text) => `grpc-status 13: ${text}`));
  });

  it("reports streams that end without a status, or are reset", async () => {
    const port = await serve((call) => {
      if (call.headers[":path"] === "/etcdserverpb.KV/Put") call.stream.close(8);
      else {
        call.stream.respond({ ":status": 404 });
        call.stream.end();
      }
    });
    const { sink, connection } = await open(port, 2);
    connection.send(SET, 0, 0);
    connection.send(GET, 0, 1);
    connection.flush();
    await waitUntil("both", async () => sink.replies.length === 2);
    connection.close();
    const reasons = sink.replies.sort((a, b) => a.startedUs - b.startedUs).map((done) => done.reason);
    expect(reasons[0]).toBe("the server reset the stream");
    expect(reasons[1]).toMatch(/without a grpc-status|no grpc-status/);
  });

  it("sends no more than the server's flow-control window, and goes on when it opens", async () => {
    const port = await serve((call) => reply(call, 20, "0"));
    const total = 200;
    // 200 bodies of 8 KiB are 25 times the first window of 65,535 bytes.
    const { sink, connection } = await open(port, total, Buffer.alloc(8192, "v"));
    let sent = 0;
    const pump = () => {
      while (sent < total && connection.ready()) connection.send(SET, sent, sent++);
      connection.flush();
    };
    pump();
    expect(sent).toBe(7);
    await waitUntil("all replies", async () => {
      pump();
      return sink.replies.length === total;
    });
    connection.close();
    expect(sink.replies.every((done) => done.outcome === OK)).toBe(true);
  });

  it("gives up a server that does not speak HTTP/2, or says goodbye", async () => {
    const plain = createTcpServer((socket) => socket.end("-ERR unknown command 'PRI'\r\n"));
    servers.push(plain);
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    const first = await open(portOf(plain), 1);
    await waitUntil("the loss", async () => first.sink.losses.length > 0);
    expect(first.sink.losses[0]!.reason).toContain("does not seem to speak HTTP/2");

    const port = await serve((call) => call.stream.session!.goaway(0, 0, Buffer.from("too_many_pings")));
    const second = await open(port, 1);
    second.connection.send(SET, 0, 0);
    second.connection.flush();
    await waitUntil("the loss", async () => second.sink.losses.length > 0);
    expect(second.sink.losses).toEqual([{ reason: "the server said GOAWAY: too_many_pings", inFlight: 1 }]);
  });
});

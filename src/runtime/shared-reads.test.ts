import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { connectShared, withSharedReads } from "./shared-reads.js";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

async function serve(accepted: (socket: Socket) => void): Promise<[Server, number]> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accepted).listen(0, "127.0.0.1");
  open.push(() => server.close());
  await once(server, "listening");
  return [server, (server.address() as AddressInfo).port];
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  open.push(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Hears everything, as a copy. */
function heard(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
  return new Promise((resolve) => socket.on("close", () => resolve(Buffer.concat(chunks))));
}

describe("a socket with shared reads", () => {
  it("hears what it is sent and nothing of what others are, from the event in which it is taken over", async () => {
    let kept: Uint8Array | null = null;
    const [server, port] = await serve((socket) => {
      socket.once("data", (first: Buffer) => {
        const shared = withSharedReads(socket);
        expect(shared).not.toBe(socket);
        expect(shared.remotePort).toBeGreaterThan(0);
        shared.write(first);
        shared.on("data", (chunk: Buffer) => {
          kept ??= chunk;
          // Reads of all sockets share one buffer: this is what makes them cheap.
          expect(chunk.buffer).toBe(kept.buffer);
          shared.write(Buffer.from(chunk));
        });
        shared.on("end", () => shared.end());
      });
    });
    const clients = await Promise.all(Array.from({ length: 8 }, () => dial(port)));
    const echoes = clients.map(heard);
    const sent = clients.map((_, at) => Buffer.alloc(300_000, `${at} and so on; `));
    for (let from = 0; from < 300_000; from += 10_000) {
      clients.forEach((client, at) => void client.write(sent[at].subarray(from, from + 10_000)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const client of clients) client.end();
    expect((await Promise.all(echoes)).map((echo, at) => echo.equals(sent[at]))).toEqual(clients.map(() => true));
    // The server has counted them out: it ends.
    const closed = once(server, "close");
    server.close();
    await closed;
  });

  it("reads nothing while it is paused, and goes on where it was", async () => {
    let taken: Socket | null = null;
    const [, port] = await serve((socket) => {
      taken = withSharedReads(socket);
    });
    const client = await dial(port);
    while (taken === null) await new Promise((resolve) => setImmediate(resolve));
    const socket = taken as Socket;
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      socket.pause();
    });
    client.write(Buffer.alloc(4_000_000));
    while (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(bytes).toBeLessThanOrEqual(65_536);
    while (bytes < 4_000_000) {
      socket.resume();
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    expect(bytes).toBe(4_000_000);
  });

  it("tells of the end and of a reset", async () => {
    const events: string[] = [];
    const [server, port] = await serve((given) => {
      const socket = withSharedReads(given);
      socket.on("data", () => socket.write("heard"));
      socket.on("end", () => events.push("end"));
      socket.on("error", () => events.push("error"));
      socket.on("close", () => events.push("close"));
      socket.on("end", () => socket.end());
    });
    const client = await dial(port);
    client.end("x");
    client.resume();
    await once(client, "close");
    while (events.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(events.splice(0)).toEqual(["end", "close"]);
    const rude = await dial(port);
    rude.write("x");
    await once(rude, "data");
    rude.resetAndDestroy();
    while (events.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(events).toEqual(["error", "close"]);
    const closed = once(server, "close");
    server.close();
    await closed;
  });

  it("can be dialled, too", async () => {
    const [, port] = await serve((socket) => socket.pipe(socket));
    const socket = connectShared({ port, host: "127.0.0.1", noDelay: true });
    open.push(() => socket.destroy());
    const echo = heard(socket);
    const sent = Buffer.alloc(500_000, "round and round ");
    socket.end(sent);
    expect((await echo).equals(sent)).toBe(true);
  });
});

import { afterEach, expect, test } from "vitest";
import type { ServerLimits } from "./limits.js";
import { ClientListener } from "./listener.js";
import { MemoryBackend } from "./testing/memory-backend.js";
import { RawClient } from "./testing/raw-client.js";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function serve(
  limits: Partial<ServerLimits> = {},
): Promise<{ backend: MemoryBackend; listener: ClientListener }> {
  const backend = new MemoryBackend();
  const listener = await ClientListener.listen({ backend, host: "127.0.0.1", port: 0, limits });
  open.push(listener);
  return { backend, listener };
}

async function client(listener: ClientListener): Promise<RawClient> {
  const raw = await RawClient.connect(listener.port);
  open.push(raw);
  return raw;
}

test("SET, GET, PING", async () => {
  const { listener } = await serve();
  const raw = await client(listener);
  expect(await raw.ask(["PING"], ["SET", "x", "1"], ["GET", "x"], ["GET", "y"])).toEqual([
    "+PONG\r\n",
    "+OK\r\n",
    "$1\r\n1\r\n",
    "$-1\r\n",
  ]);
});

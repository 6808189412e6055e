import { afterAll, beforeAll, beforeEach } from "vitest";
import { ClientListener } from "../listener.js";
import { MemoryBackend } from "./memory-backend.js";
import { RawClient } from "./raw-client.js";
import { RedisProcess } from "./redis-process.js";

/** A real Redis and ours, both empty, and a fresh connection to each. */
export interface Pair {
  readonly redis: RedisProcess;
  readonly listener: ClientListener;
  readonly theirs: RawClient;
  readonly ours: RawClient;
}

/** For the `describe` that it is called in: `begin` is given the pair before each of its tests. */
export function besideRedis(begin: (pair: Pair) => void): void {
  let redis: RedisProcess;
  let listener: ClientListener;

  beforeAll(async () => {
    redis = await RedisProcess.start();
    listener = await ClientListener.listen({ backend: new MemoryBackend(), host: "127.0.0.1", port: 0 });
  });

  afterAll(async () => {
    await redis?.close();
    await listener?.close();
  });

  beforeEach(async () => {
    const theirs = await RawClient.connect(redis.port);
    const ours = await RawClient.connect(listener.port);
    for (const client of [theirs, ours]) await client.ask(["FLUSHALL"]);
    begin({ redis, listener, theirs, ours });
    return () => {
      theirs.close();
      ours.close();
    };
  });
}

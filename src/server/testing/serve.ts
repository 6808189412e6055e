import type { ServerLimits } from "../limits.js";
import { ClientListener } from "../listener.js";
import { MemoryBackend } from "./memory-backend.js";
import { RawClient } from "./raw-client.js";

export interface Served {
  backend: MemoryBackend;
  listener: ClientListener;
  client: () => Promise<RawClient>;
}

/** What a test has opened, in order; {@link closeOpen} after each test. */
export const open: { close(): unknown }[] = [];

export async function closeOpen(): Promise<void> {
  for (const thing of open.splice(0).reverse()) await thing.close();
}

/** A listener on a port of its own, over a backend in memory. */
export async function serve(limits: Partial<ServerLimits> = {}): Promise<Served> {
  const backend = new MemoryBackend();
  const listener = await ClientListener.listen({ backend, host: "127.0.0.1", port: 0, limits });
  open.push(listener);
  const client = async (): Promise<RawClient> => {
    const raw = await RawClient.connect(listener.port);
    open.push(raw);
    return raw;
  };
  return { backend, listener, client };
}

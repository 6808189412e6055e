import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** Of the moment: for a process that cannot be given port 0. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** TCP ports for processes that come and go. */
import { createServer } from "node:net";

/**
 * Below the range that the kernel takes outgoing ports from: there a port of a node that is dead for a moment could be
 * somebody's by the time that it starts again.
 */
const PORT_MIN = 12_000;
const PORT_MAX = 32_000;
const taken = new Set<number>();

/** A port that nobody listens on and that this process has not given away before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (taken.has(port) || !(await isFree(port))) continue;
    taken.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => done(true)));
  });
}

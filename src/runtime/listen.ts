/** Listening on a port that somebody may have for a moment. */
import { readFileSync } from "node:fs";
import type { Server } from "node:net";

/** How long a port may be taken. Outgoing connections come and go; who listens there stays. */
export const LISTEN_RETRY_MS = 3_000;
const RETRY_PAUSE_MS = 100;

export interface ListenTarget {
  readonly port: number;
  readonly host: string;
  readonly retryMs: number;
  /** False once the server has been closed. */
  readonly isWanted: () => boolean;
}

/** `done` hears null or what was wrong, once; nothing if the server is closed meanwhile. */
export function listenPatiently(
  server: Server,
  { port, host, retryMs, isWanted }: ListenTarget,
  done: (error: NodeJS.ErrnoException | null) => void,
): void {
  const untilMs = performance.now() + retryMs;
  const failed = (error: NodeJS.ErrnoException): void => {
    if (!isWanted()) return;
    if (error.code === "EADDRINUSE" && performance.now() < untilMs) setTimeout(attempt, RETRY_PAUSE_MS);
    else done(error);
  };
  const listening = (): void => {
    server.off("error", failed);
    if (isWanted()) done(null);
  };
  const attempt = (): void => {
    if (!isWanted()) return;
    server.once("error", failed);
    server.listen(port, host);
  };
  server.once("listening", listening);
  attempt();
}

/**
 * "" or what to know of a port in the range from which the system gives ports to outgoing connections: one of those may
 * have it, which is no process that listens.
 */
export function outgoingPortHint(port: number): string {
  const [first, last] = outgoingPorts();
  if (port < first || port > last) return "";
  return ` (an outgoing connection may have it: the system takes their ports from ${first} to ${last}; a port outside is safe)`;
}

function outgoingPorts(): readonly [number, number] {
  try {
    const [first, last] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")
      .trim()
      .split(/\s+/)
      .map(Number);
    return [first, last];
  } catch {
    // Not Linux. What IANA has set aside for it.
    return [49_152, 65_535];
  }
}

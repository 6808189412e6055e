/** Where nodes listen unless they are told otherwise, and how an address is written. */

/** A member's peers reach it on its client port plus this, unless it says otherwise. */
export const PEER_PORT_OFFSET = 1000;
export const LOOPBACK_HOST = "127.0.0.1";
export const DEFAULT_PORT_BASE = 7001;
const DEFAULT_NODES = 3;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Splits `host:port` or `[v6]:port`; null when it is neither. */
export function splitAddress(text: string): Address | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host: (match[1] ?? match[2])!, port } : null;
}

export function showAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Those of the cluster that `gamut up` starts. */
export function defaultAddresses(): Address[] {
  return Array.from({ length: DEFAULT_NODES }, (_, i) => ({ host: LOOPBACK_HOST, port: DEFAULT_PORT_BASE + i }));
}

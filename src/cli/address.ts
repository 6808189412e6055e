/** Where nodes listen unless they are told otherwise. */
import type { Address } from "../codec/address.js";

export { type Address, showAddress, splitAddress } from "../codec/address.js";

/** A member's peers reach it on its client port plus this, unless it says otherwise. */
export const PEER_PORT_OFFSET = 1000;
export const LOOPBACK_HOST = "127.0.0.1";
export const DEFAULT_PORT_BASE = 7001;
const DEFAULT_NODES = 3;

/** Those of the cluster that `gamut up` starts. */
export function defaultAddresses(): Address[] {
  return Array.from({ length: DEFAULT_NODES }, (_, i) => ({ host: LOOPBACK_HOST, port: DEFAULT_PORT_BASE + i }));
}

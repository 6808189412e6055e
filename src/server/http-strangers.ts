/**
 * Pages of other sites. A browser lets any page send requests to any address, the user's own machine included; this node
 * trusts whoever reaches it, so it has to tell a page's requests from a client's.
 *
 * - Writes with an `Origin` that is not this node's, or that the browser marks as cross-site, are refused. Reads are not:
 *   there are no CORS headers, so the page does not get to see the answer.
 * - DNS rebinding: a page's own host name is made to point to 127.0.0.1, and then the page is of the same origin. So a
 *   connection over loopback must name a host that no stranger can hold: an IP address, localhost, or a member's own name.
 *   On other interfaces every name may be right, and is not looked at.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { Backend } from "../kv/backend.js";
import { Problem } from "./http-problem.js";

const READING = new Set(["GET", "HEAD", "OPTIONS"]);

export function refuseStranger(request: IncomingMessage, backend: Backend): Problem | null {
  const { headers, socket, method = "" } = request;
  const { host, origin } = headers;
  if (host === undefined) {
    if (request.httpVersion === "1.0") return null;
    return new Problem("bad_request", "an HTTP/1.1 request must have one Host field");
  }
  const hostname = hostnameOf(host);
  if (isLoopback(socket.localAddress ?? "") && !isOwnName(hostname, backend)) {
    const detail = `over loopback this node answers to IP addresses, localhost and its members' names, not to ${hostname.slice(0, 80)}`;
    return new Problem("host_refused", detail);
  }
  if (READING.has(method)) return null;
  const isOther = origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`;
  const site = headers["sec-fetch-site"];
  if (!isOther && site !== "cross-site" && site !== "same-site") return null;
  return new Problem("cross_site", `a page of ${(origin ?? "another site").slice(0, 80)} may not ${method} here`);
}

/** Without the port; an IPv6 address without its brackets. */
function hostnameOf(host: string): string {
  const bracket = /^\[([^\]]*)\]/.exec(host);
  return (bracket?.[1] ?? host.replace(/:\d*$/, "")).toLowerCase();
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.");
}

function isOwnName(hostname: string, backend: Backend): boolean {
  if (hostname === "localhost" || hostname.endsWith(".localhost") || isIP(hostname) !== 0) return true;
  return backend.status().members.some((member) => hostnameOf(member.clientAddress) === hostname);
}

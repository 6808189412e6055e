import type { Catalog } from "../cluster/catalog.js";
import { KvError } from "../kv/errors.js";
import { decodeToken, encodeToken, Token } from "../kv/token.js";
import type { HostedGroups } from "./hosted-groups.js";
import type { NodeSession } from "./session.js";

/** What the session has seen, in every group, for any node of the cluster. */
export function issueToken(session: NodeSession, clusterId: string, groups: HostedGroups): Uint8Array {
  const token = new Token(clusterId);
  for (const [id, position] of session.positions) {
    token.raise(id, id, groups.get(id)?.machine.outbox.appliedEpoch ?? 0, position);
  }
  return encodeToken(token);
}

/** From here on the session sees nothing older than the token's bearer has. Null, or why that cannot be had. */
export function takeToken(
  session: NodeSession,
  bytes: Uint8Array,
  clusterId: string,
  groups: HostedGroups,
  catalog: Catalog,
): KvError | null {
  const token = decodeToken(bytes, clusterId);
  if (token instanceof KvError) return token;
  for (const { group } of token.list()) {
    if (group < catalog.nextGroup && !groups.has(group)) return new KvError("keyspace_gone");
  }
  for (const { group, position } of token.list()) {
    if (position > session.positionIn(group)) session.positions.set(group, position);
  }
  return null;
}

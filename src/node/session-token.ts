import type { Catalog } from "../cluster/catalog.js";
import { KvError } from "../kv/errors.js";
import { decodeToken, encodeToken, Token } from "../kv/token.js";
import { Gossip } from "../protocols/gossip/gossip.js";
import type { HostedGroups } from "./hosted-groups.js";
import type { NodeSession } from "./session.js";

/** Groups of which the tokens of one session may tell a position: far fewer than one token can hold. */
const GROUPS_MAX = 1_024;
/** Lives of nodes, and groups, that the tokens of one session may name. */
const SEEN_ORIGINS_MAX = 1_024;

/** What the session has seen, in every group, for any node of the cluster. */
export function issueToken(session: NodeSession, clusterId: string, groups: HostedGroups): Uint8Array {
  const token = new Token(clusterId);
  for (const [id, position] of session.positions) {
    token.raise(id, id, groups.get(id)?.machine.outbox.appliedEpoch ?? 0, position);
  }
  for (const [id, seen] of session.seen) if (!seen.isEmpty) token.seen.push({ keyspace: id, group: id, seen });
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
  for (const { group } of [...token.list(), ...token.seen]) {
    if (group < catalog.nextGroup && !groups.has(group)) return new KvError("keyspace_gone");
  }
  for (const { group, seen } of token.seen) {
    const machine = groups.get(group)?.machine;
    const problem = machine instanceof Gossip ? machine.gateway.claimProblem(seen) : null;
    if (problem !== null) return problem;
  }
  let named = 0;
  for (const seen of session.seen.values()) named += seen.origins.length + 1;
  for (const { seen } of token.seen) named += seen.origins.length + 1;
  if (named > SEEN_ORIGINS_MAX) {
    return new KvError("bad_token", `the tokens of one session name more than ${SEEN_ORIGINS_MAX} lives of nodes`);
  }
  const groupsNamed = new Set([...session.positions.keys(), ...token.list().map(({ group }) => group)]);
  if (groupsNamed.size > GROUPS_MAX) {
    return new KvError("bad_token", `the tokens of one session name more than ${GROUPS_MAX} groups`);
  }
  for (const { group, position } of token.list()) {
    if (position > session.positionIn(group)) session.positions.set(group, position);
  }
  for (const { group, seen } of token.seen) session.seenIn(group).merge(seen);
  return null;
}

import type { Backend } from "../kv/backend.js";
import { unknownLevel } from "../kv/grants.js";

/** Why a level of that name cannot be asked of that keyspace, and which can. */
export function unknownLevelOf(backend: Backend, keyspace: string, found: string): string {
  const protocol = backend.status().keyspaces.find(({ name }) => name === keyspace)?.protocol ?? "";
  return unknownLevel(found, protocol);
}

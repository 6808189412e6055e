export const DEFAULT_KEYSPACE = "default";

/** The keyspace that a client means: Redis' number 0 is the default one. */
export function keyspaceNamed(name: string): string {
  return name === "0" ? DEFAULT_KEYSPACE : name;
}

import { execFileSync } from "node:child_process";

/** Debian's name of a program of libmemcached-tools, or its own; "" where there is neither. */
export function libmemcachedTool(...names: readonly string[]): string {
  for (const name of names) {
    try {
      execFileSync("which", [name]);
      return name;
    } catch {
      // Perhaps under its other name.
    }
  }
  return "";
}

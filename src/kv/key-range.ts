/** Ranges of keys in the order of their bytes. */
import { COMMAND_LIMITS } from "./limits.js";

/** The first key that follows all keys with the prefix; undefined: there is none. */
export function prefixEnd(prefix: string): string | undefined {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length -= 1;
  if (length === 0) return undefined;
  return prefix.slice(0, length - 1) + String.fromCharCode(prefix.charCodeAt(length - 1) + 1);
}

/** The first key that may follow this one, for a range that ends after it; "": there is none. */
export function nextKey(key: string): string {
  return key.length < COMMAND_LIMITS.keyBytesMax ? `${key}\0` : (prefixEnd(key) ?? "");
}

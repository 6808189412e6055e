/**
 * All that an object knows, as text: every field of it and of what it refers to, in order, each object once. Two objects
 * with one fingerprint behave alike, if functions among their fields hold nothing of their own.
 */
export function fingerprint(root: object, skip: ReadonlySet<string>): string {
  const seen = new Map<object, number>();
  const parts: string[] = [];

  function visit(value: unknown): void {
    if (typeof value === "function") parts.push("f");
    else if (typeof value !== "object" || value === null) parts.push(String(value));
    else if (seen.has(value)) parts.push(`@${seen.get(value)}`);
    else {
      seen.set(value, seen.size);
      visitObject(value);
    }
    parts.push(";");
  }

  function visitObject(value: object): void {
    if (value instanceof Uint8Array) parts.push(`b${value.join(",")}`);
    else if (value instanceof Map) {
      parts.push("m");
      for (const [key, item] of value) {
        visit(key);
        visit(item);
      }
    } else if (value instanceof Set || Array.isArray(value)) {
      parts.push("a");
      for (const item of value) visit(item);
    } else {
      parts.push("{");
      for (const [key, item] of Object.entries(value)) {
        if (skip.has(key)) continue;
        parts.push(key, ":");
        visit(item);
      }
    }
    parts.push("}");
  }

  visit(root);
  return parts.join("");
}

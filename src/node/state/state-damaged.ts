import type { GroupId } from "../../core/machine.js";

/**
 * The durable state of a group is not what was written. The replica has lost its memory: it must set the state aside
 * and come back recovering, never answer from what is left.
 */
export class StateDamaged extends Error {
  override readonly name = "StateDamaged";

  constructor(
    readonly group: GroupId,
    /** Latin1; null when no single entry is to blame. */
    readonly key: string | null,
    what: string,
  ) {
    super(`the state of group ${group} is damaged${key === null ? "" : ` at key "${escapeKey(key)}"`}: ${what}`);
  }
}

/** The state was written in a format that this build does not know. It is not damaged: do not throw it away. */
export class StateFormatUnknown extends Error {
  override readonly name = "StateFormatUnknown";
}

/** Printable ASCII as it is, every other byte as `\xNN`. */
export function escapeKey(key: string): string {
  let text = "";
  for (let i = 0; i < key.length; i += 1) {
    const code = key.charCodeAt(i);
    const printable = code >= 0x20 && code < 0x7f && code !== 0x22 && code !== 0x5c;
    text += printable ? key[i] : `\\x${code.toString(16).padStart(2, "0")}`;
  }
  return text;
}

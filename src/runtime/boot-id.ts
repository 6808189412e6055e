/** What tells one run of the machine's kernel from the next. */
import { readFileSync } from "node:fs";

const BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id";

/** A UUID that the kernel draws when it starts; "" where there is none to be had (only Linux has it). */
export function readBootId(): string {
  try {
    const text = readFileSync(BOOT_ID_FILE, "latin1").trim();
    return /^[0-9a-f-]{36}$/.test(text) ? text : "";
  } catch {
    return "";
  }
}

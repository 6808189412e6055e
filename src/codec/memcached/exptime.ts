import { type Command, CommandFlag } from "../../kv/command.js";

const RELATIVE_SECONDS_MAX = 60 * 60 * 24 * 30;

/** 0: never. Up to 30 days: from now. More: since 1970. Negative: at once. */
export function applyExptime(command: Command, seconds: number): void {
  if (seconds === 0) return;
  if (seconds > 0 && seconds <= RELATIVE_SECONDS_MAX) {
    command.deadlineMs = seconds * 1000;
    command.flags |= CommandFlag.deadlineRelative;
  } else command.deadlineMs = Math.max(seconds, 0) * 1000;
}

/** Finds out before a start whether a port is free, and if not, who has it. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { outgoingPortHint } from "../runtime/listen.js";

const PAUSE_MS = 100;

/** As {@link portInUse}, but somebody may have the port for a moment: tried until it is free, or for so many ms. */
export async function portInUseFor(
  retryMs: number,
  host: string,
  port: number,
  setting: string,
): Promise<string | null> {
  const untilMs = performance.now() + retryMs;
  for (;;) {
    const problem = await portInUse(host, port, setting);
    if (problem === null || performance.now() >= untilMs) return problem;
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

/** Null when the port can be listened on, else what is wrong and what to do. `setting` names where it was chosen. */
export function portInUse(host: string, port: number, setting: string): Promise<string | null> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => done(portProblem(error, host, port, setting)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(null)));
  });
}

function portProblem(error: NodeJS.ErrnoException, host: string, port: number, setting: string): string {
  switch (error.code) {
    case "EADDRINUSE": {
      const owner = processListeningOn(port);
      const who = owner === null ? "" : ` by process ${owner.pid} (${owner.command})`;
      const stop = owner === null ? "stop the process that listens there" : howToStop(owner);
      const hint = owner === null ? outgoingPortHint(port) : "";
      return `port ${port} on ${host} is in use${who}${hint}: ${stop}, or choose another with ${setting}`;
    }
    case "EACCES":
      return `port ${port} on ${host} needs privileges: choose one above 1023 with ${setting}`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `this machine has no address ${host}: choose one that it has, e.g. 127.0.0.1`;
    default:
      return `port ${port} on ${host} cannot be used: ${error.message}`;
  }
}

export interface PortOwner {
  readonly pid: number;
  readonly command: string;
  /** The `gamut up` that started it, and would start it again; 0: none did. */
  readonly upPid: number;
}

function howToStop({ pid, upPid }: PortOwner): string {
  return upPid === 0 ? `stop it (kill ${pid})` : `stop the \`gamut up\` that runs it (Ctrl-C there, or kill ${upPid})`;
}

/** From /proc, so on Linux only, and of this user's processes only; else null. */
export function processListeningOn(port: number): PortOwner | null {
  try {
    const inodes = new Set([...listeningInodes("/proc/net/tcp", port), ...listeningInodes("/proc/net/tcp6", port)]);
    return inodes.size === 0 ? null : ownerOf(inodes);
  } catch {
    return null;
  }
}

/** State 0A is LISTEN; the local address ends in the port, in hexadecimal. */
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes: string[] = [];
  for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields.length > 9 && fields[1].endsWith(suffix) && fields[3] === "0A") inodes.push(`socket:[${fields[9]}]`);
  }
  return inodes;
}

function ownerOf(inodes: ReadonlySet<string>): PortOwner | null {
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const folder = `/proc/${pid}/fd`;
      if (!readdirSync(folder).some((fd) => inodes.has(linkOrEmpty(`${folder}/${fd}`)))) continue;
      return { pid: Number(pid), command: commandOf(pid).slice(0, 3).join(" ").slice(0, 120), upPid: upAbove(pid) };
    } catch {
      // Another user's, or gone meanwhile.
    }
  }
  return null;
}

function commandOf(pid: string): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").slice(0, -1);
}

/** 0: its parent is none. */
function upAbove(pid: string): number {
  if (!isGamut(commandOf(pid), "node")) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The second field is the name, in parentheses, and may hold anything.
  const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
  return isGamut(commandOf(parent), "up") ? Number(parent) : 0;
}

function isGamut(command: readonly string[], subcommand: string): boolean {
  const at = command.findIndex((word) => /(^|[\\/])gamut(\.js)?$/.test(word));
  return at >= 0 && command[at + 1] === subcommand;
}

function linkOrEmpty(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

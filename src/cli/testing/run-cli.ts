import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const GAMUT = fileURLToPath(new URL("../../../bin/gamut.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly bytes: Buffer;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
}

/** The real command line, as the shell would start it: stdout and stderr are pipes. */
export function runCli(args: readonly string[], { input, env }: RunOptions = {}): Promise<Ran> {
  const child = spawn(process.execPath, [GAMUT, ...args], { env: { ...process.env, ...env } });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => {}); // it may have ended before it read all
  child.stdin.end(input ?? "");
  return new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code) => {
      const bytes = Buffer.concat(out);
      done({ code, bytes, out: bytes.toString("utf8"), err: Buffer.concat(err).toString("utf8") });
    });
  });
}

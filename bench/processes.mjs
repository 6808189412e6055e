// Child processes of the benchmark: started on ports that were free, stopped by the handle that started them.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const STOP_LIMIT_MS = 15_000;
/** Below the range from which Linux takes the ports of outgoing connections. */
const PORT_FIRST = 20_000;
const PORT_LAST = 29_000;

const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill(child.exitSignal);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

/** `{ port: 1, dir: "x" }` as `--port 1 --dir x`. */
export function flags(values) {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Starts a program; what it prints goes to `logFile`. If this process ends first, the program gets `exitSignal`. */
export function start(program, parameters, logFile, exitSignal = "SIGKILL") {
  const log = openSync(logFile, "a");
  const child = spawn(program, parameters, { stdio: ["ignore", log, log] });
  closeSync(log);
  running.add(child);
  child.exitSignal = exitSignal;
  child.failure = null;
  child.once("error", (error) => {
    child.failure = error.message;
    running.delete(child);
  });
  child.once("exit", (code, signal) => {
    child.failure ??= `it ended with ${signal ?? `exit code ${code}`}`;
    running.delete(child);
  });
  child.logFile = logFile;
  return child;
}

/** Asks each process to end, waits, and kills those that did not. */
export async function stop(children, signal = "SIGTERM") {
  await Promise.all(
    children.map(async (child) => {
      if (!running.has(child)) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill(signal);
      const inTime = await Promise.race([ended.then(() => true), sleep(STOP_LIMIT_MS, false, { ref: false })]);
      if (inTime === true) return;
      console.error(`process ${child.pid} did not end within ${STOP_LIMIT_MS} ms of ${signal}: killed`);
      child.kill("SIGKILL");
      await ended;
    }),
  );
}

/** Polls `probe` until it returns something other than undefined; fails when a child ends or time runs out. */
export async function waitFor(what, children, probe, limitMs = 30_000) {
  const limit = Date.now() + limitMs;
  let reason = "";
  while (Date.now() < limit) {
    const dead = children.find((child) => child.failure !== null);
    if (dead) throw new Error(`${what} did not start: ${dead.failure}\n${tail(dead.logFile)}`);
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      reason = error.message;
    }
    await sleep(100);
  }
  throw new Error(`${what} was not ready within ${limitMs / 1000} s ${reason}\n${tail(children[0].logFile)}`);
}

function tail(file) {
  return readFileSync(file, "utf8").split("\n").slice(-12).join("\n");
}

/** The first of `count` consecutive ports that are all free, and free again at each of `offsets` above. */
export async function freePortBase(count, offsets = [0]) {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const base = PORT_FIRST + Math.floor(Math.random() * (PORT_LAST - PORT_FIRST));
    const wanted = offsets.flatMap((offset) => Array.from({ length: count }, (_, i) => base + offset + i));
    const free = await Promise.all(wanted.map(isFree));
    if (free.every(Boolean)) return base;
  }
  throw new Error(`found no ${count} free consecutive ports between ${PORT_FIRST} and ${PORT_LAST}`);
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

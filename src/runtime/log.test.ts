import { describe, expect, it } from "vitest";
import { LineLogger, type LogOptions, silentLogger } from "./log.js";

const NOON = Date.UTC(2024, 4, 6, 12, 3, 4, 123);

function collect(options: LogOptions): { logger: LineLogger; lines: string[] } {
  const lines: string[] = [];
  const logger = new LineLogger({ wallMs: () => NOON, write: (line) => lines.push(line), ...options });
  return { logger, lines };
}

describe("LineLogger", () => {
  it("writes one line for a person", () => {
    const { logger, lines } = collect({ node: 2 });
    logger.warn("peer is silent", { peer: 3, delayMs: 40, why: "no bytes", ok: false, none: null });
    expect(lines).toEqual([
      '2024-05-06T12:03:04.123Z warn  node 2  peer is silent  peer=3 delayMs=40 why="no bytes" ok=false none=null\n',
    ]);
  });

  it("writes one JSON object a line for a machine", () => {
    const { logger, lines } = collect({ node: 2, json: true });
    logger.error("disk is full", { bytes: 5, level: "hidden?" });
    expect(lines).toHaveLength(1);
    expect(lines[0].endsWith("\n")).toBe(true);
    expect(JSON.parse(lines[0])).toEqual({
      time: "2024-05-06T12:03:04.123Z",
      level: "error",
      node: 2,
      message: "disk is full",
      bytes: 5,
    });
  });

  it("keeps levels below its own quiet", () => {
    const { logger, lines } = collect({ level: "warn" });
    logger.debug("a");
    logger.info("b");
    logger.warn("c");
    logger.error("d");
    expect(lines.map((line) => line.slice(25, 30))).toEqual(["warn ", "error"]);
  });

  it("never lets text break the line, nor grow it without limit", () => {
    const { logger, lines } = collect({});
    logger.info("a\nb\r\u001b[2J\u2028", { text: "x\n12:00 error fake" });
    logger.info("y".repeat(100_000));
    for (const char of ["\n", "\r", "\u001b", "\u2028"]) expect(lines[0].slice(0, -1)).not.toContain(char);
    expect(lines[0]).toContain("a\\nb\\r");
    expect(lines[1].length).toBeLessThan(5000);
  });

  it("can be silent", () => {
    expect(silentLogger.error("x")).toBeUndefined();
  });
});

import { expect, it } from "vitest";
import { LineLogger } from "../runtime/log.js";
import { ParentLogger } from "./parent-logger.js";

it("tells the parent what is wrong with the node, not each trouble of a connection", () => {
  const written: string[] = [];
  const told: string[] = [];
  const own = new LineLogger({ node: 2, level: "debug", write: (line) => written.push(line) });
  const logger = new ParentLogger(own, (text) => told.push(text));
  logger.debug("a");
  logger.info("b");
  logger.warn("no connection to peer, dialing on", { peer: 3, address: "127.0.0.1:1" });
  logger.warn("the state is damaged and set aside", { reason: "a flipped bit" });
  logger.error("the log cannot be written\nat all");
  expect(written).toHaveLength(5);
  expect(told).toEqual([
    'the state is damaged and set aside  reason="a flipped bit"',
    "the log cannot be written\\nat all",
  ]);
});

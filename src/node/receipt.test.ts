import { expect, test } from "vitest";
import type { ReplicaProgress } from "../core/machine.js";
import { Command, getCommand, Op, setCommand } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { Level } from "../kv/level.js";
import { renderReceipt } from "../kv/receipt.js";
import { errorResult, integerResult } from "../kv/result.js";
import { NODE_DEFAULTS, type NodeOptions } from "./options.js";
import { receiptOf } from "./receipt.js";
import type { NodeRequest } from "./session.js";

const options: NodeOptions = { ...NODE_DEFAULTS, node: 2, members: [], buildVersion: "0" };
const replicas: ReplicaProgress[] = [
  { node: 3, durablePosition: 9, recovering: false },
  { node: 1, durablePosition: 8, recovering: false },
  { node: 2, durablePosition: 7, recovering: false },
  { node: 4, durablePosition: 9, recovering: true },
];
const machine = {
  describe: () => ({
    role: "leader",
    leader: 3,
    epoch: 5,
    lastPosition: 9,
    commitPosition: 8,
    appliedPosition: 8,
    recovering: false,
  }),
  progress: () => replicas,
};
const asked = (command: Command, level: Level): NodeRequest =>
  ({ command, level, position: 8 }) as unknown as NodeRequest;
const done = integerResult(1n);

test("a write stands in the log, whatever level was asked; durable where position 8 is, but not on who has lost memory", () => {
  expect(receiptOf(asked(setCommand("x", new Uint8Array(0)), Level.sequential), done, machine, options)).toEqual({
    asked: Level.sequential,
    given: Level.linearizable,
    protocol: "raft",
    node: 2,
    leader: 3,
    epoch: 5,
    position: 8,
    durableOn: [1, 3],
    evidence: "log",
  });
});

test("a read is confirmed by the leader, or local", () => {
  const evidence = (level: Level): unknown => {
    const receipt = receiptOf(asked(getCommand("x"), level), done, machine, options)!;
    return [receipt.given, receipt.evidence];
  };
  expect(evidence(Level.linearizable)).toEqual([Level.linearizable, "read-index"]);
  expect(evidence(Level.sequential)).toEqual([Level.sequential, "local"]);
});

test("what is durable is told to be with the operating system alone", () => {
  const receipt = receiptOf(asked(setCommand("x", new Uint8Array(0)), Level.linearizable), done, machine, {
    ...options,
    durability: "os",
  })!;
  expect([receipt.durableOn, receipt.durability]).toEqual([[1, 3], "os"]);
  expect(renderReceipt(receipt)).toContain(" durable-on=1,3 durability=os");
});

test("in memory nothing is durable", () => {
  const receipt = receiptOf(asked(getCommand("x"), Level.linearizable), done, machine, {
    ...options,
    durability: "memory",
  });
  expect(receipt!.durableOn).toEqual([]);
});

test("errors and WAIT have none", () => {
  const error = errorResult(new KvError("unavailable"));
  expect(receiptOf(asked(getCommand("x"), Level.linearizable), error, machine, options)).toBeNull();
  expect(receiptOf(asked(new Command(Op.progress), Level.linearizable), done, machine, options)).toBeNull();
});

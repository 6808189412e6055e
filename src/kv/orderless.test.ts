import { expect, test } from "vitest";
import {
  Command,
  CommandFlag,
  deleteCommand,
  getCommand,
  incrementCommand,
  isWrite,
  Op,
  setCommand,
} from "./command.js";
import { Level } from "./level.js";
import { orderlessProblem } from "./orderless.js";
import { Request, type RequestId } from "./request.js";

function problem(command: Command, id: RequestId | null = null): string | null {
  const request = new Request(command, Level.eventual, { reply: () => {} });
  request.id = id;
  return orderlessProblem(request, "gossip")?.message ?? null;
}

test("plain writes and all reads need no order; what depends on what it finds does, and is told where it is done", () => {
  const plain = [setCommand("x", new Uint8Array(1)), deleteCommand(["x"]), new Command(Op.setMany), getCommand("x")];
  for (const command of plain) expect(problem(command)).toBeNull();
  for (const op of Object.values(Op)) {
    const served = !isWrite(op) || op === Op.set || op === Op.delete || op === Op.setMany;
    expect(problem(new Command(op)) === null, `op ${op}`).toBe(served);
  }
  for (const flag of ["ifAbsent", "ifPresent", "returnPrevious", "keepDeadline"] as const) {
    const command = setCommand("x", new Uint8Array(1));
    command.flags = CommandFlag[flag];
    expect(problem(command)).toContain("a keyspace of protocol raft does it");
  }
  expect(problem(incrementCommand("x", 1n))).toMatch(/^an increment needs an order .*\(gossip\)/);
  const id = { client: "c".repeat(16), sequence: 1, acknowledgedThrough: 0, openedMs: 0 };
  expect(problem(setCommand("x", new Uint8Array(1)), id)).toContain("at most once");
});

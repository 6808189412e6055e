/** `POST /v1/keyspaces/{keyspace}/batch`: several operations as one. */
import { Command, CommandFlag, deleteCommand, getCommand, incrementCommand, Op, setCommand } from "../kv/command.js";
import { parseDuration } from "../kv/duration.js";
import { type Result, ResultKind } from "../kv/result.js";
import { keyFromJson, valueFromJson, valueToJson } from "./http-json.js";
import type { BatchRequest, Operation, OperationResult } from "./http-schemas.js";

/** Reads alone need no place in the log, and are done at the level asked for; all else is one atomic command. */
export function batchCommand({ checks = [], operations }: BatchRequest): Command {
  if (checks.length === 0 && operations.every((operation) => operation.op === "get")) {
    const reads = new Command(Op.getMany);
    reads.keys = operations.map(keyFromJson);
    return reads;
  }
  const atomic = new Command(Op.atomic);
  atomic.keys = checks.map(keyFromJson);
  atomic.versions = checks.map((check) => check.version);
  atomic.children = operations.map(childCommand);
  return atomic;
}

function childCommand(operation: Operation): Command {
  const key = keyFromJson(operation);
  switch (operation.op) {
    case "get":
      return getCommand(key);
    case "delete":
      return deleteCommand([key]);
    case "increment":
      return incrementCommand(key, BigInt(operation.by ?? 1));
    case "set": {
      const command = setCommand(key, valueFromJson(operation));
      if (operation.ttl !== undefined) {
        command.deadlineMs = parseDuration(operation.ttl)!;
        command.flags |= CommandFlag.deadlineRelative;
      }
      return command;
    }
  }
}

export function operationResults(request: BatchRequest, items: readonly Result[], nowMs: number): OperationResult[] {
  const inBase64 = request.encoding === "base64";
  return items.map((item, i) => operationResult(request.operations[i], item, inBase64, nowMs));
}

function operationResult({ op }: Operation, item: Result, inBase64: boolean, nowMs: number): OperationResult {
  if (item.kind === ResultKind.error) {
    const { code, message, definite } = item.error!;
    return { error: { code, detail: message, definite } };
  }
  const version = item.version > 0 ? { version: item.version } : {};
  if (op === "delete") return { deleted: item.integer > 0n, ...version };
  if (op === "increment") return { integer: item.integer.toString(), ...version };
  if (op === "set") return version;
  if (item.kind === ResultKind.absent) return { found: false };
  return { found: true, ...valueToJson(item.value, inBase64), ...version, ...ttlMs(item, nowMs) };
}

/** Nothing for a record that stays. */
export function ttlMs({ deadlineMs }: Result, nowMs: number): { ttlMs?: number } {
  return deadlineMs < 0 ? {} : { ttlMs: Math.max(0, deadlineMs - nowMs) };
}

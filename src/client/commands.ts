/** From what a caller gives to the store's commands, and back. */
import { type Command, CommandFlag, incrementCommand, setCommand } from "../kv/command.js";
import { type Key, keyString } from "./key.js";
import { wholeNumber } from "./options.js";
import { callError, GamutError } from "./outcome.js";
import type { ValueCodec } from "./values.js";

/** @throws GamutError bad_request */
export function decodeValue<V>(values: ValueCodec<V>, value: Uint8Array): V {
  try {
    return values.decode(value);
  } catch (error) {
    const problem = (error as Error)?.message ?? String(error);
    throw new GamutError(callError("bad_request", `a value was read that \`values\` cannot decode: ${problem}`));
  }
}

export function buildSet<V>(key: Key, value: V, expireIn: number | undefined, values: ValueCodec<V>): Command {
  const command = setCommand(keyString(key), values.encode(value));
  if (expireIn !== undefined) {
    command.deadlineMs = wholeNumber("expireIn", expireIn);
    command.flags = CommandFlag.deadlineRelative;
  }
  return command;
}

export function buildSum(key: Key, delta: bigint | number): Command {
  if (typeof delta === "number" && !Number.isSafeInteger(delta)) {
    throw new GamutError(
      callError("bad_request", `the sum's delta ${delta} is no whole number that is exact; give a bigint`),
    );
  }
  const integer = BigInt(delta);
  if (BigInt.asIntN(64, integer) !== integer) {
    throw new GamutError(callError("bad_request", "the sum's delta does not fit into 64 bits"));
  }
  return incrementCommand(keyString(key), integer);
}

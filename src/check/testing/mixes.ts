import type { FunctionName } from "../operation.js";

/** Functions to choose from in generated histories; one named twice comes twice as often. */
export const MIXES: readonly (readonly FunctionName[])[] = [
  ["read", "write"],
  ["read", "write", "cas"],
  ["read", "write", "cas", "delete"],
  ["read", "increment"],
  ["read", "append"],
  ["read", "append", "write", "cas"],
  ["read", "read", "write", "increment"],
];

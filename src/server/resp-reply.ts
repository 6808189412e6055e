import type { CommandSpec, RespWriter } from "../codec/resp/index.js";
import { PendingReply } from "./pipeline.js";
import type { RespConnection } from "./resp-connection.js";
import type { Transaction } from "./resp-transaction.js";

/** Writes the reply of a slot whose answer means something to the connection itself. */
export type Completion = (connection: RespConnection, slot: RespReply, writer: RespWriter) => void;

/** `bytes`, else `completion`, else `spec` tells how to write it. */
export class RespReply extends PendingReply {
  spec: CommandSpec | null = null;
  completion: Completion | null = null;
  transaction: Transaction | null = null;

  override clear(): void {
    super.clear();
    this.spec = null;
    this.completion = null;
    this.transaction = null;
  }
}

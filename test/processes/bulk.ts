/** Large values, to fill logs and disks. */
import type { Address } from "../../src/cli/address.js";
import { Client } from "../../src/cli/client.js";
import { type Reply, ReplyError } from "../../src/cli/reply-reader.js";

export const VALUE_BYTES = 512 * 1024;
const ANSWER_MS_MAX = 15_000;

/** Writes values of half a MiB until so many MiB are acknowledged, or a write is refused. Answers the refusal's error. */
export async function writeMebibytes(
  address: Address,
  mebibytes: number,
  keyspace = "default",
): Promise<ReplyError | null> {
  const client = await Client.connectTo(address, ANSWER_MS_MAX);
  try {
    await client.demand(["SELECT", keyspace]);
    for (let i = 0; i < mebibytes * 2; i += 1) {
      const reply: Reply = await client.call(["SET", `bulk:${i % 8}`, Buffer.alloc(VALUE_BYTES, i)], ANSWER_MS_MAX);
      if (reply instanceof ReplyError) return reply;
    }
    return null;
  } finally {
    client.close();
  }
}

/** One look at all nodes: their status and their metrics. */
import { get } from "node:http";
import type { Address } from "../address.js";
import { showAddress, splitAddress } from "../address.js";
import { type Asked, askEverybody } from "../cluster-view.js";
import { parseMetrics } from "./metrics-text.js";
import { type NodeCounts, nodeCounts } from "./node-counts.js";

const METRICS_BYTES_MAX = 8 * 1_048_576;

export interface Sample {
  /** On a clock that only this process has. */
  readonly atMs: number;
  readonly asked: readonly Asked[];
  /** By client address; nothing of a node that did not answer. */
  readonly counts: ReadonlyMap<string, NodeCounts>;
}

/** Asks these, those that were members before, and all that they name. Whoever does not answer is part of the picture. */
export async function takeSample(
  addresses: readonly Address[],
  before: Sample | null,
  timeoutMs: number,
): Promise<Sample> {
  const known = (before?.asked ?? []).filter(({ status }) => status !== null).flatMap(({ status }) => status!.members);
  const names = new Set([...addresses.map(showAddress), ...known.map(({ clientAddress }) => clientAddress)]);
  const asked = await askEverybody(
    [...names].map((name) => splitAddress(name)!),
    timeoutMs,
  );
  const atMs = performance.now();
  const counts = new Map<string, NodeCounts>();
  await Promise.all(
    asked.map(async ({ address, status }) => {
      const text = status === null ? null : await fetchMetrics(splitAddress(address)!, timeoutMs);
      if (text !== null) counts.set(address, nodeCounts(parseMetrics(text)));
    }),
  );
  return { atMs, asked, counts };
}

/** null: there is no answer, or none that can be used. */
function fetchMetrics({ host, port }: Address, timeoutMs: number): Promise<string | null> {
  return new Promise((done) => {
    const request = get({ host, port, path: "/metrics", agent: false, signal: AbortSignal.timeout(timeoutMs) });
    request.on("error", () => done(null));
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("error", () => done(null));
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > METRICS_BYTES_MAX) request.destroy();
      });
      response.on("end", () => done(response.statusCode === 200 ? Buffer.concat(chunks).toString("utf8") : null));
      response.on("close", () => done(null));
    });
  });
}

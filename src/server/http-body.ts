import type { IncomingMessage } from "node:http";
import { Problem } from "./http-problem.js";

/**
 * Reads a value's body into bytes of its own, calling `done` once: with the bytes, or with the problem as soon as there are more
 * than allowed. What still comes is then read and dropped, so that the client hears the answer and may go on with the
 * connection. A body that breaks off is never told: the response's end tells that the client is gone.
 */
export function collectBody(
  request: IncomingMessage,
  bytesMax: number,
  done: (body: Uint8Array | Problem) => void,
): void {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > bytesMax) {
    done(tooLarge(declared, bytesMax));
    return;
  }
  const chunks: Buffer[] = [];
  let length = 0;
  request.on("data", (chunk: Buffer) => {
    if (length > bytesMax) return;
    length += chunk.length;
    chunks.push(chunk);
    if (length <= bytesMax) return;
    chunks.length = 0;
    done(tooLarge(length, bytesMax));
  });
  request.on("end", () => {
    if (length <= bytesMax) done(Buffer.concat(chunks, length));
  });
}

function tooLarge(length: number, bytesMax: number): Problem {
  const found = `the value has ${length} bytes or more, ${bytesMax} are allowed`;
  return new Problem("value_too_large", `${found}: divide it among several keys, or make it smaller`);
}

import { afterEach, test } from "vitest";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

test.each([0, 1, 5_000])("a reset is noticed with %i bytes behind a request that waits", async (bytes) => {
  const { backend, listener, client } = await serve();
  const waiting = await client();
  await waiting.ask(["PING"]);
  backend.held = true;
  // What comes behind a WATCH waits for its outcome.
  waiting.send(["WATCH", "k"]);
  while (backend.queued === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  if (bytes > 0) waiting.send(["ECHO", "x".repeat(bytes)]);
  // It comes, and is not looked at.
  await new Promise((resolve) => setTimeout(resolve, 30));
  waiting.socket.resetAndDestroy();
  while (listener.connectionCount > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  backend.release();
});

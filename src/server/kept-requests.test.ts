import { afterEach, expect, test } from "vitest";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

test("requests that have to wait are not written over by what others send meanwhile", async () => {
  const { backend, client } = await serve({ pendingMax: 4 });
  const waiting = await client();
  const other = await client();
  await Promise.all([waiting.ask(["PING"]), other.ask(["PING"])]);
  backend.held = true;
  const keys = Array.from({ length: 50 }, (_, at) => `key-${at}`);
  // The first chunk is half taken, the second not looked at, and the rest not read.
  waiting.send(...keys.map((key) => ["SET", key, `value of ${key}`]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  waiting.send(...keys.map((key) => ["GET", key]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  waiting.send(["ECHO", "end"]);
  for (let round = 0; round < 20; round += 1) {
    other.send(["ECHO", `SET key-7 spoilt ${"x".repeat(4_000)}`]);
    await other.replies(1);
  }
  backend.release();
  const replies = await waiting.replies(101);
  expect(replies.slice(0, 50)).toEqual(keys.map(() => "+OK\r\n"));
  expect(replies.slice(50)).toEqual(
    [...keys.map((key) => `value of ${key}`), "end"].map((text) => `$${text.length}\r\n${text}\r\n`),
  );
});

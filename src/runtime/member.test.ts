import "./fast-bytes.js";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { NODE_DEFAULTS } from "../node/options.js";
import { sealedValue } from "../node/testing/sealed.js";
import { LineLogger } from "./log.js";
import { Member, type MemberOptions } from "./member.js";
import { openEnvironment, openLatin1Database } from "./state-store-environment.js";
import { GroupRecord } from "./state-store-record.js";
import { buildScripts } from "./testing/built-scripts.js";

const ENTRIES = 300_000;

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

it("a member that was closed says nothing more, and what its check of the state finds is the next one's", {
  timeout: 60_000,
}, async () => {
  await buildScripts();
  const folder = mkdtempSync(join(tmpdir(), "gamut-member-"));
  const peerPort = await freePort();
  const told: string[] = [];
  const options = (name: string): MemberOptions => ({
    node: {
      ...NODE_DEFAULTS,
      node: 1,
      members: [{ node: 1, peerAddress: `127.0.0.1:${peerPort}`, clientAddress: "127.0.0.1:1" }],
      buildVersion: "test",
    },
    clusterName: "test",
    folder,
    listenHost: "127.0.0.1",
    peerUnsentBytes: 1 << 26,
    peerPort,
    peers: [],
    logger: new LineLogger({ node: 1, level: "error", json: false }),
    onFatal: (reason) => told.push(`${name}: ${reason}`),
  });
  const first = await Member.start(options("first"));
  while (!first.node.status().keyspaces.some(({ leader }) => leader === 1)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await first.stop();
  // Sound entries that no checkpoint has: the check needs a while for them, and finds at its end that they are too many.
  const root = openEnvironment(join(folder, "state"), { mapBytes: 2 ** 30, groupsMax: 16, readOnly: false });
  const record = GroupRecord.decode(openLatin1Database(root, "groups").getBinary("0") as Uint8Array) as GroupRecord;
  const side = openLatin1Database(root, `0.${record.side}`);
  root.transactionSync(() => {
    for (let i = 0; i < ENTRIES; i += 1) {
      const key = `\xf0${1_000_000 + i}`;
      side.put(key, sealedValue(0, key, new Uint8Array(9)));
    }
  });
  await root.close();

  const second = await Member.start(options("second"));
  await second.close();
  const third = await Member.start(options("third"));
  while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told).toEqual([expect.stringContaining("third: the state of group 0 is damaged")]);
  await third.close();
  rmSync(folder, { recursive: true });
});

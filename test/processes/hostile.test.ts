/** Strangers, slow readers and half-open connections on both ports, while clients go on. */
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { ReplyError } from "../../src/cli/reply-reader.js";
import { encodeToken, Token, tokenToText } from "../../src/kv/token.js";
import { writeMebibytes } from "./bulk.js";
import { withCluster } from "./cluster.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import { limitMs, rounds } from "./soak.js";
import { sleep } from "./wait.js";

/** What no client and no peer would begin with. */
const HOSTILE: readonly Uint8Array[] = [
  Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "latin1"),
  Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
  Buffer.from("*1000000000\r\n$1000000000\r\n"),
  Buffer.from("*-1\r\n*0\r\n$\r\n"),
  Buffer.from("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-5\r\n"),
  Buffer.from(`*1\r\n$4\r\nPIN${"G".repeat(100_000)}`),
  Buffer.from("set k 0 0 60000000\r\nget k\r\nset"),
  Buffer.from(`get ${"k ".repeat(200_000)}`),
  Buffer.from(`ms k 5 ${"k ".repeat(900)}\r\nhello\r\nmg k${" v".repeat(900)}\r\nset k 0 0 99999999999999\r\n`),
  Buffer.alloc(300_000, 0xff),
  Buffer.alloc(100_000),
  Buffer.from([0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 1, 2, 3, 4]),
];
const RANDOM_CHUNKS = 40;
const HALF_OPEN = 80;
const SILENCE_MS_MAX = 2_000;

it("hostile bytes, slow readers and half-open connections disturb nobody else", {
  timeout: limitMs(60_000),
}, async () => {
  await withCluster({}, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    expect(await writeMebibytes(cluster.member(1).address, 4)).toBeNull();
    const sockets: Socket[] = [];
    const open = (port: number, bytes: Uint8Array | null): Socket => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.on("error", () => {});
      if (bytes !== null) socket.write(bytes);
      sockets.push(socket);
      return socket;
    };
    const before = load.journal.nowMs;
    for (const _ of rounds(1)) {
      for (const { clientPort, peerPort } of cluster.members) {
        for (const port of [clientPort, peerPort]) {
          for (const bytes of HOSTILE) open(port, bytes);
          for (let i = 0; i < RANDOM_CHUNKS; i += 1) open(port, randomBytes(1 + 97 * i)).end();
          for (let i = 0; i < HALF_OPEN; i += 1) open(port, i % 2 === 0 ? null : Buffer.from("*2\r\n$3\r\nGE"));
        }
        // Asks for 200 MiB, and takes none of it.
        const get = "*2\r\n$3\r\nGET\r\n$6\r\nbulk:1\r\n";
        open(clientPort, Buffer.from(get.repeat(400))).pause();
      }
      await sleep(4_000);
      for (const socket of sockets.splice(0)) socket.destroy();
      await sleep(500);
    }
    expect(load.journal.silenceMs(before)).toBeLessThan(SILENCE_MS_MAX);
    for (const member of cluster.members) expect(member.log.match(/--- started/g)).toHaveLength(1);
    await judge(cluster, load);
  });
});

it("tokens that name thousands of groups are refused, and the node goes on", { timeout: limitMs(60_000) }, async () => {
  await withCluster({}, async (cluster) => {
    const client = await Client.connectTo(cluster.member(1).address, 10_000);
    const { clusterId } = JSON.parse(
      Buffer.from((await client.demand(["GAMUT", "STATUS"])) as Uint8Array).toString(),
    ) as { clusterId: string };
    const answers: string[] = [];
    for (const first of [10_000, 20_000]) {
      const token = new Token(clusterId);
      for (let i = 0; i < 1_000; i += 1) token.raise(first + i, first + i, 1, 1);
      const reply = await client.call(["GAMUT", "TOKEN", tokenToText(encodeToken(token))], 10_000);
      answers.push(reply instanceof ReplyError ? reply.message : (reply as string));
    }
    expect(answers).toEqual(["OK", expect.stringMatching(/the tokens of one session name more than 1024 groups/)]);
    expect(((await client.demand(["GAMUT", "TOKEN"])) as Uint8Array).length).toBeGreaterThan(50_000);
    client.close();
    for (const member of cluster.members) expect(member.log.match(/--- started/g)).toHaveLength(1);
  });
});

function randomBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(Math.random() * 256));
}

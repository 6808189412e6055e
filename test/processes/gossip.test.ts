/** A keyspace of gossip on real nodes: both sides of a cut take writes, and afterwards all of them hold the same. */
import { expect, it } from "vitest";
import type { Address } from "../../src/cli/address.js";
import { Client } from "../../src/cli/client.js";
import { type Reply, ReplyError, textOf } from "../../src/cli/reply-reader.js";
import { KvError } from "../../src/kv/errors.js";
import { SeenOrigin } from "../../src/kv/seen.js";
import { decodeToken, encodeToken, tokenFromText, tokenToText } from "../../src/kv/token.js";
import { type Cluster, withCluster } from "./cluster.js";
import { until } from "./wait.js";

const CONVERGED_MS_MAX = 20_000;
const CALL_MS_MAX = 10_000;

/** A connection that has chosen the keyspace. */
class Cart {
  private constructor(private readonly client: Client) {}

  static async open(address: Address, level?: string): Promise<Cart> {
    const cart = new Cart(await Client.connectTo(address, CALL_MS_MAX));
    expect(await cart.call("SELECT", "carts")).toBe("OK");
    if (level !== undefined) expect(await cart.call("GAMUT", "LEVEL", level)).toBe("OK");
    return cart;
  }

  call(...words: string[]): Promise<Reply> {
    return this.client.call(words, CALL_MS_MAX);
  }

  close(): void {
    this.client.close();
  }
}

async function at<T>(address: Address, act: (cart: Cart) => Promise<T>, level?: string): Promise<T> {
  const cart = await Cart.open(address, level);
  try {
    return await act(cart);
  } finally {
    cart.close();
  }
}

function problem(reply: Reply): string {
  return reply instanceof ReplyError ? `${reply.code}: ${reply.message}` : `no error: ${JSON.stringify(shown(reply))}`;
}

function shown(reply: Reply): unknown {
  if (reply instanceof Uint8Array) return textOf(reply);
  return Array.isArray(reply) ? reply.map(shown) : typeof reply === "bigint" ? Number(reply) : reply;
}

function addresses(cluster: Cluster): Address[] {
  return cluster.members.map((member) => member.address);
}

/** Until every node answers so. */
async function everywhere(cluster: Cluster, words: string[], wanted: unknown): Promise<void> {
  for (const address of addresses(cluster)) {
    await until(
      `${words.join(" ")} is ${JSON.stringify(wanted)} on port ${address.port}`,
      CONVERGED_MS_MAX,
      async () => {
        const reply = await at(address, (cart) => cart.call(...words)).then(shown, () => undefined);
        return JSON.stringify(reply) === JSON.stringify(wanted);
      },
    );
  }
}

async function createCarts(cluster: Cluster): Promise<void> {
  const client = await Client.connectTo(cluster.members[0].address, CALL_MS_MAX);
  const words = ["GAMUT", "KEYSPACE", "CREATE", "carts", "PROTOCOL", "gossip", "LEVEL", "eventual"];
  expect(await client.call(words, CALL_MS_MAX)).toBe("OK");
  client.close();
}

it("takes writes on any node, cut off or not, and comes to the same everywhere, also after kill -9", {
  timeout: 150_000,
}, async () => {
  await withCluster({}, async (cluster) => {
    await createCarts(cluster);
    const [first, second, third] = addresses(cluster);

    // Written on one, read on another until it is there.
    expect(await at(first, (cart) => cart.call("SET", "color", "red"))).toBe("OK");
    await everywhere(cluster, ["GET", "color"], "red");
    expect(await at(second, (cart) => cart.call("MSET", "a", "1", "b", "2"))).toBe("OK");
    await everywhere(cluster, ["MGET", "a", "b", "none"], ["1", "2", null]);
    expect(shown(await at(third, (cart) => cart.call("DEL", "a")))).toBe(1);
    await everywhere(cluster, ["EXISTS", "a", "b"], 1);
    await everywhere(cluster, ["DBSIZE"], 2);
    expect(shown(await at(first, (cart) => cart.call("SCAN", "0")))).toEqual(["0", ["b", "color"]]);

    // A deadline travels with the value.
    expect(await at(first, (cart) => cart.call("SET", "mortal", "yes", "PX", "1500"))).toBe("OK");
    await until("the deadline has come", CONVERGED_MS_MAX, async () => {
      const left = Number(await at(third, (cart) => cart.call("PTTL", "mortal")));
      return left > 0 && left <= 1_500;
    });
    await everywhere(cluster, ["GET", "mortal"], null);

    // Two cannot talk with the third: both sides go on.
    cluster.links.isolate(3, "dropped");
    for (let i = 0; i < 50; i += 1) {
      expect(await at(first, (cart) => cart.call("SET", `left ${i}`, "l"))).toBe("OK");
      expect(await at(third, (cart) => cart.call("SET", `right ${i}`, "r"))).toBe("OK");
    }
    expect(shown(await at(third, (cart) => cart.call("DEL", "b")))).toBe(1);
    expect(await at(first, (cart) => cart.call("SET", "color", "blue"))).toBe("OK");
    expect(await at(third, (cart) => cart.call("SET", "color", "green"))).toBe("OK");
    expect(shown(await at(third, (cart) => cart.call("GET", "left 0")))).toBeNull();

    // And while they are apart each dies and comes back.
    await Promise.all(cluster.members.map((member) => member.kill()));
    for (const member of cluster.members) member.start();
    await until("the third serves alone", CONVERGED_MS_MAX, () =>
      at(third, (cart) => cart.call("SET", "alone", "yes")).then(
        (reply) => reply === "OK",
        () => false,
      ),
    );
    cluster.links.heal();
    await cluster.ready();
    await everywhere(cluster, ["DBSIZE"], 102);
    await everywhere(cluster, ["GET", "color"], "green");
    await everywhere(cluster, ["MGET", "left 49", "right 49", "b", "alone"], ["l", "r", null, "yes"]);
    for (const member of cluster.members) expect(member.log).not.toMatch(/set aside|rebuil/);
  });
});

it("a session sees what it has written and read, wherever it goes on; what needs an order is refused by name", {
  timeout: 90_000,
}, async () => {
  await withCluster({}, async (cluster) => {
    await createCarts(cluster);
    const [first, second, third] = addresses(cluster);
    let token = "";
    for (let i = 1; i <= 60; i += 1) {
      const address = [first, second, third][i % 3];
      await at(
        address,
        async (cart) => {
          if (token !== "") expect(await cart.call("GAMUT", "TOKEN", token)).toBe("OK");
          if (i > 1) expect(shown(await cart.call("GET", "n"))).toBe(String(i - 1));
          expect(await cart.call("SET", "n", String(i))).toBe("OK");
          token = textOf(await cart.call("GAMUT", "TOKEN"));
        },
        "session",
      );
    }
    // Hex: two chars a byte.
    expect(token.length / 2).toBeLessThanOrEqual(200);
    await at(first, async (cart) => {
      for (const words of [
        ["INCR", "n"],
        ["SET", "n", "1", "NX"],
        ["APPEND", "n", "1"],
        ["EXPIRE", "n", "10"],
      ]) {
        const error = await cart.call(...words);
        expect(problem(error)).toMatch(/operation_unsupported: .*protocol raft/);
      }
      expect(await cart.call("GAMUT", "LEVEL", "linearizable")).toBe("OK");
      const refused = await cart.call("GET", "n");
      expect(problem(refused)).toMatch(/level_unsupported: .*protocol raft grants it/);
      expect(await cart.call("GAMUT", "LEVEL", "session")).toBe("OK");
      expect(await cart.call("GAMUT", "EXPLAIN", "ON")).toBe("OK");
      expect(await cart.call("SET", "n", "61")).toBe("OK");
      const receipt = textOf(await cart.call("GAMUT", "EXPLAIN"));
      expect(receipt).toMatch(
        /^level=session asked=session protocol=gossip node=1 clock=\d+\.\d+ evidence=own-log durable-on=1 missing-writes=\d+ peers-heard=2\/2$/,
      );
    });
    // How many others hold what the session has written, once they do.
    await at(
      second,
      async (cart) => {
        expect(await cart.call("SET", "held", "yes")).toBe("OK");
        expect(await cart.call("WAIT", "2", String(CALL_MS_MAX))).toBe(2);
      },
      "session",
    );
    // A session whose writes can reach nobody is told so elsewhere, and not shown the past.
    cluster.links.isolate(3, "dropped");
    token = await at(
      third,
      async (cart) => {
        expect(await cart.call("SET", "n", "62")).toBe("OK");
        return textOf(await cart.call("GAMUT", "TOKEN"));
      },
      "session",
    );
    await at(
      first,
      async (cart) => {
        expect(await cart.call("GAMUT", "TOKEN", token)).toBe("OK");
        const refused = await cart.call("GET", "n");
        expect(problem(refused)).toMatch(/^unavailable: /);
        cluster.links.heal();
        await until("the session is served", CONVERGED_MS_MAX, async () => shown(await cart.call("GET", "n")) === "62");
      },
      "session",
    );
  });
});

it("tokens that were made up bind nobody, and stop no node", { timeout: 120_000 }, async () => {
  await withCluster({}, async (cluster) => {
    await createCarts(cluster);
    const [first] = addresses(cluster);
    const status = await Client.connectTo(first, CALL_MS_MAX);
    const { clusterId } = JSON.parse(textOf(await status.demand(["GAMUT", "STATUS"]))) as { clusterId: string };
    status.close();
    await at(first, (cart) => cart.call("SET", "seed", "1"), "session");
    const own = await at(
      first,
      async (cart) => {
        expect(await cart.call("SET", "mine", "1")).toBe("OK");
        return textOf(await cart.call("GAMUT", "TOKEN"));
      },
      "session",
    );
    /** Of the very life that has written, and of others. */
    const forged = (change: (own: SeenOrigin) => SeenOrigin): string => {
      const token = decodeToken(tokenFromText(own) as Uint8Array, clusterId);
      if (token instanceof KvError) throw new Error(token.message);
      const { seen } = token.seen[0];
      const origin = seen.origins.find(({ node }) => node === 1)!;
      seen.origins.push(change(origin));
      if (seen.origins.at(-1)!.node === 1) seen.origins.splice(seen.origins.indexOf(origin), 1);
      return tokenToText(encodeToken(token));
    };
    for (const token of [
      forged(() => new SeenOrigin(0, 7, 5)),
      forged(() => new SeenOrigin(2, 0, 5)),
      forged(() => new SeenOrigin(999, 7, 5)),
      forged((it) => new SeenOrigin(1, it.incarnation, 2 ** 53 - 1)),
      forged((it) => new SeenOrigin(1, it.incarnation + 1, 1)),
    ]) {
      expect(problem(await at(first, (cart) => cart.call("GAMUT", "TOKEN", token)))).toMatch(/^bad_token: /);
    }
    // A life of another member that nobody has heard of: the token may be right, but its writes bind nobody here.
    const [unheard, ahead] = [
      forged(() => new SeenOrigin(2, 7, 5)),
      forged((it) => new SeenOrigin(1, it.incarnation, 2 ** 53 - 1)),
    ];
    await at(first, async (cart) => {
      expect(await cart.call("GAMUT", "TOKEN", unheard)).toBe("OK");
      expect(problem(await cart.call("SET", "poisoned", "1"))).toMatch(
        /^unavailable: .*of which node 1 has not heard yet/,
      );
    });
    // Another node cannot know how far the first has come: its write is taken, and read by others all the same.
    const second = addresses(cluster)[1];
    await at(second, async (cart) => {
      expect(await cart.call("GAMUT", "TOKEN", ahead)).toBe("OK");
      // In a keyspace just made it has to hear of the first node's life first.
      await until(
        "the write is taken",
        CONVERGED_MS_MAX,
        async () => (await cart.call("SET", "poisoned", "2")) === "OK",
      );
    });
    await everywhere(cluster, ["GET", "poisoned"], "2");
    for (const address of addresses(cluster)) {
      await at(
        address,
        async (cart) => {
          for (let i = 0; i < 3; i += 1) expect(shown(await cart.call("GET", "poisoned"))).toBe("2");
        },
        "session",
      );
    }
    await cluster.members[1].kill();
    cluster.members[1].start();
    await cluster.ready();
    await everywhere(cluster, ["MGET", "seed", "poisoned"], ["1", "2"]);
    for (const member of cluster.members) expect(member.log).not.toMatch(/not well formed|AssertionError/);
  });
});

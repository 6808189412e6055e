/** `gamut keyspace create | list | drop`. */
import Table from "cli-table3";
import { Command, Option } from "commander";
import { PROTOCOLS } from "../kv/grants.js";
import { withExamples } from "./examples.js";
import { writeLine } from "./output.js";
import { type Reply, textOf } from "./reply-reader.js";
import { type AddressFlags, addAddressFlags, levelOption, type SessionFlags, withClient } from "./session-flags.js";

type CreateFlags = AddressFlags & { readonly level?: string; readonly protocol: string };

export function keyspaceCommand(): Command {
  const command = new Command("keyspace").description("make, list and drop keyspaces");
  const create = new Command("create")
    .description("make a keyspace")
    .argument("<name>", "1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit")
    .addOption(
      new Option(
        "--protocol <name>",
        "how its replicas agree: raft (one order of all writes) or gossip (writes anywhere)",
      )
        .choices(PROTOCOLS)
        .default("raft"),
    )
    .addOption(levelOption("the level of requests that ask for none (default: linearizable; of gossip: eventual)"))
    .action((name: string, flags: CreateFlags) => createKeyspace(name, flags));
  const list = new Command("list")
    .description("list the keyspaces, as the node asked knows them")
    .action(listKeyspaces);
  const drop = new Command("drop")
    .description("drop a keyspace and all that is in it; there is no way back")
    .argument("<name>")
    .action((name: string, flags: AddressFlags) => dropKeyspace(name, flags));
  command.addCommand(
    withExamples(addAddressFlags(create), [
      "gamut keyspace create sessions --level sequential",
      "gamut keyspace create carts --protocol gossip --level session",
    ]),
  );
  command.addCommand(withExamples(addAddressFlags(list), ["gamut keyspace list", "gamut keyspace list --json"]));
  command.addCommand(withExamples(addAddressFlags(drop), ["gamut keyspace drop sessions"]));
  return command;
}

/** These ask about keyspaces, not in one. */
function plain(flags: AddressFlags): SessionFlags {
  const { address, timeout, json } = flags;
  return { address, timeout, json, printToken: false, explain: false };
}

function createKeyspace(name: string, flags: CreateFlags): Promise<void> {
  return withClient(plain(flags), "writes", async (client) => {
    const level = flags.level === undefined ? [] : ["LEVEL", flags.level];
    await client.demand(["GAMUT", "KEYSPACE", "CREATE", name, "PROTOCOL", flags.protocol, ...level]);
    if (!flags.json) await writeLine(`keyspace ${name} is made; use it with --keyspace ${name}`);
    return { keyspace: name, protocol: flags.protocol, created: true };
  });
}

function dropKeyspace(name: string, flags: AddressFlags): Promise<void> {
  return withClient(plain(flags), "writes", async (client) => {
    await client.demand(["GAMUT", "KEYSPACE", "DROP", name]);
    if (!flags.json) await writeLine(`keyspace ${name} is dropped`);
    return { keyspace: name, dropped: true };
  });
}

function listKeyspaces(flags: AddressFlags): Promise<void> {
  return withClient(plain(flags), "reads", async (client) => {
    const rows = (await client.demand(["GAMUT", "KEYSPACE", "LIST"])) as Map<string, Reply>[];
    const keyspaces = rows.map((row) => ({
      name: textOf(row.get("name")),
      protocol: textOf(row.get("protocol")),
      level: textOf(row.get("level")),
      leader: row.get("leader") as number,
      replicas: row.get("replicas") as number[],
    }));
    if (flags.json) await writeLine(JSON.stringify(keyspaces));
    else {
      const table = new Table({
        head: ["name", "protocol", "level", "leader", "replicas"],
        style: { head: [], border: [] },
      });
      for (const { name, protocol, level, leader, replicas } of keyspaces) {
        const led = protocol === "gossip" ? "every node" : leader === 0 ? "none" : `node ${leader}`;
        table.push([name, protocol, level, led, replicas.join(", ")]);
      }
      await writeLine(table.toString());
    }
    return null;
  });
}

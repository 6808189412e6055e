/** `gamut export`: what the folder of a stopped node holds, when there is no cluster left to ask. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type { KeyspaceEntry } from "../cluster/catalog.js";
import { DEFAULT_KEYSPACE, keyspaceNamed } from "../codec/resp/keyspace-name.js";
import { Op, Command as Operation } from "../kv/command.js";
import { SCAN_KEYS_MAX } from "../kv/limits.js";
import { dumpLine } from "./dump-line.js";
import { withExamples } from "./examples.js";
import { CliError, Exit } from "./exit.js";
import { writeOut } from "./output.js";

interface ExportFlags {
  readonly data: string;
  readonly keyspace: string;
  readonly log: boolean;
}

export function exportCommand(): Command {
  const command = new Command("export")
    .description("write what the folder of a stopped node holds, as JSON lines: for when no majority will come back")
    .requiredOption("-d, --data <dir>", "the node's folder, such as gamut-data/node-1; it is not changed")
    .option(
      "-k, --keyspace <name>",
      "the keyspace: one each time; a name that there is not lists them",
      DEFAULT_KEYSPACE,
    )
    .option("--no-log", "only the last checkpoint, and nothing that the log says came after: for a log that is damaged")
    .action(exportFolder)
    .addHelpText(
      "after",
      `
The lines are those of \`gamut dump --format json\`. They are what this ONE node held when it stopped: writes that were
acknowledged may be missing, if they were on other nodes; and what the log holds after the last checkpoint may have
writes among it that nobody was told of. Where that ends is told on standard error. With a majority of nodes that have
their data, start those and use \`gamut dump\` instead.`,
    );
  return withExamples(command, [
    "gamut export --data gamut-data/node-1 > left.jsonl",
    "gamut export --data /var/lib/gamut --keyspace carts --no-log",
  ]);
}

async function exportFolder({ data, keyspace, log }: ExportFlags): Promise<void> {
  const folder = resolve(data);
  if (existsSync(join(folder, "node-1")) && !existsSync(join(folder, "log"))) {
    throw new CliError(Exit.usage, `${folder} holds the folders of several nodes: name one, such as ${data}/node-1`);
  }
  await import("../runtime/fast-bytes.js");
  const [{ OfflineFolder }, { readBootId }, { unsyncedDamage }] = await Promise.all([
    import("../runtime/offline-folder.js"),
    import("../runtime/boot-id.js"),
    import("../node/unsynced-note.js"),
  ]);
  const opened = await OfflineFolder.open(folder, log).catch((error: Error) => {
    const advice = error.name === "LogUnreadable" ? " What the last checkpoint holds can be had with --no-log" : "";
    throw new CliError(Exit.failed, error.message + advice);
  });
  try {
    const { identity, catalog } = opened;
    const name = keyspaceNamed(keyspace);
    const entry = catalog.keyspaces.get(name);
    if (entry === undefined) {
      const known = [...catalog.keyspaces.keys()].sort().join(", ") || "none";
      throw new CliError(Exit.failed, `this folder knows no keyspace ${name}; it knows ${known}`, "keyspace_unknown");
    }
    if (identity.recovering || identity.damage !== "") {
      warn(`node ${identity.node} was being rebuilt from its peers: what is here may be a small part`);
    }
    const lacking = unsyncedDamage(identity, readBootId());
    if (lacking !== "") warn(`${lacking}: the end of what node ${identity.node} had promised may be missing here`);
    await writeRecords(opened, entry, log);
  } finally {
    await opened.close();
  }
}

type Opened = Awaited<ReturnType<typeof import("../runtime/offline-folder.js").OfflineFolder.open>>;

async function writeRecords(opened: Opened, entry: KeyspaceEntry, log: boolean): Promise<void> {
  let group: ReturnType<Opened["keyspace"]>;
  let records = 0;
  try {
    group = opened.keyspace(entry);
    let from: string | null = "";
    while (from !== null) {
      const page = new Operation(Op.range, from);
      page.limit = SCAN_KEYS_MAX;
      const { items, key } = group.read(page);
      records += items?.length ?? 0;
      await writeOut((items ?? []).map((record) => dumpLine(record, "json")).join(""));
      from = key === "" ? null : key;
    }
  } catch (error) {
    throw new CliError(Exit.failed, `after ${records} records: ${(error as Error).message}`);
  }
  const { checkpointPosition, position } = group;
  const behind = position - checkpointPosition;
  const logged = behind === 0 ? "nothing in the log after it" : `and ${behind} entries of the log after it`;
  warn(
    `${records} records of keyspace ${entry.name} (${entry.protocol}) as node ${opened.identity.node} held them at position ` +
      `${position}: the checkpoint at ${checkpointPosition}, ${log ? logged : "without the log"}`,
  );
  warn("this is ONE node's part: writes that were acknowledged may be missing from it");
  if (behind > 0) warn("the entries of the log may have writes among them that nobody was told of");
}

function warn(text: string): void {
  console.error(`gamut: ${text}`);
}

/** The verdict on a run: everything acknowledged is there, and one order of all operations explains all answers. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkLinearizable, renderVerdict } from "../../src/check/index.js";
import type { Cluster } from "./cluster.js";
import type { Load } from "./load.js";

const PROBLEMS_SHOWN = 10;

/** Stops the load, waits until all nodes agree, reads everything on each of them, and judges. @throws Error with why not */
export async function judge(cluster: Cluster, load: Load): Promise<void> {
  await load.stop();
  await cluster.ready();
  const running = cluster.members.filter((member) => member.isRunning);
  const problems = await load.readEverything(running.map((member) => member.address));
  const verdict = checkLinearizable(load.journal.recorder.operations());
  if (verdict.kind !== "valid") problems.unshift(renderVerdict(verdict));
  problems.push(...load.surprises);
  if (load.ledger.count("done") === 0) problems.push("not one write was acknowledged: this run has shown nothing");
  if (problems.length === 0) return;
  const shown = problems.slice(0, PROBLEMS_SHOWN).join("\n");
  throw new Error(`${shown}\n(${problems.length} problems; the history is ${save(load)})`);
}

function save(load: Load): string {
  const file = join(mkdtempSync(join(tmpdir(), "gamut-history-")), "history.jsonl");
  writeFileSync(file, load.journal.recorder.toJsonl());
  return file;
}

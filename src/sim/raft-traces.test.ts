import { describe } from "vitest";
import { raftScript } from "./script-raft.js";
import { ScriptWorld } from "./script-world.js";
import { goldenTraces } from "./testing/golden.js";

function traces(folder: string, least: number): void {
  goldenTraces(new URL(folder, import.meta.url), () => new ScriptWorld(raftScript()), least);
}

describe("raft traces", () => traces("./testdata/raft/", 1));

describe("the stories of raft's DESIGN.md", () => traces("../protocols/raft/testdata/", 29));

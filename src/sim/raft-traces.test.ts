import { describe } from "vitest";
import { raftScript } from "./script-raft.js";
import { ScriptWorld } from "./script-world.js";
import { goldenTraces } from "./testing/golden.js";

function traces(folder: string): void {
  goldenTraces(new URL(folder, import.meta.url), () => new ScriptWorld(raftScript()));
}

describe("raft traces", () => traces("./testdata/raft/"));

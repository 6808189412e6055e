import { describe } from "vitest";
import { gossipScript } from "./script-gossip.js";
import { ScriptWorld } from "./script-world.js";
import { goldenTraces } from "./testing/golden.js";

describe("the stories of gossip's DESIGN.md", () => {
  goldenTraces(new URL("../protocols/gossip/testdata/", import.meta.url), () => new ScriptWorld(gossipScript()), 12);
});

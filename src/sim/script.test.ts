import { describe, expect, test } from "vitest";
import { runTraceFile, ScriptError, type TraceCommand } from "./script.js";
import { ScriptWorld } from "./script-world.js";
import { goldenTraces } from "./testing/golden.js";
import { toyProtocol } from "./testing/toy-machine.js";

describe("toy traces", () =>
  goldenTraces(new URL("./testdata/toy/", import.meta.url), () => new ScriptWorld(toyProtocol)));

describe("trace files", () => {
  const echo = {
    run({ name, words }: TraceCommand): string[] {
      if (name === "fail") throw new ScriptError("as told");
      return name === "silent" ? [] : [`${name}(${words.join(",")})`];
    },
  };

  test("keep prose and put what was answered in the place of what was expected", () => {
    const text = "# why\n\nsay a  b\nsilent\n----\nold\nlines\n\n# end\nsilent\n----\n";
    expect(runTraceFile(text, echo)).toBe("# why\n\nsay a  b\nsilent\n----\nsay(a,b)\n\n# end\nsilent\n----\nok\n");
  });

  test("are fixed points once rewritten", () => {
    const once = runTraceFile("say a\n----\n\nfail\nsay b\n----", echo);
    expect(once).toBe("say a\n----\nsay(a)\n\nfail\nsay b\n----\nerror: as told\nsay(b)");
    expect(runTraceFile(once, echo)).toBe(once);
  });

  test("quiet hides events but no error", () => {
    expect(runTraceFile("say a quiet\nfail quiet\n----\n", echo)).toBe(
      "say a quiet\nfail quiet\n----\nerror: as told\n",
    );
  });

  test("refuse commands without a place for their output", () => {
    expect(() => runTraceFile("say a\n\nsay b\n----\n", echo)).toThrow("line 1: the commands want ----");
    expect(() => runTraceFile("----\n", echo)).toThrow("line 1: ---- without a command");
    expect(() => runTraceFile("\nsay a", echo)).toThrow("line 2: the commands want ----");
  });
});

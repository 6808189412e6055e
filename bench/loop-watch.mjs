// Preloaded into a node (`node --import`): on SIGUSR2 appends how late its event loop has run since the last time.
import { appendFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** The sampling timer's period, which the histogram counts as part of the delay. */
const RESOLUTION_MS = 1;
const NS_PER_MS = 1e6;

const file = process.env.GAMUT_LOOP_WATCH;
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
histogram.enable();
process.on("SIGUSR2", () => {
  const late = (ns) => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS);
  const report = {
    p50: late(histogram.percentile(50)),
    p99: late(histogram.percentile(99)),
    p999: late(histogram.percentile(99.9)),
    max: late(histogram.max),
  };
  histogram.reset();
  appendFileSync(file, `${JSON.stringify(report)}\n`);
});

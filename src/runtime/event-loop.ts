/** How late the event loop runs: the first thing to look at when a node is slow. */
import { type EventLoopUtilization, type IntervalHistogram, monitorEventLoopDelay, performance } from "node:perf_hooks";

export interface EventLoopReport {
  /** How late a timer fired, in ms, since the last report. */
  readonly delayMsMean: number;
  readonly delayMsP50: number;
  readonly delayMsP99: number;
  readonly delayMsMax: number;
  /** Share of the time that the loop was busy, 0 to 1, since the last report. */
  readonly utilization: number;
}

/** The sampling timer's period; the histogram counts it as part of the delay. */
const RESOLUTION_MS = 10;
const NS_PER_MS = 1e6;

export class EventLoopWatch {
  private readonly histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private before: EventLoopUtilization = performance.eventLoopUtilization();

  start(): void {
    this.histogram.enable();
  }

  stop(): void {
    this.histogram.disable();
  }

  /** What was seen since the last report, which this call begins anew. All zeros when nothing was. */
  report(): EventLoopReport {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.before);
    this.before = now;
    const histogram = this.histogram;
    const seen = histogram.count > 0;
    const report = {
      delayMsMean: seen ? lateness(histogram.mean) : 0,
      delayMsP50: seen ? lateness(histogram.percentile(50)) : 0,
      delayMsP99: seen ? lateness(histogram.percentile(99)) : 0,
      delayMsMax: seen ? lateness(histogram.max) : 0,
      utilization: Number.isFinite(utilization) ? utilization : 0,
    };
    histogram.reset();
    return report;
  }
}

function lateness(ns: number): number {
  return Math.max(0, ns / NS_PER_MS - RESOLUTION_MS);
}

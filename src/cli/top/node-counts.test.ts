import { describe, expect, it } from "vitest";
import { parseMetrics } from "./metrics-text.js";
import { type Buckets, countOf, nodeCounts, quantile, sumOf, timesSince } from "./node-counts.js";

const BOUNDS = [0.001, 0.01, Number.POSITIVE_INFINITY];
const buckets = (...counts: number[]): Buckets => new Map(counts.map((count, i) => [BOUNDS[i], count]));

function metrics(startedAt: number, ...counts: number[]): string {
  const lines = counts.map((count, i) => {
    const le = BOUNDS[i] === Number.POSITIVE_INFINITY ? "+Inf" : String(BOUNDS[i]);
    return `gamut_request_duration_seconds_bucket{wire="resp",kind="write",le="${le}"} ${count}`;
  });
  return `# HELP x y\nprocess_start_time_seconds ${startedAt}\ngamut_connections{wire="resp"} 4\n${lines.join("\n")}\nodd line\n`;
}

const counts = (text: string) => nodeCounts(parseMetrics(text));

describe("metrics", () => {
  it("are read with their labels, whatever stands in these", () => {
    expect(parseMetrics('a 1\n# a 2\nb{x="1,2}",y="q\\"\\n"} 2.5e3\nc NaN\n{} 1\nd{} +Inf')).toEqual([
      { name: "a", labels: {}, value: 1 },
      { name: "b", labels: { x: "1,2}", y: 'q"\n' }, value: 2500 },
      { name: "d", labels: {}, value: Number.POSITIVE_INFINITY },
    ]);
  });

  it("count what came between two looks; a new process, and counts that went back, begin at nothing", () => {
    const first = counts(metrics(100, 1, 5, 9));
    expect(first.connections.get("resp")).toBe(4);
    expect(timesSince(first, counts(metrics(100, 2, 8, 12))).get("resp write")).toEqual(buckets(1, 3, 3));
    expect(timesSince(first, counts(metrics(200, 2, 8, 12))).get("resp write")).toEqual(buckets(2, 8, 12));
    expect(timesSince(first, counts(metrics(100, 1, 2, 2))).get("resp write")).toEqual(buckets(1, 2, 2));
    expect(timesSince(counts(""), first).get("resp write")).toEqual(buckets(1, 5, 9));
  });
});

describe("quantiles", () => {
  it("lie within their bucket, evenly; beyond the last bound at that bound", () => {
    expect(quantile(buckets(0, 0, 0), 0.5)).toBeNull();
    expect(quantile(buckets(10, 10, 10), 0.5)).toBeCloseTo(0.0005);
    expect(quantile(buckets(0, 10, 10), 0.5)).toBeCloseTo(0.0055);
    expect(quantile(buckets(98, 99, 100), 0.99)).toBeCloseTo(0.01);
    expect(quantile(buckets(0, 0, 100), 0.5)).toBe(0.01);
  });

  it("are taken of all nodes together", () => {
    const all = sumOf([buckets(1, 2, 3), buckets(1, 1, 1)]);
    expect(all).toEqual(buckets(2, 3, 4));
    expect(countOf(all)).toBe(4);
  });
});

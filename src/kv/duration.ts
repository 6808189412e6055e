const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** As errors, help and documents describe it. */
export const DURATION_FORMS = "30s, 1500ms, 5m, 12h or 7d (a number alone counts seconds)";

/** `1500ms`, `30s`, `5m`, `12h`, `7d` in whole ms; a number alone counts seconds. Null: it is none, or below 1 ms. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  if (match === null) return null;
  const ms = Math.round(Number(match[1]) * UNITS_MS[match[2] ?? "s"]);
  return ms >= 1 && Number.isSafeInteger(ms) ? ms : null;
}

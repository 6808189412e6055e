import { describe, expect, it } from "vitest";
import { splitAddress } from "../address.js";
import { parseBenchOptions } from "./options.js";

describe("bench options", () => {
  it("fills in defaults", () => {
    expect(parseBenchOptions({ addresses: ["localhost:6379"] })).toMatchObject({
      driver: "resp",
      connections: 64,
      pipeline: 1,
      rate: 0,
      valueSizeBytes: 100,
      serializableReads: false,
    });
  });

  it.each([
    [{}, "addresses: "],
    [{ addresses: [] }, "give at least one address"],
    [{ addresses: ["localhost"] }, 'address "localhost" is not host:port'],
    [{ addresses: ["a:1"], connections: 0 }, "connections: "],
    [{ addresses: ["a:1"], connections: 1.5 }, "connections: "],
    [{ addresses: ["a:1"], rate: Number.NaN }, "rate: "],
    [{ addresses: ["a:1"], conections: 5 }, "conections"],
    [{ addresses: ["a:1"], driver: "etcd", operation: "incr" }, "etcd has no increment"],
    [{ addresses: ["a:1"], driver: "etcd", waitReplicas: 1 }, "WAIT is a Redis command"],
    [{ addresses: ["a:1"], driver: "etcd", valueSizeBytes: 20_000 }, "values of at most"],
    [{ addresses: ["a:1"], serializableReads: true }, "serializable reads are etcd's"],
  ])("refuses %j", (options, reason) => {
    expect(() => parseBenchOptions(options)).toThrow(reason);
  });

  it.each([
    ["127.0.0.1:80", { host: "127.0.0.1", port: 80 }],
    ["[::1]:65535", { host: "::1", port: 65_535 }],
    ["::1:80", null],
    ["host:0", null],
    ["host:65536", null],
    [":80", null],
  ])("splits %s", (text, address) => {
    expect(splitAddress(text)).toEqual(address);
  });
});

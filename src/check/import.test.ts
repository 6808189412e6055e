import { expect, test } from "vitest";
import { HistoryError } from "./assembler.js";
import { EdnReader, Keyword } from "./edn.js";
import { importKnossos } from "./import-knossos.js";
import { importPorcupineEtcd, importPorcupineKv } from "./import-porcupine.js";
import { checkLinearizable } from "./linearizable.js";
import { showCall } from "./operation.js";

function errorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(HistoryError);
    return (error as HistoryError).message;
  }
  return "no error";
}

const etcd = (...lines: string[]) =>
  importPorcupineEtcd(
    lines.map((line) => `INFO  jepsen.util - ${line.replaceAll(" ", "\t").replace("_", " ")}`).join("\n"),
  );

test("etcd logs: nil is absence, a failed cas is a mismatch, a crashed process is unknown", () => {
  const operations = etcd(
    "0 :invoke :read nil",
    "0 :ok :read nil",
    "1 :invoke :write 3",
    "0 :invoke :cas [3_4]",
    "0 :fail :cas [3_4]",
    "1 :info :write :timed-out",
  );
  expect(operations.map((o) => [showCall(o), o.status])).toEqual([
    ["read → absent", "ok"],
    ["write 3", "info"],
    ["cas 3→4 ✗", "ok"],
  ]);
  expect(errorOf(() => importPorcupineEtcd("hello"))).toContain("line 1: no line such as");
  expect(errorOf(() => etcd("0 :invoke :swap 1"))).toContain("line 1: not an operation");
  expect(errorOf(() => etcd("0 :invoke :write x"))).toBe(
    "line 1: the value of a write must be an integer or nil, not x",
  );
  expect(errorOf(() => etcd("0 :invoke :cas 7"))).toBe("line 1: the value of a cas must be [expected new], not 7");
  expect(errorOf(() => etcd("0 :ok :read 7"))).toBe("line 1: process 0 completes a read that it has not invoked");
});

test("kv logs: the empty string is absence", () => {
  const kv = (f: string, type: string, value: string) =>
    `{:process 0, :type :${type}, :f :${f}, :key "k", :value ${value}}\n`;
  const operations = importPorcupineKv(
    kv("get", "invoke", "nil") +
      kv("get", "ok", '""') +
      kv("append", "invoke", '"a"') +
      kv("append", "ok", '"a"') +
      kv("put", "invoke", '""') +
      kv("put", "ok", '""') +
      kv("append", "invoke", '""') +
      kv("append", "ok", '""') +
      kv("get", "invoke", "nil") +
      kv("get", "ok", '""'),
  );
  expect(operations.map(showCall)).toEqual(["read → absent", 'append "a"', "write absent", "read → absent"]);
  expect(checkLinearizable(operations).kind).toBe("valid");
  expect(errorOf(() => importPorcupineKv(kv("pop", "invoke", "nil")))).toBe("line 1: :f must be :get, :put or :append");
  expect(errorOf(() => importPorcupineKv("7"))).toContain("line 1: an operation is a map");
  expect(errorOf(() => importPorcupineKv("\n{:process"))).toBe(
    "line 2: the text ends inside a form; a bracket is not closed",
  );
});

test("Knossos: nil reads say nothing or absence, as the import is told", () => {
  const text = `; a comment
    [{:process 0, :type :invoke, :f :read, :value nil} {:process :nemesis, :type :info, :f :start}
     {:process 0, :type :ok, :f :read, :value nil}
     #_{:process 9} {:type :invoke :process 1 :f :cas :value [0 2]} {:type :ok :process 1 :f :cas :value [0 2]}]`;
  const unconstrained = importKnossos(text, { nilRead: "unconstrained", initial: 0 });
  expect(unconstrained.map(showCall)).toEqual(["write 0", "cas 0→2"]);
  expect(checkLinearizable(unconstrained).kind).toBe("valid");
  const absent = importKnossos(text, { nilRead: "absent", initial: 0 });
  expect(absent.map(showCall)).toEqual(["write 0", "read → absent", "cas 0→2"]);
  expect(checkLinearizable(absent).kind).toBe("invalid");
  expect(importKnossos("{:process 0 :type :invoke :f :write :value 1}", { nilRead: "absent" })).toHaveLength(1);
});

test("Knossos: says what is wrong, and where", () => {
  const options = { nilRead: "absent" } as const;
  expect(errorOf(() => importKnossos("[{:process 0\n :type", options))).toContain(
    "line 2: the text ends inside a form",
  );
  expect(errorOf(() => importKnossos("[7]", options))).toContain("line 1: an operation is a map");
  expect(errorOf(() => importKnossos("", options))).toContain("no operation of a client found");
  expect(errorOf(() => importKnossos("[{:process 0 :type :go}]", options))).toContain(
    ":type must be one of :invoke :ok :fail :info, not :go",
  );
  expect(errorOf(() => importKnossos("[\n{:process 0 :type :invoke :f :write :value [1 [2]]}]", options))).toContain(
    "line 2: a :value must be",
  );
  expect(errorOf(() => importKnossos('"\\u12', options))).toContain("\\u needs four hexadecimal digits");
  expect(errorOf(() => importKnossos("[".repeat(100), options))).toContain("nested deeper than 64");
  expect(errorOf(() => importKnossos("{:a}", options))).toContain("a map needs a value for each key");
  expect(errorOf(() => importKnossos(")", options))).toContain('unexpected ")"');
});

test("EDN forms", () => {
  const reader = new EdnReader('nil true -1.5 12N "a\\n\\u0041\\"" :k sym (1, [2]) #{3} #inst "x" {:a 1 "b" nil}');
  const forms = [];
  for (let form = reader.next(); form !== undefined; form = reader.next()) forms.push(form.value);
  expect(forms).toEqual([
    null,
    true,
    -1.5,
    12,
    'a\nA"',
    new Keyword("k"),
    "sym",
    [1, [2]],
    [3],
    "x",
    new Map<string, unknown>([
      ["a", 1],
      ["b", null],
    ]),
  ]);
});

import { beforeEach, describe, expect, test } from "vitest";
import { getCommand } from "../../kv/command.js";
import type { ErrorCode } from "../../kv/errors.js";
import { Level } from "../../kv/level.js";
import { Request } from "../../kv/request.js";
import { integerResult } from "../../kv/result.js";
import { ReadQueue } from "./read-queue.js";

const FIRST_ROUND = 700;

let answers: string[];
let queue: ReadQueue;

beforeEach(() => {
  answers = [];
  queue = new ReadQueue(
    FIRST_ROUND - 1,
    () => integerResult(1n),
    (request, result) => {
      answers.push(`${request.command.key} ${result.error === null ? `at ${request.position}` : result.error.code}`);
    },
  );
});

function read(name: string, minimum?: number): Request {
  const level = minimum === undefined ? Level.linearizable : Level.sequential;
  const request = new Request(getCommand(name), level, { reply: () => {} });
  if (minimum === undefined) queue.addLinearizable(request);
  else queue.addAt(minimum, request);
  return request;
}

function tick(nowMs: number, code: ErrorCode = "unavailable"): boolean {
  return queue.tick(nowMs, 3, code);
}

describe("linearizable reads", () => {
  test("share a question; those that come meanwhile wait for the next", () => {
    read("a");
    read("b");
    expect(queue.nextRound()).toBe(FIRST_ROUND);
    read("c");
    expect(queue.nextRound()).toBe(0);
    queue.indexKnown(FIRST_ROUND, 5);
    queue.runThrough(5);
    expect(answers).toEqual(["a at 5", "b at 5"]);
    expect(queue.nextRound()).toBe(FIRST_ROUND + 1);
    queue.indexKnown(FIRST_ROUND + 1, 5);
    queue.runThrough(7);
    expect(answers).toEqual(["a at 5", "b at 5", "c at 7"]);
    expect(queue.size).toBe(0);
  });

  test("wait until the state has applied their index", () => {
    read("a");
    queue.nextRound();
    queue.indexKnown(FIRST_ROUND, 9);
    queue.runThrough(8);
    expect(answers).toEqual([]);
    queue.runThrough(10);
    expect(answers).toEqual(["a at 10"]);
  });

  test("do not take the answer to another question", () => {
    read("a");
    queue.nextRound();
    queue.indexKnown(FIRST_ROUND - 1, 1);
    queue.indexKnown(FIRST_ROUND + 1, 1);
    queue.runThrough(9);
    expect(answers).toEqual([]);
  });

  test("ask again under a new number, and the answer to the old one is stale", () => {
    read("a");
    queue.nextRound();
    read("b");
    queue.askAgain();
    expect(queue.nextRound()).toBe(FIRST_ROUND + 1);
    queue.indexKnown(FIRST_ROUND, 1);
    queue.runThrough(9);
    expect(answers).toEqual([]);
    queue.indexKnown(FIRST_ROUND + 1, 9);
    queue.runThrough(9);
    expect(answers).toEqual(["a at 9", "b at 9"]);
  });

  test("tell of silence, counted from the question", () => {
    read("a");
    expect(tick(1)).toBe(false);
    queue.nextRound();
    expect([tick(2), tick(3), tick(4)]).toEqual([false, false, true]);
    queue.askAgain();
    queue.nextRound();
    expect([tick(5), tick(6), tick(7)]).toEqual([false, false, true]);
  });
});

describe("reads at a position", () => {
  test("need no question, and wait for the state alone", () => {
    read("a", 3);
    read("b", 1);
    expect(queue.nextRound()).toBe(0);
    queue.runThrough(2);
    expect(answers).toEqual(["b at 2"]);
    queue.runThrough(3);
    expect(answers).toEqual(["b at 2", "a at 3"]);
  });
});

describe("deadlines are definite for a read, wherever it waits", () => {
  test("queued, asked, and confirmed", () => {
    read("asked").deadlineMs = 10;
    read("asked for longer").deadlineMs = 20;
    queue.nextRound();
    read("queued").deadlineMs = 10;
    read("confirmed", 9).deadlineMs = 10;
    tick(9);
    expect(answers).toEqual([]);
    tick(10, "recovering");
    expect(answers.sort()).toEqual(["asked recovering", "confirmed recovering", "queued recovering"]);
    expect(queue.size).toBe(1);
    queue.indexKnown(FIRST_ROUND, 1);
    queue.runThrough(1);
    expect(answers).toContain("asked for longer at 1");
    expect(queue.size).toBe(0);
  });

  test("do not make a question younger", () => {
    read("a").deadlineMs = 2;
    read("b");
    queue.nextRound();
    expect([tick(1), tick(2), tick(3)]).toEqual([false, false, true]);
  });
});

test("a cancelled read is not executed", () => {
  read("a", 1).cancelled = true;
  read("b", 1);
  queue.runThrough(1);
  expect(answers.filter((answer) => answer.includes(" at "))).toEqual(["b at 1"]);
  expect(queue.size).toBe(0);
});

test("abandoning answers all of them", () => {
  read("asked");
  queue.nextRound();
  read("queued");
  read("confirmed", 9);
  queue.abandon("keyspace_gone");
  expect(answers.sort()).toEqual(["asked keyspace_gone", "confirmed keyspace_gone", "queued keyspace_gone"]);
  expect(queue.size).toBe(0);
});

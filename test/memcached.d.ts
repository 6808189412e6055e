/** What the tests use of the package, which brings no types. */
declare module "memcached" {
  type Done<T> = (error: Error | undefined, result: T) => void;
  export type Values = Record<string, unknown> & { cas: string };

  export default class Memcached {
    constructor(servers: string | string[], options?: { timeout?: number; retries?: number; poolSize?: number });
    get(key: string, done: Done<unknown>): void;
    gets(key: string, done: Done<Values>): void;
    getMulti(keys: string[], done: Done<Values>): void;
    set(key: string, value: unknown, lifetime: number, done: Done<boolean>): void;
    add(key: string, value: unknown, lifetime: number, done: Done<boolean>): void;
    replace(key: string, value: unknown, lifetime: number, done: Done<boolean>): void;
    append(key: string, value: unknown, done: Done<boolean>): void;
    prepend(key: string, value: unknown, done: Done<boolean>): void;
    cas(key: string, value: unknown, unique: string, lifetime: number, done: Done<boolean>): void;
    incr(key: string, delta: number, done: Done<number | boolean>): void;
    decr(key: string, delta: number, done: Done<number | boolean>): void;
    touch(key: string, lifetime: number, done: Done<boolean>): void;
    del(key: string, done: Done<boolean>): void;
    version(done: Done<{ version: string }[]>): void;
    stats(done: Done<Record<string, unknown>[]>): void;
    flush(done: Done<boolean[]>): void;
    end(): void;
  }
}

// Types of what flagbase gives to JavaScript and TypeScript functions. Put
//   /// <reference path="./flagbase.d.ts" />
// at the top of a function, or name this file in tsconfig.json ("files").
//
// Every call on the global `flagbase` object is synchronous: it returns its result
// and throws an Error with the host's message. `await` on it is allowed and changes
// nothing. None of them works while the script is being loaded (at its top level).

declare namespace Flagbase {
  type JSONValue = string | number | boolean | null | JSONValue[] | { [key: string]: JSONValue };

  /** Strings and buffers are stored or sent as they are, anything else as JSON. */
  type Data = string | ArrayBuffer | ArrayBufferView | object | number | boolean | null;

  /** Who triggered the invocation. */
  interface Caller {
    user_id: string;
    role: string;
    tenant_id: string;
    email: string;
    groups: string[] | null;
  }

  interface Log {
    /** Writes a line of level info to the invocation's log. */
    (...values: unknown[]): void;
    debug(...values: unknown[]): void;
    info(...values: unknown[]): void;
    warn(...values: unknown[]): void;
    error(...values: unknown[]): void;
  }

  /** What a handler gets as its last argument, and `flagbase.context`. */
  interface Context<E = any> {
    readonly caller: Caller | null;
    /** JSON is parsed; other UTF-8 is a string; other bytes are a Uint8Array. Undefined in a web request to fetch. */
    readonly event: E;
    /** 32 hexadecimal digits. */
    readonly traceId: string;
    readonly functionId: string;
    readonly functionName: string;
    readonly version: number;
    readonly invocationId: string;
    /** Milliseconds until the deadline. */
    remaining(): number;
    /** Keeps the invocation alive until the promise has settled. A rejection is logged. */
    waitUntil(promise: Promise<unknown>): void;
    /** Does nothing; for handlers written for other platforms. */
    passThroughOnException(): void;
    readonly log: Log;
  }

  /** A record of a table. */
  interface TableRecord<T = any> {
    _id: string;
    data: T;
    /** "flagKey:variantKey" of the flag context it was written under. */
    _flag?: string;
    _created_at: string;
    _updated_at: string;
  }

  interface Query {
    filters?: {
      /** A path into the data ("address.city"), or _id, _created_at, _updated_at, _flag. */
      column: string;
      operator: "eq" | "ne" | "lt" | "lte" | "gt" | "gte" | "in" | "contains" | "starts_with" | "exists" | "=" | "!=" | "<" | "<=" | ">" | ">=";
      value?: JSONValue;
    }[];
    order_by?: { column: string; desc?: boolean }[];
    /** Defaults to 100, at most 1000. */
    limit?: number;
    offset?: number;
    /** Only records with this _flag. */
    flag?: string;
  }

  interface HTTPAnswer {
    status: number;
    /** Whether the status is 200 to 299. */
    ok: boolean;
    /** By lower-case name; several values are joined with ", ". */
    headers: { [name: string]: string };
    /** The body as UTF-8. */
    body: string;
    bytes: Uint8Array;
    text(): string;
    json<T = any>(): T;
  }

  interface HTTPOptions {
    method?: string;
    headers?: HeadersInit;
    body?: string | ArrayBuffer | ArrayBufferView | URLSearchParams | null;
  }

  interface Global {
    readonly flag: {
      /** Whether a boolean flag is on for the caller. */
      evaluate(key: string): boolean;
      /** The name of the caller's variant. */
      variant(key: string): string;
    };
    readonly bucket: {
      /** The object as UTF-8; throws when it is absent. */
      get(bucket: string, key: string): string;
      /** The object's bytes; throws when it is absent. */
      getBytes(bucket: string, key: string): Uint8Array;
      getJSON<T = any>(bucket: string, key: string): T;
      put(bucket: string, key: string, data: Data): void;
      /** Deleting what is absent is no error. */
      delete(bucket: string, key: string): void;
      /** The keys, in bytewise order. */
      list(bucket: string, options?: string | { prefix?: string }): string[];
    };
    readonly table: {
      /** Throws when there is no such record. */
      get<T = any>(table: string, id: string): TableRecord<T>;
      /** Inserts; with an _id in the data, updates. */
      put<T extends object>(table: string, data: T & { _id?: string }): TableRecord<T>;
      put<T extends object>(table: string, id: string, data: T): TableRecord<T>;
      delete(table: string, id: string): void;
      query<T = any>(table: string, query?: Query): TableRecord<T>[];
    };
    readonly fn: {
      /** Runs another function, by id or name, and gives its output as UTF-8. */
      invoke(function_: string, event?: Data): string;
      invokeBytes(function_: string, event?: Data): Uint8Array;
      invokeJSON<T = any>(function_: string, event?: Data): T;
    };
    readonly http: {
      fetch(url: string | URL, options?: HTTPOptions): HTTPAnswer;
    };
    readonly metrics: {
      publish(name: string, value: number, tags?: { [name: string]: string }): void;
    };
    readonly secret: {
      get(name: string): string;
    };
    readonly log: Log;
    readonly context: Context;
  }

  /** `export function handle(event, context)`: what it returns is the output. */
  type Handle<E = any, R = unknown> = (event: E, context: Context<E>) => R | Promise<R>;

  /** `export default { fetch(request, env, ctx) }`; env is the flagbase object. */
  interface WebHandler {
    fetch(request: Request, env: Global, ctx: Context): Response | Promise<Response>;
  }
}

declare const flagbase: Flagbase.Global;

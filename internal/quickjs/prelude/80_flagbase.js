// The global flagbase object. Its calls are synchronous: await works on them and
// changes nothing.
const asText = (what, v) => {
  if (typeof v !== "string") throw new TypeError(`${what} must be a string, not ${v === null ? "null" : typeof v}`);
  return v;
};

// payload turns what a script stores or sends into bytes: strings and buffers as
// they are, anything else as JSON.
const payload = (what, v) => {
  if (typeof v === "string") return v;
  const b = bytesOf(v);
  if (b !== undefined) return b;
  const json = JSONStringify(v);
  if (json === undefined) throw new TypeError(`${what} has no JSON form`);
  return json;
};

const bucketName = (v) => asText("flagbase.bucket: the bucket's name", v);
const bucketKey = (v) => asText("flagbase.bucket: the key", v);
const tableName = (v) => asText("flagbase.table: the table's name", v);
const recordID = (v) => asText("flagbase.table: the record's _id", v);
const functionName = (v) => asText("flagbase.fn.invoke: the function's name", v);

const levels = { __proto__: null, debug: "0", info: "1", warn: "2", error: "3" };
const logAt = (level) => (...args) => void host("log_write", levels[level], format(args));
const log = logAt("info");
log.debug = logAt("debug");
log.info = logAt("info");
log.warn = logAt("warn");
log.error = logAt("error");

const invokeArgs = (id, args) => (args.length === 0 || args[0] === undefined ? ["fn_invoke", functionName(id)] : ["fn_invoke_event", functionName(id), payload("flagbase.fn.invoke: the event", args[0])]);

const headerObject = (headers) => {
  const out = {};
  const lists = headerLists(headers);
  const names = ObjectKeys(lists);
  for (let i = 0; i < names.length; i++) out[names[i]] = ArrayJoin(lists[names[i]], ", ");
  return out;
};

// What the host says about the invocation, once somebody asked.
let details;
const meta = () => (details ??= JSONParse(sys("details")));
let currentEvent;
let waiting = [];

const context = {
  get caller() {
    return meta().caller ?? null;
  },
  get event() {
    return currentEvent;
  },
  get traceId() {
    return meta().traceId ?? "";
  },
  get functionId() {
    return meta().functionId ?? "";
  },
  get functionName() {
    return meta().functionName ?? "";
  },
  get version() {
    return meta().version ?? 0;
  },
  get invocationId() {
    return meta().invocationId ?? "";
  },
  // remaining is the milliseconds until the deadline.
  remaining() {
    return meta().deadline === undefined ? Infinity : MathMax(0, MathFloor(meta().deadline - DateNow()));
  },
  waitUntil(promise) {
    const n = waiting.length;
    ArrayPush(waiting, false);
    const done = () => {
      waiting[n] = true;
      finishIfDone();
    };
    PromiseThen(
      (async () => promise)(),
      done,
      (e) => {
        print("error", ["waitUntil:", e]);
        done();
      },
    );
  },
  passThroughOnException() {},
  log,
};

const flagbase = {
  flag: {
    evaluate: (key) => {
      const v = host("flag_eval", asText("flagbase.flag: the key", key));
      return v === "1" || v === "true";
    },
    variant: (key) => host("flag_eval_variant", asText("flagbase.flag: the key", key)),
  },
  bucket: {
    get: (bucket, key) => host("bucket_get", bucketName(bucket), bucketKey(key)),
    getBytes: (bucket, key) => hostBytes("bucket_get", bucketName(bucket), bucketKey(key)),
    getJSON: (bucket, key) => JSONParse(host("bucket_get", bucketName(bucket), bucketKey(key))),
    put: (bucket, key, data) => void host("bucket_put", bucketName(bucket), bucketKey(key), payload("flagbase.bucket.put: the data", data)),
    delete: (bucket, key) => void host("bucket_delete", bucketName(bucket), bucketKey(key)),
    list: (bucket, options) => {
      const keys = JSONParse(host("bucket_list", bucketName(bucket)));
      const prefix = typeof options === "string" ? options : options?.prefix;
      if (prefix === undefined) return keys;
      const out = [];
      for (let i = 0; i < keys.length; i++) if (StringStartsWith(keys[i], prefix)) ArrayPush(out, keys[i]);
      return out;
    },
  },
  table: {
    get: (table, id) => JSONParse(host("table_get", tableName(table), recordID(id))),
    put: (table, a, b) => {
      let record = a;
      if (b !== undefined) record = { ...b, _id: recordID(a) };
      if (typeof record !== "object" || record === null || ArrayIsArray(record)) throw new TypeError("flagbase.table.put: the record must be an object");
      return JSONParse(host("table_put", tableName(table), JSONStringify(record)));
    },
    delete: (table, id) => void host("table_delete", tableName(table), recordID(id)),
    query: (table, options) => JSONParse(host("table_query", tableName(table), JSONStringify(options ?? {}))),
  },
  fn: {
    invoke: (id, ...event) => apply(host, undefined, invokeArgs(id, event)),
    invokeBytes: (id, ...event) => apply(hostBytes, undefined, invokeArgs(id, event)),
    invokeJSON: (id, ...event) => JSONParse(apply(host, undefined, invokeArgs(id, event))),
  },
  http: {
    fetch: (url, init) => {
      const answer = httpFetch(url, init);
      return {
        status: answer.status,
        ok: answer.status >= 200 && answer.status <= 299,
        headers: headerObject(answer.headers),
        body: decodeUTF8(answer.body),
        bytes: answer.body,
        text() {
          return this.body;
        },
        json() {
          return JSONParse(this.body);
        },
      };
    },
  },
  metrics: {
    publish: (name, value, tags) => {
      const v = +value;
      if (v !== v || v === Infinity || v === -Infinity) throw new TypeError("flagbase.metrics.publish: the value must be a finite number");
      host("metrics_publish", asText("flagbase.metrics: the name", name), NumberToString(v), JSONStringify(tags ?? {}));
    },
  },
  secret: {
    get: (name) => host("secret_get", asText("flagbase.secret: the name", name)),
  },
  log,
  context,
};
{
  const names = ObjectKeys(flagbase);
  for (let i = 0; i < names.length; i++) ObjectFreeze(flagbase[names[i]]);
  ObjectFreeze(flagbase);
}
define(globalThis, "flagbase", flagbase);

define(globalThis, "crypto", {
  getRandomValues(array) {
    const tag = typedArrayTag(array);
    if (tag === undefined || StringStartsWith(tag, "Float")) throw new TypeError("crypto.getRandomValues: the argument must be an integer typed array");
    const view = bytesOf(array);
    const n = typedArrayLength(view);
    if (n > 65536) throw new RangeError("crypto.getRandomValues: at most 65536 bytes at once");
    typedArraySet(view, bytes("random", NumberToString(n)));
    return array;
  },
  randomUUID() {
    const b = bytes("random", "16");
    b[6] = (b[6] & 15) | 64;
    b[8] = (b[8] & 63) | 128;
    let s = "";
    for (let i = 0; i < 16; i++) s += (i === 4 || i === 6 || i === 8 || i === 10 ? "-" : "") + StringPadStart(NumberToString(b[i], 16), 2, "0");
    return s;
  },
});

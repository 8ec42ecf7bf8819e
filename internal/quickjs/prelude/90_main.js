// The way in: load once, when the script was evaluated, then invoke. Whatever
// belongs to one invocation arrives with invoke, so that what exists before it can
// become a snapshot.
let entry;

// What the function gave, while something has to be waited for before the host gets it.
const nothing = 0;
const isNone = 1;
const isValue = 2;
const isResponseText = 3; // head and body in one string
const isResponseBytes = 4; // head apart
let outcome = nothing;
let output; // the value or the body
let head; // of isResponseBytes

// mail is memory that the host reads: what invoke and settle have returned. 0 is
// nothing; what fail, or sys("done"), said or will say counts. isPromise is a promise, or
// what looks like one, of the function's result: the host waits and calls settle.
const mail = new Int32Array(1);
const isPromise = 5;

const callable = (f) => typeof f === "function";

// load finds the handlers: bit 1 is fetch, bit 2 is handle.
const load = (namespace) => {
  const main = namespace.default;
  entry = { __proto__: null, fetch: undefined, fetchThis: undefined, handle: undefined, handleThis: undefined };
  if ((typeof main === "object" && main !== null) || callable(main)) {
    if (callable(main.fetch)) {
      entry.fetch = main.fetch;
      entry.fetchThis = main;
    }
    if (callable(main.handle)) {
      entry.handle = main.handle;
      entry.handleThis = main;
    }
  }
  if (entry.fetch === undefined && callable(namespace.fetch)) entry.fetch = namespace.fetch;
  const candidates = [namespace.handle, namespace.$flagbase_handle, getOwnPropertyDescriptor(globalThis, "handle")?.value, main];
  for (let i = 0; i < candidates.length && entry.handle === undefined; i++) if (callable(candidates[i])) entry.handle = candidates[i];
  if (entry.handle === undefined && entry.fetch === undefined && callable(namespace.$flagbase_fetch)) entry.fetch = namespace.$flagbase_fetch;
  origin = details = undefined; // what the script asked belongs to no invocation
  return (entry.fetch === undefined ? 0 : 1) + (entry.handle === undefined ? 0 : 2);
};

const parseEvent = (raw) => {
  if (typeof raw !== "string") return raw;
  try {
    return JSONParse(raw);
  } catch (e) {
    if (e instanceof SyntaxError) return raw;
    throw e; // such as the stack, of nesting too deep
  }
};

// Up to this length a body goes to the host as one string with the head.
const shortBody = 1 << 16;

// answer takes what the function gave, and returns it to the host when that is all there
// is to say. Here and in invoke each object that is looked at is in a page that is written,
// because the engine counts who refers to it, and that has to be restored: so what
// most functions give, a plain object, is told first.
const answer = (value) => {
  let kind;
  let result = value;
  let first; // of isResponseBytes
  if (value === undefined) {
    kind = isNone;
  } else if (typeof value === "string") {
    kind = isValue;
  } else if (isResponse(value)) {
    const s = responseOf(value);
    const body = peekBody(s);
    first = responseHead(s);
    if (body === null || (typeof body === "string" && body.length <= shortBody)) {
      kind = isResponseText;
      result = body === null ? first : first + body;
    } else {
      kind = isResponseBytes;
      result = body;
    }
  } else {
    const plain = typeof value === "object" && value !== null && getPrototypeOf(value) === ObjectPrototype;
    result = (plain ? undefined : bytesOf(value)) ?? JSONStringify(value);
    kind = result === undefined ? isNone : isValue;
  }
  if (waiting.length > 0 || kind === isResponseBytes) {
    outcome = kind;
    output = result;
    head = first;
    return finishIfDone();
  }
  mail[0] = kind;
  return result;
};

// finishIfDone hands the outcome over when nothing registered with waitUntil is
// left to wait for.
const finishIfDone = () => {
  if (outcome === nothing) return;
  for (let i = 0; i < waiting.length; i++) if (!waiting[i]) return;
  const kind = outcome;
  outcome = nothing;
  if (kind === isNone) sys("done", "none");
  else if (kind === isValue) sys("done", "value", output);
  else if (kind === isResponseText) sys("done", "response", output, "");
  else sys("done", "response", head, output);
};

let web; // the invocation is a request that must be answered with a Response

// invoke starts one invocation. request is what hostRequest takes when it came as an HTTP
// request, else undefined. raw is the event or the request's body: a string when it is
// valid UTF-8, else bytes; undefined when a request has none. See mail for what it returns.
const invoke = (request, raw) => {
  mail[0] = nothing;
  web = request !== undefined && entry.fetch !== undefined;
  try {
    const value = run(request, raw);
    if ((typeof value !== "object" && typeof value !== "function") || value === null) return answer(expected(value));
    const proto = getPrototypeOf(value);
    const promise = proto !== ObjectPrototype && proto === PromisePrototype && value.constructor === PromiseConstructor;
    if (!promise && value.then === undefined) return answer(expected(value));
    mail[0] = isPromise;
    return promise ? value : awaited(value);
  } catch (e) {
    mail[0] = nothing;
    fail(e);
  }
};

// awaited makes a promise of a thenable.
const awaited = async (thenable) => thenable;

// settle goes on with what a promise of the function's result gave.
const settle = (value) => {
  mail[0] = nothing;
  try {
    return answer(expected(value));
  } catch (e) {
    mail[0] = nothing;
    fail(e);
  }
};

const run = (request, raw) => {
  if (!web && entry.handle !== undefined) {
    currentEvent = parseEvent(raw);
    return entry.handleThis === undefined ? (0, entry.handle)(currentEvent, context) : callWith(entry.handle, entry.handleThis, currentEvent, context);
  }
  if (!web) currentEvent = parseEvent(raw);
  const message = new Request(hostRequest(request ?? "=POST\nhttp://localhost/", raw === undefined || raw === "" ? null : raw), isState);
  return callWith(entry.fetch, entry.fetchThis, message, flagbase, context);
};

// expected checks what a web handler answers a request with.
const expected = (value) => {
  if (web && !isResponse(value)) throw new TypeError("fetch must return a Response, not " + (value === null ? "null" : typeof value));
  return value;
};

return { __proto__: null, load, invoke, settle, awaited, tick, fail, mail };

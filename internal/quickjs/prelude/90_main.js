// The way in: load once, when the script was evaluated, then invoke. Whatever
// belongs to one invocation arrives with invoke, so that what exists before it can
// become a snapshot.
let entry;
let outcome; // what the function gave, once it has

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

// settle takes what the function gave. Output that is all there is to say is returned;
// anything else goes to the host when nothing is left to wait for.
const settle = (value) => {
  if (value === undefined) {
    outcome = ["none"];
  } else if (typeof value === "string") {
    outcome = ["value", value];
  } else if (isResponse(value)) {
    const body = peekBody(value);
    outcome = ["response", JSONStringify({ __proto__: null, status: statusOf(value), headers: headerLists(headersOf(value)) }), body === null ? "" : body];
  } else {
    const b = bytesOf(value);
    if (b !== undefined) {
      outcome = ["value", b];
    } else {
      const json = JSONStringify(value);
      outcome = json === undefined ? ["none"] : ["value", json];
    }
  }
  if (waiting.length === 0 && outcome.length === 2) {
    const output = outcome[1];
    outcome = undefined;
    return output;
  }
  finishIfDone();
};

// finishIfDone hands the outcome over when nothing registered with waitUntil is
// left to wait for.
const finishIfDone = () => {
  if (outcome === undefined) return;
  for (let i = 0; i < waiting.length; i++) if (!waiting[i]) return;
  const result = outcome;
  outcome = undefined;
  if (result.length === 1) sys("done", result[0]);
  else if (result.length === 2) sys("done", result[0], result[1]);
  else sys("done", result[0], result[1], result[2]);
};

// invoke starts one invocation. request is JSON when it came as an HTTP request, else
// undefined. raw is the event or the request's body: a string when it is valid UTF-8,
// else bytes. It returns the output of a function that is done at once.
const invoke = (request, raw) => {
  origin = details = undefined; // what was asked while the script was loaded
  try {
    const value = run(request, raw);
    if ((typeof value !== "object" && typeof value !== "function") || value === null || value.then === undefined) return settle(expected(request, value));
    settleLater(request, value);
  } catch (e) {
    fail(e);
  }
};

const settleLater = async (request, promise) => {
  try {
    const output = settle(expected(request, await promise));
    if (output !== undefined) sys("done", "value", output);
  } catch (e) {
    fail(e);
  }
};

const isWeb = (request) => (request !== undefined ? entry.fetch !== undefined : entry.handle === undefined);

const run = (request, raw) => {
  if (!isWeb(request)) {
    currentEvent = parseEvent(raw);
    return apply(entry.handle, entry.handleThis, [currentEvent, context]);
  }
  const r = request === undefined ? { method: "POST", url: "http://localhost/", headers: [] } : JSONParse(request);
  if (request === undefined) currentEvent = parseEvent(raw);
  r.headers = headersFromPairs(r.headers);
  r.body = raw === "" || r.method === "GET" || r.method === "HEAD" ? null : raw;
  const message = new Request(fromHost, r);
  return apply(entry.fetch, entry.fetchThis, [message, flagbase, context]);
};

// expected checks what a web handler answers a request with.
const expected = (request, value) => {
  if (request !== undefined && isWeb(request) && !isResponse(value)) throw new TypeError("fetch must return a Response, not " + (value === null ? "null" : typeof value));
  return value;
};

return { __proto__: null, load, invoke, tick, fail };

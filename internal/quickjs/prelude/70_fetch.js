// Request, Response and fetch, with whole bodies: no streams yet. An object of either
// class has one private field, its state: a literal in which every property that is ever
// read is there from the start, so that Object.prototype has no say.
const isSearchParams = (v) => attempt(() => v instanceof URLSearchParams) === true;
const searchParamsString = method(URLSearchParams.prototype.toString);
const textType = "text/plain;charset=UTF-8";

// bodyOf turns what a script gives as a body into a string, a Uint8Array or null.
const bodyOf = (v) => {
  if (typeof v === "string") return v;
  if (v === undefined || v === null) return null;
  if (typeof v === "object") {
    const b = bytesOf(v);
    if (b !== undefined) return typedArraySlice(b);
    if (isSearchParams(v)) return searchParamsString(v);
  }
  return text(v);
};

// typeOf is the content type that a body implies; body is what bodyOf made of it.
const typeOf = (v, body) => {
  if (typeof body !== "string") return undefined;
  return typeof v === "object" && isSearchParams(v) ? "application/x-www-form-urlencoded;charset=UTF-8" : textType;
};

const peekBody = (s) => {
  if (s.used) throw new TypeError("the body has already been read");
  return s.body;
};

// take reads a body, once.
const take = (s, what) => {
  if (s.used) throw new TypeError(`${what}: the body has already been read`);
  if (s.body !== null) s.used = true;
  return s.body;
};
const takeText = (s, what) => {
  const b = take(s, what);
  return typeof b === "string" ? b : b === null ? "" : decodeUTF8(b);
};
const takeBytes = (s, what) => {
  const b = take(s, what);
  return b === null ? new Uint8Array(0) : typeof b === "string" ? encodeUTF8(b) : typedArraySlice(b);
};

// A state's headers are made when somebody asks.
const headersOf = (s) => (s.headers ??= new Headers(ownList, s.type !== undefined ? ["content-type", s.type] : s.head !== undefined ? headLines(s.head) : []));

// headLines gives the lines of a request's head that are headers.
const headLines = (head) => {
  const at = StringIndexOf(head, "\n", StringIndexOf(head, "\n") + 1);
  return at < 0 ? [] : StringSplit(StringSlice(head, at + 1), "\n");
};

// isState, as the second argument of a constructor, says that the first is a state.
const isState = { __proto__: null };

const methodsUpper = { __proto__: null, get: "GET", head: "HEAD", post: "POST", put: "PUT", delete: "DELETE", options: "OPTIONS", patch: "PATCH" };

// requestState is that of a request that a script makes, from another's or from none.
const requestState = (input, from, init) => {
  const url = from !== undefined ? urlOf(from) : hrefOf(parseURL(text(input)));
  const m = text(init.method ?? (from === undefined ? "GET" : methodOf(from)));
  if (RegExpExec(token, m) === null) throw new TypeError("Request: invalid method");
  const verb = methodsUpper[StringLower(m)] ?? m;
  const given = init.body;
  let body = bodyOf(given);
  const type = typeOf(given, body);
  if (body === null && from !== undefined && given === undefined) body = take(from, "body");
  if (body !== null && (verb === "GET" || verb === "HEAD")) throw new TypeError(`Request: a ${verb} request has no body`);
  const headers = new Headers(init.headers ?? (from === undefined ? undefined : headersOf(from)));
  if (type !== undefined) addContentType(headers, type);
  const redirect = text(init.redirect ?? from?.redirect ?? "follow");
  const signal = init.signal ?? from?.signal ?? null;
  return { body, used: false, head: undefined, type: undefined, headers, method: verb, url, redirect, signal };
};

// hostRequest is that of a request that came from outside. head is what the host says of
// it: method, URL, and its headers' names (in lower case) and values, a line each. It
// begins with "=" when the URL is what parseURL would make of it, else with "?". It is
// taken apart when somebody asks.
const hostRequest = (head, body) => ({ body, used: false, head, type: undefined, headers: undefined, method: undefined, url: undefined, redirect: "follow", signal: null });
const methodOf = (s) => (s.method ??= StringSlice(s.head, 1, StringIndexOf(s.head, "\n")));
const urlOf = (s) => {
  if (s.url === undefined) {
    const from = StringIndexOf(s.head, "\n") + 1;
    const to = StringIndexOf(s.head, "\n", from);
    const url = StringSlice(s.head, from, to < 0 ? s.head.length : to);
    s.url = s.head[0] === "=" ? url : hrefOf(parseURL(url));
  }
  return s.url;
};

class Request {
  #s;
  constructor(input, init) {
    if (init === isState) this.#s = input;
    else this.#s = requestState(input, typeof input === "object" && input !== null && #s in input ? input.#s : undefined, init ?? {});
  }
  get method() {
    return methodOf(this.#s);
  }
  get url() {
    return urlOf(this.#s);
  }
  get redirect() {
    return this.#s.redirect;
  }
  get signal() {
    return this.#s.signal;
  }
  get headers() {
    return headersOf(this.#s);
  }
  get bodyUsed() {
    return this.#s.used;
  }
  clone() {
    // A body is never changed once it is in, so that both may hold the same.
    const s = this.#s;
    return new Request({ body: peekBody(s), used: false, head: s.head, type: s.type, headers: s.headers && new Headers(s.headers), method: s.method, url: s.url, redirect: s.redirect, signal: s.signal }, isState);
  }
  // These are no async functions, which cost the engine more: they do all at once anyway.
  text() {
    try {
      return PromiseResolve(takeText(this.#s, "text"));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  json() {
    try {
      return PromiseResolve(JSONParse(takeText(this.#s, "json")));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  bytes() {
    try {
      return PromiseResolve(takeBytes(this.#s, "bytes"));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  arrayBuffer() {
    try {
      return PromiseResolve(typedArrayBuffer(takeBytes(this.#s, "arrayBuffer")));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  static state(r) {
    return r.#s;
  }
}

// responseState is that of a response that a script makes. type is the content type of
// the body when that is known.
const responseState = (value, init, type) => {
  const status = init.status === undefined ? 200 : +init.status;
  if (!(status >= 200 && status <= 599) || MathFloor(status) !== status) throw new RangeError(`Response: status ${text(init.status)} is not between 200 and 599`);
  const body = bodyOf(value);
  if (body !== null && (status === 204 || status === 205 || status === 304)) throw new TypeError(`Response: status ${status} has no body`);
  const statusText = init.statusText === undefined ? "" : text(init.statusText);
  type ??= typeOf(value, body);
  const given = init.headers;
  let headers;
  if (given !== undefined) {
    headers = new Headers(given);
    if (type !== undefined) addContentType(headers, type);
  }
  return { body, used: false, head: undefined, type, headers, status, statusText, url: "" };
};
const plainResponse = (body, type) => ({ body, used: false, head: undefined, type, headers: undefined, status: 200, statusText: "", url: "" });

class Response {
  #s;
  constructor(body, init) {
    if (init === isState) this.#s = body;
    else if (init === undefined && typeof body === "string") this.#s = plainResponse(body, textType);
    else this.#s = responseState(body, init ?? {});
  }
  get status() {
    return this.#s.status;
  }
  get ok() {
    return this.#s.status >= 200 && this.#s.status <= 299;
  }
  get statusText() {
    return this.#s.statusText;
  }
  get url() {
    return this.#s.url;
  }
  get headers() {
    return headersOf(this.#s);
  }
  get bodyUsed() {
    return this.#s.used;
  }
  clone() {
    const s = this.#s;
    return new Response({ body: peekBody(s), used: false, head: undefined, type: s.type, headers: s.headers && new Headers(s.headers), status: s.status, statusText: s.statusText, url: s.url }, isState);
  }
  text() {
    try {
      return PromiseResolve(takeText(this.#s, "text"));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  json() {
    try {
      return PromiseResolve(JSONParse(takeText(this.#s, "json")));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  bytes() {
    try {
      return PromiseResolve(takeBytes(this.#s, "bytes"));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  arrayBuffer() {
    try {
      return PromiseResolve(typedArrayBuffer(takeBytes(this.#s, "arrayBuffer")));
    } catch (e) {
      return PromiseReject(e);
    }
  }
  static json(data, init) {
    const body = JSONStringify(data);
    if (body === undefined) throw new TypeError("Response.json: the value has no JSON");
    return new Response(init === undefined ? plainResponse(body, "application/json") : responseState(body, init ?? {}, "application/json"), isState);
  }
  static redirect(url, status = 302) {
    if (status !== 301 && status !== 302 && status !== 303 && status !== 307 && status !== 308) throw new RangeError(`Response.redirect: ${text(status)} is no redirect status`);
    return new Response(null, { status, headers: { location: hrefOf(parseURL(text(url))) } });
  }
  static is(v) {
    return typeof v === "object" && v !== null && #s in v;
  }
  static state(r) {
    return r.#s;
  }
}
const requestOf = Request.state;
const { is: isResponse, state: responseOf } = Response;
delete Request.state;
delete Response.state;
delete Response.is;

define(Request.prototype, SymbolToStringTag, "Request");
define(Response.prototype, SymbolToStringTag, "Response");
define(globalThis, "Request", Request);
define(globalThis, "Response", Response);

// responseHead is what the host gets before a body: the status and the headers' names and
// values, a line each, and an empty line.
const responseHead = (s) => {
  if (s.headers === undefined) return s.type === undefined ? s.status + "\n\n" : s.status + "\ncontent-type\n" + s.type + "\n\n";
  const list = headerList(s.headers);
  return list.length === 0 ? s.status + "\n\n" : s.status + "\n" + ArrayJoin(list, "\n") + "\n\n";
};

// httpFetch is the host call that fetch and flagbase.http.fetch share.
const httpFetch = (input, init) => {
  const request = requestOf(new Request(input, init));
  const body = take(request, "body");
  const answer = JSONParse(
    host(
      "http_fetch",
      JSONStringify({
        __proto__: null,
        method: request.method,
        url: request.url,
        headers: headerLists(headersOf(request)),
        body: body === null ? "" : base64Encode(body),
      }),
    ),
  );
  return {
    __proto__: null,
    url: request.url,
    status: answer.status,
    headers: headersFromLists(answer.headers),
    body: base64Decode(answer.body ?? ""),
  };
};

define(globalThis, "fetch", async function fetch(input, init) {
  const answer = httpFetch(input, init);
  const empty = answer.status === 204 || answer.status === 205 || answer.status === 304;
  const s = responseState(empty ? null : answer.body, { __proto__: null, status: answer.status, headers: answer.headers });
  s.url = answer.url;
  return new Response(s, isState);
});

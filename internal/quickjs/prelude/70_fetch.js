// Headers, Request, Response and fetch, with whole bodies: no streams yet.
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const badValue = /[\0\r\n]/;
const isBlank = (c) => c === " " || c === "\t";

// Names that most headers have need no check.
const commonNames = { __proto__: null, "content-type": "content-type", "Content-Type": "content-type", "cache-control": "cache-control", "Cache-Control": "cache-control", location: "location", Location: "location", accept: "accept", Accept: "accept", authorization: "authorization", Authorization: "authorization" };

const headerName = (name) => {
  const n = text(name);
  const common = commonNames[n];
  if (common !== undefined) return common;
  if (RegExpExec(token, n) === null) throw new TypeError(`Headers: invalid header name ${quote(StringSlice(n, 0, 100))}`);
  return StringLower(n);
};
const headerValue = (value) => {
  let v = text(value);
  let start = 0;
  let end = v.length;
  while (start < end && isBlank(v[start])) start++;
  while (end > start && isBlank(v[end - 1])) end--;
  if (end - start < v.length) v = StringSlice(v, start, end);
  if (RegExpExec(badValue, v) !== null) throw new TypeError("Headers: a header value holds a line break or NUL");
  return v;
};

class Headers {
  #list = [];
  constructor(init) {
    if (init === undefined || init === null) return;
    if (#list in init) {
      for (let i = 0; i < init.#list.length; i++) ArrayPush(this.#list, [init.#list[i][0], init.#list[i][1]]);
    } else if (typeof init[SymbolIterator] === "function") {
      for (const pair of init) {
        const [name, value] = pair;
        this.append(name, value);
      }
    } else {
      const keys = ObjectKeys(init);
      for (let i = 0; i < keys.length; i++) this.append(keys[i], init[keys[i]]);
    }
  }
  append(name, value) {
    ArrayPush(this.#list, [headerName(name), headerValue(value)]);
  }
  delete(name) {
    const n = headerName(name);
    for (let i = this.#list.length - 1; i >= 0; i--) if (this.#list[i][0] === n) ArraySplice(this.#list, i, 1);
  }
  get(name) {
    const n = headerName(name);
    let out = null;
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] === n) out = out === null ? this.#list[i][1] : out + ", " + this.#list[i][1];
    return out;
  }
  getSetCookie() {
    const out = [];
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] === "set-cookie") ArrayPush(out, this.#list[i][1]);
    return out;
  }
  has(name) {
    const n = headerName(name);
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] === n) return true;
    return false;
  }
  set(name, value) {
    const v = headerValue(value);
    this.delete(name);
    this.append(name, v);
  }
  #sorted() {
    const names = [];
    const seen = { __proto__: null };
    for (let i = 0; i < this.#list.length; i++) {
      const n = this.#list[i][0];
      if (seen[n] === undefined) {
        seen[n] = true;
        ArrayPush(names, n);
      }
    }
    ArraySort(names);
    const out = [];
    for (let i = 0; i < names.length; i++) {
      if (names[i] !== "set-cookie") {
        ArrayPush(out, [names[i], this.get(names[i])]);
        continue;
      }
      const cookies = this.getSetCookie();
      for (let j = 0; j < cookies.length; j++) ArrayPush(out, ["set-cookie", cookies[j]]);
    }
    return out;
  }
  forEach(callback, self) {
    const list = this.#sorted();
    for (let i = 0; i < list.length; i++) apply(callback, self, [list[i][1], list[i][0], this]);
  }
  keys() {
    return listIterator(this.#sorted(), (pair) => pair[0]);
  }
  values() {
    return listIterator(this.#sorted(), (pair) => pair[1]);
  }
  entries() {
    return listIterator(this.#sorted(), (pair) => pair);
  }
  [SymbolIterator]() {
    return listIterator(this.#sorted(), (pair) => pair);
  }
  // lists gives {name: [values]} as the host wants it.
  static lists(headers) {
    const out = { __proto__: null };
    for (let i = 0; i < headers.#list.length; i++) {
      const name = headers.#list[i][0];
      if (out[name] === undefined) out[name] = [];
      ArrayPush(out[name], headers.#list[i][1]);
    }
    return out;
  }
  // fromPairs takes the host's [[name, value]], names in lower case, and keeps it.
  static fromPairs(pairs) {
    const h = new Headers();
    h.#list = pairs;
    return h;
  }
  // addType adds a content type unless there is one.
  static addType(headers, type) {
    for (let i = 0; i < headers.#list.length; i++) if (headers.#list[i][0] === "content-type") return;
    ArrayPush(headers.#list, ["content-type", type]);
  }
  // fromLists takes the host's {name: [values]} or {name: value}.
  static fromLists(lists) {
    const h = new Headers();
    const names = ObjectKeys(lists ?? {});
    for (let i = 0; i < names.length; i++) {
      const values = lists[names[i]];
      if (!ArrayIsArray(values)) {
        ArrayPush(h.#list, [StringLower(names[i]), text(values)]);
        continue;
      }
      for (let j = 0; j < values.length; j++) ArrayPush(h.#list, [StringLower(names[i]), text(values[j])]);
    }
    return h;
  }
}
const { lists: headerLists, fromLists: headersFromLists, fromPairs: headersFromPairs, addType: addContentType } = Headers;
delete Headers.lists;
delete Headers.fromPairs;
delete Headers.addType;
delete Headers.fromLists;
const headersHas = method(Headers.prototype.has);
const headersSet = method(Headers.prototype.set);
const headersGet = method(Headers.prototype.get);

const isSearchParams = (v) => attempt(() => v instanceof URLSearchParams) === true;
const searchParamsString = method(URLSearchParams.prototype.toString);

// takeBody turns what a script gives as a body into a string, a Uint8Array or
// null, and the content type it implies.
const takeBody = (body) => {
  if (body === undefined || body === null) return [null, undefined];
  if (typeof body === "object") {
    const b = bytesOf(body);
    if (b !== undefined) return [typedArraySlice(b), undefined];
    if (isSearchParams(body)) return [searchParamsString(body), "application/x-www-form-urlencoded;charset=UTF-8"];
  }
  return [text(body), "text/plain;charset=UTF-8"];
};

// Body is what Request and Response share.
class Body {
  #body;
  #used = false;
  #headers;
  constructor(body, headers, contentType) {
    this.#body = body;
    this.#headers = headers;
    if (contentType !== undefined) addContentType(headers, contentType);
  }
  get headers() {
    return this.#headers;
  }
  get bodyUsed() {
    return this.#used;
  }
  #take(what) {
    if (this.#used) throw new TypeError(`${what}: the body has already been read`);
    if (this.#body !== null) this.#used = true;
    return this.#body;
  }
  async text() {
    const b = this.#take("text");
    return b === null ? "" : typeof b === "string" ? b : decodeUTF8(b);
  }
  async json() {
    const b = this.#take("json");
    return JSONParse(b === null ? "" : typeof b === "string" ? b : decodeUTF8(b));
  }
  async bytes() {
    const b = this.#take("bytes");
    return b === null ? new Uint8Array(0) : typeof b === "string" ? encodeUTF8(b) : b;
  }
  async arrayBuffer() {
    const b = this.#take("arrayBuffer");
    const u = b === null ? new Uint8Array(0) : typeof b === "string" ? encodeUTF8(b) : typedArraySlice(b);
    return typedArrayBuffer(u);
  }
  static peek(b) {
    if (b.#used) throw new TypeError("the body has already been read");
    return b.#body;
  }
  static use(b) {
    const body = b.#take("body");
    return body;
  }
  static headersOf(b) {
    return b.#headers;
  }
  static is(v) {
    return typeof v === "object" && v !== null && #body in v;
  }
}
const { peek: peekBody, use: useBody, headersOf, is: isBody } = Body;
delete Body.peek;
delete Body.use;
delete Body.headersOf;
delete Body.is;

const methodsUpper = { __proto__: null, get: "GET", head: "HEAD", post: "POST", put: "PUT", delete: "DELETE", options: "OPTIONS", patch: "PATCH" };

// fromHost marks what the host says of a request, which needs no check.
const fromHost = { __proto__: null };

class Request extends Body {
  #method;
  #url; // not yet normalised when raw
  #raw = false;
  #redirect = "follow";
  #signal = null;
  constructor(input, init = {}) {
    if (input === fromHost) {
      super(init.body, init.headers, undefined);
      this.#method = init.method;
      this.#url = init.url;
      this.#raw = true;
      return;
    }
    let url;
    let from;
    if (typeof input === "object" && input !== null && #url in input) {
      from = input;
      url = input.url;
    } else {
      url = hrefOf(parseURL(text(input)));
    }
    const m = text(init.method ?? from?.#method ?? "GET");
    if (RegExpExec(token, m) === null) throw new TypeError("Request: invalid method");
    const verb = methodsUpper[StringLower(m)] ?? m;
    let [body, type] = takeBody(init.body);
    if (body === null && from !== undefined && init.body === undefined) body = useBody(from);
    if (body !== null && (verb === "GET" || verb === "HEAD")) throw new TypeError(`Request: a ${verb} request has no body`);
    super(body, new Headers(init.headers ?? (from === undefined ? undefined : headersOf(from))), type);
    this.#method = verb;
    this.#url = url;
    this.#redirect = text(init.redirect ?? from?.#redirect ?? "follow");
    this.#signal = init.signal ?? from?.#signal ?? null;
  }
  get method() {
    return this.#method;
  }
  get url() {
    if (this.#raw) {
      this.#url = hrefOf(parseURL(this.#url));
      this.#raw = false;
    }
    return this.#url;
  }
  get redirect() {
    return this.#redirect;
  }
  get signal() {
    return this.#signal;
  }
  clone() {
    // A body is never changed once it is in, so that both may hold the same.
    const r = new Request(fromHost, { method: this.#method, url: this.#url, headers: new Headers(headersOf(this)), body: peekBody(this) });
    r.#raw = this.#raw;
    r.#redirect = this.#redirect;
    r.#signal = this.#signal;
    return r;
  }
}

class Response extends Body {
  #status;
  #statusText;
  #url = "";
  constructor(body, init = {}) {
    const status = init.status === undefined ? 200 : +init.status;
    if (!(status >= 200 && status <= 599) || MathFloor(status) !== status) throw new RangeError(`Response: status ${text(init.status)} is not between 200 and 599`);
    const [b, type] = takeBody(body);
    if (b !== null && (status === 204 || status === 205 || status === 304)) throw new TypeError(`Response: status ${status} has no body`);
    const statusText = init.statusText === undefined ? "" : text(init.statusText);
    super(b, new Headers(init.headers), type);
    this.#status = status;
    this.#statusText = statusText;
  }
  get status() {
    return this.#status;
  }
  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }
  get statusText() {
    return this.#statusText;
  }
  get url() {
    return this.#url;
  }
  clone() {
    const body = peekBody(this);
    const r = new Response(body, { status: this.#status, statusText: this.#statusText, headers: headersOf(this) });
    r.#url = this.#url;
    return r;
  }
  static json(data, init = {}) {
    const body = JSONStringify(data);
    if (body === undefined) throw new TypeError("Response.json: the value has no JSON");
    const headers = new Headers(init.headers);
    addContentType(headers, "application/json");
    return new Response(body, { status: init.status, statusText: init.statusText, headers });
  }
  static redirect(url, status = 302) {
    if (status !== 301 && status !== 302 && status !== 303 && status !== 307 && status !== 308) throw new RangeError(`Response.redirect: ${text(status)} is no redirect status`);
    return new Response(null, { status, headers: { location: hrefOf(parseURL(text(url))) } });
  }
  static is(v) {
    return typeof v === "object" && v !== null && #status in v;
  }
  static statusOf(r) {
    return r.#status;
  }
  static setURL(r, url) {
    r.#url = url;
  }
}
const { is: isResponse, statusOf, setURL: setResponseURL } = Response;
delete Response.is;
delete Response.statusOf;
delete Response.setURL;

const requestMethod = getter(Request.prototype, "method");
const requestURL = getter(Request.prototype, "url");

define(Headers.prototype, SymbolToStringTag, "Headers");
define(Request.prototype, SymbolToStringTag, "Request");
define(Response.prototype, SymbolToStringTag, "Response");
define(globalThis, "Headers", Headers);
define(globalThis, "Request", Request);
define(globalThis, "Response", Response);

// httpFetch is the host call that fetch and flagbase.http.fetch share.
const httpFetch = (input, init) => {
  const request = new Request(input, init ?? {});
  const body = useBody(request);
  const answer = JSONParse(
    host(
      "http_fetch",
      JSONStringify({
        __proto__: null,
        method: requestMethod(request),
        url: requestURL(request),
        headers: headerLists(headersOf(request)),
        body: body === null ? "" : base64Encode(body),
      }),
    ),
  );
  return {
    __proto__: null,
    url: requestURL(request),
    status: answer.status,
    headers: headersFromLists(answer.headers),
    body: base64Decode(answer.body ?? ""),
  };
};

define(globalThis, "fetch", async function fetch(input, init) {
  const answer = httpFetch(input, init);
  const empty = answer.status === 204 || answer.status === 205 || answer.status === 304;
  const response = new Response(empty ? null : answer.body, { status: answer.status, headers: answer.headers });
  setResponseURL(response, answer.url);
  return response;
});

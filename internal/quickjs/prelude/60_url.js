// URL and URLSearchParams for the addresses functions meet: http, https and other
// schemes with an authority, and opaque ones. No IDNA.
const defaultPorts = { __proto__: null, "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21" };
const schemeForm = /^([A-Za-z][A-Za-z0-9+.\-]*:)([\s\S]*)$/;
const partsForm = /^([^?#]*)(\?[^#]*)?(#[\s\S]*)?$/;
const authorityForm = /^(?:([^@\/]*)@)?(\[[0-9a-fA-F:.]+\]|[^:\/@\[\]<>^|%\s\\#?]*)(?::([0-9]*))?$/;
const unreservedPath = /[^A-Za-z0-9\-._~!$&'()*+,;=:@\/%\[\]|^]/;

const percentByte = (c) => "%" + StringUpper(StringPadStart(NumberToString(c, 16), 2, "0"));

// percentEncode keeps the characters that keep does not match.
const percentEncode = (s, escaped) => {
  if (RegExpExec(escaped, s) === null) return s;
  let out = "";
  for (let i = 0; i < s.length; i++) {
    const code = StringCharCodeAt(s, i);
    let c = s[i];
    if (code < 0x80 && RegExpExec(escaped, c) === null) {
      out += c;
      continue;
    }
    if (code >= 0xd800 && code < 0xdc00 && i + 1 < s.length) c += s[++i];
    const b = encodeUTF8(c);
    for (let j = 0; j < typedArrayLength(b); j++) out += percentByte(b[j]);
  }
  return out;
};

const hexDigit = (code) => (code >= 48 && code <= 57 ? code - 48 : code >= 65 && code <= 70 ? code - 55 : code >= 97 && code <= 102 ? code - 87 : -1);

// formDecode undoes %XX and, in forms, "+"; what is no valid UTF-8 becomes U+FFFD.
const formDecode = (s) => {
  if (StringIndexOf(s, "%") < 0) return StringIndexOf(s, "+") < 0 ? s : ArrayJoin(StringSplit(s, "+"), " ");
  const raw = encodeUTF8(s);
  const n = typedArrayLength(raw);
  const out = new Uint8Array(n);
  let size = 0;
  for (let i = 0; i < n; i++) {
    const c = raw[i];
    if (c === 37 && i + 2 < n && hexDigit(raw[i + 1]) >= 0 && hexDigit(raw[i + 2]) >= 0) {
      out[size++] = hexDigit(raw[i + 1]) * 16 + hexDigit(raw[i + 2]);
      i += 2;
    } else {
      out[size++] = c === 43 ? 32 : c;
    }
  }
  return decodeUTF8(typedArraySlice(out, 0, size));
};

const escapedInForm = /[^A-Za-z0-9\-._* ]/;
const formEncode = (s) => ArrayJoin(StringSplit(percentEncode(s, escapedInForm), " "), "+");

const listIterator = function* (list, pick) {
  for (let i = 0; i < list.length; i++) yield pick(list[i]);
};

class URLSearchParams {
  #list = [];
  #changed;
  constructor(init = "", changed) {
    this.#changed = changed === internal ? internal.onChange : undefined;
    if (typeof init === "object" && init !== null) {
      if (typeof init[SymbolIterator] === "function") {
        for (const pair of init) {
          const [name, value] = pair;
          ArrayPush(this.#list, [text(name), text(value)]);
        }
      } else {
        const keys = ObjectKeys(init);
        for (let i = 0; i < keys.length; i++) ArrayPush(this.#list, [keys[i], text(init[keys[i]])]);
      }
      return;
    }
    this.#parse(text(init));
  }
  #parse(s) {
    if (s[0] === "?") s = StringSlice(s, 1);
    if (s === "") return;
    const parts = StringSplit(s, "&");
    for (let i = 0; i < parts.length; i++) {
      if (parts[i] === "") continue;
      const at = StringIndexOf(parts[i], "=");
      const name = at < 0 ? parts[i] : StringSlice(parts[i], 0, at);
      ArrayPush(this.#list, [formDecode(name), at < 0 ? "" : formDecode(StringSlice(parts[i], at + 1))]);
    }
  }
  #update() {
    if (this.#changed !== undefined) this.#changed(this.toString());
  }
  get size() {
    return this.#list.length;
  }
  append(name, value) {
    ArrayPush(this.#list, [text(name), text(value)]);
    this.#update();
  }
  delete(name, value) {
    name = text(name);
    for (let i = this.#list.length - 1; i >= 0; i--) {
      if (this.#list[i][0] === name && (value === undefined || this.#list[i][1] === text(value))) ArraySplice(this.#list, i, 1);
    }
    this.#update();
  }
  get(name) {
    name = text(name);
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] === name) return this.#list[i][1];
    return null;
  }
  getAll(name) {
    name = text(name);
    const found = [];
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] === name) ArrayPush(found, this.#list[i][1]);
    return found;
  }
  has(name, value) {
    name = text(name);
    for (let i = 0; i < this.#list.length; i++) {
      if (this.#list[i][0] === name && (value === undefined || this.#list[i][1] === text(value))) return true;
    }
    return false;
  }
  set(name, value) {
    name = text(name);
    let done = false;
    for (let i = 0; i < this.#list.length; i++) {
      if (this.#list[i][0] !== name) continue;
      if (done) {
        ArraySplice(this.#list, i--, 1);
      } else {
        this.#list[i][1] = text(value);
        done = true;
      }
    }
    if (!done) ArrayPush(this.#list, [name, text(value)]);
    this.#update();
  }
  sort() {
    ArraySort(this.#list, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#update();
  }
  forEach(callback, self) {
    for (let i = 0; i < this.#list.length; i++) apply(callback, self, [this.#list[i][1], this.#list[i][0], this]);
  }
  keys() {
    return listIterator(this.#list, (pair) => pair[0]);
  }
  values() {
    return listIterator(this.#list, (pair) => pair[1]);
  }
  entries() {
    return listIterator(this.#list, (pair) => [pair[0], pair[1]]);
  }
  [SymbolIterator]() {
    return listIterator(this.#list, (pair) => [pair[0], pair[1]]);
  }
  toString() {
    const parts = [];
    for (let i = 0; i < this.#list.length; i++) ArrayPush(parts, formEncode(this.#list[i][0]) + "=" + formEncode(this.#list[i][1]));
    return ArrayJoin(parts, "&");
  }
}

// internal is how the prelude's classes reach each other's hidden sides.
const internal = { __proto__: null, onChange: undefined };

const invalidURL = (s) => new TypeError(`Invalid URL: ${StringSlice(s, 0, 200)}`);

const removeDots = (path) => {
  const parts = StringSplit(path, "/");
  const out = [];
  for (let i = 0; i < parts.length; i++) {
    const last = i === parts.length - 1;
    const p = StringLower(parts[i]);
    if (p === "." || p === "%2e") {
      if (last) ArrayPush(out, "");
    } else if (p === ".." || p === ".%2e" || p === "%2e." || p === "%2e%2e") {
      if (out.length > 1) out.length--;
      if (last) ArrayPush(out, "");
    } else {
      ArrayPush(out, parts[i]);
    }
  }
  return ArrayJoin(out, "/");
};

// simpleURL is the form of most addresses, which are taken as they are.
const simpleURL = /^(https?:)\/\/([a-z0-9\-.]+)(?::([1-9][0-9]{0,4}))?(\/[A-Za-z0-9\-._~!$&()*+,;=:@\/%]*)?(\?[A-Za-z0-9\-._~!$&()*+,;=:@\/%?]+)?$/;
const parseSimple = (s) => {
  const m = RegExpExec(simpleURL, s);
  if (m === null) return undefined;
  const pathname = m[4] ?? "/";
  if (StringIndexOf(pathname, "/.") >= 0 || StringIndexOf(pathname, "/%") >= 0 || +m[3] > 65535) return undefined;
  return { protocol: m[1], username: "", password: "", hostname: m[2], port: m[3] === undefined || m[3] === defaultPorts[m[1]] ? "" : m[3], pathname, search: m[5] ?? "", hash: "", opaque: false };
};

const parseURL = (input, base) => parseSimple(input) ?? parseAny(input, base);

const lineBreaks = /[\t\n\r]/;
const escapedInQuery = /[\x00-\x20"#<>\x7f-\uffff]/;
const escapedInSpecialQuery = /[\x00-\x20"#<>'\x7f-\uffff]/;
const escapedInHash = /[\x00-\x20"<>`\x7f-\uffff]/;
const escapedInCredentials = /[^A-Za-z0-9\-._~!$&'()*+,%]/;
const parseAny = (input, base) => {
  let s = input;
  while (s !== "" && StringCharCodeAt(s, 0) <= 32) s = StringSlice(s, 1);
  while (s !== "" && StringCharCodeAt(s, s.length - 1) <= 32) s = StringSlice(s, 0, -1);
  if (RegExpExec(lineBreaks, s) !== null) s = ArrayJoin(StringSplit(ArrayJoin(StringSplit(ArrayJoin(StringSplit(s, "\t"), ""), "\n"), ""), "\r"), "");
  const u = { __proto__: null, protocol: "", username: "", password: "", hostname: "", port: "", pathname: "", search: "", hash: "", opaque: false };
  const scheme = RegExpExec(schemeForm, s);
  let rest = s;
  if (scheme !== null) {
    u.protocol = StringLower(scheme[1]);
    rest = scheme[2];
  } else {
    if (base === undefined || base.opaque) throw invalidURL(input);
    u.protocol = base.protocol;
  }
  const special = defaultPorts[u.protocol] !== undefined || u.protocol === "file:";
  const parts = RegExpExec(partsForm, rest);
  let path = parts[1];
  if (special) path = ArrayJoin(StringSplit(path, "\\"), "/");
  u.search = parts[2] === undefined || parts[2] === "?" ? "" : percentEncode(parts[2], special ? escapedInSpecialQuery : escapedInQuery);
  u.hash = parts[3] === undefined || parts[3] === "#" ? "" : percentEncode(parts[3], escapedInHash);
  if (StringStartsWith(path, "//") || (special && scheme !== null && u.protocol !== "file:")) {
    while (special && u.protocol !== "file:" && path[0] === "/") path = StringSlice(path, 1);
    if (!special || u.protocol === "file:") path = StringSlice(path, 2);
    const slash = StringIndexOf(path, "/");
    const authority = RegExpExec(authorityForm, slash < 0 ? path : StringSlice(path, 0, slash));
    if (authority === null) throw invalidURL(input);
    path = slash < 0 ? "" : StringSlice(path, slash);
    u.hostname = special ? StringLower(formDecode(authority[2])) : authority[2];
    if (special && u.protocol !== "file:" && u.hostname === "") throw invalidURL(input);
    if (authority[1] !== undefined) {
      const colon = StringIndexOf(authority[1], ":");
      u.username = percentEncode(colon < 0 ? authority[1] : StringSlice(authority[1], 0, colon), escapedInCredentials);
      u.password = colon < 0 ? "" : percentEncode(StringSlice(authority[1], colon + 1), escapedInCredentials);
    }
    if (authority[3] !== undefined && authority[3] !== "") {
      if (authority[3].length > 9 || +authority[3] > 65535) throw invalidURL(input);
      u.port = NumberToString(+authority[3]);
      if (u.port === defaultPorts[u.protocol]) u.port = "";
    }
  } else if (scheme === null) {
    u.username = base.username;
    u.password = base.password;
    u.hostname = base.hostname;
    u.port = base.port;
    if (path === "") {
      path = base.pathname;
      if (parts[2] === undefined) u.search = base.search;
    } else if (path[0] !== "/") {
      path = StringSlice(base.pathname, 0, StringLastIndexOf(base.pathname, "/") + 1) + path;
    }
  } else if (path[0] !== "/") {
    u.opaque = true;
    u.pathname = percentEncode(path, /[\x00-\x1f\x7f-\uffff]/);
    return u;
  }
  if (path !== "" || special) {
    if (path[0] !== "/") path = "/" + path;
    u.pathname = removeDots(percentEncode(path, unreservedPath));
  }
  return u;
};

const hostOf = (u) => (u.port === "" ? u.hostname : u.hostname + ":" + u.port);
const hrefOf = (u) => {
  if (u.opaque) return u.protocol + u.pathname + u.search + u.hash;
  let credentials = "";
  if (u.username !== "" || u.password !== "") credentials = u.username + (u.password === "" ? "" : ":" + u.password) + "@";
  const authority = u.hostname === "" && u.protocol !== "file:" && defaultPorts[u.protocol] === undefined ? "" : "//" + credentials + hostOf(u);
  return u.protocol + authority + u.pathname + u.search + u.hash;
};

class URL {
  #u;
  #params;
  constructor(url, base) {
    this.#u = parseURL(text(url), base === undefined ? undefined : parseURL(text(base)));
  }
  static canParse(url, base) {
    return URL.parse(url, base) !== null;
  }
  static parse(url, base) {
    try {
      return new URL(url, base);
    } catch {
      return null;
    }
  }
  #reparse(change) {
    const u = { __proto__: null, ...this.#u, ...change };
    try {
      this.#u = parseURL(hrefOf(u));
    } catch {
      return; // as the standard says: a setter ignores what does not parse
    }
  }
  get href() {
    return hrefOf(this.#u);
  }
  set href(v) {
    this.#u = parseURL(text(v));
    this.#params = undefined;
  }
  get origin() {
    return defaultPorts[this.#u.protocol] !== undefined ? this.#u.protocol + "//" + hostOf(this.#u) : "null";
  }
  get protocol() {
    return this.#u.protocol;
  }
  set protocol(v) {
    v = text(v);
    this.#reparse({ protocol: v[v.length - 1] === ":" ? v : v + ":" });
  }
  get username() {
    return this.#u.username;
  }
  set username(v) {
    this.#reparse({ username: percentEncode(text(v), escapedInCredentials) });
  }
  get password() {
    return this.#u.password;
  }
  set password(v) {
    this.#reparse({ password: percentEncode(text(v), escapedInCredentials) });
  }
  get host() {
    return hostOf(this.#u);
  }
  set host(v) {
    const m = RegExpExec(/^([^:\/?#]*|\[[^\]]*\])(?::(\d*))?/, text(v));
    if (m !== null) this.#reparse({ hostname: m[1], port: m[2] ?? this.#u.port });
  }
  get hostname() {
    return this.#u.hostname;
  }
  set hostname(v) {
    this.#reparse({ hostname: text(v) });
  }
  get port() {
    return this.#u.port;
  }
  set port(v) {
    this.#reparse({ port: text(v) });
  }
  get pathname() {
    return this.#u.pathname;
  }
  set pathname(v) {
    v = text(v);
    if (this.#u.opaque) return;
    this.#reparse({ pathname: removeDots(percentEncode(v[0] === "/" ? v : "/" + v, unreservedPath)) });
  }
  get search() {
    return this.#u.search;
  }
  set search(v) {
    v = text(v);
    this.#reparse({ search: v === "" || v === "?" ? "" : percentEncode(v[0] === "?" ? v : "?" + v, /#/) });
    this.#params = undefined;
  }
  get hash() {
    return this.#u.hash;
  }
  set hash(v) {
    v = text(v);
    this.#reparse({ hash: v === "" || v === "#" ? "" : v[0] === "#" ? v : "#" + v });
  }
  get searchParams() {
    if (this.#params === undefined) {
      internal.onChange = (s) => {
        this.#u.search = s === "" ? "" : "?" + s;
      };
      this.#params = new URLSearchParams(this.#u.search, internal);
      internal.onChange = undefined;
    }
    return this.#params;
  }
  toString() {
    return hrefOf(this.#u);
  }
  toJSON() {
    return hrefOf(this.#u);
  }
}
define(URL.prototype, SymbolToStringTag, "URL");
define(URLSearchParams.prototype, SymbolToStringTag, "URLSearchParams");
define(globalThis, "URL", URL);
define(globalThis, "URLSearchParams", URLSearchParams);

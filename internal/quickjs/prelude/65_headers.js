// Headers: a list of names, in lower case, and values.
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const isBlank = (code) => code === 32 || code === 9;

// Names that most headers have need no check.
const commonNames = { __proto__: null };
{
  const names = "accept accept-encoding accept-language access-control-allow-headers access-control-allow-methods access-control-allow-origin age allow authorization cache-control content-disposition content-encoding content-language content-length content-security-policy content-type cookie date etag expires host if-match if-modified-since if-none-match last-modified link location origin range referer retry-after server set-cookie strict-transport-security user-agent vary www-authenticate x-api-key x-content-type-options x-forwarded-for x-frame-options x-request-id".split(" ");
  for (const name of names) commonNames[name] = commonNames[name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase())] = name;
}

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
  while (start < end && isBlank(StringCharCodeAt(v, start))) start++;
  while (end > start && isBlank(StringCharCodeAt(v, end - 1))) end--;
  if (end - start < v.length) v = StringSlice(v, start, end);
  if (StringIndexOf(v, "\n") >= 0 || StringIndexOf(v, "\r") >= 0 || StringIndexOf(v, "\0") >= 0) throw new TypeError("Headers: a header value holds a line break or NUL");
  return v;
};

// ownList, as the first argument of Headers, says that the second is a list of the
// prelude's own: [name, value, name, value, ...], already checked.
const ownList = { __proto__: null };

class Headers {
  #list;
  constructor(init, list) {
    if (init === ownList) {
      this.#list = list;
      return;
    }
    const to = (this.#list = []);
    if (init === undefined || init === null) return;
    if (#list in init) {
      const from = init.#list;
      for (let i = 0; i < from.length; i++) ArrayPush(to, from[i]);
    } else if (typeof init[SymbolIterator] === "function") {
      for (const pair of init) {
        const [name, value] = pair;
        ArrayPush(to, headerName(name), headerValue(value));
      }
    } else {
      const keys = ObjectKeys(init);
      for (let i = 0; i < keys.length; i++) ArrayPush(to, headerName(keys[i]), headerValue(init[keys[i]]));
    }
  }
  append(name, value) {
    ArrayPush(this.#list, headerName(name), headerValue(value));
  }
  delete(name) {
    const n = headerName(name);
    for (let i = this.#list.length - 2; i >= 0; i -= 2) if (this.#list[i] === n) ArraySplice(this.#list, i, 2);
  }
  get(name) {
    return find(this.#list, headerName(name));
  }
  getSetCookie() {
    const list = this.#list;
    const out = [];
    for (let i = 0; i < list.length; i += 2) if (list[i] === "set-cookie") ArrayPush(out, list[i + 1]);
    return out;
  }
  has(name) {
    return find(this.#list, headerName(name)) !== null;
  }
  set(name, value) {
    const n = headerName(name);
    const v = headerValue(value);
    for (let i = this.#list.length - 2; i >= 0; i -= 2) if (this.#list[i] === n) ArraySplice(this.#list, i, 2);
    ArrayPush(this.#list, n, v);
  }
  forEach(callback, self) {
    const list = sorted(this.#list);
    for (let i = 0; i < list.length; i++) apply(callback, self, [list[i][1], list[i][0], this]);
  }
  keys() {
    return listIterator(sorted(this.#list), (pair) => pair[0]);
  }
  values() {
    return listIterator(sorted(this.#list), (pair) => pair[1]);
  }
  entries() {
    return listIterator(sorted(this.#list), (pair) => pair);
  }
  [SymbolIterator]() {
    return listIterator(sorted(this.#list), (pair) => pair);
  }
  // list gives the list itself.
  static list(headers) {
    return headers.#list;
  }
}
const headerList = Headers.list;
delete Headers.list;
define(Headers.prototype, SymbolToStringTag, "Headers");
define(globalThis, "Headers", Headers);

// sorted gives [[name, value]] in the order of names, each once, but for set-cookie.
const sorted = (list) => {
  const names = [];
  const seen = { __proto__: null };
  for (let i = 0; i < list.length; i += 2) {
    if (seen[list[i]] === undefined) {
      seen[list[i]] = true;
      ArrayPush(names, list[i]);
    }
  }
  ArraySort(names);
  const out = [];
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== "set-cookie") {
      ArrayPush(out, [names[i], find(list, names[i])]);
      continue;
    }
    for (let j = 0; j < list.length; j += 2) if (list[j] === "set-cookie") ArrayPush(out, ["set-cookie", list[j + 1]]);
  }
  return out;
};

// find gives the values of a name, joined, or null.
const find = (list, n) => {
  let out = null;
  for (let i = 0; i < list.length; i += 2) if (list[i] === n) out = out === null ? list[i + 1] : out + ", " + list[i + 1];
  return out;
};

// addContentType adds a content type unless there is one.
const addContentType = (headers, type) => {
  const list = headerList(headers);
  if (find(list, "content-type") === null) ArrayPush(list, "content-type", type);
};

// headerLists gives {name: [values]} as http_fetch wants it.
const headerLists = (headers) => {
  const list = headerList(headers);
  const out = { __proto__: null };
  for (let i = 0; i < list.length; i += 2) {
    out[list[i]] ??= [];
    ArrayPush(out[list[i]], list[i + 1]);
  }
  return out;
};

// headersFromLists takes the {name: [values]} or {name: value} of http_fetch.
const headersFromLists = (lists) => {
  const list = [];
  const names = ObjectKeys(lists ?? {});
  for (let i = 0; i < names.length; i++) {
    const name = headerName(names[i]);
    const values = lists[names[i]];
    if (!ArrayIsArray(values)) {
      ArrayPush(list, name, headerValue(values));
      continue;
    }
    for (let j = 0; j < values.length; j++) ArrayPush(list, name, headerValue(values[j]));
  }
  return new Headers(ownList, list);
};

// inspect shows a value the way people know it from Node: strings bare at the top
// and quoted inside, objects with their keys, to a depth of 4, cycles marked.
const identifier = /^[A-Za-z_$][\w$]*$/;
const maxItems = 100;
const maxDepth = 4;

const quote = (s) => {
  const json = JSONStringify(s);
  if (StringIndexOf(s, "'") >= 0) return json;
  return "'" + ArrayJoin(StringSplit(StringSlice(json, 1, -1), '\\"'), '"') + "'";
};

const showKey = (key) => {
  if (typeof key === "symbol") return "[" + SymbolToString(key) + "]";
  return RegExpExec(identifier, key) !== null ? key : quote(key);
};

const constructorName = (v) => {
  const proto = getPrototypeOf(v);
  if (proto === null) return "[Object: null prototype]";
  const d = attempt(() => proto.constructor);
  const name = typeof d === "function" ? attempt(() => d.name) : undefined;
  return typeof name === "string" && name !== "" ? name : "Object";
};

const showFunction = (f) => {
  const source = attempt(() => FunctionToString(f)) ?? "";
  const name = attempt(() => f.name);
  const label = typeof name === "string" && name !== "" ? ": " + name : " (anonymous)";
  return StringStartsWith(source, "class") ? "[class" + StringSlice(label, label[0] === ":" ? 1 : 0) + "]" : "[Function" + label + "]";
};

const showError = (e, seen, depth) => {
  const d = describe(e, 4);
  let s = d.message === "" ? d.name : d.name + ": " + d.message;
  const stack = sys("stack", d.stack);
  if (stack !== "") s += "\n" + stack;
  const cause = attempt(() => e.cause);
  if (cause !== undefined) s += "\n  [cause]: " + show(cause, seen, depth + 1);
  return s;
};

const wrap = (open, items, close, depth) => {
  if (items.length === 0) return open + close;
  let size = open.length + close.length;
  let lines = false;
  for (let i = 0; i < items.length; i++) {
    size += items[i].length + 2;
    if (StringIndexOf(items[i], "\n") >= 0) lines = true;
  }
  if (size <= 76 && !lines) return open + " " + ArrayJoin(items, ", ") + " " + close;
  const pad = StringRepeat("  ", depth + 1);
  return open + "\n" + pad + ArrayJoin(items, ",\n" + pad) + "\n" + StringRepeat("  ", depth) + close;
};

const showProperty = (object, key, seen, depth) => {
  const d = getOwnPropertyDescriptor(object, key);
  if (d === undefined) return "undefined";
  if (d.get !== undefined) return d.set !== undefined ? "[Getter/Setter]" : "[Getter]";
  if (d.set !== undefined) return "[Setter]";
  return show(d.value, seen, depth);
};

const showProperties = (v, items, seen, depth, skipIndexes) => {
  const keys = ownKeys(v);
  let shown = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (skipIndexes && typeof key === "string" && RegExpExec(/^\d+$/, key) !== null) continue;
    const d = getOwnPropertyDescriptor(v, key);
    if (d === undefined || !d.enumerable) continue;
    if (shown++ >= maxItems) {
      ArrayPush(items, "... more");
      return;
    }
    ArrayPush(items, showKey(key) + ": " + showProperty(v, key, seen, depth + 1));
  }
};

const more = (n) => "... " + n + " more item" + (n === 1 ? "" : "s");

const showList = (v, length, prefix, seen, depth) => {
  const items = [];
  const n = MathMin(length, maxItems);
  let holes = 0;
  const flush = () => {
    if (holes > 0) ArrayPush(items, "<" + holes + " empty item" + (holes === 1 ? "" : "s") + ">");
    holes = 0;
  };
  for (let i = 0; i < n; i++) {
    if (getOwnPropertyDescriptor(v, i) === undefined) {
      holes++;
      continue;
    }
    flush();
    ArrayPush(items, showProperty(v, i, seen, depth + 1));
  }
  flush();
  if (length > n) ArrayPush(items, more(length - n));
  if (ArrayIsArray(v)) showProperties(v, items, seen, depth, true);
  return wrap(prefix + "[", items, "]", depth);
};

const showObject = (v, seen, depth) => {
  if (ArrayIsArray(v)) return showList(v, v.length, "", seen, depth);
  const name = constructorName(v);
  const tag = typedArrayTag(v);
  if (tag !== undefined) {
    const n = typedArrayLength(v);
    return showList(v, n, tag + "(" + n + ") ", seen, depth);
  }
  if (isBuffer(v)) return "ArrayBuffer { byteLength: " + arrayBufferLength(v) + " }";
  const items = [];
  const date = attempt(() => DateGetTime(v));
  if (date !== undefined) return date === date ? DateToISOString(v) : "Invalid Date";
  if (attempt(() => v instanceof RegExp)) return attempt(() => RegExpToString(v)) ?? "RegExp {}";
  if (attempt(() => v instanceof Promise)) return "Promise {}";
  const size = attempt(() => MapSize(v));
  if (size !== undefined) {
    let n = 0;
    MapForEach(v, (value, key) => {
      if (n++ < maxItems) ArrayPush(items, show(key, seen, depth + 1) + " => " + show(value, seen, depth + 1));
    });
    if (size > maxItems) ArrayPush(items, more(size - maxItems));
    return wrap("Map(" + size + ") {", items, "}", depth);
  }
  const count = attempt(() => SetSize(v));
  if (count !== undefined) {
    let n = 0;
    SetForEach(v, (value) => {
      if (n++ < maxItems) ArrayPush(items, show(value, seen, depth + 1));
    });
    if (count > maxItems) ArrayPush(items, more(count - maxItems));
    return wrap("Set(" + count + ") {", items, "}", depth);
  }
  showProperties(v, items, seen, depth, false);
  return wrap(name === "Object" ? "{" : name + " {", items, "}", depth);
};

const show = (v, seen, depth) => {
  switch (typeof v) {
    case "string":
      return depth === 0 ? v : quote(v);
    case "bigint":
      return BigIntToString(v) + "n";
    case "symbol":
      return SymbolToString(v);
    case "function":
      return showFunction(v);
    case "number":
      return v === 0 && 1 / v < 0 ? "-0" : NumberToString(v);
    case "object":
      break;
    default:
      return text(v);
  }
  if (v === null) return "null";
  for (let i = 0; i < seen.length; i++) if (seen[i] === v) return "[Circular]";
  if (depth > maxDepth) return ArrayIsArray(v) ? "[Array]" : "[" + constructorName(v) + "]";
  ArrayPush(seen, v);
  try {
    if (isError(v)) return showError(v, seen, depth);
    return showObject(v, seen, depth);
  } finally {
    seen.length--;
  }
};

const inspect = (v) => attempt(() => show(v, [], 0)) ?? "[value that cannot be shown]";

// format is console's first step: printf placeholders, then the rest by inspect.
const format = (args) => {
  if (args.length === 0) return "";
  let out = "";
  let i = 0;
  if (typeof args[0] === "string" && args.length > 1 && StringIndexOf(args[0], "%") >= 0) {
    const f = args[0];
    i = 1;
    let from = 0;
    for (let at = StringIndexOf(f, "%"); at >= 0 && at + 1 < f.length; at = StringIndexOf(f, "%", at)) {
      const kind = f[at + 1];
      if (kind === "%") {
        out += StringSlice(f, from, at + 1);
      } else if (i < args.length && StringIndexOf("sdifjoOc", kind) >= 0) {
        const v = args[i++];
        out += StringSlice(f, from, at);
        if (kind === "s") out += typeof v === "object" ? inspect(v) : attempt(() => text(v)) ?? "";
        else if (kind === "d") out += typeof v === "bigint" ? inspect(v) : attempt(() => text(+v)) ?? "NaN";
        else if (kind === "i") out += attempt(() => text(MathFloor(+v))) ?? "NaN";
        else if (kind === "f") out += attempt(() => text(+v)) ?? "NaN";
        else if (kind === "j") out += attempt(() => JSONStringify(v)) ?? "undefined";
        else if (kind !== "c") out += typeof v === "string" ? quote(v) : inspect(v);
      } else {
        at += 2;
        continue;
      }
      from = at + 2;
      at = from;
    }
    out += StringSlice(f, from);
  }
  for (; i < args.length; i++) out += (i === 0 ? "" : " ") + inspect(args[i]);
  return out;
};

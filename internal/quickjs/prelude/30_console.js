// console: log goes to the output when the function returns nothing, everything
// goes to the invocation's log.
const counts = new Map();
const timers = new Map();
let indent = "";

const print = (level, args) => {
  let line = format(args);
  if (indent !== "") line = indent + ArrayJoin(StringSplit(line, "\n"), "\n" + indent);
  sys("console", level, line);
};

const consoleObject = {
  log: (...args) => print("log", args),
  info: (...args) => print("info", args),
  debug: (...args) => print("debug", args),
  warn: (...args) => print("warn", args),
  error: (...args) => print("error", args),
  trace: (...args) => print("debug", ["Trace: " + format(args) + "\n" + sys("stack", new Error().stack)]),
  dir: (value) => print("log", [value]),
  table: (value) => print("log", [value]),
  assert: (ok, ...args) => {
    if (!ok) print("error", ["Assertion failed" + (args.length > 0 ? ": " + format(args) : "")]);
  },
  count: (label = "default") => {
    const n = (MapGet(counts, label) ?? 0) + 1;
    MapSet(counts, label, n);
    print("log", [label + ": " + n]);
  },
  countReset: (label = "default") => void MapDelete(counts, label),
  time: (label = "default") => void MapSet(timers, label, now()),
  timeLog: (label = "default", ...args) => {
    const start = MapGet(timers, label);
    if (start !== undefined) print("log", [label + ": " + ((now() - start).toFixed(3)) + "ms" + (args.length > 0 ? " " + format(args) : "")]);
  },
  timeEnd: (label = "default") => {
    consoleObject.timeLog(label);
    MapDelete(timers, label);
  },
  group: (...args) => {
    if (args.length > 0) print("log", args);
    indent += "  ";
  },
  groupEnd: () => {
    indent = StringSlice(indent, 2);
  },
};
consoleObject.groupCollapsed = consoleObject.group;
const timeLog = consoleObject.timeLog;
consoleObject.timeEnd = (label = "default") => {
  timeLog(label);
  MapDelete(timers, label);
};
define(globalThis, "console", { ...consoleObject });

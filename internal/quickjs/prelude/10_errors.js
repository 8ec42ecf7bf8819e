// describe turns whatever was thrown into plain data for the host. It runs
// getters and toString of the user's objects, so each step may throw; what does is
// left out.
const attempt = (f) => {
  try {
    return f();
  } catch {
    return undefined;
  }
};

const isError = (v) => typeof v === "object" && v !== null && attempt(() => v instanceof Error) === true;

const describe = (thrown, depth = 0) => {
  const d = { __proto__: null, name: "", message: "", stack: "" };
  if (!isError(thrown)) {
    d.message = "thrown value: " + (attempt(() => inspect(thrown)) ?? "of a kind that cannot be shown");
    return d;
  }
  const name = attempt(() => thrown.name);
  const message = attempt(() => thrown.message);
  const stack = attempt(() => thrown.stack);
  d.name = typeof name === "string" ? name : "Error";
  d.message = typeof message === "string" ? message : "";
  d.stack = typeof stack === "string" ? stack : "";
  if (depth < 4) {
    const cause = attempt(() => thrown.cause);
    if (cause !== undefined && cause !== null) d.cause = describe(cause, depth + 1);
  }
  return d;
};

const fail = (thrown) => {
  let report;
  try {
    report = JSONStringify(describe(thrown));
  } catch {
    // Out of memory or of stack while describing: the host knows the limits.
    report = '{"name":"InternalError","message":"out of memory"}';
  }
  sys("fail", report);
};

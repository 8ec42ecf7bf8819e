// Timers. The host sleeps until the earliest is due and then calls tick.
const maxTimers = 10000;
const pending = []; // by due time, then by id
let lastTimer = 0;
const nativeNow = method(performance.now);
const nativePerformance = performance;
let origin; // when the invocation began, once somebody asked
const now = () => {
  const t = nativeNow(nativePerformance);
  if (origin === undefined) origin = t - +sys("elapsed");
  return t - origin;
};

const addTimer = (callback, delay, args, repeat) => {
  if (typeof callback !== "function") throw new TypeError("setTimeout: the first argument must be a function");
  if (pending.length >= maxTimers) throw new RangeError(`setTimeout: more than ${maxTimers} timers are pending`);
  let ms = +delay;
  if (!(ms >= 1)) ms = repeat ? 1 : 0;
  if (ms > 2147483647) ms = 1;
  const timer = { id: ++lastTimer, due: nativeNow(nativePerformance) + ms, ms, callback, args, repeat };
  insertTimer(timer);
  return timer.id;
};

const insertTimer = (timer) => {
  let i = pending.length;
  while (i > 0 && pending[i - 1].due > timer.due) i--;
  ArraySplice(pending, i, 0, timer);
};

const clearTimer = (id) => {
  for (let i = 0; i < pending.length; i++) {
    if (pending[i].id === id) {
      ArraySplice(pending, i, 1);
      return;
    }
  }
};

// tick runs one timer that is due. It returns 0 when it ran one, else the
// milliseconds until the next one, or -1 when there is none.
const tick = () => {
  if (pending.length === 0) return -1;
  const wait = pending[0].due - nativeNow(nativePerformance);
  if (wait > 0) return wait;
  const timer = ArrayShift(pending);
  if (timer.repeat) {
    timer.due = nativeNow(nativePerformance) + timer.ms;
    insertTimer(timer);
  }
  try {
    apply(timer.callback, undefined, timer.args);
  } catch (e) {
    fail(e);
  }
  return 0;
};

define(globalThis, "setTimeout", function setTimeout(callback, delay, ...args) {
  return addTimer(callback, delay, args, false);
});
define(globalThis, "setInterval", function setInterval(callback, delay, ...args) {
  return addTimer(callback, delay, args, true);
});
define(globalThis, "clearTimeout", function clearTimeout(id) {
  clearTimer(id);
});
define(globalThis, "clearInterval", function clearInterval(id) {
  clearTimer(id);
});
if (typeof globalThis.queueMicrotask !== "function") {
  const resolved = Promise.resolve();
  define(globalThis, "queueMicrotask", function queueMicrotask(callback) {
    if (typeof callback !== "function") throw new TypeError("queueMicrotask: the argument must be a function");
    PromiseThen(resolved, () => {
      try {
        callback();
      } catch (e) {
        fail(e);
      }
    });
  });
}
define(globalThis, "performance", {
  now: () => now(),
  get timeOrigin() {
    return DateNow() - now();
  },
});

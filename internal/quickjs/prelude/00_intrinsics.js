// The engine's own functions, taken before any function of a user exists. The
// prelude calls these and never a method of a prototype that user code can
// replace. It loops by index, because iterating an array asks Array.prototype.
const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty, getPrototypeOf } = Reflect;
// method(f) is f.call, bound: the engine passes (self, ...arguments) on without a frame or
// an array, and nothing is looked up.
const { bind, call } = Function.prototype;
const method = (f) => apply(bind, call, [f]);
const callWith = method(call); // (f, self, ...arguments)
const getter = (proto, name) => method(getOwnPropertyDescriptor(proto, name).get);
const ObjectPrototype = Object.prototype;
const ArrayPrototype = Array.prototype;
const ObjectKeys = Object.keys;
const ObjectCreate = Object.create;
const ObjectFreeze = Object.freeze;
const ArrayIsArray = Array.isArray;
const ArrayPush = method(Array.prototype.push);
const ArrayJoin = method(Array.prototype.join);
const ArraySort = method(Array.prototype.sort);
const ArrayShift = method(Array.prototype.shift);
const ArraySplice = method(Array.prototype.splice);
const StringSlice = method(String.prototype.slice);
const StringIndexOf = method(String.prototype.indexOf);
const StringLastIndexOf = method(String.prototype.lastIndexOf);
const StringLower = method(String.prototype.toLowerCase);
const StringUpper = method(String.prototype.toUpperCase);
const StringCharCodeAt = method(String.prototype.charCodeAt);
const StringStartsWith = method(String.prototype.startsWith);
const StringRepeat = method(String.prototype.repeat);
const StringSplit = method(String.prototype.split);
const StringPadStart = method(String.prototype.padStart);
const RegExpExec = method(RegExp.prototype.exec);
const JSONParse = JSON.parse;
const JSONStringify = JSON.stringify;
const ErrorToString = method(Error.prototype.toString);
const DateToISOString = method(Date.prototype.toISOString);
const DateGetTime = method(Date.prototype.getTime);
const DateNow = Date.now;
const MathMax = Math.max;
const MathMin = Math.min;
const MathFloor = Math.floor;
const PromiseThen = method(Promise.prototype.then);
const PromisePrototype = Promise.prototype;
const PromiseConstructor = Promise;
const PromiseResolve = apply(bind, Promise.resolve, [Promise]);
const PromiseReject = apply(bind, Promise.reject, [Promise]);
const MapForEach = method(Map.prototype.forEach);
const SetForEach = method(Set.prototype.forEach);
const MapSize = getter(Map.prototype, "size");
const SetSize = getter(Set.prototype, "size");
const MapGet = method(Map.prototype.get);
const MapSet = method(Map.prototype.set);
const MapDelete = method(Map.prototype.delete);
const BigIntToString = method(BigInt.prototype.toString);
const SymbolToString = method(Symbol.prototype.toString);
const FunctionToString = method(Function.prototype.toString);
const RegExpToString = method(RegExp.prototype.toString);
const NumberToString = method(Number.prototype.toString);
const TypedArray = getPrototypeOf(Uint8Array.prototype);
const typedArrayTag = getter(TypedArray, Symbol.toStringTag); // undefined for what is none
const typedArrayLength = getter(TypedArray, "length");
const typedArrayBuffer = getter(TypedArray, "buffer");
const typedArrayOffset = getter(TypedArray, "byteOffset");
const typedArrayByteLength = getter(TypedArray, "byteLength");
const typedArraySet = method(TypedArray.set);
const typedArraySlice = method(TypedArray.slice);
const arrayBufferLength = getter(ArrayBuffer.prototype, "byteLength");
const dataViewBuffer = getter(DataView.prototype, "buffer");
const dataViewOffset = getter(DataView.prototype, "byteOffset");
const dataViewLength = getter(DataView.prototype, "byteLength");
const SymbolIterator = Symbol.iterator;
const SymbolToStringTag = Symbol.toStringTag;

// isBuffer says whether v is an ArrayBuffer, of any realm or subclass.
const isBuffer = (v) => {
  if (typeof v !== "object" || v === null) return false;
  try {
    arrayBufferLength(v);
    return true;
  } catch {
    return false;
  }
};

// bytesOf gives a Uint8Array over the bytes of a buffer, typed array or DataView,
// and undefined for anything else. That a plain object is no buffer is seen before the
// engine is asked, which would throw.
const bytesOf = (v) => {
  if (typeof v !== "object" || v === null) return undefined;
  const proto = getPrototypeOf(v);
  if (proto === ObjectPrototype || proto === ArrayPrototype || proto === null) return undefined;
  const tag = typedArrayTag(v);
  if (tag === "Uint8Array") return v;
  if (tag !== undefined) return new Uint8Array(typedArrayBuffer(v), typedArrayOffset(v), typedArrayByteLength(v));
  if (isBuffer(v)) return new Uint8Array(v);
  try {
    return new Uint8Array(dataViewBuffer(v), dataViewOffset(v), dataViewLength(v));
  } catch {
    return undefined;
  }
};

// define puts a global or a method where scripts may replace it but loops over
// properties do not see it, as the platform's own are.
const define = (target, name, value) =>
  defineProperty(target, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });

// text is the String function. A template would do, but that calls String.prototype.concat
// in this engine.
const text = String;

// The ways into the host. sys and bytes are what every script has (console, text,
// randomness); host and hostBytes are the services of flagbase. Each takes the
// operation's name and strings or Uint8Arrays, and gives a string or a Uint8Array;
// undefined means that it failed and that its message waits.
const checked = (raw) => (...args) => {
  const result = apply(raw, undefined, args);
  if (result === undefined) throw new Error(sys("error"));
  return result;
};
const bytes = checked(rawBytes);
const host = checked(rawHost);
const hostBytes = checked(rawHostBytes);

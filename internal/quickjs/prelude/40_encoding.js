// TextEncoder and TextDecoder for UTF-8. The conversion itself is the host's.
const encodeUTF8 = (s) => bytes("utf8_encode", s);
const decodeUTF8 = (b) => sys("utf8_decode", b);

define(globalThis, "TextEncoder", class TextEncoder {
  get encoding() {
    return "utf-8";
  }
  encode(input = "") {
    return encodeUTF8(text(input));
  }
  encodeInto(source, destination) {
    const s = text(source);
    const room = typedArrayLength(destination);
    let read = 0;
    let written = 0;
    while (read < s.length) {
      const code = StringCharCodeAt(s, read);
      const next = read + 1 < s.length ? StringCharCodeAt(s, read + 1) : 0;
      const pair = code >= 0xd800 && code < 0xdc00 && next >= 0xdc00 && next < 0xe000;
      const size = pair ? 4 : code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
      if (written + size > room) break;
      written += size;
      read += pair ? 2 : 1;
    }
    typedArraySet(destination, encodeUTF8(StringSlice(s, 0, read)));
    return { read, written };
  }
});

// completePrefix is how many bytes of b make whole characters; the rest may be the
// beginning of one that goes on in the next chunk.
const completePrefix = (b) => {
  const n = typedArrayLength(b);
  for (let back = 1; back <= 3 && back <= n; back++) {
    const c = b[n - back];
    if (c < 0x80) return n;
    if (c >= 0xc0) {
      const size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
      return size > back ? n - back : n;
    }
  }
  return n;
};

const joinBytes = (a, b) => {
  const out = new Uint8Array(typedArrayLength(a) + typedArrayLength(b));
  typedArraySet(out, a);
  typedArraySet(out, b, typedArrayLength(a));
  return out;
};

define(globalThis, "TextDecoder", class TextDecoder {
  #fatal;
  #ignoreBOM;
  #rest = new Uint8Array(0);
  #started = false;
  constructor(label = "utf-8", options) {
    const l = StringLower(text(label));
    if (l !== "utf-8" && l !== "utf8" && l !== "unicode-1-1-utf-8") throw new RangeError(`TextDecoder: encoding "${l}" is not supported, only utf-8`);
    this.#fatal = !!options?.fatal;
    this.#ignoreBOM = !!options?.ignoreBOM;
  }
  get encoding() {
    return "utf-8";
  }
  get fatal() {
    return this.#fatal;
  }
  get ignoreBOM() {
    return this.#ignoreBOM;
  }
  decode(input, options) {
    let b = input === undefined ? new Uint8Array(0) : bytesOf(input);
    if (b === undefined) throw new TypeError("TextDecoder.decode: the input is no ArrayBuffer and no view of one");
    if (typedArrayLength(this.#rest) > 0) b = joinBytes(this.#rest, b);
    this.#rest = new Uint8Array(0);
    if (options?.stream) {
      const whole = completePrefix(b);
      this.#rest = typedArraySlice(b, whole);
      b = typedArraySlice(b, 0, whole);
    }
    if (this.#fatal && sys("utf8_valid", b) !== "1") {
      this.#started = false;
      throw new TypeError("TextDecoder.decode: the bytes are not valid UTF-8");
    }
    let s = decodeUTF8(b);
    if (!this.#started && !this.#ignoreBOM && StringCharCodeAt(s, 0) === 0xfeff) s = StringSlice(s, 1);
    this.#started = !!options?.stream && (this.#started || s !== "");
    return s;
  }
});

const base64Encode = (b) => sys("base64_encode", b);
const base64Decode = (s) => bytes("base64_decode", s);

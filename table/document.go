package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDataBytes = 1 << 20
	maxDepth     = 128
)

// normalize checks a record's data and gives it one spelling, so that SQLite,
// which reads the stored text, and the guest agree on what it says: compact,
// strings escaped only where needed, no duplicate keys (SQLite takes the first
// and encoding/json the last), no lone surrogates.
func normalize(data []byte) (json.RawMessage, error) {
	if len(data) > maxDataBytes {
		return nil, fmt.Errorf("%w record: it has %d bytes, the limit is %d", ErrInvalid, len(data), maxDataBytes)
	}
	if err := checkJSON(data); err != nil {
		return nil, fmt.Errorf("%w record: %w", ErrInvalid, err)
	}
	if b := bytes.TrimLeft(data, " \t\r\n"); b[0] != '{' {
		return nil, fmt.Errorf("%w record: it must be a JSON object, such as {\"name\": \"Ada\"}", ErrInvalid)
	}
	w := writer{out: make([]byte, 0, len(data))}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return w.out, nil
		}
		if err == nil {
			err = w.token(token)
		}
		if err != nil {
			return nil, fmt.Errorf("%w record: %w", ErrInvalid, err)
		}
	}
}

// checkJSON refuses what is not valid UTF-8 or not one JSON value or nested
// too deep. It uses no recursion: depth is counted before anything that does.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("it is not valid UTF-8")
	}
	if err := checkDepth(data); err != nil {
		return err
	}
	if !json.Valid(data) {
		return fmt.Errorf("it is not valid JSON")
	}
	return nil
}

// checkDepth counts brackets outside strings. Of invalid JSON it may say
// anything; the parser refuses that afterwards.
func checkDepth(data []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("it is nested deeper than %d", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// writer writes the tokens of one JSON value.
type writer struct {
	out   []byte
	stack []level
}

type level struct {
	keys  map[string]bool // nil in an array
	value bool            // in an object: the next token is a value
	some  bool            // a comma is due
}

func (w *writer) token(token json.Token) error {
	if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
		w.stack = w.stack[:len(w.stack)-1]
		w.out = append(w.out, byte(d))
		return nil
	}
	if n := len(w.stack); n > 0 {
		top := &w.stack[n-1]
		if top.value {
			w.out = append(w.out, ':')
			top.value = false
		} else {
			if top.some {
				w.out = append(w.out, ',')
			}
			top.some = true
			if top.keys != nil {
				key := token.(string) // the decoder refuses anything else here
				if top.keys[key] {
					return fmt.Errorf("the key %s occurs twice", quote(key))
				}
				top.keys[key] = true
				top.value = true
			}
		}
	}
	switch v := token.(type) {
	case json.Delim:
		w.out = append(w.out, byte(v))
		l := level{}
		if v == '{' {
			l.keys = map[string]bool{}
		}
		w.stack = append(w.stack, l)
	case string:
		w.out = appendString(w.out, v)
	case json.Number:
		if _, err := strconv.ParseFloat(string(v), 64); err != nil {
			return fmt.Errorf("the number %.40s does not fit a double", v)
		}
		w.out = append(w.out, v...)
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case nil:
		w.out = append(w.out, "null"...)
	}
	return nil
}

// appendString appends s, which is valid UTF-8, as a JSON string with no
// escape that is not required.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= 0x20:
			out = append(out, c)
		default:
			if short := strings.IndexByte("\b\t\n\f\r", c); short >= 0 {
				out = append(out, '\\', "btnfr"[short])
			} else {
				out = fmt.Appendf(out, `\u%04x`, c)
			}
		}
	}
	return append(out, '"')
}

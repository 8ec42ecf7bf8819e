package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// maxJSONDepth is how deeply a JSON body may nest.
const maxJSONDepth = 128

// maxJSONBytes is the size of a JSON body of the management API: a table's record may have 1 MiB, and its
// wrapping some more.
const maxJSONBytes = 2 << 20

// newAPI makes the described part of the API. huma's own error model has no code, so a transformer of this
// API (not huma's process-wide hook, which would reach into an embedder's APIs) turns it into a Problem.
func (s *Server) newAPI() huma.API {
	config := huma.DefaultConfig("flagbase", s.opts.Version)
	config.Info.Description = "Functions, flags, tables, buckets and traces. Failures are application/problem+json with a stable code."
	config.OpenAPIPath = "" // documentRoutes serves it, 3.1 only
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil // no $schema members in answers
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshalJSON}
	config.Formats = map[string]huma.Format{"application/json": format, "json": format}
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{problemTransformer}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "An API key."},
	}
	config.Security = []map[string][]string{{"key": {}}}
	return humago.New(s.mux, config)
}

// register adds an operation whose handler may return any domain error.
func register[I, O any](s *Server, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.BodyReadTimeout = -1 // slowBody sets the deadlines
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxJSONBytes
	}
	op.Responses = map[string]*huma.Response{"default": s.problemResponse()}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}

// reply is an answer with a JSON body.
type reply[T any] struct{ Body T }

func replyWith[T any](body T) *reply[T] { return &reply[T]{Body: body} }

func (s *Server) problemResponse() *huma.Response {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	return &huma.Response{
		Description: "What went wrong",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
}

// problemTransformer turns huma's errors, which it makes while validating, into Problems.
func problemTransformer(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code, detail := CodeInvalidRequest, model.Detail
	switch model.Status {
	case http.StatusRequestEntityTooLarge:
		code = CodeTooLarge
	case http.StatusUnsupportedMediaType:
		code = CodeUnsupportedMediaType
		detail = "This path reads application/json; set the Content-Type header."
	case http.StatusRequestTimeout:
		code, detail = CodeRequestTimeout, "The request body arrived too slowly; send it again."
	case http.StatusNotAcceptable:
		code = CodeNotAcceptable
	case http.StatusInternalServerError:
		// huma reports a body that broke off as its own failure. Nobody is left to read this.
		code, detail = "cancelled", "The request body could not be read to its end."
	}
	p := newProblem(model.Status, code, detail)
	for _, e := range model.Errors {
		if e == nil {
			continue
		}
		// The refused value is not echoed: it may be a secret in the wrong place.
		p.Errors = append(p.Errors, ProblemField{Location: e.Location, Message: e.Message})
	}
	if code == CodeInvalidRequest && len(p.Errors) > 0 {
		p.Detail = sentence(p.Errors)
	}
	return p, nil
}

// sentence puts the refused fields into words, since many clients show nothing but the detail.
func sentence(fields []ProblemField) string {
	var b strings.Builder
	b.WriteString("The request is not valid: ")
	for i, f := range fields {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(fields)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if f.Location != "" {
			b.WriteString(f.Location + ": ")
		}
		b.WriteString(f.Message)
	}
	return b.String() + "."
}

// unmarshalJSON is json.Unmarshal with a limit on depth; encoding/json's own is 10,000.
func unmarshalJSON(data []byte, v any) error {
	if err := checkDepth(data); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

func checkDepth(data []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxJSONDepth {
				return fmt.Errorf("the JSON nests deeper than %d levels", maxJSONDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// decodeStrict reads a JSON body of a handler that is not huma's.
func decodeStrict(body []byte, v any) error {
	if err := checkDepth(body); err != nil {
		return newProblem(http.StatusBadRequest, CodeInvalidRequest, sentence([]ProblemField{{"body", err.Error()}}))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, end := dec.Token(); end != io.EOF {
			err = errors.New("there is something after the JSON value")
		}
	}
	if err != nil {
		return newProblem(http.StatusBadRequest, CodeInvalidRequest, sentence([]ProblemField{{"body", strings.TrimPrefix(err.Error(), "json: ")}}))
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = huma.DefaultJSONFormat.Marshal(w, v) // our own types; what can fail is the connection
}

package server

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"sync"

	"flagbase.dev/function"
	"flagbase.dev/storage"
	"github.com/danielgtaylor/huma/v2"
)

// plain describes a route that is a plain handler rather than a huma operation.
type plain struct {
	method, path, id, tag, summary string
	description                    string
	body                           map[string]*huma.Schema // content type -> schema; nil for none
	status                         int
	answer                         map[string]*huma.Schema
	headers                        []string // request headers it reads
	public                         bool
}

// documentRoutes adds the plain routes to the OpenAPI document and serves it.
func (s *Server) documentRoutes() {
	doc := s.api.OpenAPI()
	schemas := doc.Components.Schemas
	binary := &huma.Schema{Type: "string", Format: "binary"}
	text := &huma.Schema{Type: "string"}
	anything := map[string]*huma.Schema{"application/json": {}, "text/plain": text, "application/octet-stream": binary}
	event := map[string]*huma.Schema{"application/json": {}, "application/octet-stream": binary}
	fn := map[string]*huma.Schema{"application/json": schemas.Schema(reflect.TypeFor[functionInfo](), true, "FunctionInfo")}
	version := map[string]*huma.Schema{"application/json": schemas.Schema(reflect.TypeFor[function.FunctionVersion](), true, "FunctionVersion")}
	deploy := map[string]*huma.Schema{
		"application/json": {Type: "object", AdditionalProperties: false, Properties: map[string]*huma.Schema{
			"name": text, "description": text, "language": {Type: "string", Enum: []interface{}{"javascript", "typescript"}}, "source": text,
		}},
		"multipart/form-data": {Type: "object", AdditionalProperties: false, Properties: map[string]*huma.Schema{
			"name": text, "description": text, "language": text, "source": text, "artifact": binary,
		}},
	}
	call := []string{headerVersion, headerTimeout, headerCaller, headerFlagContext, "traceparent"}
	plainText := map[string]*huma.Schema{"text/plain": text}

	routes := []plain{
		{method: "POST", path: "/v1/functions", id: "create-function", tag: "Functions", summary: "Create a function from a source or a wasm artifact", body: deploy, status: 201, answer: fn},
		{method: "POST", path: "/v1/functions/{id}/versions", id: "deploy-version", tag: "Functions", summary: "Deploy a new version and make it the one that runs", body: deploy, status: 201, answer: version},
		{method: "POST", path: "/v1/functions/{id}/invoke", id: "invoke", tag: "Invoke", summary: "Invoke a function", description: "The body is the event, any bytes; the answer's body is the output, byte for byte. The answer carries Flagbase-Invocation-Id and traceparent, a failed one too.", body: event, status: 200, answer: anything, headers: call},
		{method: "POST", path: "/v1/functions/{id}/invoke/stream", id: "invoke-stream", tag: "Invoke", summary: "Invoke a function and stream its output", description: "Output arrives as it is written; a failure after the first byte is told in the trailers Flagbase-Error, Flagbase-Error-Detail and Flagbase-Exit-Code. With Accept: text/event-stream, as server-sent events that end with the event done or error.", body: event, status: 200, answer: map[string]*huma.Schema{"text/plain": text, "application/octet-stream": binary, "text/event-stream": text}, headers: call},
		{method: "GET", path: "/v1/invocations/{id}/logs", id: "get-invocation-logs", tag: "Invocations", summary: "Get what an invocation logged", status: 200, answer: plainText},
		{method: "GET", path: "/healthz", id: "healthz", tag: "Server", summary: "Whether the process lives", status: 200, answer: plainText, public: true},
		{method: "GET", path: "/readyz", id: "readyz", tag: "Server", summary: "Whether the server takes requests", status: 200, answer: plainText, public: true},
		{method: "GET", path: "/metrics", id: "metrics", tag: "Server", summary: "Metrics in the Prometheus text format", status: 200, answer: plainText},
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{"/fn/{name}", "/fn/{name}/{path}"} {
			r := plain{method: method, path: path, tag: "Web", summary: "The function as a web handler", status: 200, answer: anything, headers: call,
				description: "{path} may hold slashes. A function that is no web handler gets the body as its event. Needs no key when the function is configured as public."}
			r.id = "web-" + method
			if path != "/fn/{name}" {
				r.id += "-path"
			}
			if method != "GET" && method != "DELETE" {
				r.body = event
			}
			routes = append(routes, r)
		}
	}
	if s.opts.Flags != nil {
		object := map[string]*huma.Schema{"application/json": {Type: "object"}}
		routes = append(routes,
			plain{method: "POST", path: "/ofrep/v1/evaluate/flags/{key}", id: "ofrep-evaluate", tag: "OFREP", summary: "Evaluate a flag (OpenFeature Remote Evaluation Protocol)", body: object, status: 200, answer: object},
			plain{method: "POST", path: "/ofrep/v1/evaluate/flags", id: "ofrep-evaluate-all", tag: "OFREP", summary: "Evaluate all flags (OpenFeature Remote Evaluation Protocol)", body: object, status: 200, answer: object},
		)
	}
	if s.opts.Bucket != nil {
		path := "/v1/buckets/{bucket}/{key}"
		object := map[string]*huma.Schema{"application/json": schemas.Schema(reflect.TypeFor[storage.Object](), true, "Object")}
		octets := map[string]*huma.Schema{"application/octet-stream": binary}
		routes = append(routes,
			plain{method: "GET", path: path, id: "get-object", tag: "Buckets", summary: "Get an object's bytes", description: "{key} may hold slashes.", status: 200, answer: octets},
			plain{method: "HEAD", path: path, id: "head-object", tag: "Buckets", summary: "Get an object's size, ETag and type", status: 200},
			plain{method: "PUT", path: path, id: "put-object", tag: "Buckets", summary: "Store an object", body: octets, status: 200, answer: object},
			plain{method: "DELETE", path: path, id: "delete-object", tag: "Buckets", summary: "Delete an object", status: 204},
		)
	}
	for _, route := range routes {
		doc.AddOperation(s.operation(&route))
	}
	// huma registers its own error model with every operation; ours answer with Problem.
	delete(schemas.Map(), "ErrorModel")
	delete(schemas.Map(), "ErrorDetail")

	encode := sync.OnceValues(func() ([]byte, error) { return json.Marshal(doc) })
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		body, err := encode()
		if err != nil {
			s.internal(r.Context(), err).write(w)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(body)
	})
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

func (s *Server) operation(r *plain) *huma.Operation {
	op := &huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.description, Tags: []string{r.tag},
		Responses: map[string]*huma.Response{
			strconv.Itoa(r.status): {Description: http.StatusText(r.status), Content: content(r.answer)},
			"default":              s.problemResponse(),
		},
	}
	for _, m := range pathParam.FindAllStringSubmatch(r.path, -1) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
	}
	for _, name := range r.headers {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "header", Schema: &huma.Schema{Type: "string"}})
	}
	if r.body != nil {
		op.RequestBody = &huma.RequestBody{Content: content(r.body)}
	}
	if r.public {
		op.Security = []map[string][]string{}
	}
	return op
}

func content(schemas map[string]*huma.Schema) map[string]*huma.MediaType {
	if schemas == nil {
		return nil
	}
	types := map[string]*huma.MediaType{}
	for kind, schema := range schemas {
		types[kind] = &huma.MediaType{Schema: schema}
	}
	return types
}

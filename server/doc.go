// Package server is flagbase's HTTP edge: it decodes a request, checks who sent it, calls one of the
// domain packages (function, feature, table, storage, tracing) and encodes the answer. It holds no SQL
// and no rule of the domain.
//
// The invoke paths run on a plain [net/http.ServeMux]; the management API is described with huma, which
// gives it validation and an OpenAPI 3.1 document at /openapi.json. Every failure is a problem document
// (RFC 9457) with a stable "code"; see [Problem].
package server

package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/tracing"
)

// Request headers that say how a function is invoked, and response headers that say what came of it.
const (
	headerCaller      = "Flagbase-Caller"       // JSON CallerContext; admin keys only
	headerFlagContext = "Flagbase-Flag-Context" // "flag:variant" for records written under a flag; admin keys only
	headerVersion     = "Flagbase-Version"      // version to invoke; in the answer, the one that ran
	headerTimeout     = "Flagbase-Timeout"      // Go duration, e.g. 5s
	headerInvocation  = "Flagbase-Invocation-Id"
	headerError       = "Flagbase-Error" // the problem's code; a header, or a trailer once output was sent
	headerErrorDetail = "Flagbase-Error-Detail"
	headerExitCode    = "Flagbase-Exit-Code"
	headerTraceparent = "Traceparent"
)

const maxCallerBytes = 8 << 10

// callContext reads the headers that go into an invocation's context (caller, flag context, parent span)
// and takes them out of r, so that the function does not see them as the web's.
func callContext(r *http.Request) (context.Context, error) {
	ctx := r.Context()
	if values := r.Header[headerTraceparent]; len(values) == 1 {
		if parent, ok := tracing.ParseTraceparent(values[0]); ok {
			ctx = tracing.ContextWith(ctx, parent)
		}
	}
	for _, name := range [...]string{headerCaller, headerFlagContext} {
		if len(r.Header[name]) == 0 {
			continue
		}
		if p, ok := principal(ctx); !ok || p.Role != "admin" {
			return nil, newProblem(http.StatusForbidden, CodeForbidden, "Only an admin key may send "+name+".")
		}
		value, err := single(r.Header, name)
		if err != nil {
			return nil, err
		}
		switch name {
		case headerCaller:
			caller, err := parseCaller(value)
			if err != nil {
				return nil, badHeader(name, err)
			}
			ctx = function.WithCallerContext(ctx, caller)
		case headerFlagContext:
			if !flagContextPattern.MatchString(value) {
				return nil, badHeader(name, errors.New(`it must read flag:variant, e.g. new-checkout:on`))
			}
			ctx = function.WithFlagContext(ctx, value)
		}
	}
	return ctx, nil
}

// flagContextPattern is deliberately about shape only: which flags exist is not the edge's business.
var flagContextPattern = regexp.MustCompile(`^[^:\x00-\x20]{1,128}:[^:\x00-\x20]{1,128}$`)

// callRequest reads the headers that say how to run: version and timeout.
func (s *Server) callRequest(req *function.InvokeRequest, h http.Header) error {
	if len(h[headerVersion]) > 0 {
		value, err := single(h, headerVersion)
		if err != nil {
			return err
		}
		v, err := strconv.Atoi(strings.TrimPrefix(value, "v"))
		if err != nil || v < 1 {
			return badHeader(headerVersion, errors.New("it must be a version number, 1 or more"))
		}
		req.Version = v
	}
	if len(h[headerTimeout]) > 0 {
		value, err := single(h, headerTimeout)
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 || d > s.opts.MaxTimeout {
			return badHeader(headerTimeout, fmt.Errorf("it must be a duration above 0 and up to %s, e.g. 5s or 250ms", s.opts.MaxTimeout))
		}
		req.Timeout = d
	}
	return nil
}

func single(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) != 1 {
		return "", badHeader(name, fmt.Errorf("it was sent %d times; send it once", len(values)))
	}
	return values[0], nil
}

func badHeader(name string, err error) *Problem {
	return newProblem(http.StatusBadRequest, CodeInvalidRequest, fmt.Sprintf("The header %s is not valid: %v.", name, err))
}

// callerNames are the members of a CallerContext.
var callerNames = []string{"user_id", "role", "tenant_id", "email", "groups"}

// parseCaller reads the JSON of a CallerContext. An identity has one reading or none: names given twice,
// names that are only like one ("Role", which encoding/json takes for "role") and anything after the object
// are refused.
func parseCaller(value string) (function.CallerContext, error) {
	var caller function.CallerContext
	if len(value) > maxCallerBytes {
		return caller, fmt.Errorf("it is longer than %s", bytesText(maxCallerBytes))
	}
	if err := uniqueNames(value); err != nil {
		return caller, err
	}
	if err := json.Unmarshal([]byte(value), &caller); err != nil {
		return function.CallerContext{}, fmt.Errorf("it must be a JSON object with user_id, role, tenant_id, email and groups: %w", err)
	}
	return caller, nil
}

// uniqueNames checks that value is exactly one flat JSON object with each of callerNames at most once.
func uniqueNames(value string) error {
	dec := json.NewDecoder(strings.NewReader(value))
	first, err := dec.Token()
	if err != nil || first != json.Delim('{') {
		return errors.New("it must be a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		text, ok := name.(string)
		if !ok {
			return errors.New("it must be a JSON object")
		}
		if !slices.Contains(callerNames, text) {
			return fmt.Errorf("%q is none of %s", text, strings.Join(callerNames, ", "))
		}
		if seen[text] {
			return fmt.Errorf("%q is given twice", text)
		}
		seen[text] = true
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return err
		}
		if bytes.HasPrefix(skipped, []byte("{")) {
			return fmt.Errorf("%q must not be an object", text)
		}
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("there is something after the JSON object")
	}
	return nil
}

package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// TraceSummary is a trace in one line.
type TraceSummary struct {
	TraceID    string        `json:"trace_id"`
	Name       string        `json:"name"` // of its root
	FunctionID string        `json:"function_id,omitempty"`
	StartedAt  time.Time     `json:"started_at"`
	Duration   time.Duration `json:"duration_ns"`
	Spans      int           `json:"spans"`
	Error      string        `json:"error,omitempty"`
}

// Span is one step of a trace.
type Span struct {
	TraceID      string            `json:"trace_id"`
	SpanID       string            `json:"span_id"`
	ParentID     string            `json:"parent_id,omitempty"`
	Name         string            `json:"name"`
	Kind         string            `json:"kind"`
	FunctionID   string            `json:"function_id,omitempty"`
	InvocationID string            `json:"invocation_id,omitempty"`
	StartedAt    time.Time         `json:"started_at"`
	Duration     time.Duration     `json:"duration_ns"`
	Error        string            `json:"error,omitempty"`
	Attributes   map[string]string `json:"attributes,omitempty"`
}

// TraceOptions choose traces.
type TraceOptions struct {
	Function string    // id or name; defaults to all functions
	Before   time.Time // only traces that started earlier
	Limit    int       // defaults to 100, at most 1000
}

// Traces lists traces, newest first.
func (c *Client) Traces(ctx context.Context, opts *TraceOptions) ([]TraceSummary, error) {
	query := url.Values{}
	if opts != nil {
		if opts.Function != "" {
			query.Set("function", opts.Function)
		}
		if !opts.Before.IsZero() {
			query.Set("before", opts.Before.UTC().Format(time.RFC3339Nano))
		}
		if opts.Limit > 0 {
			query.Set("limit", strconv.Itoa(opts.Limit))
		}
	}
	var out struct {
		Traces []TraceSummary `json:"traces"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/traces", query, nil, &out)
	return out.Traces, err
}

// Trace returns a trace's spans, by start.
func (c *Client) Trace(ctx context.Context, id string) ([]Span, error) {
	var out struct {
		Spans []Span `json:"spans"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/traces/"+seg(id), nil, nil, &out)
	return out.Spans, err
}

package server

import (
	"context"
	"net/http"
	"time"

	"flagbase.dev/tracing"
	"github.com/danielgtaylor/huma/v2"
)

type tracesInput struct {
	Function string    `query:"function" doc:"Only traces that this function, by id or name, took part in."`
	Before   time.Time `query:"before" doc:"Only traces that started earlier: the started_at of the last one of the page before."`
	Limit    int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
}

type tracePath struct {
	ID string `path:"id" doc:"The trace's id: 32 hexadecimal digits."`
}

type traceList struct {
	Traces []tracing.Summary `json:"traces" nullable:"false"`
}

type trace struct {
	TraceID string               `json:"trace_id"`
	Spans   []tracing.SpanRecord `json:"spans" nullable:"false" doc:"By start."`
}

func (s *Server) traceRoutes() {
	register(s, huma.Operation{
		OperationID: "list-traces", Method: http.MethodGet, Path: "/v1/traces", Tags: []string{"Traces"},
		Summary: "List traces", Description: "Newest first.",
	}, func(ctx context.Context, in *tracesInput) (*reply[traceList], error) {
		opts := &tracing.ListOptions{Limit: in.Limit, Before: in.Before}
		if in.Function != "" {
			fn, err := s.opts.Functions.Get(ctx, in.Function)
			if err != nil {
				return nil, err
			}
			opts.FunctionID = fn.ID
		}
		list, err := s.opts.Tracer.Traces(ctx, opts)
		if err != nil {
			return nil, err
		}
		return replyWith(traceList{Traces: nonNil(list)}), nil
	})
	register(s, huma.Operation{
		OperationID: "get-trace", Method: http.MethodGet, Path: "/v1/traces/{id}", Tags: []string{"Traces"}, Summary: "Get a trace's spans",
	}, func(ctx context.Context, in *tracePath) (*reply[trace], error) {
		spans, err := s.opts.Tracer.Trace(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return replyWith(trace{TraceID: in.ID, Spans: nonNil(spans)}), nil
	})
}

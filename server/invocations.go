package server

import (
	"context"
	"net/http"

	"flagbase.dev/function"
	"github.com/danielgtaylor/huma/v2"
)

// invocationPageSize is how many invocations a page has unless fewer are asked for.
const invocationPageSize = 100

type invocationPath struct {
	ID string `path:"id" doc:"The invocation's id."`
}

type invocationsInput struct {
	ID     string `path:"id" doc:"The function's id or name."`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"How many at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The next of the page before."`
}

type invocationPage struct {
	Invocations []function.Invocation `json:"invocations" nullable:"false"`
	Next        string                `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

func (s *Server) invocationRoutes() {
	register(s, huma.Operation{
		OperationID: "list-invocations", Method: http.MethodGet, Path: "/v1/functions/{id}/invocations", Tags: []string{"Invocations"},
		Summary: "List a function's invocations", Description: "Newest first, 100 a page.",
	}, func(ctx context.Context, in *invocationsInput) (*reply[invocationPage], error) {
		if _, err := s.opts.Functions.Get(ctx, in.ID); err != nil {
			return nil, err
		}
		limit := in.Limit
		if limit == 0 {
			limit = invocationPageSize
		}
		page, err := s.opts.Functions.Invocations(ctx, in.ID, &function.InvocationsOptions{Limit: limit, Cursor: in.Cursor})
		if err != nil {
			return nil, err
		}
		return replyWith(invocationPage{Invocations: nonNil(page.Invocations), Next: page.Next}), nil
	})
	register(s, huma.Operation{
		OperationID: "get-invocation", Method: http.MethodGet, Path: "/v1/invocations/{id}", Tags: []string{"Invocations"},
		Summary: "Get an invocation",
	}, func(ctx context.Context, in *invocationPath) (*reply[function.Invocation], error) {
		inv, err := s.opts.Functions.GetInvocation(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return replyWith(*inv), nil
	})
	s.mux.HandleFunc("GET /v1/invocations/{id}/logs", func(w http.ResponseWriter, r *http.Request) {
		log, err := s.opts.Functions.Logs(r.Context(), r.PathValue("id"))
		if err != nil {
			s.problem(r.Context(), err).write(w)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(log)
	})
}

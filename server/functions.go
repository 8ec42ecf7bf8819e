package server

import (
	"context"
	"net/http"

	"flagbase.dev/function"
	"github.com/danielgtaylor/huma/v2"
)

// functionInfo is a function as the API shows it.
type functionInfo struct {
	function.Function
	ActiveVersion int `json:"active_version" doc:"The version that runs when none is asked for; 0 when there is none."`
}

type functionList struct {
	Functions []functionInfo `json:"functions" nullable:"false"`
}

type versionList struct {
	Versions []function.FunctionVersion `json:"versions" nullable:"false"`
}

type functionPath struct {
	ID string `path:"id" doc:"The function's id or name."`
}

type versionPath struct {
	ID      string `path:"id" doc:"The function's id or name."`
	Version int    `path:"version" minimum:"1" doc:"The version's number."`
}

type functionUpdate struct {
	ID   string `path:"id" doc:"The function's id or name."`
	Body struct {
		Name        *string `json:"name,omitempty" doc:"A new name; left out, the name stays."`
		Description *string `json:"description,omitempty" doc:"A new description; left out, it stays."`
		Source      *string `json:"source,omitempty" doc:"New JavaScript or TypeScript, which becomes a new, active version."`
	}
}

func (s *Server) functionRoutes() {
	register(s, huma.Operation{
		OperationID: "list-functions", Method: http.MethodGet, Path: "/v1/functions", Tags: []string{"Functions"},
		Summary: "List functions", Description: "By name. The sources are left out; get one function to see its source.",
	}, func(ctx context.Context, _ *struct{}) (*reply[functionList], error) {
		list, err := s.opts.Functions.List(ctx)
		if err != nil {
			return nil, err
		}
		out := functionList{Functions: make([]functionInfo, 0, len(list))}
		for i := range list {
			list[i].Source = ""
			info, err := s.describe(ctx, &list[i])
			if err != nil {
				return nil, err
			}
			out.Functions = append(out.Functions, *info)
		}
		return replyWith(out), nil
	})
	register(s, huma.Operation{
		OperationID: "get-function", Method: http.MethodGet, Path: "/v1/functions/{id}", Tags: []string{"Functions"},
		Summary: "Get a function",
	}, func(ctx context.Context, in *functionPath) (*reply[functionInfo], error) {
		return s.getFunction(ctx, in.ID)
	})
	register(s, huma.Operation{
		OperationID: "update-function", Method: http.MethodPut, Path: "/v1/functions/{id}", Tags: []string{"Functions"},
		Summary: "Change a function's name, description or source", MaxBodyBytes: s.opts.ArtifactLimitBytes,
	}, func(ctx context.Context, in *functionUpdate) (*reply[functionInfo], error) {
		now, err := s.opts.Functions.Get(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		name, description, source := now.Name, now.Description, ""
		for field, value := range map[*string]*string{&name: in.Body.Name, &description: in.Body.Description, &source: in.Body.Source} {
			if value != nil {
				*field = *value
			}
		}
		if _, err := s.opts.Functions.Update(ctx, now.ID, name, description, source); err != nil {
			return nil, err
		}
		s.names.Clear()
		return s.getFunction(ctx, now.ID)
	})
	register(s, huma.Operation{
		OperationID: "delete-function", Method: http.MethodDelete, Path: "/v1/functions/{id}", Tags: []string{"Functions"},
		Summary: "Delete a function, its versions and invocations",
	}, func(ctx context.Context, in *functionPath) (*struct{}, error) {
		defer s.names.Clear()
		return nil, s.opts.Functions.Delete(ctx, in.ID)
	})
	register(s, huma.Operation{
		OperationID: "list-versions", Method: http.MethodGet, Path: "/v1/functions/{id}/versions", Tags: []string{"Functions"},
		Summary: "List a function's versions", Description: "Oldest first.",
	}, func(ctx context.Context, in *functionPath) (*reply[versionList], error) {
		if _, err := s.opts.Functions.Get(ctx, in.ID); err != nil {
			return nil, err
		}
		versions, err := s.opts.Functions.ListVersions(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return replyWith(versionList{Versions: nonNil(versions)}), nil
	})
	register(s, huma.Operation{
		OperationID: "activate-version", Method: http.MethodPost, Path: "/v1/functions/{id}/versions/{version}/activate", Tags: []string{"Functions"},
		Summary: "Make a version the one that runs", DefaultStatus: http.StatusOK,
	}, func(ctx context.Context, in *versionPath) (*reply[function.FunctionVersion], error) {
		v, err := s.opts.Functions.Activate(ctx, in.ID, in.Version)
		if err != nil {
			return nil, err
		}
		return replyWith(*v), nil
	})
	s.mux.HandleFunc("POST /v1/functions", s.serveCreate)
	s.mux.HandleFunc("POST /v1/functions/{id}/versions", s.serveDeploy)
}

func (s *Server) getFunction(ctx context.Context, id string) (*reply[functionInfo], error) {
	fn, err := s.opts.Functions.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	info, err := s.describe(ctx, fn)
	if err != nil {
		return nil, err
	}
	return replyWith(*info), nil
}

func (s *Server) describe(ctx context.Context, fn *function.Function) (*functionInfo, error) {
	active, err := s.opts.Functions.ActiveVersion(ctx, fn.ID)
	if err != nil {
		return nil, err
	}
	return &functionInfo{Function: *fn, ActiveVersion: active}, nil
}

// serveCreate makes a function from a JSON or multipart body.
func (s *Server) serveCreate(w http.ResponseWriter, r *http.Request) {
	s.upload(w, r, func(ctx context.Context, d *deployment) (any, error) {
		var fn *function.Function
		var err error
		if d.artifact != nil {
			fn, err = s.opts.Functions.Upload(ctx, d.Name, d.Description, d.artifact)
		} else {
			fn, err = s.opts.Functions.Create(ctx, d.Name, d.Description, d.Language, d.Source)
		}
		if err != nil {
			return nil, err
		}
		return s.describe(ctx, fn)
	})
}

// serveDeploy adds a version to a function and makes it the active one.
func (s *Server) serveDeploy(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.upload(w, r, func(ctx context.Context, d *deployment) (any, error) {
		if d.artifact != nil {
			return s.opts.Functions.DeployVersion(ctx, id, d.artifact)
		}
		return s.opts.Functions.DeploySource(ctx, id, d.Language, d.Source)
	})
}

// upload reads a deployment, hands it to deploy and answers 201 with what came of it.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, deploy func(context.Context, *deployment) (any, error)) {
	// An artifact is in memory while it is checked and compiled; a few at once are enough for anybody.
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	case <-r.Context().Done():
		s.problem(r.Context(), r.Context().Err()).write(w)
		return
	}
	d, err := s.readDeployment(w, r)
	if err == nil {
		var made any
		if made, err = deploy(r.Context(), d); err == nil {
			s.names.Clear()
			writeJSON(w, http.StatusCreated, made)
			return
		}
	}
	s.problem(r.Context(), err).write(w)
}

// nonNil makes an empty list show as [] rather than null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

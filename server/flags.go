package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"flagbase.dev/feature"
	"github.com/danielgtaylor/huma/v2"
)

type flagPath struct {
	Key string `path:"key" doc:"The flag's key."`
}

// flagBody has the schema of a flag; feature.DecodeFlag, which is stricter than a schema, reads RawBody.
type flagBody struct {
	Body    feature.Flag
	RawBody []byte
}

type flagPut struct {
	Key     string `path:"key" doc:"The flag's key."`
	Body    feature.Flag
	RawBody []byte
}

type flagEvaluate struct {
	Key  string           `path:"key" doc:"The flag's key."`
	Body *feature.Context `required:"false"`
}

type flagList struct {
	Flags []feature.Flag `json:"flags" nullable:"false"`
}

func (s *Server) flagRoutes() {
	flags := s.opts.Flags
	register(s, huma.Operation{
		OperationID: "list-flags", Method: http.MethodGet, Path: "/v1/flags", Tags: []string{"Flags"},
		Summary: "List flags", Description: "By key.",
	}, func(ctx context.Context, _ *struct{}) (*reply[flagList], error) {
		list, err := flags.List(ctx)
		if err != nil {
			return nil, err
		}
		return replyWith(flagList{Flags: nonNil(list)}), nil
	})
	register(s, huma.Operation{
		OperationID: "create-flag", Method: http.MethodPost, Path: "/v1/flags", Tags: []string{"Flags"},
		Summary: "Create a flag", DefaultStatus: http.StatusCreated, SkipValidateBody: true,
	}, func(ctx context.Context, in *flagBody) (*reply[feature.Flag], error) {
		flag, err := feature.DecodeFlag(in.RawBody)
		if err != nil {
			return nil, err
		}
		if _, err := flags.Get(ctx, flag.Key); err == nil {
			return nil, newProblem(http.StatusConflict, "already_exists",
				fmt.Sprintf("There is a flag %q already; PUT /v1/flags/{key} changes it.", flag.Key))
		}
		return putFlag(ctx, flags, flag)
	})
	register(s, huma.Operation{
		OperationID: "get-flag", Method: http.MethodGet, Path: "/v1/flags/{key}", Tags: []string{"Flags"},
		Summary: "Get a flag",
	}, func(ctx context.Context, in *flagPath) (*reply[feature.Flag], error) {
		flag, err := flags.Get(ctx, in.Key)
		if err != nil {
			return nil, err
		}
		return replyWith(*flag), nil
	})
	register(s, huma.Operation{
		OperationID: "put-flag", Method: http.MethodPut, Path: "/v1/flags/{key}", Tags: []string{"Flags"},
		Summary: "Create or replace a flag", SkipValidateBody: true,
	}, func(ctx context.Context, in *flagPut) (*reply[feature.Flag], error) {
		flag, err := feature.DecodeFlag(in.RawBody)
		if err != nil {
			return nil, err
		}
		if flag.Key != "" && flag.Key != in.Key {
			return nil, newProblem(http.StatusUnprocessableEntity, CodeInvalidRequest,
				fmt.Sprintf("The path names the flag %q and the body %q; a flag's key cannot change.", in.Key, flag.Key))
		}
		flag.Key = in.Key
		return putFlag(ctx, flags, flag)
	})
	register(s, huma.Operation{
		OperationID: "delete-flag", Method: http.MethodDelete, Path: "/v1/flags/{key}", Tags: []string{"Flags"},
		Summary: "Delete a flag",
	}, func(ctx context.Context, in *flagPath) (*struct{}, error) {
		return nil, flags.Delete(ctx, in.Key)
	})
	register(s, huma.Operation{
		OperationID: "evaluate-flag", Method: http.MethodPost, Path: "/v1/flags/{key}/evaluate", Tags: []string{"Flags"},
		Summary: "Evaluate a flag", DefaultStatus: http.StatusOK,
	}, func(_ context.Context, in *flagEvaluate) (*reply[feature.Evaluation], error) {
		who := in.Body
		if who == nil {
			who = &feature.Context{}
		}
		result, err := flags.Evaluate(in.Key, who)
		if err != nil {
			return nil, err
		}
		return replyWith(*result), nil
	})
}

func putFlag(ctx context.Context, flags *feature.Engine, flag *feature.Flag) (*reply[feature.Flag], error) {
	saved, err := flags.Put(ctx, flag)
	if err != nil {
		return nil, err
	}
	return replyWith(*saved), nil
}

// isFlagMissing reports whether err says that there is no such flag.
func isFlagMissing(err error) bool { return errors.Is(err, feature.ErrNotFound) }

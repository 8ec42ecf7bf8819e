package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"flagbase.dev/feature"
)

// The OpenFeature Remote Evaluation Protocol 0.3.0, so that any OpenFeature SDK can ask this server. Its
// failures have a form of their own (errorCode); members of a Problem are added to it.
func (s *Server) ofrepRoutes() {
	s.mux.HandleFunc("POST /ofrep/v1/evaluate/flags/{key}", s.serveOFREP)
	s.mux.HandleFunc("POST /ofrep/v1/evaluate/flags", s.serveOFREPBulk)
}

type ofrepEvaluation struct {
	Key     string          `json:"key"`
	Reason  string          `json:"reason"`
	Variant string          `json:"variant"`
	Value   json.RawMessage `json:"value"`
}

type ofrepFailure struct {
	Key          string `json:"key,omitempty"`
	ErrorCode    string `json:"errorCode"`
	ErrorDetails string `json:"errorDetails"`
	Code         string `json:"code"`
	Title        string `json:"title"`
	Status       int    `json:"status"`
	Detail       string `json:"detail"`
}

func (s *Server) serveOFREP(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	who, p := ofrepContext(w, r)
	if p != nil {
		writeOFREPFailure(w, key, "INVALID_CONTEXT", p)
		return
	}
	result, err := s.opts.Flags.Evaluate(key, who)
	if err != nil {
		code := "GENERAL"
		if isFlagMissing(err) {
			code = "FLAG_NOT_FOUND"
		}
		writeOFREPFailure(w, key, code, s.problem(r.Context(), err))
		return
	}
	writeJSON(w, http.StatusOK, ofrepEvaluation{Key: result.Key, Reason: result.Reason, Variant: result.Variant, Value: result.Value})
}

func (s *Server) serveOFREPBulk(w http.ResponseWriter, r *http.Request) {
	who, p := ofrepContext(w, r)
	if p != nil {
		writeOFREPFailure(w, "", "INVALID_CONTEXT", p)
		return
	}
	list := s.opts.Flags.EvaluateAll(who)
	flags := make([]ofrepEvaluation, 0, len(list))
	for _, e := range list {
		flags = append(flags, ofrepEvaluation{Key: e.Key, Reason: e.Reason, Variant: e.Variant, Value: e.Value})
	}
	body, err := json.Marshal(map[string]any{"flags": flags})
	if err != nil {
		s.internal(r.Context(), err).write(w)
		return
	}
	// The tag covers the answer, so it changes with the flags and with whom they are evaluated for.
	digest := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(digest[:16]) + `"`
	w.Header().Set("ETag", tag)
	if matchesTag(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}

// ofrepContext reads {"context": {"targetingKey": ..., ...}}.
func ofrepContext(w http.ResponseWriter, r *http.Request) (*feature.Context, *Problem) {
	body, err := readBody(w, r, 1<<20)
	if err != nil {
		if p := bodyProblem(err); p != nil {
			return nil, p
		}
		return nil, newProblem(http.StatusBadRequest, CodeInvalidRequest, "The request body could not be read to its end.")
	}
	var request struct {
		Context map[string]any `json:"context"`
	}
	if len(body) > 0 {
		if err := unmarshalJSON(body, &request); err != nil {
			return nil, newProblem(http.StatusBadRequest, CodeInvalidRequest,
				`The body must be a JSON object such as {"context": {"targetingKey": "user-1"}}.`)
		}
	}
	who := &feature.Context{Attributes: request.Context}
	if given, ok := request.Context["targetingKey"]; ok {
		key, ok := given.(string)
		if !ok {
			return nil, newProblem(http.StatusBadRequest, CodeInvalidRequest, "The context's targetingKey must be a string.")
		}
		who.TargetingKey = key
		delete(who.Attributes, "targetingKey")
	}
	return who, nil
}

func writeOFREPFailure(w http.ResponseWriter, key, code string, p *Problem) {
	writeJSON(w, p.Status, ofrepFailure{
		Key: key, ErrorCode: code, ErrorDetails: p.Detail,
		Code: p.Code, Title: p.Title, Status: p.Status, Detail: p.Detail,
	})
}

// matchesTag reports whether an If-None-Match header names the tag.
func matchesTag(header, tag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
		if item == "*" || item == tag {
			return true
		}
	}
	return false
}

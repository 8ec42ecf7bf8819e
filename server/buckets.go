package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"flagbase.dev/storage"
	"github.com/danielgtaylor/huma/v2"
)

type bucketList struct {
	Buckets []string `json:"buckets" nullable:"false"`
}

type objectsInput struct {
	Bucket string `path:"bucket" doc:"The bucket's name."`
	Prefix string `query:"prefix" doc:"Only keys that begin with it."`
	After  string `query:"after" doc:"Only keys after it: the next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"How many at most."`
}

type objectPage struct {
	Objects []storage.Object `json:"objects" nullable:"false"`
	Next    string           `json:"next,omitempty" doc:"Pass it as after for the next page; absent on the last."`
}

func (s *Server) bucketRoutes() {
	bucket := s.opts.Bucket
	register(s, huma.Operation{
		OperationID: "list-buckets", Method: http.MethodGet, Path: "/v1/buckets", Tags: []string{"Buckets"},
		Summary: "List the buckets that hold objects",
	}, func(ctx context.Context, _ *struct{}) (*reply[bucketList], error) {
		list, err := bucket.Buckets(ctx)
		if err != nil {
			return nil, err
		}
		return replyWith(bucketList{Buckets: nonNil(slices.DeleteFunc(list, storage.Reserved))}), nil
	})
	register(s, huma.Operation{
		OperationID: "list-objects", Method: http.MethodGet, Path: "/v1/buckets/{bucket}", Tags: []string{"Buckets"},
		Summary: "List a bucket's objects", Description: "By key, bytewise.",
	}, func(ctx context.Context, in *objectsInput) (*reply[objectPage], error) {
		if err := notReserved(in.Bucket); err != nil {
			return nil, err
		}
		page, err := bucket.List(ctx, in.Bucket, &storage.ListOptions{Prefix: in.Prefix, After: in.After, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		return replyWith(objectPage{Objects: nonNil(page.Objects), Next: page.Next}), nil
	})
}

func notReserved(bucket string) error {
	if storage.Reserved(bucket) {
		return newProblem(http.StatusForbidden, CodeForbidden,
			fmt.Sprintf("The bucket %q is flagbase's own; choose a name that does not begin with flagbase-.", bucket))
	}
	return nil
}

// isObjectPath reports whether an escaped path is /v1/buckets/{bucket}/{key...} with some key.
func isObjectPath(escaped string) bool {
	after, ok := strings.CutPrefix(escaped, "/v1/buckets/")
	slash := strings.IndexByte(after, '/')
	return ok && slash > 0 && slash+1 < len(after)
}

// objectName takes an object's path apart. A key is any text: empty, "." and ".." segments are part of it.
func objectName(escaped string) (bucket, key string, err error) {
	after, _ := strings.CutPrefix(escaped, "/v1/buckets/")
	bucket, key, _ = strings.Cut(after, "/")
	if bucket, err = url.PathUnescape(bucket); err != nil {
		return "", "", err
	}
	if key, err = url.PathUnescape(key); err != nil {
		return "", "", err
	}
	return bucket, key, nil
}

// serveObject reads and writes one object: raw bytes, streamed.
func (s *Server) serveObject(w http.ResponseWriter, r *http.Request) {
	bucket, key, err := objectName(r.URL.EscapedPath())
	if err == nil {
		err = notReserved(bucket)
	}
	if err == nil {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			err = s.getObject(w, r, bucket, key)
		case http.MethodPut:
			err = s.putObject(w, r, bucket, key)
		case http.MethodDelete:
			if err = s.opts.Bucket.Delete(r.Context(), bucket, key); err == nil {
				w.WriteHeader(http.StatusNoContent)
			}
		default:
			err = methodNotAllowed(r.Method, []string{"GET", "HEAD", "PUT", "DELETE"})
		}
	}
	if err != nil {
		s.problem(r.Context(), err).write(w)
	}
}

func (s *Server) getObject(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	var object *storage.Object
	var body io.ReadCloser
	var err error
	if r.Method == http.MethodHead {
		object, err = s.opts.Bucket.Head(r.Context(), bucket, key)
	} else {
		body, object, err = s.opts.Bucket.Get(r.Context(), bucket, key)
	}
	if err != nil {
		return err
	}
	if body != nil {
		defer body.Close()
	}
	h := w.Header()
	tag := `"` + object.ETag + `"`
	h.Set("ETag", tag)
	h.Set("Last-Modified", object.UpdatedAt.UTC().Format(http.TimeFormat))
	if matchesTag(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", objectType(object.ContentType))
	h.Set("Content-Length", strconv.FormatInt(object.Size, 10))
	// An object's bytes are somebody's upload: should a browser ever show them, then without any rights.
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.WriteHeader(http.StatusOK)
	if body == nil {
		return nil
	}
	if _, err := io.Copy(w, body); err != nil {
		// The length is out already: only a broken connection can still say that the bytes are not all.
		if r.Context().Err() == nil {
			s.internal(r.Context(), fmt.Errorf("send object %s/%s: %w", bucket, key, err))
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (s *Server) putObject(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	limit := s.opts.ObjectLimitBytes
	if r.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	opts := &storage.PutOptions{ContentType: objectType(r.Header.Get("Content-Type"))}
	body := &countedBody{Reader: http.MaxBytesReader(w, r.Body, limit)}
	object, err := s.opts.Bucket.Put(r.Context(), bucket, key, body, opts)
	if err != nil {
		if body.err != nil && bodyProblem(body.err) == nil {
			return newProblem(http.StatusBadRequest, CodeInvalidRequest, "The request body broke off; nothing was stored.")
		}
		return err
	}
	w.Header().Set("ETag", `"`+object.ETag+`"`)
	writeJSON(w, http.StatusOK, object)
	return nil
}

// countedBody remembers whether reading failed, which tells the client's fault from the disk's.
type countedBody struct {
	io.Reader
	err error
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		b.err = err
	}
	return n, err
}

func objectType(kind string) string {
	if kind == "" || len(kind) > 255 {
		return "application/octet-stream"
	}
	return kind
}

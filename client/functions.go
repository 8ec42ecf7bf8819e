package client

import (
	"bytes"
	"context"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Function is a deployed function.
type Function struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Description   string    `json:"description"`
	Language      string    `json:"language"`
	Source        string    `json:"source"` // JavaScript and TypeScript only; empty in lists
	Runtime       string    `json:"runtime"`
	Status        string    `json:"status"` // ready, error or compiling
	Error         string    `json:"error,omitempty"`
	ActiveVersion int       `json:"active_version"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// Version is one deployment of a function.
type Version struct {
	ID         string    `json:"id"`
	FunctionID string    `json:"function_id"`
	Version    int       `json:"version"`
	Source     string    `json:"source,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
}

// Code is what is deployed: wasm in Artifact, or JavaScript or TypeScript in Source.
type Code struct {
	Artifact []byte
	Source   string
	Language string // of Source: "javascript" (the default) or "typescript"

	// Progress is told how many bytes of how many of an Artifact were sent, on a goroutine of the
	// client's. Defaults to nothing.
	Progress func(sent, total int64)
}

// CreateOptions are the optional parts of a new function.
type CreateOptions struct {
	Description string
}

// FunctionUpdate is what to change; nil leaves a field as it is. A new Source makes a new version.
type FunctionUpdate struct {
	Name        *string `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
	Source      *string `json:"source,omitempty"`
}

func functionPath(id, rest string) string { return "/v1/functions/" + seg(id) + rest }

// Functions lists all functions.
func (c *Client) Functions(ctx context.Context) ([]Function, error) {
	var out struct {
		Functions []Function `json:"functions"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/functions", nil, nil, &out)
	return out.Functions, err
}

// Function returns the function with that id or name.
func (c *Client) Function(ctx context.Context, id string) (*Function, error) {
	return answer[Function](c, ctx, http.MethodGet, functionPath(id, ""), nil)
}

// CreateFunction deploys code as a new function. The error's code is "already_exists" when the name is taken.
func (c *Client) CreateFunction(ctx context.Context, name string, code *Code, opts *CreateOptions) (*Function, error) {
	var description string
	if opts != nil {
		description = opts.Description
	}
	out := &Function{}
	if err := c.deploy(ctx, "/v1/functions", name, description, code, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DeployVersion deploys code as a new version of a function, which becomes the active one.
func (c *Client) DeployVersion(ctx context.Context, id string, code *Code) (*Version, error) {
	out := &Version{}
	if err := c.deploy(ctx, functionPath(id, "/versions"), "", "", code, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (c *Client) deploy(ctx context.Context, path, name, description string, code *Code, out any) error {
	if code.Artifact == nil {
		language := code.Language
		if language == "" {
			language = "javascript"
		}
		in := map[string]string{"language": language, "source": code.Source}
		if name != "" {
			in["name"], in["description"] = name, description
		}
		return c.call(ctx, http.MethodPost, path, nil, in, out)
	}
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	for _, field := range [][2]string{{"name", name}, {"description", description}} {
		if field[1] != "" {
			_ = form.WriteField(field[0], field[1]) // a bytes.Buffer takes everything
		}
	}
	_, _ = form.CreateFormFile("artifact", "artifact.wasm")
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	length := int64(head.Len() + len(code.Artifact) + len(tail))
	body := io.MultiReader(&head, bytes.NewReader(code.Artifact), bytes.NewReader([]byte(tail)))
	if code.Progress != nil {
		body = &progressReader{body: body, total: length, report: code.Progress}
	}
	return c.decode(ctx, &request{
		method: http.MethodPost, path: path,
		header: http.Header{"Content-Type": {form.FormDataContentType()}, "Accept": {"application/json"}},
		body:   body,
		length: length,
	}, out)
}

// progressReader reports how much of a body was read.
type progressReader struct {
	body        io.Reader
	sent, total int64
	report      func(sent, total int64)
}

func (r *progressReader) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	if n > 0 {
		r.sent += int64(n)
		r.report(r.sent, r.total)
	}
	return n, err
}

// UpdateFunction changes a function's name, description or source.
func (c *Client) UpdateFunction(ctx context.Context, id string, update *FunctionUpdate) (*Function, error) {
	return answer[Function](c, ctx, http.MethodPut, functionPath(id, ""), update)
}

// DeleteFunction deletes a function, its versions and its invocations.
func (c *Client) DeleteFunction(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, functionPath(id, ""), nil, nil, nil)
}

// Versions lists a function's versions, oldest first.
func (c *Client) Versions(ctx context.Context, id string) ([]Version, error) {
	var out struct {
		Versions []Version `json:"versions"`
	}
	err := c.call(ctx, http.MethodGet, functionPath(id, "/versions"), nil, nil, &out)
	return out.Versions, err
}

// ActivateVersion makes a version the one that runs.
func (c *Client) ActivateVersion(ctx context.Context, id string, version int) (*Version, error) {
	return answer[Version](c, ctx, http.MethodPost, functionPath(id, "/versions/"+strconv.Itoa(version)+"/activate"), nil)
}

// Invocation is the record of one execution of a function.
type Invocation struct {
	ID              string     `json:"id"`
	FunctionID      string     `json:"function_id"`
	StartedAt       time.Time  `json:"started_at"`
	CompletedAt     *time.Time `json:"completed_at,omitempty"`
	Success         bool       `json:"success"`
	Output          string     `json:"output,omitempty"`
	Error           string     `json:"error,omitempty"`
	ExecutionMs     *int64     `json:"execution_ms,omitempty"`
	PeakMemoryBytes int64      `json:"peak_memory_bytes"`
	HostCalls       int        `json:"host_calls"`
	OutputSizeBytes int        `json:"output_size_bytes"`
	TraceID         string     `json:"trace_id,omitempty"`
	Version         int        `json:"version,omitempty"`
	ComputeMs       *int64     `json:"cpu_ms,omitempty"` // of ExecutionMs, in the function's own code
}

// InvocationPage is a part of a function's invocations, newest first.
type InvocationPage struct {
	Invocations []Invocation `json:"invocations"`
	Next        string       `json:"next,omitempty"` // cursor of the next page; "" on the last
}

// PageOptions choose a page.
type PageOptions struct {
	Limit  int    // defaults to 100, at most 100
	Cursor string // Next of the page before; "" is the first page
}

// Invocations returns a page of a function's invocations, newest first.
func (c *Client) Invocations(ctx context.Context, id string, opts *PageOptions) (*InvocationPage, error) {
	query := url.Values{}
	if opts != nil && opts.Limit > 0 {
		query.Set("limit", strconv.Itoa(opts.Limit))
	}
	if opts != nil && opts.Cursor != "" {
		query.Set("cursor", opts.Cursor)
	}
	out := &InvocationPage{}
	err := c.call(ctx, http.MethodGet, functionPath(id, "/invocations"), query, nil, out)
	return out, err
}

// AllInvocations goes through a function's invocations page by page, newest first. It ends at the first error.
func (c *Client) AllInvocations(ctx context.Context, id string) iter.Seq2[*Invocation, error] {
	return func(yield func(*Invocation, error) bool) {
		cursor := ""
		for {
			page, err := c.Invocations(ctx, id, &PageOptions{Cursor: cursor})
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Invocations {
				if !yield(&page.Invocations[i], nil) {
					return
				}
			}
			if cursor = page.Next; cursor == "" {
				return
			}
		}
	}
}

// Invocation returns one invocation.
func (c *Client) Invocation(ctx context.Context, id string) (*Invocation, error) {
	return answer[Invocation](c, ctx, http.MethodGet, "/v1/invocations/"+seg(id), nil)
}

// Logs returns what an invocation logged.
func (c *Client) Logs(ctx context.Context, invocationID string) ([]byte, error) {
	resp, err := c.send(ctx, &request{method: http.MethodGet, path: "/v1/invocations/" + seg(invocationID) + "/logs"})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, readError(resp)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

// answer does a call and returns its decoded answer, or nil and the error.
func answer[T any](c *Client, ctx context.Context, method, path string, in any) (*T, error) {
	out := new(T)
	if err := c.call(ctx, method, path, nil, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Object describes what is stored under a key.
type Object struct {
	Bucket      string    `json:"bucket"`
	Key         string    `json:"key"`
	Size        int64     `json:"size"`
	ETag        string    `json:"etag"` // SHA-256 of the bytes, in hexadecimal
	ContentType string    `json:"content_type"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// ObjectPage is a part of a bucket's objects, by key.
type ObjectPage struct {
	Objects []Object `json:"objects"`
	Next    string   `json:"next,omitempty"` // pass it as After; "" on the last page
}

// ObjectOptions choose objects.
type ObjectOptions struct {
	Prefix string
	After  string // only keys after it
	Limit  int    // defaults to 1000, at most 1000
}

func objectPath(bucket, key string) string {
	return "/v1/buckets/" + seg(bucket) + "/" + seg(key) // the key's own slashes travel as %2F
}

// Buckets lists the buckets that hold objects.
func (c *Client) Buckets(ctx context.Context) ([]string, error) {
	var out struct {
		Buckets []string `json:"buckets"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/buckets", nil, nil, &out)
	return out.Buckets, err
}

// Objects returns a page of a bucket's objects.
func (c *Client) Objects(ctx context.Context, bucket string, opts *ObjectOptions) (*ObjectPage, error) {
	query := url.Values{}
	if opts != nil {
		for name, value := range map[string]string{"prefix": opts.Prefix, "after": opts.After} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if opts.Limit > 0 {
			query.Set("limit", strconv.Itoa(opts.Limit))
		}
	}
	out := &ObjectPage{}
	err := c.call(ctx, http.MethodGet, "/v1/buckets/"+seg(bucket), query, nil, out)
	return out, err
}

// PutObject stores what body yields under a key. contentType may be "" (application/octet-stream).
func (c *Client) PutObject(ctx context.Context, bucket, key string, body io.Reader, contentType string) (*Object, error) {
	r := &request{method: http.MethodPut, path: objectPath(bucket, key), header: http.Header{}, body: body}
	if contentType != "" {
		r.header.Set("Content-Type", contentType)
	}
	out := &Object{}
	if err := c.decode(ctx, r, out); err != nil {
		return nil, err
	}
	return out, nil
}

// GetObject returns an object's bytes, which the caller closes, and what is known about it.
func (c *Client) GetObject(ctx context.Context, bucket, key string) (io.ReadCloser, *Object, error) {
	resp, err := c.send(ctx, &request{method: http.MethodGet, path: objectPath(bucket, key)})
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, nil, readError(resp)
	}
	object := &Object{
		Bucket: bucket, Key: key, Size: resp.ContentLength,
		ETag: strings.Trim(resp.Header.Get("ETag"), `"`), ContentType: resp.Header.Get("Content-Type"),
	}
	object.UpdatedAt, _ = http.ParseTime(resp.Header.Get("Last-Modified")) // zero when the server does not say
	return resp.Body, object, nil
}

// DeleteObject deletes an object; one that is not there is no error.
func (c *Client) DeleteObject(ctx context.Context, bucket, key string) error {
	return c.decode(ctx, &request{method: http.MethodDelete, path: objectPath(bucket, key)}, nil)
}

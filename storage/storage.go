// Package storage keeps objects: bytes under a key in a bucket.
//
// [BucketAdapter] is the small interface the rest of flagbase uses. [Local]
// keeps objects as files in a directory and their names in SQL; [Memory] is
// for tests and trials. Package storage/drivertest is the suite that says what
// an adapter must do; both pass it, and so should one of your own.
//
// # Names
//
// A bucket is 1-63 characters of a-z, 0-9, '.', '_' and '-', beginning with a
// letter or a digit. It exists as long as it holds an object. Names that begin
// with "flagbase-" are flagbase's own, see [Reserved].
//
// A key is 1-1,024 bytes of valid UTF-8 without NUL. Keys are compared byte by
// byte: "A" and "a", or the composed and the decomposed form of "é", are two
// keys. A key is never a path: "../x" and "C:\x" are keys like any other.
package storage

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	// ErrNotFound: there is no object with that bucket and key.
	ErrNotFound = errors.New("object not found")
	// ErrInvalidName: a bucket, key or content type that is not allowed.
	ErrInvalidName = errors.New("invalid name")
	// ErrCorrupt: what is stored is not what was put; the bytes are withheld.
	ErrCorrupt = errors.New("stored object is damaged")
	// ErrTooLarge: the object is larger than the limit of [ReadAll].
	ErrTooLarge = errors.New("object is too large")
)

// BucketAdapter stores objects. Implementations are safe for concurrent use,
// and every error of theirs names the bucket and the key and matches one of
// this package's errors where one applies.
type BucketAdapter interface {
	// Put stores all of body under key, replacing what was there. The change
	// is seen whole or not at all, also by readers at the same moment and
	// after a crash; when Put returns nil it is durable. An error of body is
	// returned (errors.Is finds it) and leaves the old object as it was. opts
	// may be nil.
	Put(ctx context.Context, bucket, key string, body io.Reader, opts *PutOptions) (*Object, error)
	// Get opens the object as it is now; a later Put or Delete does not
	// disturb the reader. ctx covers opening only. The caller closes it.
	Get(ctx context.Context, bucket, key string) (io.ReadCloser, *Object, error)
	// Head describes the object without opening it.
	Head(ctx context.Context, bucket, key string) (*Object, error)
	// Delete removes the object. One that is absent is no error.
	Delete(ctx context.Context, bucket, key string) error
	// List gives one page of the bucket's objects in bytewise order of their
	// keys; an unknown bucket is empty. opts may be nil.
	List(ctx context.Context, bucket string, opts *ListOptions) (*Page, error)
	// Buckets lists the buckets that hold an object, sorted.
	Buckets(ctx context.Context) ([]string, error)
}

// PutOptions are the optional parts of a Put.
type PutOptions struct {
	// ContentType is the media type, at most 255 bytes without control
	// characters. Defaults to "application/octet-stream".
	ContentType string
}

// Object describes a stored object.
type Object struct {
	Bucket      string    `json:"bucket"`
	Key         string    `json:"key"`
	Size        int64     `json:"size"` // bytes
	ETag        string    `json:"etag"` // SHA-256 of the content, 64 hex digits
	ContentType string    `json:"content_type"`
	UpdatedAt   time.Time `json:"updated_at"` // UTC, to the microsecond
}

// ListOptions choose a page of a List.
type ListOptions struct {
	// Prefix keeps only keys that begin with it.
	Prefix string
	// After keeps only keys greater than it; give [Page].Next for the next
	// page.
	After string
	// Limit is the most objects to return. Defaults to 1,000, which is also
	// the maximum.
	Limit int
}

// Page is a part of a listing.
type Page struct {
	Objects []Object `json:"objects"` // never nil
	Next    string   `json:"next"`    // the After of the next page; "" when this is the last
}

package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory keeps objects in memory, for tests and trials: nothing outlives the
// process.
type Memory struct {
	mu      sync.RWMutex
	buckets map[string]map[string]memoryObject
}

type memoryObject struct {
	Object
	data []byte // never changed once stored
}

var _ BucketAdapter = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{buckets: map[string]map[string]memoryObject{}} }

// Put implements [BucketAdapter].
func (m *Memory) Put(ctx context.Context, bucket, key string, body io.Reader, opts *PutOptions) (*Object, error) {
	if err := checkObject("put", bucket, key); err != nil {
		return nil, err
	}
	kind, err := contentType(opts)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(contextReader{ctx, body})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, failed("put", bucket, key, err)
	}
	sum := sha256.Sum256(data)
	object := Object{Bucket: bucket, Key: key, Size: int64(len(data)), ETag: hex.EncodeToString(sum[:]), ContentType: kind, UpdatedAt: now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.buckets[bucket] == nil {
		m.buckets[bucket] = map[string]memoryObject{}
	}
	m.buckets[bucket][key] = memoryObject{object, data}
	return &object, nil
}

func (m *Memory) find(ctx context.Context, op, bucket, key string) (memoryObject, error) {
	if err := checkObject(op, bucket, key); err != nil {
		return memoryObject{}, err
	}
	if err := ctx.Err(); err != nil {
		return memoryObject{}, failed(op, bucket, key, err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.buckets[bucket][key]
	if !ok {
		return o, failed(op, bucket, key, ErrNotFound)
	}
	return o, nil
}

// Get implements [BucketAdapter].
func (m *Memory) Get(ctx context.Context, bucket, key string) (io.ReadCloser, *Object, error) {
	o, err := m.find(ctx, "get", bucket, key)
	if err != nil {
		return nil, nil, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), &o.Object, nil
}

// Head implements [BucketAdapter].
func (m *Memory) Head(ctx context.Context, bucket, key string) (*Object, error) {
	o, err := m.find(ctx, "head", bucket, key)
	if err != nil {
		return nil, err
	}
	return &o.Object, nil
}

// Delete implements [BucketAdapter].
func (m *Memory) Delete(ctx context.Context, bucket, key string) error {
	if err := checkObject("delete", bucket, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failed("delete", bucket, key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.buckets[bucket], key)
	if len(m.buckets[bucket]) == 0 {
		delete(m.buckets, bucket)
	}
	return nil
}

// List implements [BucketAdapter].
func (m *Memory) List(ctx context.Context, bucket string, opts *ListOptions) (*Page, error) {
	o, err := page(bucket, opts)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list objects in bucket %q: %w", bucket, err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	p := &Page{Objects: []Object{}}
	for _, key := range slices.Sorted(maps.Keys(m.buckets[bucket])) {
		if key <= o.After || !strings.HasPrefix(key, o.Prefix) {
			continue
		}
		if len(p.Objects) == o.Limit {
			p.Next = p.Objects[o.Limit-1].Key
			break
		}
		p.Objects = append(p.Objects, m.buckets[bucket][key].Object)
	}
	return p, nil
}

// Buckets implements [BucketAdapter].
func (m *Memory) Buckets(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list buckets: %w", err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := slices.AppendSeq([]string{}, maps.Keys(m.buckets))
	slices.Sort(names)
	return names, nil
}

// now is the present as an [Object] holds it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

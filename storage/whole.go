package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// ReadAll returns the whole object, at most limit bytes of it: a larger one
// is [ErrTooLarge] and is not read. A limit of 0 or less means none.
func ReadAll(ctx context.Context, b BucketAdapter, bucket, key string, limit int64) ([]byte, error) {
	r, object, err := b.Get(ctx, bucket, key)
	if err != nil {
		return nil, err
	}
	if limit > 0 && object.Size > limit {
		err := fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrTooLarge, object.Size, limit)
		return nil, errors.Join(failed("read", bucket, key, err), r.Close())
	}
	var buf bytes.Buffer
	// bytes.MinRead more, or the reader's last "is there more?" would double
	// the buffer.
	buf.Grow(int(object.Size) + bytes.MinRead)
	_, err = buf.ReadFrom(contextReader{ctx, r})
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, failed("read", bucket, key, err)
	}
	return buf.Bytes(), nil
}

// WriteAll puts data under key.
func WriteAll(ctx context.Context, b BucketAdapter, bucket, key string, data []byte) error {
	_, err := b.Put(ctx, bucket, key, bytes.NewReader(data), nil)
	return err
}

// contextReader ends a copy between two reads when ctx is over. It cannot
// interrupt a read that blocks.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

package database

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

var (
	// ErrBusy: other connections or processes kept the database locked for
	// longer than the patience of 30 s.
	ErrBusy = errors.New("the database is locked by someone else")
	// ErrReadOnly: the database cannot be written.
	ErrReadOnly = errors.New("the database is read-only")
	// ErrFull: the disk, or the limit set for the database, is full.
	ErrFull = errors.New("the disk is full")
	// ErrCorrupt: the file is damaged or is no SQLite database.
	ErrCorrupt = errors.New("the database file is damaged or not a database")
)

// Primary result codes, https://sqlite.org/rescode.html.
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeCorrupt  = 11
	codeFull     = 13
	codeNotADB   = 26

	codeUnique     = 2067 // SQLITE_CONSTRAINT_UNIQUE
	codePrimaryKey = 1555 // SQLITE_CONSTRAINT_PRIMARYKEY
	codeRowID      = 2579 // SQLITE_CONSTRAINT_ROWID
)

// patience bounds all waiting for a busy database, per read or write.
const patience = 30 * time.Second

// resultCode is the extended SQLite result code in err, 0 when there is none.
func resultCode(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	// Drivers wrapped by the embedder may lose the type but keep the words.
	if err != nil && (strings.Contains(err.Error(), "SQLITE_BUSY") || strings.Contains(err.Error(), "database is locked")) {
		return codeBusy
	}
	return 0
}

// IsUniqueViolation reports whether err says that a row with the same primary
// or unique key exists.
func IsUniqueViolation(err error) bool {
	switch resultCode(err) {
	case codeUnique, codePrimaryKey, codeRowID:
		return true
	}
	return false
}

func isBusy(err error) bool {
	code := resultCode(err) & 0xff
	return code == codeBusy || code == codeLocked
}

// explain puts the matching sentinel, in words a person can act on, before
// the engine's own message.
func explain(op string, err error) error {
	var cause error
	switch resultCode(err) & 0xff {
	case codeBusy, codeLocked:
		cause = ErrBusy
	case codeReadOnly:
		cause = ErrReadOnly
	case codeFull:
		cause = ErrFull
	case codeCorrupt, codeNotADB:
		cause = ErrCorrupt
	}
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", op, cause, err)
}

// retryBusy runs fn until it does anything but find the database busy. The
// pause doubles from 1 ms to 50 ms with jitter, so that two processes that
// collide do not do so again in step.
func retryBusy(ctx context.Context, fn func() error) error {
	start := time.Now()
	pause := time.Millisecond
	for {
		err := fn()
		if err == nil || !isBusy(err) || time.Since(start) > patience {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

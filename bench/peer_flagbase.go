package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/database"
	"flagbase.dev/storage"
)

// deadline is what every subject with a deadline gets.
const deadline = 30 * time.Second

// flagbaseEngine invokes a module through Engine.InvokeWASI.
func (b *bench) flagbaseEngine(wasm []byte, answer *answerOf) (*subject, error) {
	e, err := function.NewEngine(b.ctx, nil)
	if err != nil {
		return nil, err
	}
	return &subject{Name: "flagbase, Engine.InvokeWASI", Isolates: yes, run: func() error {
		out, err := e.InvokeWASI(b.ctx, wasm, deadline, nil, nil)
		return answer.check(out, err)
	}, close: func() { e.Close(b.ctx) }}, nil
}

// store is a Store as the server has it: SQLite in a file, with its history.
type store struct {
	*function.Store
	db    *database.DB
	close func()
}

func (b *bench) newStore(opts *function.EngineOptions) (*store, error) {
	dir, err := os.MkdirTemp(b.dir, "store")
	if err != nil {
		return nil, err
	}
	sqlDB, err := database.OpenSQLite(b.ctx, filepath.Join(dir, "flagbase.db"))
	if err != nil {
		return nil, err
	}
	db, err := database.Use(b.ctx, sqlDB)
	if err != nil {
		return nil, err
	}
	e, err := function.NewEngine(b.ctx, opts)
	if err != nil {
		return nil, err
	}
	s, err := function.NewStore(sqlDB, storage.NewMemory(), e, nil)
	if err != nil {
		return nil, err
	}
	return &store{Store: s, db: db, close: func() {
		_ = s.Close(b.ctx)
		e.Close(b.ctx)
		_ = sqlDB.Close()
		_ = os.RemoveAll(dir)
	}}, nil
}

// invoke calls a function once and checks its answer.
func (s *store) invoke(ctx context.Context, name, event string, answer *answerOf) error {
	res, err := s.Do(ctx, name, &function.InvokeRequest{Timeout: deadline, Event: []byte(event)})
	if err != nil {
		return err
	}
	return answer.check(res.Output, nil)
}

// flagbaseStore invokes a function of a Store, which deploy puts there.
func (b *bench) flagbaseStore(deploy func(s *store) error, event string, answer *answerOf) (*subject, error) {
	s, err := b.newStore(nil)
	if err != nil {
		return nil, err
	}
	if err := deploy(s); err != nil {
		s.close()
		return nil, err
	}
	return &subject{Name: "flagbase, Store.Do with history", Isolates: yes, run: func() error {
		return s.invoke(b.ctx, guestName, event, answer)
	}, close: s.close}, nil
}

// guestName is what deployScript and deployModule call the function.
const guestName = "guest"

func (b *bench) deployScript(source string) func(s *store) error {
	return func(s *store) error {
		_, err := s.Create(b.ctx, guestName, "", "javascript", source)
		return err
	}
}

func (b *bench) deployModule(wasm []byte) func(s *store) error {
	return func(s *store) error {
		_, err := s.Upload(b.ctx, guestName, "", wasm)
		return err
	}
}

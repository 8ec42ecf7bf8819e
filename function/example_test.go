package function_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/storage"
)

// A program that runs its customers' code: a database, a bucket, an engine, a store.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", filepath.Join(dir, "app.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	bucket, err := storage.OpenLocal(ctx, filepath.Join(dir, "buckets"), db)
	if err != nil {
		log.Fatal(err)
	}
	defer bucket.Close()
	flags, err := feature.NewEngine(ctx, db)
	if err != nil {
		log.Fatal(err)
	}
	engine, err := function.NewEngine(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close(ctx)
	store, err := function.NewStore(db, bucket, engine, flags)
	if err != nil {
		log.Fatal(err)
	}

	greet, err := store.Create(ctx, "greet", "greets a customer", "javascript",
		`export function handle(event, context) { return "Hello " + event.name + ", from " + context.caller.user_id }`)
	if err != nil {
		log.Fatal(err)
	}
	ctx = function.WithCallerContext(ctx, function.CallerContext{UserID: "ada"})
	out, err := store.InvokeWithEvent(ctx, greet.ID, 5*time.Second, []byte(`{"name":"world"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", out)

	invocations, err := store.ListInvocations(ctx, greet.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(invocations), invocations[0].Success, invocations[0].OutputSizeBytes)
	// Output:
	// Hello world, from ada
	// 1 true 21
}

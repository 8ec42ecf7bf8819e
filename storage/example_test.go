package storage_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"flagbase.dev/internal/database"
	"flagbase.dev/storage"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "storage")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// Any SQLite *sql.DB will do, such as sql.Open("sqlite", path).
	db, err := database.OpenSQLite(ctx, filepath.Join(dir, "index.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()

	bucket, err := storage.OpenLocal(ctx, filepath.Join(dir, "objects"), db)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = bucket.Close() }()
	if _, err := bucket.Put(ctx, "reports", "2026/november.txt", strings.NewReader("all fine"), &storage.PutOptions{ContentType: "text/plain"}); err != nil {
		log.Fatal(err)
	}
	page, err := bucket.List(ctx, "reports", &storage.ListOptions{Prefix: "2026/"})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range page.Objects {
		fmt.Println(o.Key, o.Size, o.ContentType)
	}
	data, err := storage.ReadAll(ctx, bucket, "reports", "2026/november.txt", 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(data))
	// Output:
	// 2026/november.txt 8 text/plain
	// all fine
}

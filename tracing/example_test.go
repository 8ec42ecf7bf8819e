package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flagbase.dev/internal/database"
	"flagbase.dev/tracing"
)

func Example() {
	ctx := context.Background()
	db, err := database.OpenSQLite(ctx, ":memory:")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	recorder, err := tracing.NewRecorder(ctx, db, nil)
	if err != nil {
		panic(err)
	}
	defer recorder.Close(ctx)

	// A request arrives with its caller's place in a trace.
	parent, _ := tracing.ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	request := tracing.ContextWith(ctx, parent)
	request, span := recorder.Start(request, "invoke checkout", &tracing.StartOptions{Kind: tracing.KindServer, FunctionID: "fn_1"})
	_, child := recorder.Start(request, "bucket_get", nil)
	child.SetAttribute("bucket", "orders")
	child.End(errors.New("no such object"))
	span.End(nil)

	spans, err := recorder.Trace(ctx, parent.TraceIDString())
	if err != nil {
		panic(err)
	}
	for _, s := range spans {
		fmt.Println(strings.TrimSpace(fmt.Sprint(s.Name, " ", s.FunctionID, " ", s.Attributes, " ", s.Error)), s.ParentID == "b7ad6b7169203331")
	}
	// Output:
	// invoke checkout fn_1 map[] true
	// bucket_get fn_1 map[bucket:orders] no such object false
}

func ExampleParseTraceparent() {
	c, ok := tracing.ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	fmt.Println(c.TraceIDString(), c.Sampled, ok)
	_, ok = tracing.ParseTraceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01")
	fmt.Println(ok)
	// Output:
	// 0af7651916cd43dd8448eb211c80319c true true
	// false
}

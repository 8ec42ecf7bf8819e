// Go-web is an http.Handler as a function: notes in a table, at /fn/go-web/.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"flagbase.dev/guest/host"
	"flagbase.dev/guest/httpclient"
	"flagbase.dev/guest/invocation"
	"flagbase.dev/guest/table"
	"flagbase.dev/guest/web"
)

// Note is a record of the table "notes".
type Note struct {
	Text string `json:"text"`
	By   string `json:"by"`
}

var notes = table.Of[Note]("notes")

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	mux.HandleFunc("POST /notes", create)
	mux.HandleFunc("GET /notes/{id}", show)
	mux.HandleFunc("DELETE /notes/{id}", remove)
	mux.HandleFunc("POST /import", load)
	web.Handle(mux)
}

func main() { web.Main() }

func index(w http.ResponseWriter, _ *http.Request) {
	records, err := notes.Query(&table.Query{OrderBy: []table.Order{{Column: "_created_at"}}})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, records)
}

func create(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, err)
		return
	}
	insert(w, string(text))
}

// load makes a note of what another site answers.
func load(w http.ResponseWriter, r *http.Request) {
	response, err := httpclient.Client().Get(r.URL.Query().Get("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		fail(w, err)
		return
	}
	insert(w, string(text))
}

func insert(w http.ResponseWriter, text string) {
	caller, _ := invocation.GetCaller() // a note may be anonymous
	record, err := notes.Insert(Note{Text: text, By: caller.UserID})
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Location", "notes/"+record.ID)
	answer(w, http.StatusCreated, record)
}

func show(w http.ResponseWriter, r *http.Request) {
	record, err := notes.Get(r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, record)
}

func remove(w http.ResponseWriter, r *http.Request) {
	if err := notes.Delete(r.PathValue("id")); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the response is in memory
}

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, host.ErrNotFound) {
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

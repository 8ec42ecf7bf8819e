package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

func (c *command) tableCommand() *cobra.Command {
	return c.clientGroup(&cobra.Command{
		Use: "table", Aliases: []string{"tables"}, Short: "Read and write tables",
		Example: "flagbase table put users '{\"name\":\"Ada\"}'\nflagbase table query users --where 'name eq Ada'",
	}, c.tableListCommand(), c.tableCreateCommand(), c.tableGetCommand(), c.tablePutCommand(), c.tableQueryCommand(), c.tableRemoveCommand(), c.tableDropCommand())
}

func (c *command) tableListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List tables", Example: "flagbase table ls", Args: args(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			tables, err := api.Tables(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(cmd, list(tables), func(w io.Writer) {
				if len(tables) == 0 {
					fmt.Fprintln(w, "No tables yet. The first record makes one: flagbase table put TABLE JSON")
					return
				}
				var rows [][]string
				for _, t := range tables {
					rows = append(rows, []string{t.Name, strconv.FormatInt(t.Records, 10), ago(t.CreatedAt, time.Now())})
				}
				writeTable(w, []string{"NAME", "RECORDS", "CREATED"}, rows)
			})
		},
	}
}

func (c *command) tableCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "create TABLE", Short: "Make an empty table", Example: "flagbase table create users", Args: args("TABLE"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			if err := api.CreateTable(cmd.Context(), names[0]); err != nil {
				return err
			}
			return c.print(cmd, map[string]string{"created": names[0]}, func(w io.Writer) { fmt.Fprintf(w, "Made the table %s\n", names[0]) })
		},
	}
}

func (c *command) tableGetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get TABLE ID", Short: "Show a record", Example: "flagbase table get users 0b7f...", Args: args("TABLE ID"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			r, err := api.Record(cmd.Context(), names[0], names[1])
			if err != nil {
				return err
			}
			return c.print(cmd, r, func(w io.Writer) { writeRecord(w, r) })
		},
	}
}

func writeRecord(w io.Writer, r *client.Record) {
	now := time.Now()
	writeFields(w, "ID", r.ID, "Flag", r.Flag, "Created", ago(r.CreatedAt, now), "Updated", ago(r.UpdatedAt, now))
	var data any
	if json.Unmarshal(r.Data, &data) == nil {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		_ = enc.Encode(data) // it was JSON a moment ago
	}
}

func (c *command) tablePutCommand() *cobra.Command {
	var id, flag string
	cmd := &cobra.Command{
		Use: "put TABLE JSON", Short: "Insert a record, or with --id insert or replace it",
		Example: "flagbase table put users '{\"name\":\"Ada\"}'\nflagbase table put users @ada.json --id ada", Args: args("TABLE JSON"),
		RunE: func(cmd *cobra.Command, names []string) error {
			data, err := readData(cmd, names[1])
			if err != nil {
				return err
			}
			if !json.Valid(data) {
				return misusef(cmd, "the record is not JSON; it must be an object such as '{\"name\":\"Ada\"}'")
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			var r *client.Record
			if id != "" {
				r, err = api.UpdateRecord(cmd.Context(), names[0], id, data)
			}
			if id == "" || client.HasCode(err, "not_found") {
				r, err = api.Insert(cmd.Context(), names[0], data, &client.InsertOptions{ID: id, Flag: flag})
			}
			if err != nil {
				return err
			}
			return c.print(cmd, r, func(w io.Writer) { fmt.Fprintln(w, r.ID) })
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "the record's id (default: a new one)")
	cmd.Flags().StringVar(&flag, "flag", "", "flag:variant a new record belongs to")
	return cmd
}

func (c *command) tableQueryCommand() *cobra.Command {
	var where, order []string
	var q client.Query
	cmd := &cobra.Command{
		Use: "query TABLE", Short: "Find records",
		Long: "Find the records that meet all of --where. Operators are eq, ne, lt, lte, gt, gte, in, contains, starts_with and exists; a column is a path into the record, such as address.city.",
		Example: `flagbase table query users --where 'age gte 18' --order -age --limit 10
flagbase table query users --where 'address.city in ["London","Paris"]' --json`, Args: args("TABLE"),
		RunE: func(cmd *cobra.Command, names []string) error {
			for _, text := range where {
				f, err := parseCondition(text)
				if err != nil {
					return misusef(cmd, "--where: %v", err)
				}
				q.Filters = append(q.Filters, f)
			}
			for _, column := range order {
				name, desc := strings.CutPrefix(column, "-")
				q.OrderBy = append(q.OrderBy, client.Order{Column: name, Desc: desc})
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			records, err := api.Query(cmd.Context(), names[0], &q)
			if err != nil {
				return err
			}
			return c.print(cmd, list(records), func(w io.Writer) { writeRecords(w, records) })
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&where, "where", "w", nil, "'COLUMN OPERATOR VALUE'; once for each condition, all must hold")
	f.StringArrayVar(&order, "order", nil, "column to sort by; with - in front, descending")
	f.IntVar(&q.Limit, "limit", 0, "how many records (default 100, at most 1000)")
	f.IntVar(&q.Offset, "offset", 0, "how many records to skip")
	f.StringVar(&q.Flag, "flag", "", "only records written under this flag:variant")
	return cmd
}

// maxColumns is how many columns of the data fit in front of people; --json has them all.
const maxColumns = 6

// writeRecords shows records as a table whose columns are the members most records have.
func writeRecords(w io.Writer, records []client.Record) {
	if len(records) == 0 {
		fmt.Fprintln(w, "No records.")
		return
	}
	count := map[string]int{}
	var columns []string
	rowsData := make([]map[string]json.RawMessage, len(records))
	for i, r := range records {
		_ = json.Unmarshal(r.Data, &rowsData[i]) // an object, or a row without columns
		for name := range rowsData[i] {
			if count[name]++; count[name] == 1 {
				columns = append(columns, name)
			}
		}
	}
	slices.SortFunc(columns, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	columns = columns[:min(len(columns), maxColumns)]
	titles := []string{"ID"}
	for _, name := range columns {
		titles = append(titles, plain(name))
	}
	var rows [][]string
	for i, r := range records {
		row := []string{r.ID}
		for _, name := range columns {
			row = append(row, oneLine(cell(rowsData[i][name]), 40))
		}
		rows = append(rows, row)
	}
	writeTable(w, titles, rows)
}

func cell(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

func (c *command) tableRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm TABLE ID", Aliases: []string{"delete"}, Short: "Delete a record", Example: "flagbase table rm users ada", Args: args("TABLE ID"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			if err := api.DeleteRecord(cmd.Context(), names[0], names[1]); err != nil {
				return err
			}
			return c.print(cmd, map[string]string{"table": names[0], "deleted": names[1]}, func(w io.Writer) { fmt.Fprintf(w, "Deleted %s\n", plain(names[1])) })
		},
	}
}

func (c *command) tableDropCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "drop TABLE", Short: "Delete a table and all its records", Example: "flagbase table drop users --yes", Args: args("TABLE"),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := confirm(cmd, yes, fmt.Sprintf("Delete the table %q with all its records?", names[0])); err != nil {
				return err
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			if err := api.DropTable(cmd.Context(), names[0]); err != nil {
				return err
			}
			return c.print(cmd, map[string]string{"dropped": names[0]}, func(w io.Writer) { fmt.Fprintf(w, "Deleted the table %s\n", plain(names[0])) })
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

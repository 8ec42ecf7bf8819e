package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

// flagSet is the file that import reads and export writes.
type flagSet struct {
	Flags []client.Flag `json:"flags"`
}

func (c *command) flagImportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Create or replace flags from a file that export wrote",
		Example: "flagbase flag import flags.json\nflagbase flag export | flagbase flag import - --url https://other.example", Args: args("FILE"),
		RunE: func(cmd *cobra.Command, names []string) error {
			file := names[0]
			if file != "-" {
				file = "@" + file
			}
			data, err := readData(cmd, file)
			if err != nil {
				return err
			}
			flags, err := parseFlags(data)
			if err != nil {
				return fmt.Errorf("%s: %w", names[0], err)
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			for i := range flags {
				if _, err := api.PutFlag(cmd.Context(), &flags[i]); err != nil {
					return fmt.Errorf("flag %q (%d of %d, those before it are imported): %w", flags[i].Key, i+1, len(flags), err)
				}
			}
			return c.print(cmd, map[string]int{"imported": len(flags)}, func(w io.Writer) { fmt.Fprintf(w, "Imported %s\n", plural(len(flags), "flag")) })
		},
	}
}

// parseFlags reads {"flags": [...]} or a bare list.
func parseFlags(data []byte) ([]client.Flag, error) {
	var set flagSet
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		err = strictJSON(data, &set.Flags)
	} else {
		err = strictJSON(data, &set)
	}
	if err != nil {
		return nil, fmt.Errorf("not a list of flags: %w", err)
	}
	for i, f := range set.Flags {
		if f.Key == "" {
			return nil, fmt.Errorf("flag %d has no key", i+1)
		}
	}
	return set.Flags, nil
}

func (c *command) flagExportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Print all flags as JSON that import reads", Example: "flagbase flag export > flags.json", Args: args(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			flags, err := api.Flags(cmd.Context())
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			return enc.Encode(flagSet{Flags: list(flags)})
		},
	}
}

func flagFile(cmd *cobra.Command, file, key string) (*client.Flag, error) {
	if file != "-" {
		file = "@" + file
	}
	data, err := readData(cmd, file)
	if err != nil {
		return nil, err
	}
	f := &client.Flag{}
	if err := strictJSON(data, f); err != nil {
		return nil, fmt.Errorf("%s: not a flag: %w", strings.TrimPrefix(file, "@"), err)
	}
	f.Key = key
	return f, nil
}

func strictJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("there is something after the JSON value")
	}
	return nil
}

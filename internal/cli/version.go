package cli

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
)

func (c *command) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "flagbase version --json", Args: args(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := map[string]string{"version": Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return c.print(cmd, v, func(w io.Writer) {
				fmt.Fprintf(w, "flagbase %s (%s, %s)\n", v["version"], v["go"], v["platform"])
			})
		},
	}
}

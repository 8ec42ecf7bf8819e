package cli

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"flagbase.dev/internal/app"
	"github.com/spf13/cobra"
)

func (c *command) startCommand() *cobra.Command {
	var file string
	flags := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start a server",
		Long: `Start a server and run until interrupted. Everything it keeps is in the data directory; the first start
makes it, with an admin key in admin.key.

Settings come from flags, then FLAGBASE_* variables (FLAGBASE_LIMITS_MEMORY=256MiB), then the file
flagbase.yaml, then defaults.`,
		Example: `flagbase start
flagbase start --addr :9000 --data /var/lib/flagbase
FLAGBASE_ADMIN_KEY=$(cat key) flagbase start --config flagbase.yaml`,
		Args: args(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := map[string]string{}
			for key, value := range flags {
				if cmd.Flags().Changed(key) {
					given[key] = *value
				}
			}
			defer runtime.KeepAlive(tuneRuntime())
			config, err := app.LoadConfig(&app.Sources{File: firstOf(file, os.Getenv("FLAGBASE_CONFIG")), Flags: given})
			if err != nil {
				return misuse(cmd, err)
			}
			return app.Run(cmd.Context(), &app.Options{
				Config:   config,
				AdminKey: os.Getenv("FLAGBASE_ADMIN_KEY"),
				Log:      cmd.ErrOrStderr(),
				Version:  Version(),
				Worker:   []string{workerCommand},
				Started:  func(r *app.Running) { c.announce(cmd, r) },
			})
		},
	}
	for key, usage := range map[string]string{
		"addr": "host:port to listen on; port 0 picks a free one (default 127.0.0.1:8080)",
		"data": "directory of database, buckets and admin key (default ./flagbase-data)",
	} {
		flags[key] = cmd.Flags().String(key, "", usage)
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file (FLAGBASE_CONFIG; default flagbase.yaml, if there is one)")
	return cmd
}

// tuneRuntime sizes the Go runtime for a server of guests, unless the environment does.
// The ballast counts as in use for as long as it is kept.
func tuneRuntime() (ballast []byte) {
	if os.Getenv("GOGC") == "" {
		// The heap is small beside the memory of guests: half the collections for a few
		// tens of MiB. A heap of a few MiB would still be collected five times a second, and
		// requests wait for each: 16 MiB are added that are never touched, and so take no
		// memory.
		debug.SetGCPercent(200)
		ballast = make([]byte, 16<<20)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// A guest is left for others each millisecond only, and a write to the disk holds
		// its place for as long: with as many places as cores, whoever stands behind them
		// waits. The system shares out the cores better. With three for each core the slowest
		// hundredth of requests was a quarter faster than with two, with four no more.
		runtime.GOMAXPROCS(3 * runtime.GOMAXPROCS(0))
	}
	return ballast
}

// announce says where the server is and where the key is; the key itself only once in its life.
func (c *command) announce(cmd *cobra.Command, r *app.Running) {
	if c.json {
		started := map[string]any{"url": r.URL, "data": r.DataDir}
		if r.KeyFile != "" {
			started["key_file"] = r.KeyFile
		}
		if r.KeyCreated {
			started["admin_key"] = r.AdminKey
		}
		// Started is called once; the caller has no use for a failed write to a closed pipe.
		_ = c.print(cmd, started, nil)
		return
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "flagbase is ready at %s (started in %s)\n", r.URL, took(r.StartupTime.Round(time.Millisecond)))
	switch {
	case r.KeyCreated:
		fmt.Fprintf(w, "admin key: %s\n           shown this once; it is kept in %s\n", r.AdminKey, r.KeyFile)
	case r.KeyFile != "":
		fmt.Fprintf(w, "admin key: in %s\n", r.KeyFile)
	default:
		fmt.Fprintln(w, "admin key: the one in FLAGBASE_ADMIN_KEY")
	}
	fmt.Fprintf(w, "data:      %s\n", r.DataDir)
}

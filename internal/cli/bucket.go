package cli

import (
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"time"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

func (c *command) bucketCommand() *cobra.Command {
	return c.clientGroup(&cobra.Command{
		Use: "bucket", Aliases: []string{"buckets"}, Short: "Read and write objects in buckets",
		Example: "flagbase bucket put photos ada.jpg ./ada.jpg\nflagbase bucket get photos ada.jpg > copy.jpg",
	}, c.bucketListCommand(), c.bucketGetCommand(), c.bucketPutCommand(), c.bucketRemoveCommand())
}

func (c *command) bucketListCommand() *cobra.Command {
	var prefix string
	var limit int
	cmd := &cobra.Command{
		Use: "ls [BUCKET]", Aliases: []string{"list"}, Short: "List buckets, or the objects in one",
		Example: "flagbase bucket ls\nflagbase bucket ls photos --prefix 2026/", Args: args("[BUCKET]"),
		RunE: func(cmd *cobra.Command, names []string) error {
			if limit < 1 {
				return misusef(cmd, "--limit must be 1 or more")
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			if len(names) == 0 {
				return c.listBuckets(cmd, api)
			}
			return c.listObjects(cmd, api, names[0], prefix, limit)
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys that begin with it")
	cmd.Flags().IntVar(&limit, "limit", 1000, "how many objects")
	return cmd
}

func (c *command) listBuckets(cmd *cobra.Command, api *client.Client) error {
	buckets, err := api.Buckets(cmd.Context())
	if err != nil {
		return err
	}
	return c.print(cmd, list(buckets), func(w io.Writer) {
		if len(buckets) == 0 {
			fmt.Fprintln(w, "No buckets yet. The first object makes one: flagbase bucket put BUCKET KEY FILE")
		}
		for _, b := range buckets {
			fmt.Fprintln(w, b)
		}
	})
}

func (c *command) listObjects(cmd *cobra.Command, api *client.Client, bucket, prefix string, limit int) error {
	var objects []client.Object
	more := false
	for after := ""; len(objects) < limit; {
		page, err := api.Objects(cmd.Context(), bucket, &client.ObjectOptions{Prefix: prefix, After: after, Limit: min(limit-len(objects), 1000)})
		if err != nil {
			return err
		}
		objects = append(objects, page.Objects...)
		if after, more = page.Next, page.Next != ""; !more {
			break
		}
	}
	return c.print(cmd, list(objects), func(w io.Writer) {
		if len(objects) == 0 {
			fmt.Fprintln(w, "No objects.")
			return
		}
		var rows [][]string
		for _, o := range objects {
			rows = append(rows, []string{o.Key, size(o.Size), o.ContentType, ago(o.UpdatedAt, time.Now())})
		}
		writeTable(w, []string{"KEY", "SIZE", "TYPE", "UPDATED"}, rows)
		if more {
			fmt.Fprintf(cmd.ErrOrStderr(), "There are more; see them with --limit above %d.\n", limit)
		}
	})
}

func (c *command) bucketGetCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "get BUCKET KEY", Short: "Write an object's bytes to standard output or a file",
		Long:    "Write an object's bytes to standard output, or to --output. With --json, say what is known about the object instead.",
		Example: "flagbase bucket get photos ada.jpg -o ada.jpg", Args: args("BUCKET KEY"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			body, object, err := api.GetObject(cmd.Context(), names[0], names[1])
			if err != nil {
				return err
			}
			defer body.Close()
			if output != "" {
				if err := saveAs(output, body, object.Size); err != nil {
					return err
				}
			} else if !c.json {
				return copyWhole(cmd.OutOrStdout(), body, object.Size)
			}
			if c.json {
				return c.print(cmd, object, nil)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write")
	return cmd
}

func copyWhole(w io.Writer, body io.Reader, length int64) error {
	n, err := io.Copy(w, body)
	if err == nil && length >= 0 && n != length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("the object broke off after %d bytes: %w", n, err)
	}
	return nil
}

// saveAs writes the file whole or leaves what was there.
func saveAs(file string, body io.Reader, length int64) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".flagbase-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	err = copyWhole(f, body, length)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

func (c *command) bucketPutCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "put BUCKET KEY [FILE]", Short: "Store a file, or standard input, as an object",
		Example: "flagbase bucket put photos ada.jpg ./ada.jpg\ndate | flagbase bucket put notes today.txt", Args: args("BUCKET KEY [FILE]"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			body := cmd.InOrStdin()
			if len(names) == 3 && names[2] != "-" {
				f, err := os.Open(names[2])
				if err != nil {
					return err
				}
				defer f.Close()
				if info, err := f.Stat(); err == nil && info.IsDir() {
					return misusef(cmd, "%s is a directory; name a file", names[2])
				}
				body = f
			}
			object, err := api.PutObject(cmd.Context(), names[0], names[1], body, firstOf(kind, mime.TypeByExtension(filepath.Ext(names[1]))))
			if err != nil {
				return err
			}
			return c.print(cmd, object, func(w io.Writer) {
				fmt.Fprintf(w, "%s/%s  %s\n", plain(object.Bucket), plain(object.Key), size(object.Size))
			})
		},
	}
	cmd.Flags().StringVar(&kind, "type", "", "content type (default: by the key's ending)")
	return cmd
}

func (c *command) bucketRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm BUCKET KEY", Aliases: []string{"delete"}, Short: "Delete an object", Example: "flagbase bucket rm photos ada.jpg", Args: args("BUCKET KEY"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			if err := api.DeleteObject(cmd.Context(), names[0], names[1]); err != nil {
				return err
			}
			return c.print(cmd, map[string]string{"bucket": names[0], "deleted": names[1]}, func(w io.Writer) { fmt.Fprintf(w, "Deleted %s/%s\n", plain(names[0]), plain(names[1])) })
		},
	}
}

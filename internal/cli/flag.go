package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

func (c *command) flagCommand() *cobra.Command {
	return c.clientGroup(&cobra.Command{
		Use: "flag", Aliases: []string{"flags"}, Short: "Read and set feature flags",
		Example: "flagbase flag set new-checkout on --rollout 20\nflagbase flag eval new-checkout --user u1",
	}, c.flagListCommand(), c.flagGetCommand(), c.flagSetCommand(), c.flagRemoveCommand(), c.flagEvalCommand(), c.flagImportCommand(), c.flagExportCommand())
}

func (c *command) flagListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List flags", Example: "flagbase flag ls", Args: args(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			flags, err := api.Flags(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(cmd, list(flags), func(w io.Writer) {
				if len(flags) == 0 {
					fmt.Fprintln(w, "No flags yet. Set one: flagbase flag set KEY on")
					return
				}
				var rows [][]string
				for _, f := range flags {
					rows = append(rows, []string{f.Key, onOff(f.Enabled), targeting(&f), ago(f.UpdatedAt, time.Now()), oneLine(f.Description, 50)})
				}
				writeTable(w, []string{"KEY", "STATE", "TARGETING", "UPDATED", "DESCRIPTION"}, rows)
			})
		},
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// targeting is who gets what, in a few words.
func targeting(f *client.Flag) string {
	var parts []string
	if n := len(f.Rules); n > 0 {
		parts = append(parts, plural(n, "rule"))
	}
	for _, w := range f.Rollout {
		parts = append(parts, fmt.Sprintf("%s %s%%", w.Variant, strconv.FormatFloat(w.Percent, 'f', -1, 64)))
	}
	if len(parts) == 0 {
		return "everybody"
	}
	return strings.Join(parts, ", ")
}

func (c *command) flagGetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get KEY", Short: "Show a flag", Example: "flagbase flag get new-checkout", Args: args("KEY"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			f, err := api.Flag(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			return c.print(cmd, f, func(w io.Writer) { writeFlag(w, f) })
		},
	}
}

func writeFlag(w io.Writer, f *client.Flag) {
	now := time.Now()
	writeFields(w, "Key", f.Key, "Description", f.Description, "State", onOff(f.Enabled),
		"Default", f.DefaultVariant, "When off", f.OffVariant, "Created", ago(f.CreatedAt, now), "Updated", ago(f.UpdatedAt, now))
	for _, name := range slices.Sorted(maps.Keys(f.Variants)) {
		fmt.Fprintf(w, "Variant  %s = %s\n", plain(name), oneLine(string(f.Variants[name]), 100))
	}
	for i, r := range f.Rules {
		var conditions []string
		for _, cond := range r.Conditions {
			conditions = append(conditions, strings.TrimSpace(cond.Attribute+" "+cond.Operator+" "+string(cond.Value)))
		}
		gives := r.Variant
		if gives == "" {
			gives = targeting(&client.Flag{Rollout: r.Rollout})
		}
		fmt.Fprintf(w, "Rule %d   %s -> %s\n", i+1, plain(firstOf(strings.Join(conditions, " and "), "always")), plain(gives))
	}
	if len(f.Rollout) > 0 {
		fmt.Fprintf(w, "Rollout  %s\n", plain(targeting(&client.Flag{Rollout: f.Rollout})))
	}
}

func (c *command) flagSetCommand() *cobra.Command {
	var description, file, defaultVariant string
	var rollouts, rules, variants []string
	cmd := &cobra.Command{
		Use: "set KEY [on|off]", Short: "Create or change a flag",
		Long: `Create a flag or change the parts of it that are named; the others stay. --rule and --rollout replace all
rules, or the rollout, that were there.`,
		Example: `flagbase flag set new-checkout on
flagbase flag set new-checkout on --rollout 20
flagbase flag set new-checkout on --rule 'role eq "admin" -> on' --rule 'email ends_with "@example.com" -> on'
flagbase flag set colour on --variant red='"#f00"' --variant blue='"#00f"' --default red --rollout blue=50
flagbase flag set new-checkout --file flag.json`,
		Args: args("KEY [on|off]"),
		RunE: func(cmd *cobra.Command, given []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			f, err := api.Flag(cmd.Context(), given[0])
			if client.HasCode(err, "not_found") {
				f, err = &client.Flag{Key: given[0], Enabled: true}, nil
			}
			if err != nil {
				return err
			}
			if file != "" {
				if f, err = flagFile(cmd, file, given[0]); err != nil {
					return err
				}
			}
			if len(given) == 2 {
				if given[1] != "on" && given[1] != "off" {
					return misusef(cmd, "%q is neither on nor off", given[1])
				}
				f.Enabled = given[1] == "on"
			}
			if cmd.Flags().Changed("description") {
				f.Description = description
			}
			if defaultVariant != "" {
				f.DefaultVariant = defaultVariant
			}
			if err := setParts(f, variants, rollouts, rules); err != nil {
				return misuse(cmd, err)
			}
			saved, err := api.PutFlag(cmd.Context(), f)
			if err != nil {
				return err
			}
			return c.print(cmd, saved, func(w io.Writer) { writeFlag(w, saved) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&description, "description", "", "what the flag is for")
	f.StringVarP(&file, "file", "f", "", "the whole flag as JSON: a file, or - for standard input")
	f.StringVar(&defaultVariant, "default", "", "the variant of those no rule and no rollout decides for")
	f.StringArrayVar(&variants, "variant", nil, "NAME=JSON; once for each variant (default on=true and off=false)")
	f.StringArrayVar(&rollouts, "rollout", nil, "PERCENT of everybody that gets on, or VARIANT=PERCENT; once for each variant")
	f.StringArrayVar(&rules, "rule", nil, "'ATTRIBUTE OPERATOR VALUE -> VARIANT'; once for each rule, the first that matches wins")
	return cmd
}

// setParts puts --variant, --rollout and --rule into a flag.
func setParts(f *client.Flag, variants, rollouts, rules []string) error {
	if len(variants) > 0 {
		f.Variants = map[string]json.RawMessage{}
	}
	for _, text := range variants {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fmt.Errorf("--variant %q is not NAME=JSON", text)
		}
		f.Variants[name] = jsonOrText(value)
	}
	if len(rollouts) > 0 {
		f.Rollout = nil
	}
	for _, text := range rollouts {
		variant, percent, ok := strings.Cut(text, "=")
		if !ok {
			variant, percent = "on", text
		}
		p, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
		if err != nil || p < 0 || p > 100 {
			return fmt.Errorf("--rollout %q is not a percentage from 0 to 100, nor VARIANT=PERCENT", text)
		}
		f.Rollout = append(f.Rollout, client.Weight{Variant: variant, Percent: p})
	}
	if len(rules) > 0 {
		f.Rules = nil
	}
	for _, text := range rules {
		rule, err := parseRule(text)
		if err != nil {
			return err
		}
		f.Rules = append(f.Rules, *rule)
	}
	return nil
}

// parseRule reads 'ATTRIBUTE OPERATOR VALUE -> VARIANT'. The value is JSON, or else a text.
func parseRule(text string) (*client.Rule, error) {
	arrow := strings.LastIndex(text, "->")
	if arrow < 0 {
		return nil, fmt.Errorf("--rule %q is not 'ATTRIBUTE OPERATOR VALUE -> VARIANT'", text)
	}
	condition, err := parseCondition(text[:arrow])
	variant := strings.TrimSpace(text[arrow+2:])
	if err != nil || variant == "" {
		return nil, fmt.Errorf("--rule %q is not 'ATTRIBUTE OPERATOR VALUE -> VARIANT'", text)
	}
	return &client.Rule{Conditions: []client.Condition{{Attribute: condition.Column, Operator: condition.Operator, Value: condition.Value}}, Variant: variant}, nil
}

// parseCondition reads 'NAME OPERATOR [VALUE]'.
func parseCondition(text string) (client.Filter, error) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return client.Filter{}, fmt.Errorf("%q is not 'NAME OPERATOR VALUE'", text)
	}
	f := client.Filter{Column: fields[0], Operator: fields[1]}
	_, rest, _ := strings.Cut(strings.TrimSpace(text), fields[0])
	_, rest, _ = strings.Cut(rest, fields[1])
	if rest = strings.TrimSpace(rest); rest != "" {
		f.Value = jsonOrText(rest)
	}
	return f, nil
}

// jsonOrText is text as it is when it is JSON, else as a JSON string: nobody quotes twice gladly.
func jsonOrText(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, _ := json.Marshal(text) // a string cannot fail
	return quoted
}

func (c *command) flagRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm KEY", Aliases: []string{"delete"}, Short: "Delete a flag", Example: "flagbase flag rm new-checkout", Args: args("KEY"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			if err := api.DeleteFlag(cmd.Context(), names[0]); err != nil {
				return err
			}
			return c.print(cmd, map[string]string{"deleted": names[0]}, func(w io.Writer) { fmt.Fprintf(w, "Deleted %s\n", plain(names[0])) })
		},
	}
}

func (c *command) flagEvalCommand() *cobra.Command {
	var user, attributes string
	cmd := &cobra.Command{
		Use: "eval KEY", Aliases: []string{"evaluate"}, Short: "Say what a flag is for somebody, and why",
		Example: `flagbase flag eval new-checkout --user u1
flagbase flag eval new-checkout --user u1 --context '{"role":"admin","email":"ada@example.com"}'`, Args: args("KEY"),
		RunE: func(cmd *cobra.Command, names []string) error {
			who := &client.EvaluationContext{TargetingKey: user}
			if attributes != "" {
				data, err := readData(cmd, attributes)
				if err != nil {
					return err
				}
				if err := json.Unmarshal(data, &who.Attributes); err != nil {
					return misusef(cmd, "--context is not a JSON object: %v", err)
				}
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			e, err := api.EvaluateFlag(cmd.Context(), names[0], who)
			if err != nil {
				return err
			}
			return c.print(cmd, e, func(w io.Writer) {
				fmt.Fprintf(w, "%s  (%s, %s)\n", oneLine(string(e.Value), 200), plain(e.Variant), reasonText(e.Reason))
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "whom to evaluate it for: what makes a rollout sticky")
	cmd.Flags().StringVar(&attributes, "context", "", "what is known about them: a JSON object, @file, or -")
	return cmd
}

func reasonText(reason string) string {
	switch reason {
	case "STATIC":
		return "the same for everybody"
	case "TARGETING_MATCH":
		return "a rule matched"
	case "SPLIT":
		return "by the rollout"
	case "DISABLED":
		return "the flag is off"
	case "DEFAULT":
		return "no rule matched"
	}
	return reason
}

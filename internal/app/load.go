package app

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// DefaultConfigFile is read when it is there and no other file is named.
const DefaultConfigFile = "flagbase.yaml"

// Sources say where LoadConfig looks.
type Sources struct {
	// File is the configuration file. Defaults to flagbase.yaml, which may be absent; a file that is named
	// must be there.
	File string
	// Flags are the settings given on the command line, by key, such as "addr".
	Flags map[string]string
	// Environ is the environment, as os.Environ gives it. Defaults to os.Environ().
	Environ []string
}

// notSettings are variables of the environment that begin like settings and are something else.
var notSettings = []string{"FLAGBASE_URL", "FLAGBASE_TOKEN", "FLAGBASE_ADMIN_KEY", "FLAGBASE_CONFIG"}

// settings maps each key of the configuration to its field.
func settings(c *Config) map[string]any {
	return map[string]any{
		"addr":                 &c.Addr,
		"data":                 &c.Data,
		"public_functions":     &c.PublicFunctions,
		"shutdown.delay":       &c.ShutdownDelay,
		"shutdown.timeout":     &c.ShutdownTimeout,
		"log.level":            &c.LogLevel,
		"log.format":           &c.LogFormat,
		"limits.memory":        &c.Limits.Memory,
		"limits.total_memory":  &c.Limits.TotalMemory,
		"limits.output":        &c.Limits.Output,
		"limits.log":           &c.Limits.Log,
		"limits.event":         &c.Limits.Event,
		"limits.artifact":      &c.Limits.Artifact,
		"limits.object":        &c.Limits.Object,
		"limits.timeout":       &c.Limits.Timeout,
		"limits.max_timeout":   &c.Limits.MaxTimeout,
		"limits.call_depth":    &c.Limits.CallDepth,
		"limits.compute":       &c.Limits.Compute,
		"limits.concurrency":   &c.Limits.Concurrency,
		"limits.queue":         &c.Limits.Queue,
		"limits.queue_timeout": &c.Limits.QueueTime,
		"history.age":          &c.History.Age,
		"history.per_function": &c.History.PerFunction,
		"traces.per_second":    &c.TracesPerSecond,
		"fetch.allow_hosts":    &c.Fetch.AllowHosts,
		"fetch.allow_private":  &c.Fetch.AllowPrivate,
		"cache.dir":            &c.Cache.Dir,
		"cache.size":           &c.Cache.Size,
	}
}

// LoadConfig reads the configuration: flags over environment (FLAGBASE_ADDR, FLAGBASE_LIMITS_MEMORY, ...)
// over file over defaults. A key nobody knows and a value that cannot be are errors that name key and source.
func LoadConfig(from *Sources) (*Config, error) {
	if from == nil {
		from = &Sources{}
	}
	c := Defaults()
	fields := settings(c)
	if err := loadFile(c, fields, from.File); err != nil {
		return nil, err
	}
	if err := loadEnvironment(c, fields, from.Environ); err != nil {
		return nil, err
	}
	for key, value := range from.Flags {
		if err := set(fields, key, value); err != nil {
			return nil, fmt.Errorf("--%s: %w", strings.ReplaceAll(key, ".", "-"), err)
		}
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

func loadFile(c *Config, fields map[string]any, name string) error {
	named := name != ""
	if !named {
		name = DefaultConfigFile
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		if named {
			return fmt.Errorf("configuration file %s: there is no such file", name)
		}
		return nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(name), yaml.Parser()); err != nil {
		return fmt.Errorf("configuration file %s: %w", name, err)
	}
	keys := k.Keys()
	slices.Sort(keys)
	for _, key := range keys {
		var err error
		if strings.HasPrefix(key, "secrets.") {
			if c.Secrets == nil {
				c.Secrets = map[string]*Secret{}
			}
			err = setSecret(c.Secrets, key, k.Get(key))
		} else {
			err = set(fields, key, k.Get(key))
		}
		if err != nil {
			return fmt.Errorf("configuration file %s: %s: %w", name, key, err)
		}
	}
	return nil
}

func loadEnvironment(c *Config, fields map[string]any, environ []string) error {
	byVariable := map[string]string{}
	for key := range fields {
		byVariable["FLAGBASE_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	k := koanf.New("\x00") // the names hold no delimiter: each variable is one key
	provider := env.Provider("", env.Opt{Prefix: "FLAGBASE_", EnvironFunc: func() []string {
		if environ == nil {
			return os.Environ()
		}
		return environ
	}})
	if err := k.Load(provider, nil); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	names := k.Keys()
	slices.Sort(names)
	for _, name := range names {
		key, ok := byVariable[name]
		if !ok {
			if slices.Contains(notSettings, name) {
				continue
			}
			// Others set FLAGBASE_ variables too (Kubernetes, for a service of that name), so a stranger is no
			// error; one that looks like a slip of the pen is worth a word.
			if hint := nearest(name, byVariable); hint != "" {
				c.Warnings = append(c.Warnings, fmt.Sprintf("the environment has %s, which is no setting%s", name, hint))
			}
			continue
		}
		if err := set(fields, key, k.String(name)); err != nil {
			return fmt.Errorf("environment: %s: %w", name, err)
		}
	}
	return nil
}

// set assigns a value from any source to the setting of that key.
func set(fields map[string]any, key string, value any) error {
	field, ok := fields[key]
	if !ok {
		return fmt.Errorf("there is no such setting%s", nearest(key, fields))
	}
	switch field := field.(type) {
	case *string:
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("%v is not a text", value)
		}
		*field = text
	case *[]string:
		return setList(field, value)
	case *time.Duration:
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("%v is not a duration such as 30s or 2m", value)
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s or 2m", text)
		}
		*field = d
	case *int:
		n, err := wholeNumber(value)
		if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
			return fmt.Errorf("%v is not a whole number", value)
		}
		*field = int(n)
	case *Bytes:
		n, err := parseBytes(value)
		if err != nil {
			return err
		}
		*field = n
	}
	return nil
}

func setList(field *[]string, value any) error {
	switch value := value.(type) {
	case nil:
		*field = nil
	case string: // from a flag or the environment; also a single entry in the file
		*field = nil
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*field = append(*field, item)
			}
		}
	case []any:
		*field = nil
		for _, item := range value {
			text, ok := item.(string)
			if !ok {
				return fmt.Errorf("%v in the list is not a text", item)
			}
			*field = append(*field, text)
		}
	default:
		return fmt.Errorf("%v is not a list of texts", value)
	}
	return nil
}

func wholeNumber(value any) (int64, error) {
	switch value := value.(type) {
	case int:
		return int64(value), nil
	case int64:
		return value, nil
	case string:
		return strconv.ParseInt(value, 10, 64)
	default:
		return 0, errors.New("not a number")
	}
}

// units are the endings of a size. KB and so on are the thousands they say.
var units = []struct {
	suffix string
	factor int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

func parseBytes(value any) (Bytes, error) {
	bad := fmt.Errorf("%v is not a size such as 64MiB or 1048576", value)
	text, ok := value.(string)
	if !ok {
		n, err := wholeNumber(value)
		if err != nil || n < 0 {
			return 0, bad
		}
		return Bytes(n), nil
	}
	for _, unit := range units {
		number, ok := strings.CutSuffix(strings.TrimSpace(text), unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit.factor {
			return 0, bad
		}
		return Bytes(n * unit.factor), nil
	}
	return 0, bad
}

// nearest suggests the known name closest to a misspelt one.
func nearest[V any](name string, known map[string]V) string {
	best, distance := "", 4 // further away it is a guess, not a misspelling
	names := make([]string, 0, len(known))
	for k := range known {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		if strings.HasPrefix(k, name+".") {
			return fmt.Sprintf("; %s is a section, with %s in it", name, k)
		}
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance is Levenshtein's: how many letters to change, add or drop.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

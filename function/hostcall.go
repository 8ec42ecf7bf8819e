package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"flagbase.dev/feature"
	"flagbase.dev/internal/database"
	"flagbase.dev/internal/egress"
	"flagbase.dev/internal/hostabi"
	"flagbase.dev/tracing"
)

// newCall binds one invocation to the services it may reach.
func (e *Engine) newCall(ctx context.Context, deps *HostDeps, functionName string) (*hostabi.Call, error) {
	services := &hostabi.Services{
		Buckets: deps.Storage,
		Flags:   deps.Flags,
		Tables:  deps.Tables,
		Tracer:  deps.Tracer,
		Fetch:   e.fetch,
	}
	if deps.Store != nil {
		services.Functions = siblings{deps.Store}
	}
	if deps.DB != nil {
		db, err := database.Use(ctx, deps.DB)
		if err != nil {
			return nil, fail(ErrInternal, "invoke: %w", err)
		}
		services.Metrics = e.history(db)
	}
	if e.options.Secrets != nil {
		services.Secrets = &grantedSecrets{source: e.options.Secrets, name: functionName}
	}
	call := &hostabi.Call{
		Services:     services,
		FunctionID:   deps.FnID,
		InvocationID: deps.InvID,
		TraceID:      deps.TraceID,
		FlagTag:      flagContextFrom(ctx),
		Flags:        &feature.Context{Attributes: map[string]any{"function_id": deps.FnID}},
	}
	if cc, ok := callerFrom(ctx); ok {
		caller, err := json.Marshal(cc)
		if err != nil {
			return nil, fail(ErrInvalid, "invoke: caller context: %w", err)
		}
		call.Caller = caller
		call.Flags.TargetingKey = cc.UserID
		call.Flags.Attributes["user_id"] = cc.UserID
		call.Flags.Attributes["role"] = cc.Role
		call.Flags.Attributes["tenant_id"] = cc.TenantID
		call.Flags.Attributes["email"] = cc.Email
		call.Flags.Attributes["groups"] = cc.Groups
	}
	return call, nil
}

// spanOptions keeps a trace id that came without a span context, as embedders
// pass it in HostDeps.
func spanOptions(deps *HostDeps) *tracing.StartOptions {
	return &tracing.StartOptions{FunctionID: deps.FnID, InvocationID: deps.InvID, TraceID: deps.TraceID}
}

type grantedSecrets struct {
	source SecretSource
	name   string
}

func (g *grantedSecrets) Secret(ctx context.Context, functionID, name string) (string, error) {
	value, err := g.source.Secret(ctx, functionID, g.name, name)
	if errors.Is(err, ErrNotFound) {
		return "", hostabi.ErrNoSecret
	}
	return value, err
}

type depthKey struct{}

func depthFrom(ctx context.Context) int {
	n, _ := ctx.Value(depthKey{}).(int)
	return n
}

// siblings is fn_invoke: another function of the same store, on behalf of the same
// caller, within the same deadline and trace.
type siblings struct{ store *Store }

func (f siblings) InvokeFunction(ctx context.Context, idOrName string, event []byte) ([]byte, error) {
	res, err := f.store.Do(ctx, idOrName, &InvokeRequest{Event: event})
	if err != nil {
		return nil, err
	}
	return res.Output, nil
}

func newFetch(p *FetchPolicy) (*egress.Client, error) {
	policy := &egress.Policy{AllowHosts: p.AllowHosts, AllowPrivate: p.AllowPrivate}
	for _, s := range p.Deny {
		addr, err := netip.ParseAddrPort(s)
		if err != nil {
			return nil, fmt.Errorf("fetch policy: %w", err)
		}
		policy.DenyAddrs = append(policy.DenyAddrs, addr)
	}
	if err := policy.Validate(); err != nil {
		return nil, fmt.Errorf("fetch policy: %w", err)
	}
	return egress.New(policy), nil
}

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

// services are what the invocations that deps is for may reach.
func (e *Engine) services(ctx context.Context, deps *HostDeps) (*hostabi.Services, error) {
	s := &hostabi.Services{
		Buckets:  deps.Storage,
		Flags:    deps.Flags,
		FlagsFor: flagsFor,
		Tables:   deps.Tables,
		Tracer:   deps.Tracer,
		Fetch:    e.fetch,
	}
	if deps.Store != nil {
		s.Functions = siblings{deps.Store}
	}
	if deps.DB != nil {
		db, err := database.Use(ctx, deps.DB)
		if err != nil {
			return nil, fail(ErrInternal, "invoke: %w", err)
		}
		s.Metrics = e.history(db)
	}
	if e.options.Secrets != nil {
		s.Secrets = &grantedSecrets{source: e.options.Secrets, name: deps.FnID}
	}
	return s, nil
}

// servicesOf are what the invocations of a stored function may reach.
func (s *Store) servicesOf(name string) *hostabi.Services {
	services := &hostabi.Services{
		Buckets:   s.bucket,
		Flags:     s.flags,
		FlagsFor:  flagsFor,
		Tables:    s.tables,
		Tracer:    s.tracer,
		Functions: siblings{s},
		Fetch:     s.engine.fetch,
		Metrics:   s.history,
	}
	if source := s.engine.options.Secrets; source != nil {
		services.Secrets = &grantedSecrets{source: source, name: name}
	}
	return services
}

// bind binds one invocation to the services it may reach.
func bind(ctx context.Context, call *hostabi.Call, services *hostabi.Services, functionID, invocationID, traceID string) error {
	call.Services = services
	call.FunctionID, call.InvocationID, call.TraceID = functionID, invocationID, traceID
	call.FlagTag = flagContextFrom(ctx)
	if cc, ok := callerFrom(ctx); ok {
		caller, err := json.Marshal(cc)
		if err != nil {
			return fail(ErrInvalid, "invoke: caller context: %w", err)
		}
		call.Caller = caller
	}
	return nil
}

// flagsFor says whom flags are evaluated for. Most invocations never ask.
func flagsFor(ctx context.Context, call *hostabi.Call) *feature.Context {
	who := &feature.Context{Attributes: map[string]any{"function_id": call.FunctionID}}
	if cc, ok := callerFrom(ctx); ok {
		who.TargetingKey = cc.UserID
		who.Attributes["user_id"] = cc.UserID
		who.Attributes["role"] = cc.Role
		who.Attributes["tenant_id"] = cc.TenantID
		who.Attributes["email"] = cc.Email
		who.Attributes["groups"] = cc.Groups
	}
	return who
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

// Command docket-scheduler is Dapr's scheduler, which keeps and fires jobs, on Dapr's own flags. It differs
// from Dapr's binary in that its health and metrics endpoints listen on the addresses that the flags name and
// not on every interface, and in the etcd that keeps the jobs, which is of one member. It runs outside Kubernetes only: a cluster brings its own.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/dapr/dapr/cmd/scheduler/options"
	"github.com/dapr/dapr/pkg/healthz"
	"github.com/dapr/dapr/pkg/metrics"
	"github.com/dapr/dapr/pkg/modes"
	"github.com/dapr/dapr/pkg/scheduler/monitoring"
	"github.com/dapr/dapr/pkg/scheduler/server"
	"github.com/dapr/dapr/pkg/security"
	"github.com/dapr/kit/concurrency"
	"github.com/dapr/kit/logger"

	"docket/sidecars/internal/daprbuild"
	"docket/sidecars/internal/healthserver"
	"docket/sidecars/internal/jobstore"
	"docket/sidecars/internal/lifetime"
)

// appID is the name under which sidecars expect the scheduler's certificate.
const appID = "dapr-scheduler"

var log = logger.NewLogger("dapr.scheduler")

var errMode = errors.New("this scheduler runs in standalone mode only")

func main() {
	opts, err := options.New(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	if err := logger.ApplyOptionsToLoggers(&opts.Logger); err != nil {
		log.Fatal(err)
	}
	log.Infof("Starting Dapr Scheduler Service -- version %s", daprbuild.Version())

	ctx, cancel := lifetime.Context()
	defer cancel()
	if err := run(ctx, opts); err != nil {
		log.Fatalf("Fatal error running scheduler: %s", err)
	}
	log.Infof("Scheduler service shut down gracefully (%v)", context.Cause(ctx))
}

// run keeps the scheduler up until ctx ends.
func run(ctx context.Context, opts *options.Options) error {
	if modes.DaprMode(opts.Mode) != modes.StandaloneMode {
		return errMode
	}
	if err := monitoring.InitMetrics(); err != nil {
		return err
	}
	health := healthz.New()
	// Without it the health endpoint answers well before the parts that it asks have joined it.
	joined := health.AddTarget("scheduler-parts")
	exporter := metrics.New(metrics.Options{
		Log:           log,
		Enabled:       opts.Metrics.Enabled(),
		Port:          opts.Metrics.Port(),
		ListenAddress: opts.Metrics.ListenAddress(),
		Namespace:     metrics.DefaultMetricNamespace,
		Healthz:       health,
	})
	identity, err := security.New(ctx, security.Options{
		SentryAddress:           opts.SentryAddress,
		ControlPlaneTrustDomain: opts.TrustDomain,
		ControlPlaneNamespace:   security.CurrentNamespace(),
		TrustAnchorsFile:        opts.TrustAnchorsFile,
		AppID:                   appID,
		MTLSEnabled:             opts.TLSEnabled,
		Mode:                    modes.DaprMode(opts.Mode),
		Healthz:                 health,
	})
	if err != nil {
		return err
	}
	return concurrency.NewRunnerManager(
		exporter.Start,
		identity.Run,
		func(ctx context.Context) error {
			return healthserver.Run(ctx, opts.HealthzListenAddress, opts.HealthzPort, health)
		},
		func(ctx context.Context) error {
			handler, err := identity.Handler(ctx)
			if err != nil {
				return err
			}
			store, err := jobstore.Open(ctx, opts)
			if err != nil {
				return err
			}
			defer store.Close()
			return concurrency.NewRunnerManager(store.Run, func(ctx context.Context) error {
				return serve(ctx, serverOptions(opts, store.Address(), handler, health), joined)
			}).Run(ctx)
		},
	).Run(ctx)
}

// serve keeps the scheduler up. It returns without an error when the cluster's membership changed: it is then
// made anew.
func serve(ctx context.Context, opts server.Options, joined healthz.Target) error {
	for ctx.Err() == nil {
		scheduler, err := server.New(ctx, opts)
		if err != nil {
			return err
		}
		joined.Ready()
		if err := scheduler.Run(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// serverOptions hands Dapr's flags to Dapr's scheduler, less those of the etcd that it would start itself.
func serverOptions(opts *options.Options, store string, handler security.Handler, health healthz.Healthz) server.Options {
	return server.Options{
		Mode:                      modes.DaprMode(opts.Mode),
		Security:                  handler,
		Healthz:                   health,
		Port:                      opts.Port,
		ListenAddress:             opts.ListenAddress,
		OverrideBroadcastHostPort: opts.OverrideBroadcastHostPort,
		Workers:                   opts.Workers,
		EtcdName:                  opts.ID,
		EtcdClientEndpoints:       []string{store},
	}
}

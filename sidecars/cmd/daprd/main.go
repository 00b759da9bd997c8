// Command daprd is Dapr's sidecar with the components that this project uses. Its flags, environment and
// version are those of Dapr's own daprd.
package main

import (
	"context"
	"fmt"
	"os"

	"go.opencensus.io/stats/view"

	"github.com/dapr/dapr/cmd/daprd/options"
	"github.com/dapr/dapr/pkg/healthz"
	"github.com/dapr/dapr/pkg/metrics"
	"github.com/dapr/dapr/pkg/modes"
	"github.com/dapr/dapr/pkg/runtime"
	"github.com/dapr/dapr/pkg/security"
	"github.com/dapr/kit/concurrency"
	"github.com/dapr/kit/logger"

	"docket/sidecars/internal/daprbuild"
	"docket/sidecars/internal/lifetime"
)

var (
	log        = logger.NewLogger("dapr.runtime")
	contribLog = logger.NewLogger("dapr.contrib")
)

func main() {
	opts, err := options.New(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "daprd: %s\n", err)
		os.Exit(1)
	}
	switch {
	case opts.RuntimeVersion:
		fmt.Println(daprbuild.Version())
		return
	case opts.BuildInfo:
		fmt.Printf("Version: %s\n", daprbuild.Version())
		return
	case opts.WaitCommand:
		runtime.WaitUntilDaprOutboundReady(opts.DaprHTTPPort)
		return
	}

	opts.Logger.SetAppID(opts.AppID)
	if err := logger.ApplyOptionsToLoggers(&opts.Logger); err != nil {
		log.Fatal(err)
	}
	log.Infof("Starting Dapr Runtime -- version %s", daprbuild.Version())

	ctx, cancel := lifetime.Context()
	defer cancel()
	if err := run(ctx, opts); err != nil {
		log.Fatalf("Fatal error from runtime: %s", err)
	}
	log.Infof("Daprd shutdown gracefully (%v)", context.Cause(ctx))
}

// run holds the sidecar up until ctx ends or its shutdown API is called.
func run(ctx context.Context, opts *options.Options) error {
	health := healthz.New()
	identity, err := security.New(ctx, security.Options{
		SentryAddress:           opts.SentryAddress,
		ControlPlaneTrustDomain: opts.ControlPlaneTrustDomain,
		ControlPlaneNamespace:   opts.ControlPlaneNamespace,
		TrustAnchors:            opts.TrustAnchors,
		AppID:                   opts.AppID,
		MTLSEnabled:             opts.EnableMTLS,
		Mode:                    modes.DaprMode(opts.Mode),
		Healthz:                 health,
		JwtAudiences:            opts.SentryRequestJwtAudiences,
	})
	if err != nil {
		return err
	}
	return concurrency.NewRunnerManager(identity.Run, func(ctx context.Context) error {
		handler, err := identity.Handler(ctx)
		if err != nil {
			return err
		}
		sidecar, err := runtime.FromConfig(ctx, runtimeConfig(opts, handler, health))
		if err != nil {
			return err
		}
		return sidecar.Run(ctx)
	}).Run(ctx)
}

// runtimeConfig hands Dapr's flags to Dapr's runtime, with our own list of components.
func runtimeConfig(opts *options.Options, handler security.Handler, health healthz.Healthz) *runtime.Config {
	return &runtime.Config{
		AppID:                         opts.AppID,
		Mode:                          opts.Mode,
		Config:                        opts.Config,
		ResourcesPath:                 opts.ResourcesPath,
		ComponentsPath:                opts.ComponentsPath,
		Registry:                      componentRegistry(contribLog),
		Security:                      handler,
		Healthz:                       health,
		EnableMTLS:                    opts.EnableMTLS,
		SentryAddress:                 opts.SentryAddress,
		ControlPlaneAddress:           opts.ControlPlaneAddress,
		SchedulerAddress:              opts.SchedulerAddress,
		SchedulerStreams:              opts.SchedulerJobStreams,
		ActorsService:                 opts.ActorsService,
		ActorsDisseminationTimeout:    opts.ActorsDisseminationTimeout,
		RemindersService:              opts.RemindersService,
		HotReloadReconcileInterval:    opts.HotReloadReconcileInterval,
		DisableBuiltinK8sSecretStore:  opts.DisableBuiltinK8sSecretStore,
		DisableInitEndpoints:          opts.DisableInitEndpoints,
		DaprHTTPPort:                  opts.DaprHTTPPort,
		DaprAPIGRPCPort:               opts.DaprAPIGRPCPort,
		DaprAPIListenAddresses:        opts.DaprAPIListenAddresses,
		DaprInternalGRPCPort:          opts.DaprInternalGRPCPort,
		DaprInternalGRPCListenAddress: opts.DaprInternalGRPCListenAddress,
		DaprPublicPort:                opts.DaprPublicPort,
		DaprPublicListenAddress:       opts.DaprPublicListenAddress,
		UnixDomainSocket:              opts.UnixDomainSocket,
		AllowedOrigins:                opts.AllowedOrigins,
		MaxRequestSize:                opts.MaxRequestSize,
		ReadBufferSize:                opts.ReadBufferSize,
		EnableAPILogging:              opts.EnableAPILogging,
		EnableProfiling:               opts.EnableProfiling,
		ProfilePort:                   opts.ProfilePort,
		DaprGracefulShutdownSeconds:   opts.DaprGracefulShutdownSeconds,
		DaprBlockShutdownDuration:     opts.DaprBlockShutdownDuration,
		ApplicationPort:               opts.AppPort,
		AppProtocol:                   opts.AppProtocol,
		AppChannelAddress:             opts.AppChannelAddress,
		AppSSL:                        opts.AppSSL,
		AppMaxConcurrency:             opts.AppMaxConcurrency,
		EnableAppHealthCheck:          opts.EnableAppHealthCheck,
		AppHealthCheckPath:            opts.AppHealthCheckPath,
		AppHealthProbeInterval:        opts.AppHealthProbeInterval,
		AppHealthProbeTimeout:         opts.AppHealthProbeTimeout,
		AppHealthThreshold:            opts.AppHealthThreshold,
		Metrics: metrics.Options{
			Enabled:       opts.Metrics.Enabled(),
			Log:           log,
			Port:          opts.Metrics.Port(),
			ListenAddress: opts.Metrics.ListenAddress(),
			Namespace:     metrics.DefaultMetricNamespace,
			Healthz:       health,
			Meter:         view.NewMeter(),
		},
	}
}

// Command docket-sentry is Dapr's certificate authority, on Dapr's own flags. It differs from Dapr's binary
// in where its health and metrics endpoints listen (on the addresses that the flags name, not on every
// interface) and in that it does not reload its credentials while it runs: they are made once, for ten years.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/dapr/dapr/cmd/sentry/options"
	"github.com/dapr/dapr/pkg/healthz"
	"github.com/dapr/dapr/pkg/metrics"
	"github.com/dapr/dapr/pkg/modes"
	"github.com/dapr/dapr/pkg/sentry"
	"github.com/dapr/dapr/pkg/sentry/config"
	"github.com/dapr/dapr/pkg/sentry/monitoring"
	"github.com/dapr/kit/concurrency"
	"github.com/dapr/kit/logger"

	"docket/sidecars/internal/daprbuild"
	"docket/sidecars/internal/healthserver"
	"docket/sidecars/internal/lifetime"
)

var log = logger.NewLogger("dapr.sentry")

func main() {
	opts := options.New(os.Args[1:])
	if err := opts.Validate(); err != nil {
		log.Fatalf("Invalid options: %s", err)
	}
	if err := logger.ApplyOptionsToLoggers(&opts.Logger); err != nil {
		log.Fatal(err)
	}
	log.Infof("Starting Dapr Sentry certificate authority -- version %s", daprbuild.Version())

	ctx, cancel := lifetime.Context()
	defer cancel()
	if err := run(ctx, opts); err != nil {
		log.Fatalf("Fatal error running sentry: %s", err)
	}
	log.Infof("Sentry shut down gracefully (%v)", context.Cause(ctx))
}

// run signs certificates until ctx ends.
func run(ctx context.Context, opts *options.Options) error {
	settings, err := config.FromConfigName(opts.ConfigName, opts.Mode)
	if err != nil {
		return err
	}
	settings.Mode = modes.DaprMode(opts.Mode)
	settings.TrustDomain = opts.TrustDomain
	settings.Port = opts.Port
	settings.ListenAddress = opts.ListenAddress
	settings.RootCertPath = credential(opts, opts.X509.RootCAFilename)
	settings.IssuerCertPath = credential(opts, opts.X509.IssuerCertFilename)
	settings.IssuerKeyPath = credential(opts, opts.X509.IssuerKeyFilename)
	settings.JWT = config.ConfigJWT{
		Enabled:          opts.JWT.Enabled,
		SigningKeyPath:   credential(opts, opts.JWT.SigningKeyFilename),
		JWKSPath:         credential(opts, opts.JWT.JWKSFilename),
		SigningAlgorithm: opts.JWT.SigningAlgorithm,
		Issuer:           opts.JWT.Issuer,
		KeyID:            opts.JWT.KeyID,
		TTL:              opts.JWT.TTL,
	}

	if err := monitoring.InitMetrics(); err != nil {
		return err
	}
	health := healthz.New()
	exporter := metrics.New(metrics.Options{
		Log:           log,
		Enabled:       opts.Metrics.Enabled(),
		Port:          opts.Metrics.Port(),
		ListenAddress: opts.Metrics.ListenAddress(),
		Namespace:     metrics.DefaultMetricNamespace,
		Healthz:       health,
	})
	authority, err := sentry.New(ctx, sentry.Options{
		Config:  settings,
		Healthz: health,
		OIDC: sentry.OIDCOptions{
			Enabled:             opts.OIDC.Enabled,
			ServerListenAddress: opts.OIDC.ServerListenAddress,
			ServerListenPort:    opts.OIDC.ServerListenPort,
			JWKSURI:             opts.OIDC.JWKSURI,
			PathPrefix:          opts.OIDC.PathPrefix,
			Domains:             opts.OIDC.AllowedHosts,
			TLSCertPath:         opts.OIDC.TLSCertFile,
			TLSKeyPath:          opts.OIDC.TLSKeyFile,
		},
	})
	if err != nil {
		return err
	}
	return concurrency.NewRunnerManager(
		exporter.Start,
		authority.Start,
		func(ctx context.Context) error {
			return healthserver.Run(ctx, opts.HealthzListenAddress, opts.HealthzPort, health)
		},
	).Run(ctx)
}

// credential finds a file of the credentials folder; an absolute name stands for itself.
func credential(opts *options.Options, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(opts.IssuerCredentialsPath, name)
}

// The Dapr components that this sidecar has: those that components/ uses, no others.

package main

import (
	cronbinding "github.com/dapr/components-contrib/bindings/cron"
	sqlitenames "github.com/dapr/components-contrib/nameresolution/sqlite"
	kafkapubsub "github.com/dapr/components-contrib/pubsub/kafka"
	filesecrets "github.com/dapr/components-contrib/secretstores/local/file"

	"github.com/dapr/dapr/pkg/components/bindings"
	"github.com/dapr/dapr/pkg/components/nameresolution"
	"github.com/dapr/dapr/pkg/components/pubsub"
	"github.com/dapr/dapr/pkg/components/secretstores"
	"github.com/dapr/dapr/pkg/components/state"
	"github.com/dapr/dapr/pkg/runtime/registry"
	"github.com/dapr/kit/logger"

	"docket/sidecars/internal/sqlitestate"
)

// componentRegistry lists the Dapr components that this sidecar can run: those that the project's component
// files name and no others, which keeps the binary small. A new component type in those files needs a line here.
func componentRegistry(log logger.Logger) *registry.Options {
	states := state.NewRegistry()
	states.Logger = log
	states.RegisterComponent(sqlitestate.New, "sqlite") // local state, one file for each sidecar; Dapr's own store with one writer in line

	pubsubs := pubsub.NewRegistry()
	pubsubs.Logger = log
	pubsubs.RegisterComponent(kafkapubsub.NewKafka, "kafka") // topics, on our broker or on Redpanda

	inputs := bindings.NewRegistry()
	inputs.Logger = log
	inputs.RegisterInputBinding(cronbinding.NewCron, "cron") // the sweeps that catch what a crash left behind

	secrets := secretstores.NewRegistry()
	secrets.Logger = log
	secrets.RegisterComponent(filesecrets.NewLocalSecretStore, "local.file") // local secrets, made on the first start

	names := nameresolution.NewRegistry()
	names.Logger = log
	names.RegisterComponent(sqlitenames.NewResolver, "sqlite") // finds the other sidecars of one machine without mDNS

	return registry.NewOptions().
		WithStateStores(states).
		WithPubSubs(pubsubs).
		WithBindings(inputs).
		WithSecretStores(secrets).
		WithNameResolutions(names)
}

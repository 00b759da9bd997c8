// The Dapr components that this sidecar has: those that components/ uses, no others.

package main

import (
	contrib "github.com/dapr/components-contrib/bindings"
	cronbinding "github.com/dapr/components-contrib/bindings/cron"
	kafkabinding "github.com/dapr/components-contrib/bindings/kafka"

	kafkapubsub "github.com/dapr/components-contrib/pubsub/kafka"

	"github.com/dapr/dapr/pkg/components/bindings"
	"github.com/dapr/dapr/pkg/components/nameresolution"
	"github.com/dapr/dapr/pkg/components/pubsub"
	"github.com/dapr/dapr/pkg/components/secretstores"
	"github.com/dapr/dapr/pkg/components/state"
	"github.com/dapr/dapr/pkg/runtime/registry"
	"github.com/dapr/kit/logger"

	"docket/sidecars/internal/filesecrets"
	"docket/sidecars/internal/kafkainput"
	"docket/sidecars/internal/postgresstate"
	"docket/sidecars/internal/smtp"
	"docket/sidecars/internal/sqlitenames"
	"docket/sidecars/internal/sqlitestate"
)

// componentRegistry lists the Dapr components that this sidecar can run: those that the project's component
// files name and no others, which keeps the binary small. A new component type in those files needs a line here.
func componentRegistry(log logger.Logger) *registry.Options {
	states := state.NewRegistry()
	states.Logger = log
	states.RegisterComponent(sqlitestate.New, "sqlite")          // local state, one file for each sidecar; Dapr's own store with one writer in line
	states.RegisterComponent(postgresstate.New, "postgresql/v2") // state for many machines; Dapr's own store with bulk reads that tell of errors

	pubsubs := pubsub.NewRegistry()
	pubsubs.Logger = log
	pubsubs.RegisterComponent(kafkapubsub.NewKafka, "kafka") // topics, on our broker or on Redpanda

	ends := bindings.NewRegistry()
	ends.Logger = log
	ends.RegisterInputBinding(cronbinding.NewCron, "cron")                     // the sweeps that catch what a crash left behind
	ends.RegisterInputBinding(kafkainput.New, "kafka")                         // what other systems produce
	ends.RegisterOutputBinding(func(log logger.Logger) contrib.OutputBinding { // and what they are answered
		return kafkabinding.NewKafka(log)
	}, "kafka")
	ends.RegisterOutputBinding(smtp.New, "smtp") // e-mail; Dapr's own, with nothing shared between two mails

	secrets := secretstores.NewRegistry()
	secrets.Logger = log
	secrets.RegisterComponent(filesecrets.New, "local.file") // local secrets; Dapr's own store, which reads a changed file anew

	names := nameresolution.NewRegistry()
	names.Logger = log
	names.RegisterComponent(sqlitenames.New, "sqlite") // finds the other sidecars of one machine without mDNS; Dapr's own, which waits for a locked file

	return registry.NewOptions().
		WithStateStores(states).
		WithPubSubs(pubsubs).
		WithBindings(ends).
		WithSecretStores(secrets).
		WithNameResolutions(names)
}

// Command docket-broker is the embedded Kafka-protocol broker of a local stack. It keeps its records in a
// folder, syncs each to the disk before it acknowledges it, and listens on a loopback address only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"docket/sidecars/internal/broker"
	"docket/sidecars/internal/lifetime"
)

const (
	defaultRetention      = 30 * 24 * time.Hour
	defaultRetentionBytes = 256 << 20
)

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

func main() {
	config, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(config)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "docket-broker: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

// parse reads the flags; the help that was asked for goes to help.
func parse(arguments []string, help io.Writer) (broker.Config, error) {
	config := broker.Config{Log: slog.New(slog.NewJSONHandler(os.Stdout, nil))}
	flags := flag.NewFlagSet("docket-broker", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&config.Listen, "listen", "127.0.0.1:3002", "loopback `address` to listen on")
	flags.StringVar(&config.DataDir, "data-dir", "", "`folder` that keeps records, topics and consumer offsets (required)")
	flags.DurationVar(&config.Retention, "retention", defaultRetention, "`age` at which records are deleted")
	flags.Int64Var(&config.RetentionBytes, "retention-bytes", defaultRetentionBytes, "`size` of a partition above which its oldest records are deleted")
	flags.Func("topic", "`NAME:PARTITIONS` of a topic to make if it does not exist, or to grow; repeatable", func(text string) error {
		topic, err := parseTopic(text)
		config.Topics = append(config.Topics, topic)
		return err
	})
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(help, "The embedded Kafka-protocol broker.\n\nUsage: docket-broker --data-dir FOLDER [flags]\n\n")
			flags.SetOutput(help)
			flags.PrintDefaults()
			fmt.Fprintf(help, "\nWith %s=1 in the environment it also ends when its standard input does.\n", lifetime.WatchStdinVariable)
		}
		return config, err
	}
	switch {
	case flags.NArg() > 0:
		return config, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case config.DataDir == "":
		return config, errors.New("--data-dir is required")
	case config.Retention <= 0 || config.RetentionBytes <= 0:
		return config, errors.New("--retention and --retention-bytes must be above zero")
	}
	return config, nil
}

// parseTopic reads NAME:PARTITIONS.
func parseTopic(text string) (broker.Topic, error) {
	name, count, found := strings.Cut(text, ":")
	partitions, err := strconv.Atoi(count)
	if !found || err != nil || partitions < 1 {
		return broker.Topic{}, errors.New("must be NAME:PARTITIONS, such as task-events:8")
	}
	if !topicName.MatchString(name) {
		return broker.Topic{}, fmt.Errorf("%q is no topic name: letters, digits, dots, dashes and underscores only", name)
	}
	return broker.Topic{Name: name, Partitions: partitions}, nil
}

// run holds the broker up until it is told to stop.
func run(config broker.Config) error {
	ctx, cancel := lifetime.Context()
	defer cancel()
	server, err := broker.Open(ctx, config)
	if err != nil {
		return err
	}
	config.Log.Info("broker ready", "address", server.Address(), "data_dir", config.DataDir)
	server.Run(ctx)
	config.Log.Info("broker stopping", "cause", context.Cause(ctx).Error())
	server.Close()
	config.Log.Info("broker stopped")
	return nil
}

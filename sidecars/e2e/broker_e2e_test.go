// The broker as its own program: killed, restarted, full of clients.

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// brokerOn starts the broker on the stack's folder and waits until it is ready.
func (s *stack) brokerOn(t *testing.T) *process {
	t.Helper()
	p := s.start(t, "docket-broker", nil, "--listen", s.broker, "--data-dir", s.path("broker"), "--topic", "events:2")
	eventually(t, "the broker is ready", func() bool {
		content, err := os.ReadFile(p.log)
		return err == nil && strings.Contains(string(content), "broker ready")
	})
	return p
}

func brokerStack(t *testing.T) *stack {
	s := &stack{folder: t.TempDir(), broker: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])}
	must(t, os.Mkdir(s.path("logs"), 0o700))
	return s
}

// TestBrokerKeepsWhatItAcknowledged kills the broker again and again while four clients produce and one commits.
func TestBrokerKeepsWhatItAcknowledged(t *testing.T) {
	s := brokerStack(t)
	acknowledged := make(map[string]bool)
	var committed int64
	for round := range 3 {
		broker := s.brokerOn(t)
		var (
			mutex     sync.Mutex
			producers sync.WaitGroup
			count     int
		)
		ctx, cancel := context.WithCancel(t.Context())
		for worker := range 4 {
			client := kafka(t, s.broker, kgo.DefaultProduceTopic("events"),
				kgo.DisableIdempotentWrite(), kgo.RecordRetries(0)) // or a record in flight would wait for the broker to come back
			producers.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					value := fmt.Sprintf("%d-%d-%d", round, worker, i)
					record := &kgo.Record{Key: []byte(value), Value: []byte(value)}
					if client.ProduceSync(ctx, record).FirstErr() == nil {
						mutex.Lock()
						acknowledged[value] = true
						count++
						mutex.Unlock()
					}
				}
			})
		}
		produced := func(least int) func() bool {
			return func() bool {
				mutex.Lock()
				defer mutex.Unlock()
				return count >= least
			}
		}
		eventually(t, "records", produced(50))
		admin := kadm.NewClient(kafka(t, s.broker))
		offset := int64(round + 1)
		commit := kadm.Offsets{}
		commit.AddOffset("events", 0, offset, -1)
		must(t, admin.CommitAllOffsets(t.Context(), "group", commit))
		committed = offset
		eventually(t, "more records", produced(200))
		broker.kill()
		cancel()
		producers.Wait()
	}
	s.brokerOn(t)

	fetched, err := kadm.NewClient(kafka(t, s.broker)).FetchOffsets(t.Context(), "group")
	must(t, err)
	if offset, ok := fetched.Lookup("events", 0); !ok || offset.At != committed {
		t.Fatalf("committed %d, found %v", committed, fetched)
	}
	missing := len(acknowledged)
	consumer := kafka(t, s.broker, kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for missing > 0 && ctx.Err() == nil {
		consumer.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			if acknowledged[string(record.Value)] {
				acknowledged[string(record.Value)] = false
				missing--
			}
		})
	}
	if missing > 0 {
		t.Fatalf("%d of %d acknowledged records are lost", missing, len(acknowledged))
	}
	t.Logf("all of %d acknowledged records are there after three kills", len(acknowledged))
}

// TestBrokerCutsATornTail leaves half a batch at the end of a segment, as a power cut may.
func TestBrokerCutsATornTail(t *testing.T) {
	s := brokerStack(t)
	broker := s.brokerOn(t)
	put := func(value string) int64 {
		client := kafka(t, s.broker, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		produced, err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "events", Value: []byte(value)}).First()
		must(t, err)
		return produced.Offset
	}
	put("first")
	put("second")
	broker.kill()
	segment := s.path("broker/partitions/events-0/0.dat")
	content, err := os.ReadFile(segment)
	must(t, err)
	must(t, os.WriteFile(segment, append(content, content[:len(content)/2-3]...), 0o600))

	s.brokerOn(t)
	if offset := put("third"); offset != 2 {
		t.Fatalf("the record after the torn tail has offset %d", offset)
	}
	consumer := kafka(t, s.broker, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"events": {0: kgo.NewOffset().AtStart()}}))
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	var got []string
	for len(got) < 3 && ctx.Err() == nil {
		consumer.PollFetches(ctx).EachRecord(func(record *kgo.Record) { got = append(got, string(record.Value)) })
	}
	if strings.Join(got, " ") != "first second third" {
		t.Fatalf("read: %q", got)
	}
}

func TestBrokerEndsOnSIGTERM(t *testing.T) {
	broker := brokerStack(t).brokerOn(t)
	must(t, broker.command.Process.Signal(syscall.SIGTERM))
	if err := broker.ended(t); err != nil {
		t.Fatal(err)
	}
}

// TestBrokerErrorsAreOneLine runs the broker into each failure that a user can meet.
func TestBrokerErrorsAreOneLine(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	damaged := t.TempDir()
	must(t, os.WriteFile(filepath.Join(damaged, "meta.json"), []byte("?"), 0o600))

	cases := map[string]struct {
		arguments []string
		says      string
	}{
		"busy port":        {[]string{"--listen", listener.Addr().String(), "--data-dir", t.TempDir()}, "address already in use"},
		"not loopback":     {[]string{"--listen", "0.0.0.0:0", "--data-dir", t.TempDir()}, "loopback"},
		"damaged folder":   {[]string{"--listen", "127.0.0.1:0", "--data-dir", damaged}, "damaged"},
		"folder is a file": {[]string{"--listen", "127.0.0.1:0", "--data-dir", file}, "not a directory"},
		"no folder":        {nil, "--data-dir is required"},
		"unknown flag":     {[]string{"--colour"}, "colour"},
		"bad topic":        {[]string{"--data-dir", t.TempDir(), "--topic", "events"}, "NAME:PARTITIONS"},
		"bad topic name":   {[]string{"--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--topic", "a b:1"}, "a b"},
		"argument":         {[]string{"--data-dir", t.TempDir(), "please"}, "please"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
			defer cancel()
			command := exec.CommandContext(ctx, filepath.Join(binaries, "docket-broker"), c.arguments...)
			var said bytes.Buffer
			command.Stderr = &said
			err := command.Run()
			line := strings.TrimSuffix(said.String(), "\n")
			if command.ProcessState.ExitCode() != 1 || strings.Contains(line, "\n") || !strings.Contains(line, c.says) {
				t.Fatalf("%v, said: %q", err, said.String())
			}
		})
	}
}

func TestBrokerHelp(t *testing.T) {
	output, err := exec.Command(filepath.Join(binaries, "docket-broker"), "--help").Output()
	must(t, err)
	for _, flag := range []string{"-listen", "-data-dir", "-topic", "-retention"} {
		if !strings.Contains(string(output), flag) {
			t.Errorf("the help does not name %s", flag)
		}
	}
}

func kafka(t *testing.T, address string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address), kgo.DialTimeout(time.Second)}, options...)...)
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

// Package e2e runs the four programs as a local stack runs them, with mutual TLS and the project's own
// component files, and looks at each thing that the product needs of them.
package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binaries is where TestMain builds the programs.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := filepath.Abs("../bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries = folder
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", folder+"/", "./cmd/...")
	build.Dir = ".."
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the programs:", err)
		return 1
	}
	return m.Run()
}

func TestStack(t *testing.T) {
	s := startStack(t)
	t.Run("state transaction", s.testState)
	t.Run("api token", s.testAPIToken)
	t.Run("secrets", s.testSecrets)
	t.Run("publish and subscribe", s.testPubSub)
	t.Run("cron binding", s.testCron)
	t.Run("job", s.testJob)
	t.Run("metadata", s.testMetadata)
	t.Run("second sidecar", s.testSecondSidecar)
	t.Run("loopback", s.testLoopback)
	t.Run("end of standard input", s.testStop)
}

// TestSchedulerCrash kills the scheduler and starts it again on its folder: its jobs are kept, and it does not wait
// for the leader that it was itself.
func TestSchedulerCrash(t *testing.T) {
	s := startStack(t)
	due := time.Now().Add(3 * time.Second)
	job := map[string]any{"dueTime": due.UTC().Format(time.RFC3339Nano), "data": map[string]any{"reminder": "r2"}}
	eventually(t, "the scheduler takes a job", func() bool {
		status, _ := s.call(t, "POST", "/v1.0/jobs/reminder-2", job)
		return status == 204 || status == 409
	})
	for _, p := range s.processes {
		if p.name == "docket-scheduler" {
			p.kill()
			s.start(t, p.name, []string{"NAMESPACE=default"}, p.command.Args[1:]...)
			break
		}
	}
	late := s.app.wait(t, "POST /job/reminder-2", 1)[0].at.Sub(due)
	if late < 0 || late > 5*time.Second {
		t.Fatalf("the job came %s after its time", late)
	}
	t.Logf("the job came %s after its time", late)
}

func (s *stack) testState(t *testing.T) {
	upsert := func(key string, value any, more map[string]any) map[string]any {
		request := map[string]any{"key": key, "value": value}
		for name, content := range more {
			request[name] = content
		}
		return map[string]any{"operation": "upsert", "request": request}
	}
	firstWrite := map[string]any{"options": map[string]any{"concurrency": "first-write"}}
	transaction := func(operations ...any) (int, string) {
		return s.call(t, "POST", "/v1.0/state/state/transaction", map[string]any{"operations": operations})
	}
	if status, body := transaction(upsert("a", 1, firstWrite), upsert("b", "two", nil), upsert("c", nil, nil)); status != 204 {
		t.Fatalf("transaction: %d %s", status, body)
	}
	if status, body := s.call(t, "GET", "/v1.0/state/state/b", nil); status != 200 || body != `"two"` {
		t.Fatalf("get: %d %s", status, body)
	}
	if status, body := transaction(upsert("d", 1, nil), upsert("a", 2, firstWrite)); status != 500 || !strings.Contains(body, "ERR_STATE_TRANSACTION") {
		t.Fatalf("a first write over an existing key: %d %s", status, body)
	}
	if status, _ := s.call(t, "GET", "/v1.0/state/state/d", nil); status != 204 {
		t.Fatalf("a refused transaction left something behind: %d", status)
	}
}

func (s *stack) testAPIToken(t *testing.T) {
	if status, body := s.call(t, "GET", "/v1.0/state/state/a", nil, "Dapr-Api-Token", "wrong"); status != 401 {
		t.Fatalf("wrong token: %d %s", status, body)
	}
}

func (s *stack) testSecrets(t *testing.T) {
	status, body := s.call(t, "GET", "/v1.0/secrets/secrets/jwt-keys", nil)
	if status != 200 || strings.TrimSpace(body) != `{"k1":"public"}` {
		t.Fatalf("allowed secret: %d %s", status, body)
	}
	if status, body := s.call(t, "GET", "/v1.0/secrets/secrets/jwt-signing", nil); status != 403 {
		t.Fatalf("forbidden secret: %d %s", status, body)
	}
}

func (s *stack) testPubSub(t *testing.T) {
	event := map[string]any{
		"specversion": "1.0", "id": "event-1", "source": "test", "type": "task-created", "subject": "task-1",
		"datacontenttype": "application/json", "data": map[string]any{"account": "a1", "sequence": 1},
	}
	status, body := s.call(t, "POST", "/v1.0/publish/pubsub/task-events?metadata.partitionKey=a1", event,
		"Content-Type", "application/cloudevents+json")
	if status != 204 {
		t.Fatalf("publish: %d %s", status, body)
	}
	got := s.app.wait(t, "POST /internal/tasks/events", 1)[0]
	var delivered struct {
		ID, Type, Subject string
		Data              struct {
			Account  string
			Sequence int
		}
	}
	must(t, json.Unmarshal([]byte(got.body), &delivered))
	if delivered.ID != "event-1" || delivered.Type != "task-created" || delivered.Subject != "task-1" || delivered.Data.Account != "a1" {
		t.Fatalf("delivered: %s", got.body)
	}
	if token := got.header.Get("Dapr-Api-Token"); token != appToken {
		t.Fatalf("the app got the token %q", token)
	}
}

func (s *stack) testCron(t *testing.T) {
	got := s.app.wait(t, "POST /internal/tasks/outbox-sweep", 2)
	if token := got[0].header.Get("Dapr-Api-Token"); token != appToken {
		t.Fatalf("the app got the token %q", token)
	}
}

func (s *stack) testJob(t *testing.T) {
	due := time.Now().Add(time.Second)
	job := map[string]any{"dueTime": due.UTC().Format(time.RFC3339Nano), "data": map[string]any{"reminder": "r1"}}
	// The sidecar's stream to the scheduler may come up after its health does.
	eventually(t, "the scheduler takes a job", func() bool {
		status, _ := s.call(t, "POST", "/v1.0/jobs/reminder-1", job)
		return status == 204 || status == 409
	})
	got := s.app.wait(t, "POST /job/reminder-1", 1)[0]
	if !strings.Contains(got.body, "r1") {
		t.Fatalf("job: %s", got.body)
	}
	if early := due.Sub(got.at); early > 0 {
		t.Fatalf("the job came %s early", early)
	}
	t.Logf("the job came %s after its time", got.at.Sub(due))
}

func (s *stack) testMetadata(t *testing.T) {
	status, body := s.call(t, "GET", "/v1.0/metadata", nil)
	var metadata struct {
		RuntimeVersion string
		Components     []struct{ Name, Type string }
		Subscriptions  []struct{ Topic string }
	}
	must(t, json.Unmarshal([]byte(body), &metadata))
	output, err := exec.Command(filepath.Join(binaries, "daprd"), "--version").Output()
	must(t, err)
	if version := strings.TrimSpace(string(output)); status != 200 || metadata.RuntimeVersion != version || !strings.HasPrefix(version, "1.") {
		t.Fatalf("metadata: %d %s; --version: %q", status, body, version)
	}
	if len(metadata.Components) != 6 || len(metadata.Subscriptions) != 2 {
		t.Fatalf("loaded: %s", body)
	}
	if status, _ := s.call(t, http.MethodGet, "/v1.0/healthz/outbound", nil); status != 204 {
		t.Fatalf("outbound health: %d", status)
	}
}

// testSecondSidecar starts the sidecar of another app before that app: it serves, but is not healthy. It finds
// the first by name, and the first's access control refuses it.
func (s *stack) testSecondSidecar(t *testing.T) {
	port := freePorts(t, 1)[0]
	other := s.startSidecar(s.test, "stranger", port) // it must outlive this part of the test
	waitHealthy(t, other+"/v1.0/healthz/outbound", http.StatusNoContent)
	if status, body := s.call(t, "GET", other+"/v1.0/healthz", nil); status != 500 {
		t.Fatalf("without its app it says that it is healthy: %d %s", status, body)
	}
	if status, body := s.call(t, "POST", other+"/v1.0/state/state", []any{}); status != 500 || !strings.Contains(body, "ERR_STATE_STORE_NOT_CONFIGURED") {
		t.Fatalf("a component of another scope: %d %s", status, body)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	server := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	waitHealthy(t, other+"/v1.0/healthz", http.StatusNoContent)

	status, body := s.call(t, "POST", other+"/v1.0/invoke/tasks/method/internal/tasks/anything", map[string]any{})
	if status != 403 || !strings.Contains(body, "spiffe://public/ns/default/stranger") {
		t.Fatalf("invocation: %d %s", status, body)
	}
}

// testLoopback looks at every socket on which the programs listen.
func (s *stack) testLoopback(t *testing.T) {
	listening := 0
	for _, p := range s.processes {
		sockets := make(map[string]bool)
		folder := fmt.Sprintf("/proc/%d/fd", p.command.Process.Pid)
		entries, err := os.ReadDir(folder)
		must(t, err)
		for _, entry := range entries {
			if target, err := os.Readlink(filepath.Join(folder, entry.Name())); err == nil {
				sockets[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
			}
		}
		for _, table := range []string{"tcp", "tcp6"} {
			content, err := os.ReadFile("/proc/net/" + table)
			must(t, err)
			for _, line := range strings.Split(string(content), "\n") {
				const listen, loopback4, loopback6 = "0A", "0100007F", "00000000000000000000000001000000"
				fields := strings.Fields(line)
				if len(fields) < 10 || fields[3] != listen || !sockets[fields[9]] {
					continue
				}
				listening++
				if host, _, _ := strings.Cut(fields[1], ":"); host != loopback4 && host != loopback6 {
					t.Errorf("%s listens on %s", p.name, fields[1])
				}
			}
		}
	}
	if listening < 16 {
		t.Errorf("found only %d sockets", listening)
	}
}

// testStop closes standard input, as a supervisor's death does. It must be the last: nothing runs after it.
func (s *stack) testStop(t *testing.T) {
	for i := len(s.processes) - 1; i >= 0; i-- {
		p := s.processes[i]
		began := time.Now()
		must(t, p.stdin.Close())
		if err := p.ended(t); err != nil {
			t.Errorf("%s did not end well: %s", p.name, err)
		}
		t.Logf("%s ended in %s", p.name, time.Since(began).Round(time.Millisecond))
	}
}

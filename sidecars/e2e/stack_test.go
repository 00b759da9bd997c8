// The four programs as one stack: what a client of the sidecar sees.

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	trustDomain  = "docket"
	appToken     = "token-that-dapr-sends-to-the-app"
	daprToken    = "token-that-the-app-sends-to-dapr"
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// stack is the four programs and an app, on free ports and a folder of their own.
type stack struct {
	folder  string
	broker  string
	sidecar string // base URL of Dapr's HTTP API
	app     *app

	sentry, scheduler string // addresses
	anchors           string // the root certificate

	test      testing.TB // the whole test, whose end stops what is started
	processes []*process
}

// process is one of the programs. Its standard input is a pipe that the test holds, as the supervisor does.
type process struct {
	name    string
	command *exec.Cmd
	stdin   io.WriteCloser
	log     string
	exited  chan struct{}
	err     error
}

// startStack starts everything and waits until each part says that it is healthy.
func startStack(t testing.TB) *stack {
	t.Helper()
	s := &stack{folder: t.TempDir(), app: newApp(t), test: t}
	ports := freePorts(t, 9)
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	port := func(i int) string { return fmt.Sprint(ports[i]) }
	for _, name := range []string{"logs", "secrets", "state", "resources", "local"} {
		must(t, os.Mkdir(filepath.Join(s.folder, name), 0o700))
	}
	anchors := writeCredentials(t, s.path("secrets"))
	must(t, os.WriteFile(s.path("secrets/secrets.json"),
		[]byte(`{"jwt-keys": {"k1": "public"}, "jwt-signing": {"k1": "seed"}}`), 0o600))
	must(t, os.WriteFile(s.path("resources/subscription.yaml"), []byte(subscription), 0o600))
	must(t, os.WriteFile(s.path("resources/README.md"), []byte("# Not a resource\n"), 0o600))
	for _, name := range []string{"pubsub.yaml", "state.yaml"} {
		component, err := os.ReadFile(filepath.Join("../../components/local", name))
		must(t, err)
		must(t, os.WriteFile(s.path("local/"+name), topicScopes.ReplaceAll(component, nil), 0o600))
	}
	must(t, os.WriteFile(s.path("local.yaml"), fmt.Appendf(nil, localConfiguration, s.path("state/names.db")), 0o600))

	s.broker = address(0)
	s.start(t, "docket-broker", nil,
		"--listen", s.broker, "--data-dir", s.path("broker"),
		"--topic", "task-events:8", "--topic", "task-events-dead:1", "--topic", "probe:1",
		"--topic", "accounts:8", "--topic", "accounts-dead:1")
	s.start(t, "docket-sentry", []string{"NAMESPACE=default"},
		"--trust-domain", trustDomain, "--issuer-credentials", s.path("secrets"),
		"--config", s.path("local.yaml"), "--listen-address", "127.0.0.1", "--port", port(1),
		"--healthz-listen-address", "127.0.0.1", "--healthz-port", port(2),
		"--metrics-listen-address", "127.0.0.1", "--metrics-port", port(3), "--log-as-json")
	waitHealthy(t, "http://"+address(2)+"/healthz", http.StatusOK)
	s.start(t, "docket-scheduler", []string{"NAMESPACE=default"},
		"--listen-address", "127.0.0.1", "--port", port(4),
		"--healthz-listen-address", "127.0.0.1", "--healthz-port", port(5),
		"--metrics-listen-address", "127.0.0.1", "--metrics-port", port(6), "--log-as-json",
		"--etcd-data-dir", s.path("scheduler"),
		"--etcd-client-listen-address", "127.0.0.1", "--etcd-client-port", port(7),
		"--etcd-initial-cluster", "dapr-scheduler-server-0=http://"+address(8),
		"--tls-enabled", "--trust-domain", trustDomain, "--trust-anchors-file", s.path("secrets/ca.crt"),
		"--sentry-address", address(1))
	waitHealthy(t, "http://"+address(5)+"/healthz", http.StatusOK)
	waitOpen(t, s.broker)

	s.sentry, s.scheduler, s.anchors = address(1), address(4), anchors
	s.sidecar = s.startSidecar(t, "tasks", s.app.port, "../../components/configurations/tasks.yaml")
	waitHealthy(t, s.sidecar+"/v1.0/healthz", http.StatusNoContent)
	return s
}

// startSidecar starts a sidecar with its own configuration, if it has one, and returns the base URL of its API.
func (s *stack) startSidecar(t testing.TB, appID string, appPort int, configuration ...string) string {
	t.Helper()
	ports := freePorts(t, 4)
	arguments := []string{
		"--app-id", appID, "--app-port", fmt.Sprint(appPort), "--app-channel-address", "127.0.0.1",
		"--resources-path", "../../components", "--resources-path", "../../components/machine",
		"--resources-path", s.path("local"),
		"--resources-path", s.path("resources"),
		"--dapr-http-port", fmt.Sprint(ports[0]), "--dapr-grpc-port", fmt.Sprint(ports[1]),
		"--dapr-internal-grpc-port", fmt.Sprint(ports[2]), "--metrics-port", fmt.Sprint(ports[3]),
		"--dapr-listen-addresses", "127.0.0.1", "--dapr-internal-grpc-listen-address", "127.0.0.1",
		"--metrics-listen-address", "127.0.0.1",
		"--enable-mtls", "--sentry-address", s.sentry, "--control-plane-trust-domain", trustDomain,
		"--scheduler-host-address", s.scheduler, "--log-as-json", "--enable-api-logging=false",
		"--dapr-graceful-shutdown-seconds", "5",
	}
	for _, file := range append(configuration, s.path("local.yaml")) {
		arguments = append(arguments, "--config", file)
	}
	s.start(t, "daprd", []string{
		"NAMESPACE=default", "APP_API_TOKEN=" + appToken, "DAPR_API_TOKEN=" + daprToken,
		"DAPR_TRUST_ANCHORS=" + s.anchors,
		"DOCKET_BROKERS=" + s.broker,
		"DOCKET_STATE_CONNECTION=" + s.path("state/"+appID+".db"),
		"DOCKET_SECRETS_FILE=" + s.path("secrets/secrets.json"),
	}, arguments...)
	return fmt.Sprintf("http://127.0.0.1:%d", ports[0])
}

func (s *stack) path(name string) string {
	return filepath.Join(s.folder, name)
}

// start runs one of the built programs; the test's end stops it and, if the test failed, shows its log.
func (s *stack) start(t testing.TB, name string, environment []string, arguments ...string) *process {
	t.Helper()
	log, err := os.Create(s.path(fmt.Sprintf("logs/%s-%d.jsonl", name, len(s.processes))))
	must(t, err)
	p := &process{name: name, log: log.Name(), exited: make(chan struct{})}
	program := filepath.Join(binaries, name)
	if other := os.Getenv("DAPRD"); name == "daprd" && other != "" {
		program = other // to compare benchmarks with another build
	}
	p.command = exec.Command(program, arguments...)
	p.command.Env = append([]string{"DOCKET_WATCH_STDIN=1", "PATH=" + os.Getenv("PATH"), "HOME=" + s.folder}, environment...)
	p.command.Stdout, p.command.Stderr = log, log
	p.stdin, err = p.command.StdinPipe()
	must(t, err)
	must(t, p.command.Start())
	go func() {
		p.err = p.command.Wait()
		_ = log.Close()
		close(p.exited)
	}()
	s.processes = append(s.processes, p)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			content, _ := os.ReadFile(p.log)
			lines := strings.Split(string(content), "\n")
			t.Logf("%s, the last lines:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	return p
}

// kill ends the process at once, as a crash would.
func (p *process) kill() {
	_ = p.command.Process.Signal(syscall.SIGKILL)
	<-p.exited
}

// ended waits for the process to exit of itself.
func (p *process) ended(t testing.TB) error {
	t.Helper()
	select {
	case <-p.exited:
		return p.err
	case <-time.After(stopTimeout):
		t.Fatalf("%s still runs %s after it was told to stop", p.name, stopTimeout)
		return nil
	}
}

// call sends a request to the sidecar, or to another at a full URL, and returns the status and the body.
func (s *stack) call(t testing.TB, method, path string, body any, header ...string) (int, string) {
	t.Helper()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		must(t, err)
		content = bytes.NewReader(encoded)
	}
	if strings.HasPrefix(path, "/") {
		path = s.sidecar + path
	}
	request, err := http.NewRequest(method, path, content)
	must(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Dapr-Api-Token", daprToken)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(answer)
}

// app is what the sidecar calls: it keeps each request and answers 200.
type app struct {
	port int

	mutex    sync.Mutex
	requests map[string][]received
}

type received struct {
	at     time.Time
	header http.Header
	body   string
}

func newApp(t testing.TB) *app {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	a := &app{port: listener.Addr().(*net.TCPAddr).Port, requests: make(map[string][]received)}
	server := &http.Server{Handler: a}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return a
}

// ServeHTTP implements http.Handler.
func (a *app) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	at := time.Now()
	body, _ := io.ReadAll(request.Body)
	a.mutex.Lock()
	key := request.Method + " " + request.URL.Path
	a.requests[key] = append(a.requests[key], received{at, request.Header.Clone(), string(body)})
	a.mutex.Unlock()
	if request.URL.Path == "/dapr/config" || request.URL.Path == "/dapr/subscribe" {
		response.WriteHeader(http.StatusNotFound)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	_, _ = response.Write([]byte(`{"status":"SUCCESS"}`))
}

func (a *app) got(key string) []received {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return append([]received(nil), a.requests[key]...)
}

// wait returns the requests of a kind once there are enough of them.
func (a *app) wait(t testing.TB, key string, count int) []received {
	t.Helper()
	var got []received
	eventually(t, fmt.Sprintf("%d of %q at the app", count, key), func() bool {
		got = a.got(key)
		return len(got) >= count
	})
	return got
}

// writeCredentials makes a root and Sentry's issuer in the layout that Sentry reads, and returns the root as PEM.
func writeCredentials(t testing.TB, folder string) string {
	t.Helper()
	name := &url.URL{Scheme: "spiffe", Host: trustDomain, Path: "/ns/default/dapr-sentry"}
	template := func(serial int64, commonName string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber:          big.NewInt(serial),
			Subject:               pkix.Name{CommonName: commonName},
			NotBefore:             time.Now().Add(-time.Minute),
			NotAfter:              time.Now().Add(time.Hour),
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	issuerKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := template(1, "docket root")
	issuer := template(2, "docket issuer")
	issuer.URIs = []*url.URL{name}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	must(t, err)
	issuerDER, err := x509.CreateCertificate(rand.Reader, issuer, root, &issuerKey.PublicKey, rootKey)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(issuerKey)
	must(t, err)
	write := func(file, kind string, content []byte) string {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
		must(t, os.WriteFile(filepath.Join(folder, file), text, 0o600))
		return string(text)
	}
	write("issuer.crt", "CERTIFICATE", issuerDER)
	write("issuer.key", "PRIVATE KEY", keyDER)
	return write("ca.crt", "CERTIFICATE", rootDER)
}

// freePorts finds ports that nobody uses, all different.
func freePorts(t testing.TB, count int) []int {
	t.Helper()
	ports := make([]int, count)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer listener.Close() // only at the end, or the next one could be the same
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports
}

func waitHealthy(t testing.TB, url string, status int) {
	t.Helper()
	eventually(t, url, func() bool {
		response, err := http.Get(url)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == status
	})
}

func waitOpen(t testing.TB, address string) {
	t.Helper()
	eventually(t, address, func() bool {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	})
}

// eventually polls until ok says yes, and fails the test at the deadline.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(startTimeout)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited %s in vain for: %s", startTimeout, what)
		case <-tick.C:
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// topicScopes is what a pub/sub component says of who may use which topic. Here one app is both ends of all of them.
var topicScopes = regexp.MustCompile(`(?m)^ +- name: (publishing|subscription)Scopes\n +value: .*\n`)

const subscription = `
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata:
  name: task-events
spec:
  pubsubname: pubsub
  topic: task-events
  routes:
    default: /internal/tasks/events
  deadLetterTopic: task-events-dead
scopes:
  - tasks
`

// localConfiguration is what a sidecar needs beside its own configuration when it runs on one machine with
// others. Sentry reads it too.
const localConfiguration = `
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: local
spec:
  mtls:
    enabled: true
  nameResolution:
    component: sqlite
    version: v1
    configuration:
      connectionString: %q
`

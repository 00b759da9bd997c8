// What the programs cost: raw figures of the whole system's parts.

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkEventLatency publishes events one by one to an idle system and measures the time from the start of
// the publication to the arrival at the subscriber.
func BenchmarkEventLatency(b *testing.B) {
	s := startStack(b)
	times := make([]time.Duration, b.N)
	began := make([]time.Time, b.N)
	for i := range times {
		began[i] = time.Now()
		s.publish(b, fmt.Sprintf("latency-%d", i))
		s.app.wait(b, eventsRoute, i+1)
		<-time.After(5 * time.Millisecond) // idle again: the broker's long poll waits
	}
	for i, got := range s.app.got(eventsRoute) {
		times[i] = got.at.Sub(began[i])
	}
	report(b, times)
}

// BenchmarkPublish compares single with bulk publication, in events a second.
func BenchmarkPublish(b *testing.B) {
	s := startStack(b)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("single/%d", clients), func(b *testing.B) {
			report(b, parallel(b, clients, func(i int) { s.publish(b, fmt.Sprintf("single-%d", i)) }))
		})
		for _, size := range []int{2, 10} {
			b.Run(fmt.Sprintf("bulk of %d/%d", size, clients), func(b *testing.B) {
				report(b, parallel(b, clients, func(i int) {
					var entries []map[string]any
					for n := range size {
						id := fmt.Sprintf("bulk-%d-%d", i, n)
						entries = append(entries, map[string]any{
							"entryId": id, "event": event(id), "contentType": "application/cloudevents+json",
							"metadata": map[string]string{"partitionKey": id},
						})
					}
					s.post(b, "/v1.0-alpha1/publish/bulk/pubsub/task-events", "application/json", entries)
				}))
			})
		}
	}
}

// BenchmarkTransactions saves three keys in a transaction through the sidecar's HTTP API.
func BenchmarkTransactions(b *testing.B) {
	s := startStack(b)
	value := strings.Repeat("v", 500)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			report(b, parallel(b, clients, func(i int) {
				var operations []map[string]any
				for n := range 3 {
					operations = append(operations, map[string]any{
						"operation": "upsert",
						"request":   map[string]any{"key": fmt.Sprintf("k-%d-%d", i%1000, n), "value": value},
					})
				}
				s.post(b, "/v1.0/state/state/transaction", "application/json", map[string]any{"operations": operations})
			}))
		})
	}
}

const eventsRoute = "POST /internal/tasks/events"

func event(id string) map[string]any {
	return map[string]any{
		"specversion": "1.0", "id": id, "source": "bench", "type": "task-created", "subject": id,
		"datacontenttype": "application/json", "data": map[string]any{"text": strings.Repeat("x", 500)},
	}
}

func (s *stack) publish(b *testing.B, id string) {
	s.post(b, "/v1.0/publish/pubsub/task-events?metadata.partitionKey="+id, "application/cloudevents+json", event(id))
}

var benchClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

func (s *stack) post(b *testing.B, path, kind string, body any) {
	encoded, err := json.Marshal(body)
	must(b, err)
	request, err := http.NewRequest(http.MethodPost, s.sidecar+path, bytes.NewReader(encoded))
	must(b, err)
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Dapr-Api-Token", daprToken)
	response, err := benchClient.Do(request)
	must(b, err)
	answer, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode >= 300 {
		b.Errorf("%s: %d %s", path, response.StatusCode, answer)
	}
}

// parallel calls the function b.N times from so many clients and returns how long each call took.
func parallel(b *testing.B, clients int, call func(i int)) []time.Duration {
	times := make([]time.Duration, b.N)
	var (
		next  atomic.Int64
		group sync.WaitGroup
	)
	b.ResetTimer()
	for range clients {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				began := time.Now()
				call(i)
				times[i] = time.Since(began)
			}
		})
	}
	group.Wait()
	b.StopTimer()
	return times
}

func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	for _, share := range []float64{0.5, 0.9, 0.99, 1} {
		milliseconds := float64(times[int(share*float64(len(times)-1))].Microseconds()) / 1000
		b.ReportMetric(milliseconds, fmt.Sprintf("p%g-ms", share*100))
	}
	b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), "calls/s")
}

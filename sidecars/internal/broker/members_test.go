// Members of consumer groups that die while they join.

package broker

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// joining is a request to join the group "readers" as a consumer of the topic "events", as clients of Kafka 2.0 send
// it: the member learns its id only when the group is complete.
func joining() *kmsg.JoinGroupRequest {
	topics := kmsg.NewConsumerMemberMetadata()
	topics.Topics = []string{"events"}
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = "range", topics.AppendTo(nil)
	request := kmsg.NewPtrJoinGroupRequest()
	request.Group, request.ProtocolType = "readers", "consumer"
	request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = 6_000, 60_000
	request.Protocols = []kmsg.JoinGroupRequestProtocol{protocol}
	return request
}

func (b *Broker) dial(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(b.Address()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// until polls for what must become true within the time.
func until(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	end := time.After(within)
	for !holds() {
		select {
		case <-poll.C:
		case <-end:
			t.Fatalf("after %v still not: %s", within, what)
		}
	}
}

func TestMembersThatDieWhileTheyJoinHoldUpNobody(t *testing.T) {
	b := open(t, config(t, Topic{"events", 4}))
	go b.Run(t.Context())
	members := func() int {
		groups, err := b.admin.DescribeGroups(t.Context(), "readers")
		if err != nil {
			t.Fatal(err)
		}
		return len(groups["readers"].Members)
	}
	// The first has joined and dies; the others join after it and die while they wait for its session to end.
	old := kgo.MaxVersions(kversion.V2_0_0())
	first := b.dial(t, old)
	if _, err := joining().RequestWith(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	first.Close()
	for dead := 2; dead <= 4; dead++ {
		client := b.dial(t, old)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = joining().RequestWith(ctx, client) }()
		until(t, 5*time.Second, "it waits", func() bool { return members() == dead })
		cancel()
		client.Close()
	}
	began := time.Now()
	produce(t, b, "events", 100, 10)
	last := b.dial(t, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("events"), kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(100*time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	for got := 0; got < 100; {
		fetches := last.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("%d of 100 records after %v: %v", got, time.Since(began), err)
		}
		got += fetches.NumRecords()
	}
	t.Logf("all records %v after the last of them died", time.Since(began))
}

func TestWhoIsSilentForLongestGoesFirst(t *testing.T) {
	start := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	m := members{
		sessions: map[string]time.Duration{"g": 10 * time.Second},
		seen:     map[member]sign{{"g", "a"}: {at: at(0)}, {"g", "b"}: {at: at(0), joins: true}},
	}
	for _, step := range []struct {
		second int
		state  string
		ids    []string
		gone   string
	}{
		{9, "PreparingRebalance", []string{"a", "b"}, ""},
		{11, "PreparingRebalance", []string{"a", "b"}, "a"},
		{12, "CompletingRebalance", []string{"a", "b"}, "a"},
		{13, "PreparingRebalance", []string{"b"}, ""},
		// Its join was answered in second 12, and nothing was heard of it since.
		{22, "PreparingRebalance", []string{"b"}, "b"},
	} {
		group := kadm.DescribedGroup{Group: "g", State: step.state}
		for _, id := range step.ids {
			group.Members = append(group.Members, kadm.DescribedGroupMember{MemberID: id})
		}
		var gone string
		for _, who := range m.expired(kadm.DescribedGroups{"g": group}, at(step.second)) {
			gone += who.id
		}
		if gone != step.gone {
			t.Errorf("second %d: %q is gone, not %q", step.second, gone, step.gone)
		}
	}
}

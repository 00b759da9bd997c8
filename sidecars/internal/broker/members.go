// Members of consumer groups that die while they join: an end for their sessions.

package broker

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	expiryInterval = time.Second
	// After the last join to any group, this long is looked for members that died; longer than any session.
	expiryWatch = 5 * time.Minute
)

// members ends the sessions of consumers that died while they waited to join a group. The broker library starts a
// member's session when it answers the join, but not if nobody takes the answer any more: such a member would stay
// with its partitions, or as the leader for whom all others wait, until the rebalance timeout, which may come to
// minutes.
type members struct {
	mu       sync.Mutex
	lastJoin time.Time
	sessions map[string]time.Duration // by group, as the latest join has asked for
	seen     map[member]sign
}

type member struct{ group, id string }

// sign is the last sign of a member's life.
type sign struct {
	at time.Time
	// joins tells that its join has no answer yet: until then it is silent.
	joins bool
}

// observe notes who is alive by its requests.
func (m *members) observe(request kmsg.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	switch request := request.(type) {
	case *kmsg.JoinGroupRequest:
		m.lastJoin = now
		m.sessions[request.Group] = time.Duration(request.SessionTimeoutMillis) * time.Millisecond
		m.seen[member{request.Group, request.MemberID}] = sign{at: now, joins: true}
	case *kmsg.SyncGroupRequest:
		m.seen[member{request.Group, request.MemberID}] = sign{at: now}
	case *kmsg.HeartbeatRequest:
		m.seen[member{request.Group, request.MemberID}] = sign{at: now}
	}
}

// expired says which members are to go, given all groups as they are now: of each group the one that was silent for
// longest, if that is longer than its session. (Those that wait for it are silent too, and must not go with it.) One
// that is not known has just joined: a client of Kafka 2.0 learns its id only when its join is answered.
func (m *members) expired(groups kadm.DescribedGroups, now time.Time) []member {
	m.mu.Lock()
	defer m.mu.Unlock()
	var expired []member
	seen := make(map[member]sign)
	for name, group := range groups {
		session, known := m.sessions[name]
		if group.Err != nil || !known {
			continue
		}
		gathers := group.State == "PreparingRebalance"
		longest, since := "", now
		for _, described := range group.Members {
			who := member{name, described.MemberID}
			last, known := m.seen[who]
			if !known {
				last = sign{at: now, joins: true}
			}
			if last.joins && gathers {
				last.at = now
			}
			last.joins = last.joins && gathers
			seen[who] = last
			if last.at.Before(since) {
				longest, since = who.id, last.at
			}
		}
		if longest != "" && now.Sub(since) > session {
			expired = append(expired, member{name, longest})
		}
	}
	m.seen = seen
	return expired
}

// isQuiet tells whether no member can have died while it joined.
func (m *members) isQuiet(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Sub(m.lastJoin) > expiryWatch
}

// watch lets every request by which a group's members are known to be alive be seen.
func (b *Broker) watch() {
	b.members = &members{sessions: make(map[string]time.Duration), seen: make(map[member]sign)}
	for _, key := range []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat} {
		b.cluster.ControlKey(key.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
			b.members.observe(request)
			return nil, nil, false
		})
	}
}

// expire removes members whose session is over and of which the library does not know it.
func (b *Broker) expire(ctx context.Context) error {
	if b.members.isQuiet(time.Now()) {
		return nil
	}
	groups, err := b.admin.DescribeGroups(ctx)
	if err != nil {
		return err
	}
	for _, gone := range b.members.expired(groups, time.Now()) {
		b.config.Log.Info("a member that died is removed", "group", gone.group, "member", gone.id)
		if err := leave(ctx, b.client, gone); err != nil {
			return err
		}
	}
	return nil
}

// leave says for a member that it leaves its group.
func leave(ctx context.Context, client *kgo.Client, who member) error {
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group, request.MemberID = who.group, who.id
	left := kmsg.NewLeaveGroupRequestMember()
	left.MemberID = who.id
	request.Members = append(request.Members, left)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.ErrorCode)
}

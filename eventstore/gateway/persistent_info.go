package gateway

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

// GetInfo returns the state of a group.
func (p persistentServer) GetInfo(ctx context.Context, req *persistent.GetInfoReq) (*persistent.GetInfoResp, error) {
	from, err := source(req.GetOptions())
	if err != nil {
		return nil, err
	}
	info, err := p.server.groups.Info(ctx, groups.Key{Source: from, Name: req.GetOptions().GetGroupName()})
	if err != nil {
		return nil, groupFailure(err)
	}
	return &persistent.GetInfoResp{SubscriptionInfo: subscriptionInfo(&info)}, nil
}

// List returns the state of the groups of a stream, of those of $all, or of all groups.
func (p persistentServer) List(ctx context.Context, req *persistent.ListReq) (*persistent.ListResp, error) {
	var from string
	if of := req.GetOptions().GetListForStream(); of != nil {
		var err error
		if from, err = parseStream(of.GetStream()); of.GetAll() != nil {
			from, err = groups.All, nil
		}
		if err != nil {
			return nil, err
		}
	}
	infos, err := p.server.groups.List(ctx, from)
	if err != nil {
		return nil, groupFailure(err)
	}
	list := &persistent.ListResp{}
	for i := range infos {
		list.Subscriptions = append(list.Subscriptions, subscriptionInfo(&infos[i]))
	}
	return list, nil
}

func subscriptionInfo(i *groups.Info) *persistent.SubscriptionInfo {
	s := &i.Settings
	info := &persistent.SubscriptionInfo{
		EventSource:                   i.Source,
		GroupName:                     i.Name,
		Status:                        i.Status,
		AveragePerSecond:              clip(i.PerSecond),
		TotalItems:                    i.Total,
		CountSinceLastMeasurement:     i.SinceLastInfo,
		LastCheckpointedEventPosition: placeText(i.Key, i.Checkpoint),
		LastKnownEventPosition:        placeText(i.Key, i.Last),
		ResolveLinkTos:                s.ResolveLinks,
		StartFrom:                     startText(i.Key, s.StartFrom),
		MessageTimeoutMilliseconds:    milliseconds(s.MessageTimeout),
		ExtraStatistics:               s.ExtraStatistics,
		MaxRetryCount:                 clip(s.MaxRetryCount),
		LiveBufferSize:                clip(s.LiveBufferSize),
		BufferSize:                    clip(s.HistoryBufferSize),
		ReadBatchSize:                 clip(s.ReadBatchSize),
		CheckPointAfterMilliseconds:   millisecondsOrNever(s.CheckpointAfter),
		MinCheckPointCount:            clip(s.MinCheckpointCount),
		MaxCheckPointCount:            clip(s.MaxCheckpointCount),
		ReadBufferCount:               clip(i.ReadBuffer),
		LiveBufferCount:               int64(i.LiveBuffer),
		RetryBufferCount:              clip(i.RetryBuffer),
		TotalInFlightMessages:         clip(i.InFlight),
		OutstandingMessagesCount:      clip(i.Outstanding),
		NamedConsumerStrategy:         string(s.Strategy),
		MaxSubscriberCount:            clip(s.MaxSubscriberCount),
		ParkedMessageCount:            i.ParkedEvents,
	}
	for _, c := range i.Consumers {
		info.Connections = append(info.Connections, connectionInfo(c))
	}
	return info
}

func connectionInfo(c groups.ConsumerInfo) *persistent.SubscriptionInfo_ConnectionInfo {
	info := &persistent.SubscriptionInfo_ConnectionInfo{
		From:                      c.From,
		Username:                  c.Username,
		AverageItemsPerSecond:     clip(c.PerSecond),
		TotalItems:                c.Total,
		CountSinceLastMeasurement: c.SinceLastInfo,
		AvailableSlots:            clip(c.FreeSlots),
		InFlightMessages:          clip(c.InFlight),
		ConnectionName:            c.Name,
	}
	for _, m := range c.Measurements {
		info.ObservedMeasurements = append(info.ObservedMeasurements, &persistent.SubscriptionInfo_Measurement{Key: m.Key, Value: m.Value})
	}
	return info
}

// placeText is a place in the form that clients read; empty if there is none.
func placeText(key groups.Key, at groups.Place) string {
	if at == groups.None {
		return ""
	}
	return text(key, at)
}

// startText is the start of a group in the form that clients read.
func startText(key groups.Key, at groups.Place) string {
	switch {
	case at == eventstore.End && key.OnAll():
		return "C:-1/P:-1"
	case at == eventstore.End:
		return "-1"
	default:
		return text(key, at)
	}
}

func text(key groups.Key, at groups.Place) string {
	if !key.OnAll() {
		return strconv.FormatInt(groups.RevisionOf(at), 10)
	}
	commit, prepare := at.Pair()
	return fmt.Sprintf("C:%d/P:%d", commit, prepare)
}

func clip(n int) int32 { return int32(min(n, math.MaxInt32)) }

// millisecondsOrNever is a time in milliseconds. Zero means never; the result is then the longest
// time that the field can hold.
func millisecondsOrNever(d time.Duration) int32 {
	if d == 0 {
		return math.MaxInt32
	}
	return milliseconds(d)
}

func milliseconds(d time.Duration) int32 { return int32(min(d.Milliseconds(), math.MaxInt32)) }

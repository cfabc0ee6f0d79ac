package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpsched"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
)

// framework is a scheduler that is driven step by step: each step waits for the event it expects.
type framework struct {
	caller calls.Caller
	id     string
	stream chan scheduler.Event
	events []scheduler.Event
}

// session goes through a framework's life, with a look at it as an operator in the middle.
func session(masterAddress, agentAddress string) string {
	operator := newOperator(masterAddress, agentAddress)
	watch := operator.watch()
	f := subscribe(masterAddress)
	offer := f.offer()
	f.launch(offer)
	f.commands()
	f.ownTasks(offer.AgentID.Value)
	operator.reads(f.id)
	f.reconcile(offer.AgentID.Value)
	f.kill(offer.AgentID.Value)
	f.shutDownExecutor(offer.AgentID.Value)
	f.do(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
	watch.saw(f.id)
	operator.afterwards(f.id)
	return fmt.Sprint(len(f.events), " events")
}

func subscribe(address string) *framework {
	caller := httpsched.NewCaller(protobuf(address, "/api/v1/scheduler"))
	self, err := user.Current()
	check(err == nil, "this user", err)
	info := &mesos.FrameworkInfo{
		User: self.Username, Name: "mesos-go session", Roles: []string{"gophers", "moles"},
		Capabilities: []mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE},
			{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE},
			{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE},
		},
	}
	stream, err := caller.Call(context.Background(), calls.Subscribe(info))
	check(err == nil, "SUBSCRIBE", err)
	f := &framework{caller: caller, stream: make(chan scheduler.Event, 1000)}
	go func() {
		defer close(f.stream)
		for {
			var event scheduler.Event
			if stream.Decode(&event) != nil {
				return
			}
			f.stream <- event
		}
	}()
	first := f.await("SUBSCRIBED", func(e *scheduler.Event) bool { return e.Type == scheduler.Event_SUBSCRIBED })
	f.id = first.Subscribed.FrameworkID.Value
	check(first.Subscribed.GetHeartbeatIntervalSeconds() == 15, "heartbeats every 15 s", first)
	check(first.Subscribed.MasterInfo.GetVersion() != "", "the master's version", first)
	return f
}

// do sends a call that is answered by 202 and nothing else.
func (f *framework) do(call *scheduler.Call) {
	call.FrameworkID = &mesos.FrameworkID{Value: f.id}
	err := calls.CallNoData(context.Background(), f.caller, call)
	check(err == nil, call.Type.String(), err)
}

// next waits for an event, and acknowledges what wants to be.
func (f *framework) next(what string) *scheduler.Event {
	select {
	case event, open := <-f.stream:
		check(open, "the stream ended while waiting for "+what, f.story())
		check(event.Type != scheduler.Event_ERROR, "an ERROR event", event.Error)
		if status := event.GetUpdate().GetStatus(); len(status.UUID) > 0 {
			f.do(calls.Acknowledge(status.AgentID.GetValue(), status.TaskID.Value, status.UUID))
		}
		f.events = append(f.events, event)
		return &event
	case <-time.After(patience):
		check(false, "not in time: "+what, f.story())
	}
	panic("check ends the program")
}

// await gives the first event that is as expected, of those that came or will come.
func (f *framework) await(what string, expected func(*scheduler.Event) bool) *scheduler.Event {
	for i := range f.events {
		if event := &f.events[i]; expected(event) {
			return event
		}
	}
	deadline := time.Now().Add(patience)
	for {
		check(time.Now().Before(deadline), "not in time: "+what, f.story())
		if event := f.next(what); expected(event) {
			return event
		}
	}
}

// story tells all events in short.
func (f *framework) story() (lines []string) {
	for _, event := range f.events {
		line := event.Type.String()
		if update := event.Update; update != nil {
			line = fmt.Sprint(update.Status.TaskID.Value, " ", update.Status.GetState(), " ", update.Status.GetMessage())
		}
		lines = append(lines, line)
	}
	return lines
}

// update waits for a state of a task, as told by whoever runs it.
func (f *framework) update(task string, state mesos.TaskState) mesos.TaskStatus {
	event := f.await(fmt.Sprint(task, " ", state), func(e *scheduler.Event) bool {
		return e.Update != nil && e.Update.Status.TaskID.Value == task && e.Update.Status.GetState() == state &&
			e.Update.Status.GetReason() != mesos.REASON_RECONCILIATION
	})
	return event.Update.Status
}

func (f *framework) message(text string) {
	f.await(text, func(e *scheduler.Event) bool { return string(e.GetMessage().GetData()) == text })
}

// offer waits for an offer that has room for all tasks, and declines others.
func (f *framework) offer() mesos.Offer {
	for {
		for _, offer := range f.next("an offer").GetOffers().GetOffers() {
			role := offer.GetAllocationInfo().GetRole()
			check(role == "gophers" || role == "moles", "an offer for one of the roles", offer)
			for _, resource := range offer.Resources {
				check(resource.GetAllocationInfo().GetRole() == role, "resources for the offer's role", resource)
			}
			if cpus, _ := resources.CPUs(offer.Resources...); cpus >= 1 {
				return offer
			}
			f.do(calls.Decline(offer.ID).With(calls.RefuseSeconds(time.Second)))
		}
	}
}

func amounts(cpus, mem float64) mesos.Resources {
	return mesos.Resources{resources.NewCPUs(cpus).Resource, resources.NewMemory(mem).Resource}
}

// launch uses an offer for two command tasks and two tasks of an executor of our own, in two operations.
func (f *framework) launch(offer mesos.Offer) {
	task := func(name string) mesos.TaskInfo {
		return mesos.TaskInfo{Name: name, TaskID: mesos.TaskID{Value: name}, AgentID: offer.AgentID, Resources: amounts(0.1, 32)}
	}
	shell := func(line string) *mesos.CommandInfo { return &mesos.CommandInfo{Value: &line} }
	plain, long, once, held := task("plain"), task("long"), task("once"), task("held")
	plain.Command, long.Command = shell("echo out; echo err >&2"), shell("exec sleep 600")
	self, err := os.Executable()
	check(err == nil, "this program's path", err)
	own := &mesos.ExecutorInfo{
		Type: mesos.ExecutorInfo_CUSTOM, ExecutorID: mesos.ExecutorID{Value: "gopher"},
		Command: shell("exec '" + self + "' executor"), Resources: amounts(0.1, 32),
	}
	once.Executor, once.Data = own, []byte("once")
	held.Executor = own
	operations := calls.OfferOperations{calls.OpLaunch(plain, long), calls.OpLaunch(once, held)}
	f.do(calls.Accept(operations.WithOffers(offer.ID)).With(calls.RefuseSeconds(time.Hour)))
}

func (f *framework) commands() {
	f.update("plain", mesos.TASK_STARTING)
	f.update("plain", mesos.TASK_RUNNING)
	f.update("plain", mesos.TASK_FINISHED)
	f.update("long", mesos.TASK_RUNNING)
}

func (f *framework) ownTasks(agent string) {
	f.update("once", mesos.TASK_RUNNING)
	f.message("started once")
	f.update("once", mesos.TASK_FINISHED)
	f.update("held", mesos.TASK_RUNNING)
	f.message("started held")
	f.do(calls.Message(agent, "gopher", []byte("you")))
	f.message("heard you")
}

func (f *framework) reconcile(agent string) {
	f.do(calls.Reconcile(calls.ReconcileTasks(map[string]string{"held": agent, "nobody": agent})))
	// The agent is there and does not know the second task: gone. A framework that is not partition
	// aware would be told that it is lost.
	for task, state := range map[string]mesos.TaskState{"held": mesos.TASK_RUNNING, "nobody": mesos.TASK_GONE} {
		answer := f.await("an answer about "+task, func(e *scheduler.Event) bool {
			return e.Update != nil && e.Update.Status.TaskID.Value == task &&
				e.Update.Status.GetReason() == mesos.REASON_RECONCILIATION
		})
		status := answer.Update.Status
		check(status.GetState() == state && len(status.UUID) == 0, "the answer about "+task, status)
	}
}

func (f *framework) kill(agent string) {
	f.do(calls.Kill("long", agent))
	f.update("long", mesos.TASK_KILLING)
	killed := f.update("long", mesos.TASK_KILLED)
	check(killed.GetSource() == mesos.SOURCE_EXECUTOR, "who says so", killed)
}

// shutDownExecutor tells the executor to go while it has a task.
func (f *framework) shutDownExecutor(agent string) {
	f.do(calls.Shutdown("gopher", agent))
	failure := f.await("the executor's end", func(e *scheduler.Event) bool {
		return e.Type == scheduler.Event_FAILURE && e.Failure.ExecutorID.GetValue() == "gopher"
	})
	check(failure.Failure.AgentID.GetValue() == agent, "the executor's agent", failure.Failure)
	held := f.update("held", mesos.TASK_FAILED)
	check(held.GetReason() == mesos.REASON_EXECUTOR_TERMINATED, "why its task ended", held)
}
